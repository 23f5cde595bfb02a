//===- Report.cpp - What moe-run prints -----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// In the table, keys of nested objects are joined by dots.
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

namespace moe::run {

/// What ranks have exchanged, one number for each.
static Report describeRanks(const Session &session) {
  Report report;
  report["count"] = session.exchanges().size();
  for (const moe_world_statistics &figures : session.exchanges()) {
    report["operations"].push_back(figures.operations);
    report["sent_bytes"].push_back(figures.sent_bytes);
    report["received_bytes"].push_back(figures.received_bytes);
    report["exchange_seconds"].push_back(figures.waited_seconds);
  }
  return report;
}

Report describeRun(Session &session) {
  Report report;
  report["package"] = session.manifest["name"];
  report["device"] = session.device();
  report["cpu"] = session.cpu();
  report["function"] = session.function;
  for (const auto &[name, size] : session.sizes)
    report["sizes"][name] = size;
  for (const NamedArray &output : session.outputs) {
    double square = 0;
    for (int64_t i = 0, e = output.array.count(); i < e; ++i)
      square += output.array.get(i) * output.array.get(i);
    Report &entry = report["outputs"][output.name];
    entry["type"] = describe(output.array);
    entry["norm"] = std::sqrt(square);
  }
  if (!session.exchanges().empty())
    report["ranks"] = describeRanks(session);
  moe_statistics statistics;
  if (!session.statistics(statistics))
    return report;
  Report &entry = report["statistics"];
  entry["tokens"] = statistics.tokens;
  entry["routed"] = statistics.routed;
  entry["dropped"] = statistics.dropped;
  entry["imbalance"] = statistics.imbalance;
  entry["seconds"] = statistics.seconds;
  entry["routing_fraction"] = statistics.routing_fraction;
  if (statistics.loads)
    entry["loads"] = std::vector<int32_t>(
        statistics.loads, statistics.loads + statistics.experts);
  return report;
}

static std::string cell(const Report &value) {
  if (value.is_string())
    return value.get<std::string>();
  if (value.is_boolean())
    return value.get<bool>() ? "yes" : "no";
  if (value.is_null())
    return "not finite";
  if (value.is_number_float()) {
    std::ostringstream text;
    text << std::setprecision(6) << value.get<double>();
    return text.str();
  }
  if (!value.is_array())
    return value.dump();
  std::string text;
  for (size_t i = 0; i < value.size() && i < 16; ++i)
    text += (i ? " " : "") + cell(value[i]);
  if (value.size() > 16)
    text += " ... (" + std::to_string(value.size()) + ")";
  return text;
}

static void flatten(const std::string &prefix, const Report &value,
                    std::vector<std::pair<std::string, std::string>> &rows) {
  if (!value.is_object()) {
    rows.emplace_back(prefix, cell(value));
    return;
  }
  for (const auto &item : value.items())
    flatten(prefix.empty() ? item.key() : prefix + "." + item.key(),
            item.value(), rows);
}

void print(const Report &report, bool asJson, std::ostream &out) {
  if (asJson) {
    out << report.dump(2) << "\n";
    return;
  }
  std::vector<std::pair<std::string, std::string>> rows;
  flatten("", report, rows);
  size_t width = 0;
  for (const auto &row : rows)
    width = std::max(width, row.first.size());
  for (const auto &[key, value] : rows)
    out << key << std::string(width - key.size() + 2, ' ') << value << "\n";
}

} // namespace moe::run
