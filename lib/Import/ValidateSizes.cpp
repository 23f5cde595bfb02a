//===- ValidateSizes.cpp - What keys make too large -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Native.h"
#include "Reporter.h"
#include "Validate.h"

#include <initializer_list>

using namespace moe;

/// Whether the product is `limit` or more. Compares before it multiplies.
static bool reaches(int64_t limit, std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (int64_t factor : factors) {
    if (factor != 0 && product > (limit - 1) / factor)
      return true;
    product *= factor;
  }
  return false;
}

// [S18]
void moe::validateSizes(const Spec &spec, const Locations &locations,
                        Reporter &reporter) {
  auto checkWeight = [&](const char *weight,
                         std::initializer_list<int64_t> shape,
                         const std::string &path) {
    if (!reaches(int64_t(1) << 40, shape))
      return;
    std::string text;
    for (int64_t size : shape)
      text += (text.empty() ? "" : " x ") + std::to_string(size);
    reporter.error(locations.of(path), path + ": found weight " +
                                           inQuotes(weight) + " of " + text +
                                           " elements, expected fewer than "
                                           "2^40");
  };

  const RouterSpec &router = spec.router;
  const ProjectionSpec &projection = router.projection;
  int64_t choices = router.experts + router.nullExperts;
  int64_t hidden = spec.hidden, latent = spec.experts.latent;
  int64_t width = latent ? latent : hidden;
  int64_t shared = spec.shared.intermediate;
  bool twoLayers = projection.layers == 2;
  if (router.strategy == Strategy::learned ||
      router.strategy == Strategy::similarity)
    checkWeight("router.weight",
                {choices, twoLayers ? projection.hidden : hidden},
                "router.experts");
  if (twoLayers)
    checkWeight("router.hidden.weight", {projection.hidden, hidden},
                "router.projection.hidden");
  // The gate's weight is as large as that of up, unless they are one.
  bool joined = spec.experts.gateUp != GateUp::separate;
  int64_t inner = spec.experts.intermediate;
  checkWeight(joined ? "experts.gate_up.weight" : "experts.up.weight",
              {router.experts, joined ? 2 * inner : inner, width},
              "experts.intermediate");
  if (latent)
    checkWeight("latent.down.weight", {latent, hidden}, "experts.latent");
  joined = spec.shared.gateUp != GateUp::separate;
  if (shared)
    checkWeight(joined ? "shared.gate_up.weight" : "shared.up.weight",
                {joined ? 2 * shared : shared, hidden}, "shared.intermediate");

  // The number of tokens is not known yet, but one is the least. The other
  // products of a single token are of two sizes, and so in bounds.
  if (reaches(int64_t(1) << 62, {choices, router.topK}))
    reporter.error(locations.of("router.top_k"),
                   "router.top_k: found " + std::to_string(router.topK) +
                       " times " + std::to_string(choices) +
                       " experts, expected fewer than 2^62 pairs for a token");
}
