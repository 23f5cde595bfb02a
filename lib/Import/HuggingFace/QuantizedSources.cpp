//===- QuantizedSources.cpp - Where files have quantised weights ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Filler.h"
#include "QuantizedParts.h"

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

namespace {

class SourceRewriter {
public:
  SourceRewriter(const Quantization &method, const Value *familyNames,
                 Value &spec, Filler &filler)
      : method(method), quantization(method), parts(quantization, familyNames),
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
    std::string module = sourceName(source);
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

  void rewrite(Value &tensors, std::string_view group, bool decode) {
    std::vector<json::Member> old = std::move(tensors.members);
    tensors.members.clear();
    for (json::Member &member : old) {
      if (!isProjection(member.key, group)) {
        tensors.members.push_back(std::move(member));
        continue;
      }
      std::string base = member.key.substr(0, member.key.rfind('.') + 1);
      if (decode)
        parts.addDecoded(tensors, base, member.value);
      else
        parts.addParts(tensors, base, member.value);
    }
  }

  void addKey(std::string_view group, Value &object) {
    Value value = parts.object();
    parts.add(value, "kind", parts.text(quantization.kind));
    value.members.push_back({"block", quantization.blockAt, parts.block()});
    if (quantization.zeroPoints)
      parts.add(value, "zero_points", parts.flag(true));
    parts.add(object, "quantization", std::move(value));
    std::string path = std::string(group) + ".quantization.";
    filler.names[path + "kind"] = quantization.kindName;
    filler.names[path + "block"] = quantization.blockName;
  }

  void addIgnored(Value &weights) {
    Value *list = find(weights, "ignore");
    if (!list) {
      parts.add(weights, "ignore",
                json::emptyValue(Kind::array, quantization.kindAt));
      list = &weights.members.back().value;
    }
    for (std::string_view pattern : quantization.ignore)
      list->elements.push_back(parts.text(pattern));
    if (list->elements.empty())
      weights.members.pop_back();
  }

  const Quantization &method;
  Quantization quantization; // of the group at hand
  QuantizedParts parts;
  Value &spec;
  Filler &filler;
};

} // namespace

void moe::applyQuantization(const Quantization &quantization,
                            const Value *familyNames, bool dequantize,
                            Value &spec, Filler &filler) {
  SourceRewriter(quantization, familyNames, spec, filler).apply(dequantize);
}
