//===- LayerRules.cpp - Which layers are MoE layers -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LayerRules.h"
#include "Filler.h"

#include <algorithm>
#include <charconv>

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

std::string_view moe::layerKindName(LayerKind kind) {
  constexpr std::string_view names[] = {"none", "dense", "moe", "hash"};
  return names[static_cast<size_t>(kind)];
}

namespace {

class LayerRules {
public:
  LayerRules(Filler &filler) : filler(filler) {}

  std::optional<LayerKinds> read(const Value &layers) {
    // Far more than models have, and few enough to read each.
    constexpr int64_t maxLayers = 1024;
    count = readCount(*layers.find("count"), maxLayers);
    LayerKinds result;
    result.extra = integer(layers, "extra", 0, 0, maxLayers);
    if (filler.reporter.failed())
      return std::nullopt;
    extra = result.extra;
    const Value *rules = layers.find("moe");
    kinds.assign(count, rules ? LayerKind::dense : LayerKind::moe);
    if (rules)
      applyFirst(rules->elements);
    if (filler.reporter.failed())
      return std::nullopt;
    result.kinds = std::move(kinds);
    return result;
  }

private:
  using Rule = void (LayerRules::*)(const Value &rule, const Value &value,
                                    const std::string &name);
  static constexpr const char *perLayer = "a list with an entry for each layer";
  struct ListRule {
    std::string_view key;
    Kind kind;
    const char *expected;
    Rule apply;
  };

  /// A rule holds if the keys that it needs are there and what it is about is
  /// of its type: `moe_layer_freq` may be a number or a list.
  void applyFirst(const std::vector<Value> &rules) {
    static const ListRule listRules[] = {
        {"types", Kind::array, perLayer, &LayerRules::types},
        {"flags", Kind::array, perLayer, &LayerRules::flags},
        {"members", Kind::array, "a list of layers", &LayerRules::members},
        {"text", Kind::string, "a text such as '3,4,5'", &LayerRules::text},
        {"pattern", Kind::string, "a text with a letter for each layer",
         &LayerRules::pattern}};
    for (const Value &rule : rules) {
      bool last = &rule == &rules.back();
      if (!last && !filler.isPresent(rule))
        continue;
      auto *list = std::find_if(
          std::begin(listRules), std::end(listRules),
          [&](const ListRule &list) { return rule.find(list.key); });
      if (list == std::end(listRules))
        return range(rule);
      std::optional<Filler::Filling> filling =
          filler.fill(*rule.find(list->key), /*anyKind=*/true);
      if (!filling)
        return;
      if (filling->value.kind == list->kind)
        return (this->*list->apply)(rule, filling->value, filling->name);
      if (last)
        return filler.wrongType(filling->value, filling->name, list->expected);
    }
  }

  int64_t integer(const Value &rule, std::string_view name, int64_t otherwise,
                  int64_t min, int64_t max) {
    const Value *form = rule.find(name);
    if (!form)
      return otherwise;
    std::optional<Filler::Filling> filling = filler.fill(*form);
    if (!filling)
      return otherwise;
    std::optional<int64_t> value = filling->value.integer;
    if (value && *value >= min && *value <= max)
      return *value;
    filler.wrongType(filling->value, filling->name,
                     "an integer from " + std::to_string(min) + " to " +
                         std::to_string(max));
    return otherwise;
  }

  /// A number, or the length of what has an entry for each layer.
  int64_t readCount(const Value &form, int64_t max) {
    std::optional<Filler::Filling> filling =
        filler.fill(form, /*anyKind=*/true);
    if (!filling)
      return 0;
    const Value &value = filling->value;
    std::optional<int64_t> length = value.integer;
    if (value.kind == Kind::array)
      length = int64_t(value.elements.size());
    else if (value.kind == Kind::string)
      length = int64_t(value.string.size());
    if (length && *length >= 1 && *length <= max)
      return *length;
    filler.wrongType(value, filling->name,
                     "an integer from 1 to " + std::to_string(max));
    return 0;
  }

  bool checkLength(const Value &list, size_t size, const std::string &name) {
    if (size == kinds.size() || size == kinds.size() + extra)
      return true;
    filler.reporter.error(list.begin, name + ": found " + std::to_string(size) +
                                          " entries, expected one for each of "
                                          "the " +
                                          std::to_string(count) + " layers");
    return false;
  }

  static bool names(const Value &rule, std::string_view kind,
                    const std::string &name) {
    const Value *list = rule.find(kind);
    return list && std::any_of(list->elements.begin(), list->elements.end(),
                               [&](const Value &value) {
                                 return value.string == name;
                               });
  }

  void types(const Value &rule, const Value &list, const std::string &name) {
    if (!checkLength(list, list.elements.size(), name))
      return;
    for (size_t l = 0; l < kinds.size(); ++l) {
      const Value &type = list.elements[l];
      if (names(rule, "moe", type.string))
        kinds[l] = LayerKind::moe;
      else if (names(rule, "hash", type.string))
        kinds[l] = LayerKind::hash;
      else if (names(rule, "dense", type.string))
        kinds[l] = LayerKind::dense;
      else if (names(rule, "none", type.string))
        kinds[l] = LayerKind::none;
      else if (rule.find("dense") || rule.find("none"))
        return filler.wrongType(type, name + "[" + std::to_string(l) + "]",
                                knownTypes(rule));
      else
        kinds[l] = LayerKind::dense;
    }
  }

  static std::string knownTypes(const Value &rule) {
    std::vector<std::string_view> known;
    for (std::string_view kind : {"dense", "moe", "hash", "none"})
      if (const Value *list = rule.find(kind))
        for (const Value &name : list->elements)
          known.push_back(name.string);
    return quotedList(known);
  }

  void flags(const Value &, const Value &list, const std::string &name) {
    if (!checkLength(list, list.elements.size(), name))
      return;
    for (size_t l = 0; l < kinds.size(); ++l) {
      const Value &flag = list.elements[l];
      if (flag.kind != Kind::boolean && flag.integer != 0 && flag.integer != 1)
        return filler.wrongType(flag, name + "[" + std::to_string(l) + "]",
                                "0, 1, true or false");
      bool moe = flag.boolean || flag.integer == 1;
      kinds[l] = moe ? LayerKind::moe : LayerKind::dense;
    }
  }

  /// Sets the layers of a list. What is beyond the last layer stays without
  /// effect, as it does in the models' code.
  void set(const Value &list, const std::string &name, LayerKind kind) {
    for (const Value &layer : list.elements) {
      if (!layer.integer || *layer.integer < 0)
        return filler.wrongType(layer, name, "the number of a layer");
      if (*layer.integer < count)
        kinds[*layer.integer] = kind;
    }
  }

  void members(const Value &, const Value &list, const std::string &name) {
    set(list, name, LayerKind::moe);
  }

  void text(const Value &, const Value &value, const std::string &name) {
    std::string_view rest = value.string;
    while (!rest.empty()) {
      size_t comma = std::min(rest.find(','), rest.size());
      std::string_view entry = rest.substr(0, comma);
      entry.remove_prefix(std::min(entry.find_first_not_of(' '), entry.size()));
      uint32_t layer = 0;
      auto [end, code] =
          std::from_chars(entry.data(), entry.data() + entry.size(), layer);
      if (code != std::errc() || end != entry.data() + entry.size())
        return filler.wrongType(value, name, "layers such as '3,4,5'");
      if (layer < count)
        kinds[layer] = LayerKind::moe;
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }

  void pattern(const Value &rule, const Value &value, const std::string &name) {
    if (!checkLength(value, value.string.size(), name))
      return;
    auto isOf = [&](std::string_view kind, size_t l) {
      const Value *letters = rule.find(kind);
      return letters &&
             letters->string.find(value.string[l]) != std::string::npos;
    };
    for (size_t l = 0; l < kinds.size(); ++l)
      kinds[l] = isOf("moe", l)     ? LayerKind::moe
                 : isOf("dense", l) ? LayerKind::dense
                                    : LayerKind::none;
  }

  void range(const Value &rule) {
    int64_t from = integer(rule, "from", 0, 0, count);
    int64_t to = integer(rule, "to", -1, -1, INT32_MAX);
    int64_t step = integer(rule, "step", 1, 1, INT32_MAX);
    int64_t offset = integer(rule, "offset", 0, -INT32_MAX, INT32_MAX);
    int64_t hash = integer(rule, "first_hash", 0, 0, INT32_MAX);
    for (int64_t l = 0; l < count; ++l) {
      bool in = l >= from && (to < 0 || l <= to) && (l - offset) % step == 0;
      kinds[l] = !in        ? LayerKind::dense
                 : l < hash ? LayerKind::hash
                            : LayerKind::moe;
    }
    const Value *form = rule.find("except");
    if (!form)
      return;
    std::optional<Filler::Filling> except =
        filler.fill(*form, /*anyKind=*/true);
    if (!except)
      return;
    if (except->value.kind != Kind::array)
      return filler.wrongType(except->value, except->name, "a list of layers");
    set(except->value, except->name, LayerKind::dense);
  }

  Filler &filler;
  int64_t count = 0;
  size_t extra = 0;
  std::vector<LayerKind> kinds;
};

} // namespace

std::optional<LayerKinds> moe::readLayers(const Value &layers, Filler &filler) {
  return LayerRules(filler).read(layers);
}

std::string moe::layerRanges(const std::vector<int64_t> &layers) {
  std::string result;
  for (size_t first = 0; first < layers.size();) {
    int64_t step =
        first + 1 < layers.size() ? layers[first + 1] - layers[first] : 1;
    size_t last = first;
    while (last + 1 < layers.size() && layers[last + 1] - layers[last] == step)
      ++last;
    // Two layers that are not neighbours are no series.
    if (step != 1 && last - first < 2)
      last = first;
    result += (result.empty() ? "" : ", ") + std::to_string(layers[first]);
    if (last != first)
      result += "-" + std::to_string(layers[last]) +
                (step == 1 ? "" : " by " + std::to_string(step));
    first = last + 1;
  }
  return result;
}
