//===- Weights.cpp - Weights become slices --------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Weights.h"

#include "moe/Graph/Graph.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace moe;

static RankedTensorType shareOf(Value value, const Split &split) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[split.dim] = split.share(shape[split.dim]);
  return type.clone(shape);
}

LogicalResult Weights::split(Value value, Split split) {
  if (split.members == 1 && split.experts.empty())
    return success();
  if (auto argument = dyn_cast<BlockArgument>(value))
    return splitArgument(argument, split);
  Operation *op = value.getDefiningOp();
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return splitSlice(slice, split);
  if (auto decode = dyn_cast<DecodeOp>(op))
    return splitDecoded(decode, split);
  return op->emitOpError("cannot be split over ")
         << name(split.axis) << "; expected a weight, or part of one";
}

LogicalResult Weights::splitArgument(BlockArgument argument, Split split) {
  auto type = cast<RankedTensorType>(argument.getType());
  Slice &slice = slices[argument];
  if (!slice.whole)
    slice.whole = type;
  // Both halves of a joined weight ask for the same.
  if (llvm::is_contained(slice.splits, split))
    return success();
  int64_t size = type.getDimSize(split.dim);
  if (split.experts.empty() && size % (split.members * split.parts) != 0) {
    auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                  boundary::kName);
    return func.emitError("weight '")
           << (name ? name.getValue() : "?") << "': found a dimension of "
           << size << ", expected a multiple of " << split.members * split.parts
           << " to be split over " << moe::name(split.axis);
  }
  argument.setType(shareOf(argument, split));
  slice.splits.push_back(split);
  return success();
}

/// Half of a joined weight, or all of one along other dimensions.
LogicalResult Weights::splitSlice(tensor::ExtractSliceOp op, Split split) {
  SmallVector<OpFoldResult> offsets = op.getMixedOffsets();
  SmallVector<OpFoldResult> sizes = op.getMixedSizes();
  Builder b(op.getContext());
  int64_t dim = split.dim, size = op.getStaticSize(dim);
  // The other half may have split what both are halves of.
  auto argument = dyn_cast<BlockArgument>(op.getSource());
  RankedTensorType source = op.getSourceType();
  if (argument && slices.contains(argument))
    source = slices[argument].whole;
  int64_t whole = source.getDimSize(dim);
  Split joined = split;
  if (size != whole) {
    bool alternate = op.getStaticStride(dim) != 1;
    if (!alternate)
      joined.parts *= whole / size;
    if (!alternate)
      offsets[dim] = b.getIndexAttr(op.getStaticOffset(dim) / split.members);
  }
  if (failed(this->split(op.getSource(), joined)))
    return failure();
  sizes[dim] = b.getIndexAttr(split.share(size));
  OpBuilder builder(op);
  Value fresh =
      tensor::ExtractSliceOp::create(builder, op.getLoc(), op.getSource(),
                                     offsets, sizes, op.getMixedStrides());
  op.replaceAllUsesWith(fresh);
  op.erase();
  return success();
}

LogicalResult Weights::splitDecoded(DecodeOp op, Split split) {
  auto type = cast<RankedTensorType>(op.getType());
  FormatAttr format = op.getFormat();
  int64_t fromLast = type.getRank() - 1 - split.dim;
  int64_t share = split.share(type.getDimSize(split.dim)) / split.parts;
  // Values along the dimension that have a scale together; 0: all.
  int64_t block = fromLast == 0   ? format.getInputs()
                  : fromLast == 1 ? format.getOutputs()
                                  : 1;
  bool packed = fromLast == 0 && share % format.getValuesPerByte() != 0;
  if ((block != 0 && share % block != 0) || packed)
    return op.emitOpError("found ")
           << share << " values for each member of " << name(split.axis)
           << ", expected a multiple of "
           << std::max(block, format.getValuesPerByte())
           << ", which share a scale or a byte";
  SmallVector<Value> parts = {op.getData()};
  if (block != 0)
    for (Value part : {op.getScales(), op.getZeros()})
      if (part)
        parts.push_back(part);
  if (fromLast == 2 && op.getGlobalScale())
    parts.push_back(op.getGlobalScale());
  // A slice that is split is another operation, and this one then reads it.
  for (Value part : parts)
    if (failed(this->split(part, split)))
      return failure();
  op.getResult().setType(shareOf(op.getResult(), split));
  return success();
}

void Weights::onlyFirst(Value argument, Axis axis) {
  auto block = cast<BlockArgument>(argument);
  Slice &slice = slices[block];
  if (!slice.whole)
    slice.whole = cast<RankedTensorType>(block.getType());
  slice.onlyFirst = axis;
}

bool Weights::keepShare(unsigned number, int64_t members) {
  BlockArgument argument = func.getArgument(number);
  auto type = cast<RankedTensorType>(argument.getType());
  if (type.getRank() < 2 || type.getDimSize(0) % members != 0)
    return false;
  Split split{0, Axis::dp, members};
  Slice &slice = slices[argument];
  if (!slice.whole)
    slice.whole = type;
  argument.setType(shareOf(argument, split));
  slice.splits.push_back(split);
  return true;
}

DictionaryAttr Weights::describe(const Slice &slice) {
  Builder b(func.getContext());
  SmallVector<Attribute> splits;
  for (const Split &split : slice.splits) {
    NamedAttrList entry;
    entry.append("dim", b.getI64IntegerAttr(split.dim));
    entry.append("axis", b.getStringAttr(name(split.axis)));
    if (split.parts != 1)
      entry.append("parts", b.getI64IntegerAttr(split.parts));
    if (!split.experts.empty()) {
      SmallVector<Attribute> members;
      for (const std::vector<int64_t> &experts : split.experts)
        members.push_back(b.getDenseI64ArrayAttr(experts));
      entry.append("experts", b.getArrayAttr(members));
    }
    splits.push_back(entry.getDictionary(b.getContext()));
  }
  NamedAttrList shard;
  shard.append("whole", b.getDenseI64ArrayAttr(slice.whole.getShape()));
  shard.append("split", b.getArrayAttr(splits));
  if (slice.onlyFirst)
    shard.append("only_first", b.getStringAttr(name(*slice.onlyFirst)));
  return shard.getDictionary(b.getContext());
}

void Weights::finish() {
  for (auto &[argument, slice] : slices)
    func.setArgAttr(argument.getArgNumber(), shardAttr::kShard,
                    describe(slice));
  func.setType(FunctionType::get(
      func.getContext(), func.getBody().front().getArgumentTypes(),
      func.getBody().front().getTerminator()->getOperandTypes()));
}
