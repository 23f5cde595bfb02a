//===- LayerTable.cpp - The layers of a model as a table ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LayerRules.h"

#include "moe/Import/Import.h"

#include <algorithm>
#include <array>
#include <map>

using namespace moe;

namespace {

/// Layers that one package can be loaded for.
struct Group {
  LayerKind kind;
  const Spec *spec = nullptr;
  std::vector<int64_t> layers;
};

struct Column {
  const char *title;
  int64_t (*value)(const Spec &);
};

} // namespace

static constexpr Column columns[] = {
    {"hidden", [](const Spec &spec) { return spec.hidden; }},
    {"experts", [](const Spec &spec) { return spec.router.experts; }},
    {"top_k", [](const Spec &spec) { return spec.router.topK; }},
    {"intermediate",
     [](const Spec &spec) { return spec.experts.intermediate; }},
    {"shared", [](const Spec &spec) { return spec.shared.intermediate; }},
};

/// In the order of their first layers.
static std::vector<Group> groupsOf(const LayersResult &result) {
  std::vector<Group> groups;
  std::map<std::string, size_t> known;
  for (size_t l = 0; l < result.layers.size(); ++l) {
    const Layer &layer = result.layers[l];
    std::string attributes(layerKindName(layer.kind));
    if (layer.spec) {
      Spec spec = *layer.spec;
      spec.weights.layer = 0;
      attributes += printSpec(spec);
    }
    auto [group, added] = known.try_emplace(attributes, groups.size());
    if (added)
      groups.push_back({layer.kind, layer.spec ? &*layer.spec : nullptr, {}});
    groups[group->second].layers.push_back(int64_t(l));
  }
  return groups;
}

/// Cuts a list at its commas into lines that a table has room for.
static std::vector<std::string> wrapped(std::string_view list) {
  constexpr size_t maxWidth = 32; // one range always fits
  std::vector<std::string> lines;
  while (list.size() > maxWidth) {
    size_t comma = list.rfind(", ", maxWidth - 1);
    lines.emplace_back(list.substr(0, comma + 1));
    list.remove_prefix(comma + 2);
  }
  lines.emplace_back(list);
  return lines;
}

std::string moe::printLayers(const LayersResult &result) {
  constexpr size_t width = 2 + std::size(columns);
  std::vector<std::array<std::string, width>> rows(1);
  rows[0][0] = "layers";
  rows[0][1] = "kind";
  for (size_t c = 0; c < std::size(columns); ++c)
    rows[0][2 + c] = columns[c].title;
  for (const Group &group : groupsOf(result)) {
    std::array<std::string, width> row;
    row[1] = layerKindName(group.kind);
    for (size_t c = 0; group.spec && c < std::size(columns); ++c)
      row[2 + c] = std::to_string(columns[c].value(*group.spec));
    for (const std::string &line : wrapped(layerRanges(group.layers))) {
      row[0] = line;
      rows.push_back(row);
      row = {};
    }
  }
  std::array<size_t, width> widths = {};
  for (const auto &row : rows)
    for (size_t c = 0; c < width; ++c)
      widths[c] = std::max(widths[c], row[c].size());
  std::string text =
      result.family + ", " + std::to_string(result.layers.size()) + " layers\n";
  for (const auto &row : rows) {
    std::string line;
    for (size_t c = 0; c < width; ++c)
      line += row[c] + std::string(widths[c] - row[c].size() + 2, ' ');
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string moe::printLayersJson(const LayersResult &result) {
  std::string text =
      "{\n  \"family\": \"" + result.family +
      "\",\n  \"count\": " + std::to_string(result.layers.size()) +
      ",\n  \"groups\": [";
  const char *separator = "\n";
  for (const Group &group : groupsOf(result)) {
    text += separator;
    text += "    {\"kind\": \"" + std::string(layerKindName(group.kind)) +
            "\", \"layers\": [";
    for (int64_t layer : group.layers)
      text += (layer == group.layers[0] ? "" : ", ") + std::to_string(layer);
    text += "]";
    for (const Column &column : columns)
      if (group.spec)
        text += ", \"" + std::string(column.title) +
                "\": " + std::to_string(column.value(*group.spec));
    text += "}";
    separator = ",\n";
  }
  return text + "\n  ]\n}\n";
}
