//===- Compare.cpp - Two packages on the same inputs ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Every output of the function, and which expert each slot went to. The bounds
// are those that --help documents.
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include <algorithm>
#include <cmath>

namespace moe::run {

/// K, the longest reduction of the layer.
static double longestReduction(const nlohmann::json &spec) {
  double longest = 1;
  auto take = [&](const nlohmann::json &object, const char *key) {
    if (object.is_object() && object.contains(key) && object[key].is_number())
      longest = std::max(longest, object[key].get<double>());
  };
  take(spec, "hidden");
  for (const char *part : {"experts", "shared"})
    if (spec.contains(part))
      take(spec[part], "intermediate");
  return longest;
}

/// Of what two products in a row multiply, two factors each.
static double roundingOfFactors(const nlohmann::json &spec) {
  bool rounds = spec.contains("dtype") && spec["dtype"].contains("products") &&
                spec["dtype"]["products"] == "tf32";
  return rounds ? 2 * std::sqrt(2.0) * 0x1p-11 : 0;
}

static double roundingOf(DType dtype) {
  switch (dtype) {
  case DType::bf16:
    return std::sqrt(2.0) * 0x1p-8;
  case DType::f16:
    return std::sqrt(2.0) * 0x1p-11;
  default:
    return 0;
  }
}

static double boundOf(const Array &ours, const Array &theirs, double length,
                      double factors) {
  if (!isFloat(ours.dtype) || !isFloat(theirs.dtype))
    return 0;
  return std::max(roundingOf(ours.dtype), roundingOf(theirs.dtype)) + factors +
         4e-7 * std::sqrt(length);
}

static Report compareArrays(const Array &ours, const Array &theirs,
                            double length, double factors, bool &agree) {
  Report report;
  report["type"] = describe(ours);
  report["reference_type"] = describe(theirs);
  if (ours.shape != theirs.shape) {
    agree = false;
    report["error"] = "the shapes differ";
    return report;
  }
  double square = 0, reference = 0, most = 0;
  for (int64_t i = 0, e = ours.count(); i < e; ++i) {
    double a = ours.get(i), b = theirs.get(i);
    // What is not finite in both in the same way is no difference.
    bool same = a == b || (std::isnan(a) && std::isnan(b));
    double error = same ? 0 : std::fabs(a - b);
    most = std::isnan(error) ? INFINITY : std::max(most, error);
    square += error * error;
    reference += std::isfinite(b) ? b * b : 0;
  }
  if (!std::isfinite(most))
    square = INFINITY;
  double relative = square == 0 ? 0 : std::sqrt(square / reference);
  double bound = boundOf(ours, theirs, length, factors);
  bool within = relative <= bound;
  agree &= within;
  report["relative_error"] = relative;
  report["bound"] = bound;
  report["largest_error"] = most;
  report["within_bound"] = within;
  return report;
}

Report compare(Session &session, Session &reference, bool &agree) {
  Report report;
  report["reference"] = reference.manifest["name"];
  report["device"] = reference.device();
  report["cpu"] = reference.cpu();
  agree = true;
  if (session.has("indices") && reference.has("indices")) {
    Array ours = session.get("indices"), theirs = reference.get("indices");
    int64_t differing = std::max(ours.count(), theirs.count());
    if (ours.shape == theirs.shape) {
      differing = 0;
      for (int64_t i = 0, e = ours.count(); i < e; ++i)
        differing += ours.get(i) != theirs.get(i);
    }
    bool equal = ours.shape == theirs.shape && differing == 0;
    agree &= equal;
    report["indices_equal"] = equal;
    report["slots"] = ours.count();
    report["slots_differing"] = differing;
  }
  double length = std::max(longestReduction(session.spec()),
                           longestReduction(reference.spec()));
  double factors = std::max(roundingOfFactors(session.spec()),
                            roundingOfFactors(reference.spec()));
  for (const NamedArray &output : session.outputs) {
    auto place =
        std::find_if(reference.outputs.begin(), reference.outputs.end(),
                     [&](const auto &o) { return o.name == output.name; });
    if (place == reference.outputs.end())
      throw RunError("the reference has no output '" + output.name + "'");
    report["outputs"][output.name] =
        compareArrays(output.array, place->array, length, factors, agree);
  }
  report["agree"] = agree;
  return report;
}

} // namespace moe::run
