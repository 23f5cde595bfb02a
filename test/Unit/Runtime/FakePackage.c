/*===- FakePackage.c - A package written by hand ---------------------------===
 *
 * Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===
 *
 * Stands in for a compiled package: its manifest has every role and every form
 * of shape, its functions leave behind what the tests then look for. Macros
 * make packages that are wrong in one way.
 *
 *===----------------------------------------------------------------------===*/

#include "moe/Runtime/Package.h"

#include <math.h>
#include <stddef.h>

#ifndef FAKE_ABI
#define FAKE_ABI MOE_ABI_VERSION
#endif
#ifndef FAKE_CPU
#define FAKE_CPU "plain"
#endif
#ifndef FAKE_FUNCTIONS
#define FAKE_FUNCTIONS 4
#endif
#ifndef FAKE_COMPILER
#define FAKE_COMPILER "by hand"
#endif
#ifndef FAKE_ERROR
#define FAKE_ERROR 0.0f
#endif
#ifndef FAKE_SHIFT
#define FAKE_SHIFT 0
#endif

static const char manifest[] =
    "{\n"
    "  \"moe_package\": 1, \"abi\": 5, \"name\": \"fake\", \"compiler\": "
    "\"" FAKE_COMPILER "\",\n"
    "  \"spec\": { \"moe_spec\": 1, \"name\": \"fake\", \"hidden\": 4, "
    "\"router\": { \"experts\": 2, \"top_k\": 2 },\n"
    "            \"experts\": { \"intermediate\": 8, \"form\": \"glu\" } },\n"
    "  \"spec_hash\": \"0123456789abcdef\",\n"
    "  \"target\": { \"variants\": [ { \"kind\": \"cpu\", \"cpu\": \"plain\", "
    "\"features\": [] } ] },\n"
    "  \"grid\": { \"dp\": 1, \"ep\": 1, \"tp\": 1 },\n"
    "  \"weights\": [\n"
    "    { \"name\": \"scale.weight\", \"file_name\": \"layer.scale.weight\", "
    "\"dtype\": \"f32\", \"shape\": [4], \"fan_in\": 4 },\n"
    "    { \"name\": \"bias\", \"file_name\": \"layer.bias\", \"dtype\": "
    "\"f32\", \"shape\": [3], \"fan_in\": 16 },\n"
    "    { \"name\": \"table\", \"file_name\": \"layer.table\", \"dtype\": "
    "\"bf16\", \"shape\": [2, 3], \"fan_in\": 3 } ],\n"
    "  \"state\": [\n"
    "    { \"name\": \"loads\", \"dtype\": \"i64\", \"shape\": [3], "
    "\"initial\": \"zero\" },\n"
    "    { \"name\": \"bias\", \"dtype\": \"f32\", \"shape\": [3], "
    "\"initial\": \"weight\" } ],\n"
    "  \"functions\": [\n"
    "    { \"name\": \"forward\", \"symbol\": \"fake_forward_entry\", "
    "\"sizes\": [\"T\"],\n"
    "      \"arguments\": [\n"
    "        { \"name\": \"x\", \"role\": \"input\", \"dtype\": \"f32\", "
    "\"shape\": [\"T\", 4] },\n"
    "        { \"name\": \"scale.weight\", \"role\": \"weight\", \"dtype\": "
    "\"f32\", \"shape\": [4] },\n"
    "        { \"name\": \"bias\", \"role\": \"state\", \"dtype\": \"f32\", "
    "\"shape\": [3] },\n"
    "        { \"name\": \"loads\", \"role\": \"state\", \"dtype\": \"i64\", "
    "\"shape\": [3] },\n"
    "        { \"name\": \"y\", \"role\": \"output\", \"dtype\": \"f32\", "
    "\"shape\": [\"T\", 4] },\n"
    "        { \"name\": \"indices\", \"role\": \"plan\", \"dtype\": \"i32\", "
    "\"shape\": [\"T\", 2] },\n"
    "        { \"name\": \"weights\", \"role\": \"plan\", \"dtype\": \"f32\", "
    "\"shape\": [\"T\", 2] },\n"
    "        { \"name\": \"offsets\", \"role\": \"plan\", \"dtype\": \"i32\", "
    "\"shape\": [3] },\n"
    "        { \"name\": \"counts\", \"role\": \"plan\", \"dtype\": \"i32\", "
    "\"shape\": [3] },\n"
    "        { \"name\": \"imbalance\", \"role\": \"plan\", \"dtype\": "
    "\"f32\", \"shape\": [] },\n"
    "        { \"name\": \"status\", \"role\": \"plan\", \"dtype\": \"i32\", "
    "\"shape\": [] },\n"
    "        { \"name\": \"clock\", \"role\": \"plan\", \"dtype\": \"i64\", "
    "\"shape\": [3] } ],\n"
    "      \"workspace\": { \"constant\": 64, \"per\": { \"T\": 16 } } },\n"
    "    { \"name\": \"step\", \"symbol\": \"fake_step_entry\", \"sizes\": "
    "[],\n"
    "      \"arguments\": [\n"
    "        { \"name\": \"bias\", \"role\": \"state\", \"dtype\": \"f32\", "
    "\"shape\": [3] } ] },\n"
    "    { \"name\": \"quantize\", \"symbol\": \"fake_quantize_entry\", "
    "\"sizes\": [\"n\"],\n"
    "      \"arguments\": [\n"
    "        { \"name\": \"values\", \"role\": \"input\", \"dtype\": \"f32\", "
    "\"shape\": [\"n\"] },\n"
    "        { \"name\": \"data\", \"role\": \"output\", \"dtype\": \"u8\", "
    "\"shape\": [\"ceil(n/2)\"] },\n"
    "        { \"name\": \"twice\", \"role\": \"plan\", \"dtype\": \"f32\", "
    "\"shape\": [\"2*n\"] },\n"
    "        { \"name\": \"status\", \"role\": \"plan\", \"dtype\": \"i32\", "
    "\"shape\": [] } ] },\n"
    "    { \"name\": \"pair\", \"symbol\": \"fake_pair_entry\", \"sizes\": "
    "[\"n\", \"m\"],\n"
    "      \"arguments\": [\n"
    "        { \"name\": \"both\", \"role\": \"input\", \"dtype\": \"f64\", "
    "\"shape\": [\"2*n\"] },\n"
    "        { \"name\": \"half\", \"role\": \"output\", \"dtype\": \"f64\", "
    "\"shape\": [\"n\"] },\n"
    "        { \"name\": \"free\", \"role\": \"output\", \"dtype\": \"i64\", "
    "\"shape\": [\"m\"] } ] } ]\n"
    "}\n";

struct forward {
  int64_t tokens;
  void *const *buffers;
};

/* y = x * scale + bias[0]; token t goes to experts t and t + 1, modulo 3. */
static void forward_tokens(void *context, int64_t begin, int64_t end) {
  const struct forward *call = context;
  const float *x = call->buffers[0], *scale = call->buffers[1];
  const float *bias = call->buffers[2];
  float *y = call->buffers[4], *weights = call->buffers[6];
  int32_t *indices = call->buffers[5];
  int32_t *scratch = call->buffers[12];
  for (int64_t t = begin; t < end; ++t) {
    for (int d = 0; d < 4; ++d)
      y[4 * t + d] = x[4 * t + d] * scale[d] + bias[0] + FAKE_ERROR;
    for (int j = 0; j < 2; ++j) {
      indices[2 * t + j] = (int32_t)((t + j + FAKE_SHIFT) % 3);
      weights[2 * t + j] = 0.5f;
      scratch[4 * t + j] = 1;
    }
  }
}

/* Expert 0 keeps at most 4 slots; expert 2 is a null expert. */
static void forward(const int64_t *sizes, void *const *buffers) {
  struct forward call = {sizes[0], buffers};
  const float *x = buffers[0];
  const int32_t *indices = buffers[5];
  int64_t *loads = buffers[3], *clock = buffers[11];
  int32_t *offsets = buffers[7], *counts = buffers[8], *status = buffers[10];
  clock[0] = 1000;
  clock[1] = 1250;
  clock[2] = 2000;
  moe_parallel_for(forward_tokens, &call, call.tokens);
  counts[0] = counts[1] = counts[2] = 0;
  for (int64_t i = 0; i < 2 * call.tokens; ++i)
    ++counts[indices[i]];
  for (int e = 0; e < 3; ++e)
    loads[e] += counts[e];
  offsets[0] = 0;
  offsets[1] = counts[0] < 4 ? counts[0] : 4;
  offsets[2] = offsets[1] + counts[1];
  *(float *)buffers[9] = 0.25f;
  *status = 0;
  for (int64_t t = call.tokens; t-- > 0;)
    if (!isfinite(x[4 * t]))
      *status = (int32_t)(t + 1);
}

static void step(const int64_t *sizes, void *const *buffers) {
  (void)sizes;
  *(float *)buffers[0] += 1;
}

static void quantize(const int64_t *sizes, void *const *buffers) {
  const float *values = buffers[0];
  uint8_t *data = buffers[1];
  float *twice = buffers[2];
  int32_t *status = buffers[3];
  *status = 0;
  for (int64_t i = 0; i < sizes[0]; ++i) {
    data[i / 2] = (uint8_t)i;
    twice[2 * i] = twice[2 * i + 1] = values[i];
    if (!isfinite(values[i]) && !*status)
      *status = (int32_t)(i + 1);
  }
}

static void pair(const int64_t *sizes, void *const *buffers) {
  const double *both = buffers[0];
  double *half = buffers[1];
  int64_t *free = buffers[2];
  for (int64_t i = 0; i < sizes[0]; ++i)
    half[i] = both[2 * i] + both[2 * i + 1];
  for (int64_t i = 0; i < sizes[1]; ++i)
    free[i] = i;
}

static const moe_function functions[] = {{"forward", forward},
                                         {"step", step},
                                         {"quantize", quantize},
                                         {"pair", pair}};

#ifndef FAKE_SYMBOL
#define FAKE_SYMBOL fake_package
#endif
MOE_API extern const moe_package FAKE_SYMBOL;
static const moe_variant variants[] = {
    {FAKE_CPU, functions, 0, FAKE_FUNCTIONS}};
const moe_package FAKE_SYMBOL = {FAKE_ABI, 1, manifest, variants};
