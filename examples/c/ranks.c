/* The layer of main.c on four ranks that are threads, of a package that was
 * compiled with --grid=ep=2,tp=2. Ranks of ep have different tokens. */

#include "tiny.h"

#include <pthread.h>
#include <stdio.h>

enum { ep = 2, tp = 2, ranks = ep * tp, tokens = 4, hidden = 64 };

static const char *weights;
static float input[tokens * hidden], output[tokens * hidden];

/* One rank. What fails on one of them ends the others' waiting too. */
static void *run(void *of_rank) {
  moe_world *world = of_rank;
  int rank = moe_world_rank(world);
  float *mine = input + rank / tp * (tokens / ep) * hidden;
  float *results = output + rank / tp * (tokens / ep) * hidden;
  float same[tokens / ep * hidden]; /* as another rank of tp has */
  if (rank % tp)
    results = same;
  int64_t shape[] = {tokens / ep, hidden};
  DLTensor x = {.data = mine,
                .device = {kDLCPU, 0},
                .ndim = 2,
                .dtype = {kDLFloat, 32, 1},
                .shape = shape};
  DLTensor y = x;
  y.data = results;

  tiny_t *layer = NULL;
  moe_status status = tiny_create_in(NULL, world, &layer);
  if (status == MOE_OK) /* this rank's slices of them */
    status = tiny_load_weights(layer, weights, NULL, NULL);
  if (status == MOE_OK)
    status = tiny_forward(layer, &x, &y);
  if (status != MOE_OK) {
    fprintf(stderr, "rank %d: %s: %s\n", rank, moe_status_name(status),
            tiny_error(layer));
    moe_world_abort(world, tiny_error(layer));
  }
  tiny_destroy(layer);
  return status == MOE_OK ? NULL : world;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s WEIGHTS.safetensors\n", argv[0]);
    return 2;
  }
  weights = argv[1];
  for (int i = 0; i < tokens * hidden; ++i)
    input[i] = (float)(i % 17) / 17.0f - 0.5f;

  moe_world_options options = {.engine = "threads", .size = ranks};
  moe_world *worlds[ranks];
  if (moe_world_open_threads(&options, worlds) != MOE_OK) {
    fprintf(stderr, "%s\n", moe_last_error());
    return 1;
  }
  pthread_t threads[ranks];
  for (int rank = 0; rank < ranks; ++rank)
    if (pthread_create(&threads[rank], NULL, run, worlds[rank]) != 0)
      return 1;
  int failed = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    void *result = NULL;
    pthread_join(threads[rank], &result);
    failed |= result != NULL;
  }
  for (int rank = 0; rank < ranks; ++rank)
    moe_world_close(worlds[rank]);
  for (int t = 0; t < tokens && !failed; ++t)
    printf("token %d: y[0] = %g\n", t, output[t * hidden]);
  return failed;
}
