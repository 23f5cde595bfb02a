//===- ManifestRanks.cpp - Functions that ranks run together --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Sizes that are sums over ranks, and the table of collectives.
//
//===----------------------------------------------------------------------===//

#include "ManifestReader.h"

#include <algorithm>

namespace moe::runtime {

static constexpr size_t maxCollectives = 4096;

static int findSize(const JsonNode &node, const std::string &name,
                    const Function &function) {
  auto place = std::find(function.sizes.begin(), function.sizes.end(), name);
  if (place == function.sizes.end())
    node.failBecause("there is no size '" + name + "'");
  return static_cast<int>(place - function.sizes.begin());
}

/// Each after what it is a sum of; what is left then goes around in a circle.
static void sortSums(const JsonNode &node, Function &function) {
  std::vector<Sum> sorted, left = std::move(function.sums);
  auto isReady = [&](const Sum &sum) {
    return std::none_of(left.begin(), left.end(),
                        [&](const Sum &other) { return other.size == sum.of; });
  };
  while (!left.empty()) {
    auto ready = std::find_if(left.begin(), left.end(), isReady);
    if (ready == left.end())
      node.failBecause("the size '" + function.sizes[size_t(left[0].size)] +
                       "' is a sum of itself");
    sorted.push_back(*ready);
    left.erase(ready);
  }
  function.sums = std::move(sorted);
}

static void readSums(const JsonNode &node, Function &function) {
  node.members([&](const std::string &key, const JsonNode &value) {
    Sum sum;
    sum.size = findSize(value, key, function);
    sum.of = findSize(value["of"], value["of"].string(), function);
    sum.axes = readAxes(value["axes"], 1);
    if (value.has("before"))
      sum.before = readAxes(value["before"], 1);
    if (sum.before & ~sum.axes)
      value["before"].failExpected("axes of the sum, " +
                                   describeAxes(sum.axes));
    function.sums.push_back(sum);
  });
  sortSums(node, function);
  // What is gathered before a run is one number of each rank.
  for (const Sum &sum : function.sums)
    if (!function.findSum(sum.of) && sum.of != function.tokenSize())
      node.failBecause("expected sums of one size, found '" +
                       function.sizes[size_t(function.tokenSize())] +
                       "' and '" + function.sizes[size_t(sum.of)] + "'");
}

static moe_element elementOf(DType type) {
  switch (type) {
  case DType::f32:
    return MOE_F32;
  case DType::f64:
    return MOE_F64;
  case DType::bf16:
    return MOE_BF16;
  case DType::f16:
    return MOE_F16;
  case DType::i32:
    return MOE_I32;
  case DType::i64:
    return MOE_I64;
  case DType::i8:
  case DType::u8:
    return MOE_BYTE;
  }
  return MOE_BYTE;
}

/// What only kinds of collectives have for which `belongs` is true; these need
/// not have it, unless `needed`.
static bool hasKey(const JsonNode &node, const char *key, bool belongs,
                   bool needed = true) {
  if (node.has(key) ? !belongs : belongs && needed)
    node.failBecause(text(belongs ? "expected a" : "expected no", " key '", key,
                          "', found ", belongs ? "none" : "one"));
  return node.has(key);
}

/// A bound is the same on all members.
static void readBound(const JsonNode &node, const Function &function,
                      Collective &collective) {
  Dim bound = readDim(node, function);
  collective.bound = bound.factor;
  collective.boundSize = bound.size;
  int32_t axes = 0;
  for (int size = bound.size; const Sum *sum = function.findSum(size);
       size = sum->of)
    axes |= sum->before ? 0 : sum->axes;
  if (bound.divisor != 1 || (bound.size >= 0 && collective.axes & ~axes))
    node.failExpected("a number, or one times a sum over " +
                      describeAxes(collective.axes));
}

static void readReduction(const JsonNode &node, Collective &collective) {
  bool mayBeNone = collective.kind == CollectiveKind::reduceScatter;
  collective.reduce = static_cast<moe_reduction>(
      mayBeNone
          ? readOneOf(node["reduce"], {"none", "sum", "max", "min"})
          : MOE_REDUCE_SUM + readOneOf(node["reduce"], {"sum", "max", "min"}));
  if (collective.reduce && collective.dtype == MOE_BYTE)
    node["dtype"].failExpected("one of f32 f64 bf16 f16 i32 i64");
}

/// The places that one of several exchanges moves.
static void readChunk(const JsonNode &node, Collective &collective) {
  JsonNode chunk = node["chunk"];
  if (chunk.size(2) != 2)
    chunk.failExpected("two places");
  collective.first = chunk[size_t(0)].integer(0, collective.places - 1);
  collective.end =
      chunk[size_t(1)].integer(collective.first + 1, collective.places);
  if (collective.pattern != Pattern::allToAll)
    node["pattern"].failExpected("all_to_all where there is a chunk");
}

static Collective readCollective(const JsonNode &node, const Grid &grid,
                                 const Function &function) {
  using Kind = CollectiveKind;
  Collective collective;
  Kind kind = Kind(readOneOf(
      node["kind"], {"all_reduce", "reduce_scatter", "all_gather", "broadcast",
                     "all_to_all", "all_to_all_v", "send", "recv", "barrier"}));
  collective.kind = kind;
  collective.axes = readAxes(node["axes"], 1);
  if (node.has("name"))
    collective.name = node["name"].tensorName();
  if (hasKey(node, "dtype", kind != Kind::barrier))
    collective.dtype = elementOf(readDType(node["dtype"]));
  if (hasKey(node, "row", kind != Kind::barrier))
    collective.row = node["row"].integer(1, INT32_MAX);
  if (hasKey(node, "reduce",
             kind == Kind::allReduce || kind == Kind::reduceScatter))
    readReduction(node, collective);
  bool ragged = kind == Kind::allToAllV;
  if (hasKey(node, "pattern", ragged || kind == Kind::allToAll, false))
    collective.pattern =
        Pattern(readOneOf(node["pattern"], {"all_to_all", "point_to_point",
                                            "hierarchical", "ring"}));
  if (hasKey(node, "mode", ragged, false))
    collective.mode = Mode(readOneOf(node["mode"], {"exact", "padded"}));
  if (hasKey(node, "places", ragged, false))
    collective.places = node["places"].integer(1, INT32_MAX);
  bool isChunk = hasKey(node, "chunk", ragged, false);
  if (isChunk)
    readChunk(node, collective);
  if (hasKey(node, "whole", isChunk))
    collective.whole = Whole(readOneOf(node["whole"], {"send", "receive"}));
  if (hasKey(node, "bound", collective.mode == Mode::padded))
    readBound(node["bound"], function, collective);
  bool isShared = kind == Kind::allGather || kind == Kind::reduceScatter;
  if (hasKey(node, "even", isShared, false))
    collective.even = node["even"].boolean();
  if (hasKey(node, "packed", collective.mode == Mode::padded, false))
    collective.packed = node["packed"].boolean();
  if (ragged && node.has("rows")) {
    Dim room = readDim(node["rows"], function);
    if (room.divisor != 1)
      node["rows"].failExpected("a number, or one times a size");
    collective.room = room.factor;
    collective.roomSize = room.size;
  }
  auto member = [&](const char *key) {
    return static_cast<int32_t>(
        node[key].integer(0, membersOver(grid, collective.axes) - 1));
  };
  if (hasKey(node, "root", kind == Kind::broadcast))
    collective.root = member("root");
  if (hasKey(node, "peer", kind == Kind::send || kind == Kind::recv))
    collective.peer = member("peer");
  return collective;
}

static std::vector<Collective> readCollectives(const JsonNode &list,
                                               const Grid &grid,
                                               const Function &function) {
  if (grid.size() == 1 && list.size(maxCollectives))
    list.failBecause("a grid of one rank has no collectives");
  std::vector<Collective> collectives;
  for (size_t i = 0, e = list.size(maxCollectives); i < e; ++i)
    collectives.push_back(readCollective(list[i], grid, function));
  return collectives;
}

void readRanks(const JsonNode &node, const Grid &grid, Function &function) {
  if (node.has("sums"))
    readSums(node["sums"], function);
  if (node.has("tokens_over"))
    function.tokensOver = readAxes(node["tokens_over"], 0);
  if (node.has("collectives"))
    function.collectives = readCollectives(node["collectives"], grid, function);
  if (node.has("device_collectives"))
    function.deviceCollectives =
        readCollectives(node["device_collectives"], grid, function);
}

} // namespace moe::runtime
