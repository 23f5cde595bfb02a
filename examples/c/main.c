/* Loads weights into a compiled layer, runs it on a few tokens and prints what
 * happened. Any call may fail; what to do then is shown once, in `check`. */

#include "tiny.h"

#include <stdio.h>
#include <stdlib.h>

enum { tokens = 4, hidden = 64 };

static void check(const tiny_t *layer, moe_status status, const char *what) {
  if (status == MOE_OK)
    return;
  fprintf(stderr, "%s: %s: %s\n", what, moe_status_name(status),
          layer ? tiny_error(layer) : moe_last_error());
  exit(1);
}

static int progress(void *user, const char *tensor, uint64_t done,
                    uint64_t total) {
  (void)user;
  fprintf(stderr, "%3.0f %% %s\n",
          total ? 100.0 * (double)done / (double)total : 100.0, tensor);
  return 0; /* anything else cancels */
}

static DLTensor matrix(float *data, int64_t *shape) {
  DLTensor tensor = {.data = data,
                     .device = {kDLCPU, 0},
                     .ndim = 2,
                     .dtype = {kDLFloat, 32, 1},
                     .shape = shape};
  return tensor;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s WEIGHTS.safetensors\n", argv[0]);
    return 2;
  }
  tiny_t *layer = NULL;
  check(NULL, tiny_create(&layer), "create");

  /* An error leaves the layer as it was, and says what was wrong. */
  moe_status status =
      tiny_load_weights(layer, "no/such/file.safetensors", NULL, NULL);
  printf("as expected: %s: %s\n", moe_status_name(status), tiny_error(layer));

  check(layer, tiny_load_weights(layer, argv[1], progress, NULL), argv[1]);

  float input[tokens * hidden], output[tokens * hidden];
  for (int i = 0; i < tokens * hidden; ++i)
    input[i] = (float)(i % 17) / 17.0f - 0.5f;
  int64_t shape[] = {tokens, hidden};
  DLTensor x = matrix(input, shape), y = matrix(output, shape);
  check(layer, tiny_forward(layer, &x, &y), "forward");

  DLTensor indices;
  check(layer, tiny_get(layer, "indices", &indices), "indices");
  const int32_t *chosen = indices.data;
  for (int t = 0; t < tokens; ++t) {
    printf("token %d: experts", t);
    for (int64_t j = 0; j < indices.shape[1]; ++j)
      printf(" %d", chosen[t * indices.shape[1] + j]);
    printf(", y[0] = %g\n", output[t * hidden]);
  }

  moe_statistics statistics;
  check(layer, tiny_statistics(layer, &statistics), "statistics");
  printf("%lld slots in %.1f us\n", (long long)statistics.routed,
         1e6 * statistics.seconds);
  tiny_destroy(layer);
  return 0;
}
