/*===- PackageRanks.c - The ranks of a package as threads -----------------===*\
|*
|* Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* package-ranks PACKAGE ENGINE MEETING RANKS SHARES TOKENS HIDDEN STALLED: runs
|* forward with weights of seed 5 on f32 tokens from standard input, of which
|* each of SHARES consecutive groups of ranks has TOKENS, and writes y to
|* standard output. Rank STALLED, if there is one, comes after the deadline of
|* the others. A line for each rank that fails:
|*   rank 1: MOE_TIMEOUT after 1.003 s: why
|*
\*===----------------------------------------------------------------------===*/

#define _POSIX_C_SOURCE 200809L
#include "moe/Runtime/moe.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MaxRanks = 16, Timeout = 1000 };

static const moe_package *package;
static const char *engine, *meeting;
static int ranks, shares, tokens, hidden, stalled;
static float *input, *output;

typedef struct Rank {
  int number;
  moe_world *world;
  moe_status status;
  pthread_t thread;
} Rank;

static int number(const char *text) { return (int)strtol(text, NULL, 10); }

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static moe_status forward(Rank *rank, moe_layer *layer, double *begin) {
  size_t count = (size_t)tokens * (size_t)hidden;
  int perShare = ranks / shares;
  size_t first = (size_t)(rank->number / perShare) * count;
  float *mine = malloc((count + 1) * sizeof *mine);
  if (!mine)
    return MOE_OUT_OF_MEMORY;
  int64_t shape[] = {tokens, hidden};
  DLTensor x = {input + first, {kDLCPU, 0}, 2, {kDLFloat, 32, 1},
                shape,         NULL,        0};
  DLTensor y = x;
  y.data = mine;
  const DLTensor *inputs[] = {&x}, *outputs[] = {&y};
  if (rank->number == stalled)
    nanosleep(&(struct timespec){3, 0}, NULL);
  *begin = now();
  moe_status status = moe_layer_run(layer, "forward", inputs, outputs);
  if (status == MOE_OK && rank->number % perShare == 0)
    memcpy(output + first, mine, count * sizeof *mine);
  free(mine);
  return status;
}

static void *run(void *context) {
  Rank *rank = context;
  moe_layer *layer = NULL;
  double begin = now();
  if (!rank->world) {
    moe_world_options options = {.engine = engine,
                                 .rank = rank->number,
                                 .size = ranks,
                                 .timeout_ms = stalled < 0 ? 0 : Timeout,
                                 .rendezvous = meeting};
    rank->status = moe_world_open(&options, &rank->world);
  }
  if (rank->status == MOE_OK)
    rank->status = moe_layer_create_in(package, NULL, rank->world, &layer);
  if (rank->status == MOE_OK)
    rank->status = moe_layer_randomize(layer, 5, 0);
  if (rank->status == MOE_OK)
    rank->status = forward(rank, layer, &begin);
  if (rank->status != MOE_OK)
    fprintf(stderr, "rank %d: %s after %.3f s: %s\n", rank->number,
            moe_status_name(rank->status), now() - begin, moe_last_error());
  moe_layer_destroy(layer);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 9)
    return 2;
  engine = argv[2];
  meeting = argv[3];
  ranks = number(argv[4]);
  shares = number(argv[5]);
  tokens = number(argv[6]);
  hidden = number(argv[7]);
  stalled = number(argv[8]);
  size_t count = (size_t)shares * (size_t)tokens * (size_t)hidden;
  input = calloc(count + 1, sizeof *input);
  output = calloc(count + 1, sizeof *output);
  if (ranks > MaxRanks || !input || !output ||
      fread(input, sizeof *input, count, stdin) != count ||
      moe_package_open(argv[1], &package) != MOE_OK)
    return 2;
  moe_set_threads(1);
  moe_world *worlds[MaxRanks] = {NULL};
  moe_world_options options = {
      .engine = engine, .size = ranks, .timeout_ms = stalled < 0 ? 0 : Timeout};
  if (strcmp(engine, "threads") == 0 &&
      moe_world_open_threads(&options, worlds) != MOE_OK)
    return 2;
  Rank all[MaxRanks];
  for (int i = 0; i < ranks; ++i) {
    all[i] = (Rank){.number = i, .world = worlds[i]};
    if (pthread_create(&all[i].thread, NULL, run, &all[i]) != 0)
      return 2;
  }
  int failed = 0;
  for (int i = 0; i < ranks; ++i) {
    pthread_join(all[i].thread, NULL);
    failed |= all[i].status != MOE_OK;
  }
  for (int i = 0; i < ranks; ++i)
    moe_world_close(all[i].world);
  fwrite(output, sizeof *output, count, stdout);
  moe_package_close(package);
  free(input);
  free(output);
  return failed;
}
