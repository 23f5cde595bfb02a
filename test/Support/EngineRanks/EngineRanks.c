/*===- EngineRanks.c - One rank of several processes ----------------------===*\
|*
|* Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* engine-ranks LIBRARY SCENARIO: opens the engine in a library, does what the
|* scenario says and prints what came of it, a line per rank:
|*   rank 0: MOE_TIMEOUT blames 1 after 0.302 s: rank 1 did not come
|*
\*===----------------------------------------------------------------------===*/

#define _POSIX_C_SOURCE 200809L
#include "moe/Runtime/Engine.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MaxRanks = 16, Timeout = 1000 };

static moe_engine engine;
static uint64_t sequence;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void pauseFor(long milliseconds) {
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static const char *statusName(moe_status status) {
  switch (status) {
  case MOE_OK:
    return "MOE_OK";
  case MOE_INVALID_ARGUMENT:
    return "MOE_INVALID_ARGUMENT";
  case MOE_TIMEOUT:
    return "MOE_TIMEOUT";
  case MOE_RANK_FAILED:
    return "MOE_RANK_FAILED";
  case MOE_OP_MISMATCH:
    return "MOE_OP_MISMATCH";
  case MOE_ABORTED:
    return "MOE_ABORTED";
  case MOE_UNAVAILABLE:
    return "MOE_UNAVAILABLE";
  case MOE_NOT_FINITE:
    return "MOE_NOT_FINITE";
  default:
    return "another status";
  }
}

static void report(int rank, moe_status status,
                   const moe_engine_failure *failure, int64_t begin) {
  printf("rank %d: %s blames %d after %.3f s: %s\n", rank, statusName(status),
         status ? failure->rank : -1, (double)(now() - begin) * 1e-9,
         status ? failure->text : "");
  fflush(stdout);
}

/*--- Exchanges ------------------------------------------------------------*/

typedef struct Exchange {
  moe_transfer transfer;
  int32_t ranks[MaxRanks];
  moe_piece send[MaxRanks], receive[MaxRanks];
} Exchange;

static uint64_t oddSize(int32_t from, int32_t to) {
  int32_t kind = (3 * from + 5 * to) % 4;
  return kind == 0 ? 0 : (uint64_t)(kind * 731 + from + 1);
}

static uint64_t largeSize(int32_t from, int32_t to) {
  return 3000000u + (uint64_t)(1000 * from + to);
}

/* More than one chunk of any engine. */
static uint64_t hugeSize(int32_t from, int32_t to) {
  return from == 0 && to == 1 ? (65u << 20) + 3 : 5;
}

static uint64_t noSize(int32_t from, int32_t to) {
  (void)from, (void)to;
  return 0;
}

static uint64_t someSize(int32_t from, int32_t to) {
  return (uint64_t)(100 + from + 10 * to);
}

static unsigned char byteOf(int32_t from, int32_t to, uint64_t at) {
  return (unsigned char)((uint64_t)(17 * from + 5 * to) + 3 * at + at / 256);
}

/* Among the ranks first, first + step and so on. */
static Exchange *make(int32_t first, int32_t step,
                      uint64_t (*size)(int32_t, int32_t)) {
  Exchange *made = calloc(1, sizeof *made);
  moe_transfer *transfer = &made->transfer;
  for (int32_t rank = first; rank < engine.size; rank += step) {
    int32_t member = transfer->members++;
    made->ranks[member] = rank;
    if (rank == engine.rank)
      transfer->self = member;
    moe_piece *send = &made->send[member], *receive = &made->receive[member];
    send->bytes = size(engine.rank, rank);
    receive->bytes = size(rank, engine.rank);
    send->data = malloc(send->bytes + 1);
    receive->data = malloc(receive->bytes + 1);
    for (uint64_t i = 0; i < send->bytes; ++i)
      ((unsigned char *)send->data)[i] = byteOf(engine.rank, rank, i);
  }
  transfer->ranks = made->ranks;
  transfer->send = made->send;
  transfer->receive = made->receive;
  transfer->sequence = sequence++;
  transfer->tag = 7;
  transfer->what = "rows to experts";
  return made;
}

static int isRight(const Exchange *made) {
  for (int32_t i = 0; i < made->transfer.members; ++i)
    for (uint64_t at = 0; at < made->receive[i].bytes; ++at)
      if (((unsigned char *)made->receive[i].data)[at] !=
          byteOf(made->ranks[i], engine.rank, at))
        return 0;
  return 1;
}

static void discard(Exchange *made) {
  for (int32_t i = 0; i < made->transfer.members; ++i) {
    free(made->send[i].data);
    free(made->receive[i].data);
  }
  free(made);
}

static void die(const char *words) {
  printf("rank %d: %s\n", engine.rank, words);
  fflush(stdout);
  _exit(1);
}

static moe_engine_request *start(Exchange *made) {
  moe_engine_failure failure;
  moe_engine_request *request = NULL;
  if (engine.start(engine.self, &made->transfer, &request, &failure))
    die(failure.text);
  return request;
}

static void finish(Exchange *made, moe_engine_request *request) {
  moe_engine_failure failure;
  if (engine.wait(engine.self, request, now() + 60000000000, &failure))
    die(failure.text);
  if (!isRight(made))
    die("wrong bytes");
  discard(made);
}

static void exchange(int32_t first, int32_t step,
                     uint64_t (*size)(int32_t, int32_t)) {
  Exchange *made = make(first, step, size);
  finish(made, start(made));
}

static void pollUntilDone(Exchange *made) {
  moe_engine_request *request = start(made);
  moe_engine_failure failure;
  moe_status status;
  while ((status = engine.poll(engine.self, request, &failure)) ==
         MOE_IN_PROGRESS)
    pauseFor(0);
  if (status)
    die(failure.text);
  if (!isRight(made))
    die("wrong bytes");
  discard(made);
}

static void exchangeAll(void) {
  enum { UnderWay = 4 };
  for (int round = 0; round < 20; ++round)
    exchange(0, 1, oddSize);
  exchange(0, 1, largeSize);
  exchange(0, 1, hugeSize);
  exchange(0, 1, noSize);
  for (int round = 0; round < 5; ++round) {
    exchange(engine.rank % 2, 2, oddSize);
    exchange(0, 1, oddSize);
    exchange(engine.rank, MaxRanks, someSize);
  }
  Exchange *made[UnderWay];
  moe_engine_request *requests[UnderWay];
  for (int i = 0; i < UnderWay; ++i)
    requests[i] = start(made[i] = make(0, 1, i % 2 ? largeSize : oddSize));
  for (int i = UnderWay; i-- > 0;)
    finish(made[i], requests[i]);
  pollUntilDone(make(0, 1, oddSize));
  Exchange *equal = make(0, 1, someSize);
  equal->transfer.flags = MOE_TRANSFER_EQUAL;
  for (int32_t i = 0; i < engine.size; ++i) {
    equal->send[i].bytes = equal->receive[i].bytes = 100;
    for (uint64_t at = 0; at < 100; ++at)
      ((unsigned char *)equal->send[i].data)[at] = byteOf(engine.rank, i, at);
  }
  finish(equal, start(equal));
}

/*--- Failures -------------------------------------------------------------*/

/* An exchange that is not to end well. All others hear of it. */
static void failsWithin(Exchange *made, int64_t milliseconds) {
  moe_engine_failure failure = {MOE_OK, -1, ""};
  moe_engine_request *request = NULL;
  int64_t begin = now();
  moe_status status =
      engine.start(engine.self, &made->transfer, &request, &failure);
  if (!status)
    status = engine.wait(engine.self, request, begin + milliseconds * 1000000,
                         &failure);
  report(engine.rank, status, &failure, begin);
  if (status)
    engine.abort(engine.self, status, failure.text);
}

static void fails(Exchange *made) { failsWithin(made, Timeout); }

static void runScenario(const char *scenario) {
  int is1 = engine.rank == 1;
  exchange(0, 1, oddSize);
  // The others should have seen the end of that as well.
  int endsEarly = !strcmp(scenario, "abort") || !strcmp(scenario, "killed") ||
                  !strcmp(scenario, "leaves");
  if (is1 && endsEarly)
    pauseFor(Timeout / 4);
  if (!strcmp(scenario, "exchange")) {
    exchangeAll();
    report(engine.rank, MOE_OK, NULL, now());
  } else if (!strcmp(scenario, "sizes")) {
    Exchange *made = make(0, 1, someSize);
    if (is1)
      made->send[0].bytes = 7;
    fails(made);
  } else if (!strcmp(scenario, "large-sizes")) {
    Exchange *made = make(0, 1, largeSize);
    if (is1)
      made->receive[0].bytes = 2000;
    fails(made);
  } else if (!strcmp(scenario, "operations")) {
    Exchange *made = make(0, 1, someSize);
    made->transfer.tag += (uint64_t)is1;
    if (is1)
      made->transfer.what = "barrier over dp";
    fails(made);
  } else if (!strcmp(scenario, "late")) {
    if (is1)
      pauseFor(2 * Timeout);
    fails(make(0, 1, someSize));
  } else if (!strcmp(scenario, "late-large")) {
    if (is1)
      pauseFor(2 * Timeout);
    fails(make(0, 1, largeSize));
  } else if (!strcmp(scenario, "abort")) {
    if (is1)
      engine.abort(engine.self, MOE_NOT_FINITE, "NaN in the logits");
    fails(make(0, 1, someSize));
  } else if (!strcmp(scenario, "killed")) {
    if (is1)
      raise(SIGKILL);
    fails(make(0, 1, someSize));
  } else if (!strcmp(scenario, "leaves")) {
    if (is1)
      exit(3);
    // What runs at exit takes its time on a busy machine.
    failsWithin(make(0, 1, someSize), 10 * Timeout);
  } else {
    die("no such scenario");
  }
}

static moe_engine_opener find(const char *library) {
  void *loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!loaded) {
    fprintf(stderr, "%s\n", dlerror());
    exit(2);
  }
  moe_engine_opener opener;
  *(void **)&opener = dlsym(loaded, MOE_ENGINE_OPEN_SYMBOL);
  return opener;
}

int main(int count, char **arguments) {
  if (count < 3)
    return 2;
  const char *scenario = arguments[2];
  moe_engine_failure failure;
  int64_t begin = now();
  moe_engine_options options = {-1, -1, begin + 20000000000, NULL};
  if (!strcmp(scenario, "world"))
    options.size = 3;
  moe_engine_opener opener = find(arguments[1]);
  for (int times = strcmp(scenario, "again") ? 1 : 3; times-- > 0;) {
    moe_status status = opener(&options, &engine, &failure);
    if (status) {
      report(-1, status, &failure, begin);
      return 1;
    }
    runScenario(strcmp(scenario, "again") ? scenario : "exchange");
    engine.close(engine.self);
  }
  return 0;
}
