//===- QuantizedSources.cpp - Where files have quantised weights ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Filler.h"
#include "Quantization.h"

#include <algorithm>
#include <utility>

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

static Value *find(Value &object, std::string_view key) {
  return const_cast<Value *>(std::as_const(object).find(key));
}

static void replaceAll(std::string &text, std::string_view from,
                       std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;
       at += to.size())
    text.replace(at, from.size(), to);
}

/// `x.weight` becomes `x.qweight`, and a stacked `x` becomes `x_scales`.
static std::string renamed(const std::string &name, std::string_view last) {
  constexpr std::string_view plain = ".weight";
  std::string_view base = name;
  if (base.size() > plain.size() &&
      base.substr(base.size() - plain.size()) == plain)
    return std::string(base.substr(0, base.size() - plain.size() + 1)) +
           std::string(last);
  if (last == "weight")
    return name;
  constexpr std::string_view prefix = "weight_";
  if (last.substr(0, prefix.size()) == prefix)
    last.remove_prefix(prefix.size());
  return name + "_" + std::string(last);
}

namespace {

class SourceRewriter {
public:
  SourceRewriter(const Quantization &method, const Value *familyNames,
                 Value &spec, Filler &filler)
      : method(method), quantization(method), familyNames(familyNames),
        spec(spec), filler(filler) {}

  void apply(bool dequantize) {
    Value *weights = find(spec, "weights");
    Value *tensors = weights ? find(*weights, "tensors") : nullptr;
    if (!tensors)
      return;
    bool any = false;
    for (std::string_view group : {"experts", "shared", "latent"}) {
      Value *object = find(spec, group == "latent" ? "experts" : group);
      if (!object || !isQuantized(*tensors, group))
        continue;
      any = true;
      quantization = method;
      // Only projections of experts can stay as they are.
      if (group == "latent") {
        rewrite(*tensors, group, /*decode=*/true);
        continue;
      }
      takeFamilysKind(*object);
      rewrite(*tensors, group, dequantize);
      if (!dequantize)
        addKey(group, *object);
    }
    if (any)
      addIgnored(*weights);
  }

private:
  /// A family may say itself how its experts are quantised. The spec then gets
  /// it back from addKey().
  void takeFamilysKind(Value &object) {
    auto given = std::find_if(object.members.begin(), object.members.end(),
                              [](const json::Member &member) {
                                return member.key == "quantization";
                              });
    if (given == object.members.end())
      return;
    quantization.kind = given->value.find("kind")->string;
    const Value *block = given->value.find("block");
    for (size_t i = 0; i < 2; ++i)
      quantization.block[i] = *block->elements[i].integer;
    object.members.erase(given);
  }

  static bool isProjection(std::string_view weight, std::string_view group) {
    constexpr std::string_view last = ".weight";
    return weight.substr(0, group.size()) == group &&
           weight.substr(group.size(), 1) == "." &&
           weight.size() > last.size() &&
           weight.substr(weight.size() - last.size()) == last &&
           weight != "shared.gate.weight";
  }

  /// Whether the modules that the group's weights are in are quantised.
  bool isQuantized(const Value &tensors, std::string_view group) const {
    for (const json::Member &member : tensors.members)
      if (isProjection(member.key, group))
        return isQuantized(member.value);
    return false;
  }

  bool isQuantized(const Value &source) const {
    if (source.kind == Kind::array)
      return !source.elements.empty() && isQuantized(source.elements[0]);
    const Value *prefixes = spec.find("weights")->find("prefix");
    const Value *layer = spec.find("weights")->find("layer");
    std::string module = nameOf(source);
    if (module.size() > 7 && module.substr(module.size() - 7) == ".weight")
      module.resize(module.size() - 7);
    auto covered = [&](std::string prefix) {
      std::string full = prefix + module;
      replaceAll(full, "{e}", "0");
      replaceAll(full, "{l}", std::to_string(*layer->integer));
      return quantization.covers(full);
    };
    if (!prefixes)
      return covered("");
    for (const Value &prefix : prefixes->elements)
      if (!covered(prefix.string))
        return false;
    return !prefixes->elements.empty() || covered(prefixes->string);
  }

  static const std::string &nameOf(const Value &source) {
    const Value *name = source.find("name");
    return name ? name->string : source.string;
  }

  void rewrite(Value &tensors, std::string_view group, bool decode) {
    std::vector<json::Member> old = std::move(tensors.members);
    tensors.members.clear();
    for (json::Member &member : old) {
      if (!isProjection(member.key, group)) {
        tensors.members.push_back(std::move(member));
        continue;
      }
      std::string base = member.key.substr(0, member.key.rfind('.') + 1);
      if (decode) {
        add(tensors, member.key,
            mapped(member.value, &SourceRewriter::decoded, base));
        continue;
      }
      addPart(tensors, base, "weight", member.value, &SourceRewriter::data);
      addPart(tensors, base, "scales", member.value, &SourceRewriter::scales);
      if (quantization.zeroPoints)
        addPart(tensors, base, "zeros", member.value, &SourceRewriter::zeros);
      if (!quantization.names.globalScale.empty())
        addPart(tensors, base, "global_scale", member.value,
                &SourceRewriter::globalScale);
    }
  }

  using Map = Value (SourceRewriter::*)(const Value &,
                                        const std::string &) const;

  /// A family may say itself where a part of a weight is.
  const Value *givenBy(const std::string &key) const {
    return familyNames ? familyNames->find(key) : nullptr;
  }

  void addPart(Value &tensors, const std::string &base, const char *part,
               const Value &source, Map map) const {
    std::string key = base + part;
    const Value *given = givenBy(key);
    add(tensors, key, given ? *given : mapped(source, map, base));
  }

  /// Applies `map` to each source of alternatives.
  Value mapped(const Value &source, Map map, const std::string &base) const {
    if (source.kind != Kind::array)
      return (this->*map)(source, base);
    Value result = source;
    for (Value &element : result.elements)
      element = mapped(element, map, base);
    return result;
  }

  Value named(const Value &source, std::string_view last) const {
    Value result = object();
    add(result, "name", text(renamed(nameOf(source), last)));
    return result;
  }

  void keep(Value &result, const Value &source,
            std::initializer_list<std::string_view> keys) const {
    for (std::string_view key : keys)
      if (const Value *value = source.find(key))
        add(result, std::string(key), *value);
  }

  Value data(const Value &source, const std::string &) const {
    Value result = named(source, quantization.names.weight);
    keep(result, source, {"part", "interleaved", "absolute"});
    if (quantization.packing.empty())
      keep(result, source, {"transposed"});
    else
      add(result, "packing", text(std::string(quantization.packing)));
    return result;
  }

  /// A scale of a whole matrix is not divided with it.
  void keepParts(Value &result, const Value &source) const {
    keep(result, source, {"absolute"});
    if (quantization.block[0] != 0)
      keep(result, source, {"part", "interleaved"});
    if (quantization.scalesTransposed)
      add(result, "transposed", flag(true));
    else if (quantization.packing.empty() && quantization.block[0] != 0)
      keep(result, source, {"transposed"});
  }

  Value scales(const Value &source, const std::string &) const {
    Value result = named(source, quantization.names.scales);
    keepParts(result, source);
    return result;
  }

  Value zeros(const Value &source, const std::string &) const {
    Value result = named(source, quantization.names.zeros);
    keep(result, source, {"part", "interleaved", "absolute"});
    add(result, "packing", text(std::string(quantization.packing)));
    return result;
  }

  Value globalScale(const Value &source, const std::string &) const {
    Value result = named(source, quantization.names.globalScale);
    keep(result, source, {"absolute"});
    return result;
  }

  Value part(const std::string &base, const char *part, const Value &source,
             Map map) const {
    const Value *given = givenBy(base + part);
    return given ? *given : (this->*map)(source, base);
  }

  Value decoded(const Value &source, const std::string &base) const {
    Value result = part(base, "weight", source, &SourceRewriter::data);
    if (result.kind == Kind::string)
      result = named(result, "weight");
    Value decode = object();
    add(decode, "kind", text(quantization.kind));
    add(decode, "block", block());
    add(decode, "zero_points", flag(quantization.zeroPoints));
    add(result, "decode", std::move(decode));
    add(result, "scales",
        part(base, "scales", source, &SourceRewriter::scales));
    if (quantization.zeroPoints)
      add(result, "zeros", part(base, "zeros", source, &SourceRewriter::zeros));
    if (!quantization.names.globalScale.empty())
      add(result, "global_scale",
          part(base, "global_scale", source, &SourceRewriter::globalScale));
    return result;
  }

  void addKey(std::string_view group, Value &object) {
    Value value = this->object();
    Value kind = text(quantization.kind);
    kind.begin = kind.end = quantization.kindAt;
    value.members.push_back({"kind", quantization.kindAt, std::move(kind)});
    value.members.push_back({"block", quantization.blockAt, block()});
    if (quantization.zeroPoints)
      add(value, "zero_points", flag(true));
    object.members.push_back(
        {"quantization", quantization.kindAt, std::move(value)});
    std::string path = std::string(group) + ".quantization.";
    filler.names[path + "kind"] = quantization.kindName;
    filler.names[path + "block"] = quantization.blockName;
  }

  void addIgnored(Value &weights) {
    Value *list = find(weights, "ignore");
    if (!list) {
      Value empty = object();
      empty.kind = Kind::array;
      add(weights, "ignore", std::move(empty));
      list = &weights.members.back().value;
    }
    for (std::string_view pattern : quantization.ignore)
      list->elements.push_back(text(std::string(pattern)));
    if (list->elements.empty())
      weights.members.pop_back();
  }

  Value block() const {
    Value result = object();
    result.kind = Kind::array;
    result.begin = result.end = quantization.blockAt;
    for (int64_t size : quantization.block) {
      result.elements.push_back(json::numberValue(static_cast<double>(size)));
      result.elements.back().begin = result.elements.back().end =
          quantization.blockAt;
    }
    return result;
  }

  Value object() const {
    Value value;
    value.kind = Kind::object;
    value.begin = value.end = quantization.kindAt;
    return value;
  }
  Value text(std::string string) const {
    Value value = object();
    value.kind = Kind::string;
    value.string = std::move(string);
    return value;
  }
  Value flag(bool boolean) const {
    Value value = object();
    value.kind = Kind::boolean;
    value.boolean = boolean;
    return value;
  }
  void add(Value &object, std::string key, Value value) const {
    object.members.push_back(
        {std::move(key), quantization.kindAt, std::move(value)});
  }

  const Quantization &method;
  Quantization quantization; // of the group at hand
  const Value *familyNames;
  Value &spec;
  Filler &filler;
};

} // namespace

void moe::applyQuantization(const Quantization &quantization,
                            const Value *familyNames, bool dequantize,
                            Value &spec, Filler &filler) {
  SourceRewriter(quantization, familyNames, spec, filler).apply(dequantize);
}
