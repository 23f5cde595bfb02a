//===- ValidateSizes.cpp - What keys make too large -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Native.h"
#include "Text/Reporter.h"
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
  bool recurrent = projection.form == ProjectionForm::recurrent;
  bool hiddenLayers = recurrent || projection.layers == 2;
  if (router.hasLogits())
    checkWeight("router.weight",
                {choices, hiddenLayers ? projection.hidden : hidden},
                "router.experts");
  if (hiddenLayers)
    checkWeight("router.hidden.weight",
                {projection.hidden, recurrent ? projection.hidden : hidden},
                "router.projection.hidden");
  if (recurrent)
    checkWeight("router.state.down.weight", {projection.hidden, hidden},
                "router.projection.hidden");
  if (router.strategy == Strategy::table)
    checkWeight("router.table", {router.vocabulary, router.topK},
                "router.vocabulary");
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
  int64_t slots = router.topK + router.alwaysOn;
  if (reaches(int64_t(1) << 62, {choices, slots}))
    reporter.error(locations.of("router.top_k"),
                   "router.top_k: found " + std::to_string(slots) + " times " +
                       std::to_string(choices) +
                       " experts, expected fewer than 2^62 pairs for a token");
}
