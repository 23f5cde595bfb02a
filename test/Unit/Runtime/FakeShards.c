/*===- FakeShards.c - A sharded package written by hand -------------------===
 *
 * Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===
 *
 * y = down * (up * x) + bias. The 8 rows of `up` and columns of `down` are
 * split over tp, the bias belongs to the first rank there, and ranks of ep have
 * tokens of their own, all of which end up in `all`. With FAKE_WHOLE the same
 * for one rank.
 *
 *===----------------------------------------------------------------------===*/

#include "moe/Runtime/Package.h"

#include <math.h>
#include <stddef.h>

#ifdef FAKE_WHOLE
#define GRID "{ \"dp\": 1, \"ep\": 1, \"tp\": 1 }"
#define UP "\"shape\": [8, 4]"
#define DOWN "\"shape\": [4, 8]"
#define BIAS "\"shape\": [4]"
#define RANKS "\"sizes\": [\"T\"]"
#define ALL ""
enum { hidden = 8, bias_at = 6 };
#else
#define GRID "{ \"dp\": 1, \"ep\": 2, \"tp\": 2 }"
#define UP                                                                     \
  "\"shape\": [4, 4], \"shard\": { \"whole\": [8, 4], \"split\": [ "           \
  "{ \"dim\": 0, \"axis\": \"tp\", \"parts\": 2 } ] }"
#define DOWN                                                                   \
  "\"shape\": [4, 4], \"shard\": { \"whole\": [4, 8], \"split\": [ "           \
  "{ \"dim\": 1, \"axis\": \"tp\", \"parts\": 2 } ] }"
#define BIAS                                                                   \
  "\"shape\": [4], \"shard\": { \"whole\": [4], \"split\": [], "               \
  "\"only_first\": \"tp\" }"
#define RANKS                                                                  \
  "\"sizes\": [\"T\", \"R\"], \"tokens_over\": [\"dp\", \"ep\"],\n"            \
  "      \"sums\": { \"R\": { \"of\": \"T\", \"axes\": [\"ep\"] } },\n"        \
  "      \"collectives\": [\n"                                                 \
  "        { \"kind\": \"all_reduce\", \"axes\": [\"tp\"], \"dtype\": "        \
  "\"f32\", \"row\": 4, \"reduce\": \"sum\", \"name\": \"parts\" },\n"         \
  "        { \"kind\": \"all_gather\", \"axes\": [\"ep\"], \"dtype\": "        \
  "\"f32\", \"row\": 4, \"name\": \"tokens\" } ]"
#define ALL                                                                    \
  ",\n        { \"name\": \"all\", \"role\": \"plan\", \"dtype\": \"f32\", "   \
  "\"shape\": [\"R\", 4] }"
enum { hidden = 4, bias_at = 7 };
#endif

#define ARGUMENTS                                                              \
  "      \"arguments\": [\n"                                                   \
  "        { \"name\": \"x\", \"role\": \"input\", \"dtype\": \"f32\", "       \
  "\"shape\": [\"T\", 4] },\n"                                                 \
  "        { \"name\": \"up.weight\", \"role\": \"weight\", \"dtype\": "       \
  "\"f32\", \"shape\": [" HIDDEN ", 4] },\n"                                   \
  "        { \"name\": \"down.weight\", \"role\": \"weight\", \"dtype\": "     \
  "\"f32\", \"shape\": [4, " HIDDEN "] },\n"                                   \
  "        { \"name\": \"y\", \"role\": \"output\", \"dtype\": \"f32\", "      \
  "\"shape\": [\"T\", 4] },\n"                                                 \
  "        { \"name\": \"indices\", \"role\": \"plan\", \"dtype\": \"i32\", "  \
  "\"shape\": [\"T\", 2] },\n"                                                 \
  "        { \"name\": \"status\", \"role\": \"plan\", \"dtype\": \"i32\", "   \
  "\"shape\": [] }" ALL ",\n"                                                  \
  "        { \"name\": \"bias\", \"role\": \"weight\", \"dtype\": \"f32\", "   \
  "\"shape\": [4] },\n"                                                        \
  "        { \"name\": \"counts\", \"role\": \"plan\", \"dtype\": \"i32\", "   \
  "\"shape\": [2] },\n"                                                        \
  "        { \"name\": \"offsets\", \"role\": \"plan\", \"dtype\": \"i32\", "  \
  "\"shape\": [3] } ],\n"                                                      \
  "      \"workspace\": { \"constant\": 64, \"per\": { \"T\": 16 } } }"
#ifdef FAKE_WHOLE
#define HIDDEN "8"
#else
#define HIDDEN "4"
#endif

static const char manifest[] =
    "{\n"
    "  \"moe_package\": 1, \"abi\": 5, \"name\": \"fake\",\n"
    "  \"spec\": { \"moe_spec\": 1, \"name\": \"fake\", \"hidden\": 4 },\n"
    "  \"target\": { \"variants\": [ { \"kind\": \"cpu\", \"cpu\": \"plain\" } "
    "] },\n"
    "  \"grid\": " GRID ",\n"
    "  \"weights\": [\n"
    "    { \"name\": \"up.weight\", \"dtype\": \"f32\", " UP " },\n"
    "    { \"name\": \"down.weight\", \"dtype\": \"f32\", " DOWN " },\n"
    "    { \"name\": \"bias\", \"dtype\": \"f32\", " BIAS " } ],\n"
    "  \"state\": [],\n"
    "  \"functions\": [\n"
    "    { \"name\": \"forward\", \"symbol\": \"forward\", " RANKS
    ",\n" ARGUMENTS ",\n"
    "    { \"name\": \"stray\", \"symbol\": \"stray\", " RANKS ",\n" ARGUMENTS
    " ]\n"
    "}\n";

/* This rank's part of the sum for all tokens. */
static void add_part(int64_t tokens, void *const *buffers, float *part) {
  const float *x = buffers[0], *up = buffers[1], *down = buffers[2];
  const float *bias = buffers[bias_at];
  for (int64_t t = 0; t < tokens; ++t)
    for (int d = 0; d < 4; ++d) {
      float sum = bias[d];
      for (int h = 0; h < hidden; ++h) {
        float inner = 0;
        for (int i = 0; i < 4; ++i)
          inner += up[4 * h + i] * x[4 * t + i];
        sum += down[hidden * d + h] * inner;
      }
      part[4 * t + d] = sum;
    }
}

/* Token t goes to expert 0, and to the expert that the sign of x says. */
static void route(int64_t tokens, void *const *buffers) {
  const float *x = buffers[0];
  int32_t *indices = buffers[4], *status = buffers[5];
  int32_t *counts = buffers[bias_at + 1], *offsets = buffers[bias_at + 2];
  *status = 0;
  counts[0] = counts[1] = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    indices[2 * t] = 0;
    indices[2 * t + 1] = x[4 * t] < 0;
    ++counts[0];
    ++counts[indices[2 * t + 1]];
    if (!isfinite(x[4 * t]) && !*status)
      *status = (int32_t)(t + 1);
  }
  offsets[0] = 0;
  offsets[1] = counts[0];
  offsets[2] = counts[0] + counts[1];
}

#ifdef FAKE_WHOLE
static void forward(const int64_t *sizes, void *const *buffers) {
  route(sizes[0], buffers);
  add_part(sizes[0], buffers, buffers[3]);
}
#define stray forward
#else
static void forward(const int64_t *sizes, void *const *buffers) {
  void *exchange = buffers[bias_at + 4];
  float *part = buffers[bias_at + 3];
  route(sizes[0], buffers);
  add_part(sizes[0], buffers, part);
  if (moe_collective(exchange, 0, part, buffers[3], sizes[0], NULL, NULL))
    return;
  moe_collective(exchange, 1, buffers[0], buffers[6], sizes[0], NULL, NULL);
}

/* The second rank of tp is at another collective than the first. */
static void stray(const int64_t *sizes, void *const *buffers) {
  void *exchange = buffers[bias_at + 4];
  float *part = buffers[bias_at + 3];
  add_part(sizes[0], buffers, part);
  if (moe_member(exchange, 4) == 0)
    moe_collective(exchange, 0, part, buffers[3], sizes[0], NULL, NULL);
  else
    moe_collective(exchange, 1, buffers[0], buffers[6], sizes[0], NULL, NULL);
}
#endif

static const moe_function functions[] = {{"forward", forward},
                                         {"stray", stray}};
static const moe_variant variants[] = {{"plain", functions, 0, 2}};
#ifndef FAKE_SYMBOL
#define FAKE_SYMBOL fake_package
#endif
MOE_API extern const moe_package FAKE_SYMBOL;
const moe_package FAKE_SYMBOL = {MOE_ABI_VERSION, 1, manifest, variants};
