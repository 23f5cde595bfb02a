//===- Bench.cpp - How fast a function is ---------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Warm-up until caches and clocks have settled, then the median of many runs.
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include <algorithm>
#include <numeric>

namespace moe::run {

static double number(const nlohmann::json &spec,
                     std::initializer_list<const char *> path,
                     double otherwise) {
  const nlohmann::json *at = &spec;
  for (const char *key : path) {
    if (!at->is_object() || !at->contains(key))
      return otherwise;
    at = &(*at)[key];
  }
  return at->is_number() ? at->get<double>() : otherwise;
}

/// Multiplications and additions of the matrix products of one forward: the
/// experts on their rows, router, shared expert and latent projections on all
/// tokens.
static double operations(const nlohmann::json &spec,
                         const moe_statistics &statistics) {
  double hidden = number(spec, {"hidden"}, 0);
  double latent = number(spec, {"experts", "latent"}, 0);
  double width = latent > 0 ? latent : hidden;
  bool mlp =
      spec.contains("experts") && spec["experts"].value("form", "glu") == "mlp";
  double matrices = mlp ? 2 : 3, tokens = double(statistics.tokens);
  double experts = number(spec, {"router", "experts"}, 0) +
                   number(spec, {"router", "null_experts", "count"}, 0);
  std::string strategy = spec.contains("router")
                             ? spec["router"].value("strategy", "learned")
                             : "";
  double total = 2 * double(statistics.routed) * matrices * width *
                 number(spec, {"experts", "intermediate"}, 0);
  if (strategy != "hash" && strategy != "random" && strategy != "load_based")
    total += 2 * tokens * hidden * experts;
  total += 2 * tokens * matrices * hidden *
           number(spec, {"shared", "intermediate"}, 0);
  return total + 4 * tokens * hidden * latent;
}

Report benchmark(Session &session) {
  std::vector<double> seconds;
  auto once = [&] { return session.time(); };
  double spent = 0;
  for (int i = 0; i < 3 || (i < 100 && spent < 0.2); ++i)
    spent += once();
  spent = 0;
  double exchanged = -session.exchangeSeconds();
  while (seconds.size() < 10 || (seconds.size() < 1000 && spent < 1)) {
    seconds.push_back(once());
    spent += seconds.back();
  }
  exchanged += session.exchangeSeconds();
  double total = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  std::sort(seconds.begin(), seconds.end());
  double median = std::max(seconds[seconds.size() / 2], 1e-9);
  Report report;
  report["runs"] = seconds.size();
  report["median_seconds"] = median;
  report["fastest_seconds"] = seconds.front();
  moe_statistics statistics;
  if (session.statistics(statistics)) {
    report["tokens_per_second"] = double(statistics.tokens) / median;
    report["gflop_per_second"] =
        operations(session.spec(), statistics) / median * 1e-9;
    report["routing_fraction"] = statistics.routing_fraction;
    if (exchanged > 0)
      report["exchange_fraction"] = exchanged / total;
  }
  return report;
}

} // namespace moe::run
