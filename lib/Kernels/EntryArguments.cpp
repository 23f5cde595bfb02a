//===- EntryArguments.cpp - What the entry of a function is given ---------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EntryArguments.h"

#include "moe/Graph/Graph.h"
#include "moe/Kernels/Entry.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace moe;

FailureOr<EntryShape> moe::entryShape(func::FuncOp func, RankedTensorType type,
                                      DictionaryAttr attrs) {
  EntryShape result;
  auto sizes = attrs ? attrs.getAs<ArrayAttr>(boundary::kSizes) : ArrayAttr();
  unsigned next = 0;
  for (int64_t dim : type.getShape()) {
    if (!ShapedType::isDynamic(dim)) {
      result.push_back(Extent::constant(dim));
      continue;
    }
    std::optional<Extent> extent;
    if (sizes && next < sizes.size())
      if (auto text = dyn_cast<StringAttr>(sizes[next++]))
        extent = Extent::parse(text.getValue());
    if (!extent || extent->multiplier != 1)
      return func.emitError("expected a size such as \"T\" or \"2*T\" in '")
             << boundary::kSizes << "' for each dynamic dimension of " << type;
    result.push_back(*extent);
  }
  return result;
}

FailureOr<SmallVector<std::string>> moe::entrySizes(func::FuncOp func) {
  SmallVector<std::string> names;
  auto addSize = [&](const Extent &extent) {
    if (!extent.isConstant() && !llvm::is_contained(names, extent.size))
      names.push_back(extent.size);
  };
  auto collect = [&](Type type, DictionaryAttr attrs) -> LogicalResult {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      return func.emitError("expected tensors at the boundary, but found ")
             << type;
    FailureOr<EntryShape> extents = entryShape(func, tensor, attrs);
    if (failed(extents))
      return failure();
    llvm::for_each(*extents, addSize);
    return success();
  };
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes()))
    if (failed(collect(type, func.getArgAttrDict(i))))
      return failure();
  for (auto [i, type] : llvm::enumerate(func.getResultTypes()))
    if (failed(collect(type, func.getResultAttrDict(i))))
      return failure();
  // Then those of rows that come from other ranks, but for what the function
  // finds out itself.
  Block &block = func.getBody().front();
  llvm::StringSet<> own;
  for (ArrivalsOp op : block.getOps<ArrivalsOp>())
    if (op.getSize() && (!own.insert(*op.getSize()).second ||
                         llvm::is_contained(names, *op.getSize())))
      return op.emitOpError("expected a name of its own in 'size', found \"")
             << *op.getSize() << "\" again";
  for (Operation &op : block)
    if (isOfColl(op) || isa<ArrivalsOp, ResizeOp, RowNumbersOp, TakeRowsOp>(op))
      for (StringRef name : {"rows", "bound", "first"})
        if (auto text = op.getAttrOfType<StringAttr>(name))
          if (Extent extent = *Extent::parse(text.getValue());
              !own.contains(extent.size))
            addSize(extent);
  return names;
}

void moe::describeEntry(func::FuncOp entry, func::FuncOp func,
                        ArrayRef<std::string> sizeNames, Lowering &l) {
  Emitter &e = l.e;
  auto text = [&](const Twine &value) { return e.getStringAttr(value); };
  SmallVector<Attribute> arguments;
  auto add = [&](Type type, DictionaryAttr attrs) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<Attribute> dims;
    EntryShape extents = *entryShape(func, tensor, attrs);
    for (const Extent &extent : extents)
      dims.push_back(text(extent.str()));
    NamedAttrList entry(attrs);
    entry.set(entryAttr::kShape, e.getArrayAttr(dims));
    entry.set(entryAttr::kType, TypeAttr::get(tensor.getElementType()));
    arguments.push_back(entry.getDictionary(e.getContext()));
  };
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes()))
    add(type, func.getArgAttrDict(i));
  for (auto [i, type] : llvm::enumerate(func.getResultTypes())) {
    auto role = func.getResultAttrOfType<StringAttr>(i, boundary::kRole);
    if (!role || role.getValue() != "state")
      add(type, func.getResultAttrDict(i));
  }
  SmallVector<Attribute> sizes;
  for (const std::string &name : sizeNames)
    sizes.push_back(text(name));
  NamedAttrList per, workspace;
  for (auto &[size, bytes] : l.workspaceSize().per)
    per.set(size, e.getI64IntegerAttr(bytes));
  workspace.set("constant", e.getI64IntegerAttr(l.workspaceSize().constant));
  workspace.set("per", per.getDictionary(e.getContext()));
  entry->setAttr(entryAttr::kFunction, func.getSymNameAttr());
  entry->setAttr(entryAttr::kArguments, e.getArrayAttr(arguments));
  entry->setAttr(entryAttr::kSizes, e.getArrayAttr(sizes));
  entry->setAttr(entryAttr::kWorkspace,
                 workspace.getDictionary(e.getContext()));
  if (l.exchange)
    entry->setAttr(entryAttr::kCollectives, e.getArrayAttr(l.collectives));
  for (StringRef name : {kSums, kTokensOver})
    if (Attribute attr = func->getAttr(name))
      entry->setAttr(name, attr);
}
