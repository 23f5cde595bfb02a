//===- Sharding.cpp - What a package says about other ranks ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Sharding.h"

#include "moe/Dialect/Coll/Coll.h"
#include "moe/Graph/Graph.h"
#include "moe/Kernels/Entry.h"
#include "moe/Support/Suggest.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace moe;

static bool isAxis(StringRef name) {
  return llvm::is_contained(coll::kAxes, name);
}

/// Names of axes, or nothing if the attribute is anything else.
static std::optional<std::vector<std::string>> readAxes(Attribute attr) {
  auto array = dyn_cast_or_null<ArrayAttr>(attr);
  if (!array || array.empty())
    return std::nullopt;
  std::vector<std::string> axes;
  for (Attribute axis : array) {
    auto name = dyn_cast<StringAttr>(axis);
    if (!name || !isAxis(name))
      return std::nullopt;
    axes.push_back(name.str());
  }
  return axes;
}

static std::optional<std::vector<int64_t>> readNumbers(Attribute attr) {
  auto array = dyn_cast_or_null<DenseI64ArrayAttr>(attr);
  if (!array)
    return std::nullopt;
  return array.asArrayRef().vec();
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

static Collective readCollective(DictionaryAttr about) {
  auto text = [&](StringRef key) {
    auto attr = about.getAs<StringAttr>(key);
    return attr ? attr.str() : std::string();
  };
  auto number = [&](StringRef key) -> std::optional<int64_t> {
    if (auto attr = about.getAs<IntegerAttr>(key))
      return attr.getInt();
    return std::nullopt;
  };
  Collective collective;
  collective.kind = text(entryAttr::kKind);
  collective.axes = *readAxes(about.get(entryAttr::kAxes));
  if (auto type = about.getAs<TypeAttr>(entryAttr::kDtype))
    collective.type = typeName(type.getValue());
  collective.row = number(entryAttr::kRow);
  collective.rows = text(entryAttr::kRows);
  collective.reduce = text(entryAttr::kReduce);
  collective.root = number(entryAttr::kRoot);
  collective.peer = number(entryAttr::kPeer);
  collective.pattern = text(entryAttr::kPattern);
  collective.mode = text(entryAttr::kMode);
  collective.places = number(entryAttr::kPlaces);
  collective.bound = text(entryAttr::kBound);
  collective.name = text(entryAttr::kName);
  if (Attribute chunk = about.get(entryAttr::kChunk))
    collective.chunk = readNumbers(chunk).value_or(std::vector<int64_t>());
  collective.whole = text(entryAttr::kWhole);
  collective.even = about.contains(entryAttr::kEven);
  collective.packed = about.contains(entryAttr::kPacked);
  return collective;
}

static LogicalResult readSums(func::FuncOp func, Signature &signature) {
  Attribute attr = func->getAttr(kSums);
  if (!attr)
    return success();
  auto wrong = [&] {
    return func.emitError("expected '")
           << kSums << "' as {R = {of = \"T\", axes = [\"ep\"]}}, found "
           << attr;
  };
  auto sums = dyn_cast<DictionaryAttr>(attr);
  if (!sums)
    return wrong();
  for (NamedAttribute entry : sums) {
    auto sum = dyn_cast<DictionaryAttr>(entry.getValue());
    auto of = sum ? sum.getAs<StringAttr>("of") : StringAttr();
    auto axes = sum ? readAxes(sum.get("axes")) : std::nullopt;
    auto before = sum && sum.contains("before") ? readAxes(sum.get("before"))
                                                : std::vector<std::string>();
    if (!of || !axes || !before)
      return wrong();
    std::vector<std::string_view> others;
    for (const std::string &size : signature.sizes)
      if (!sums.contains(size))
        others.push_back(size);
    if (!llvm::is_contained(others, std::string_view(of.getValue())))
      return func.emitError("size '")
             << entry.getName().getValue()
             << "': expected a sum of a size that tensors of the function "
                "have, found '"
             << of.getValue() << "'" << didYouMean(of.getValue(), others);
    // A size that nothing has is not computed.
    if (llvm::is_contained(signature.sizes, entry.getName().getValue()))
      signature.sums.push_back(
          {entry.getName().str(), of.str(), *axes, *before});
  }
  return success();
}

LogicalResult moe::readExchanges(func::FuncOp func, Signature &signature) {
  auto all = func->getAttrOfType<ArrayAttr>(entryAttr::kCollectives);
  signature.hasExchange = static_cast<bool>(all);
  if (all)
    for (auto about : all.getAsRange<DictionaryAttr>())
      signature.collectives.push_back(readCollective(about));
  if (all && !func->getParentOfType<ModuleOp>()->hasAttr(coll::kGrid))
    return func.emitError("expected '")
           << coll::kGrid << "' on the module of a function of several ranks";
  if (Attribute attr = func->getAttr(kTokensOver)) {
    auto axes = readAxes(attr);
    if (!axes)
      return func.emitError("expected '")
             << kTokensOver << "' as [\"dp\", \"ep\"], found " << attr;
    signature.tokensOver = *axes;
  }
  return readSums(func, signature);
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

static std::optional<Split> readSplit(Attribute attr) {
  auto entry = dyn_cast<DictionaryAttr>(attr);
  auto dim = entry ? entry.getAs<IntegerAttr>("dim") : IntegerAttr();
  auto axis = entry ? entry.getAs<StringAttr>("axis") : StringAttr();
  if (!dim || !axis || !isAxis(axis))
    return std::nullopt;
  Split split;
  split.dim = dim.getInt();
  split.axis = axis.str();
  if (auto parts = entry.getAs<IntegerAttr>("parts"))
    split.parts = parts.getInt();
  if (auto members = entry.getAs<ArrayAttr>("experts"))
    for (Attribute member : members) {
      auto experts = readNumbers(member);
      if (!experts)
        return std::nullopt;
      split.experts.push_back(*experts);
    }
  return split;
}

static std::optional<Shard> parseShard(Attribute attr) {
  auto entry = dyn_cast<DictionaryAttr>(attr);
  auto whole = entry ? readNumbers(entry.get("whole")) : std::nullopt;
  auto splits = entry ? entry.getAs<ArrayAttr>("split") : ArrayAttr();
  if (!whole || !splits)
    return std::nullopt;
  Shard shard;
  shard.whole = *whole;
  for (Attribute attr : splits) {
    std::optional<Split> split = readSplit(attr);
    if (!split)
      return std::nullopt;
    shard.split.push_back(*split);
  }
  if (Attribute first = entry.get("only_first")) {
    auto axis = dyn_cast<StringAttr>(first);
    if (!axis || !isAxis(axis))
      return std::nullopt;
    shard.onlyFirst = axis.str();
  }
  return shard;
}

/// What a split leaves of `size`, or nothing if it cannot be split so.
static std::optional<int64_t> share(const Split &split, int64_t size,
                                    int64_t members) {
  if (split.experts.empty()) {
    if (split.parts < 1 || size % members != 0 ||
        size / members % split.parts != 0)
      return std::nullopt;
    return size / members;
  }
  if (split.dim != 0 || static_cast<int64_t>(split.experts.size()) != members)
    return std::nullopt;
  for (const std::vector<int64_t> &experts : split.experts)
    if (experts.size() != split.experts.front().size() ||
        llvm::any_of(experts, [&](int64_t expert) {
          return expert < -1 || expert >= size;
        }))
      return std::nullopt;
  return split.experts.front().size();
}

/// The shape that a member has, or nothing if there is none.
static std::optional<std::vector<int64_t>> shapeOf(const Shard &shard,
                                                   DictionaryAttr grid) {
  std::vector<int64_t> shape = shard.whole;
  for (const Split &split : shard.split) {
    auto members = grid ? grid.getAs<IntegerAttr>(split.axis) : IntegerAttr();
    if (split.dim < 0 || split.dim >= static_cast<int64_t>(shape.size()))
      return std::nullopt;
    std::optional<int64_t> size =
        share(split, shape[split.dim], members ? members.getInt() : 1);
    if (!size)
      return std::nullopt;
    shape[split.dim] = *size;
  }
  return shape;
}

LogicalResult moe::readShard(func::FuncOp func, Attribute attr,
                             Argument &argument) {
  if (!attr)
    return success();
  auto fail = [&] {
    return func.emitError("argument '") << argument.name << "': expected ";
  };
  if (argument.role != "weight")
    return fail() << "no '" << boundary::kShard << "', which weights have";
  argument.shard = parseShard(attr);
  if (!argument.shard)
    return fail()
           << "'" << boundary::kShard
           << "' as {whole = array<i64: 8, 64>, split = [{dim = 0, axis = "
              "\"ep\"}]}, found "
           << attr;
  auto module = func->getParentOfType<ModuleOp>();
  std::optional<std::vector<int64_t>> shape = shapeOf(
      *argument.shard, module->getAttrOfType<DictionaryAttr>(coll::kGrid));
  if (!shape)
    return fail() << "equal shares on the grid, found " << attr;
  std::vector<std::string> dims;
  for (int64_t size : *shape)
    dims.push_back(std::to_string(size));
  if (dims != argument.shape)
    return fail() << "a share of [" << llvm::join(dims, ", ") << "], found ["
                  << llvm::join(argument.shape, ", ") << "]";
  return success();
}
