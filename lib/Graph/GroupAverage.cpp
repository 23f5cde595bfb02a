//===- GroupAverage.cpp - The mean over ranks -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `average_group` of section 7 of docs/Spec.md. Slice j of the values of all
// members goes to member j, which adds them up in the order of the members and
// gives their mean to all. What is sent is in the wire format; each value is
// rounded to it twice, however many members there are.
//
//===----------------------------------------------------------------------===//

#include "FunctionBuilder.h"

#include "moe/Dialect/Coll/Coll.h"
#include "moe/Kernels/Extent.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace moe;

namespace {

class GroupAverage {
public:
  GroupAverage(const Spec &spec, ModuleOp module)
      : spec(spec.averaging), b(module, "average_group"), members(1) {
    const ParallelSpec &grid = spec.parallel;
    bool overGrid = this->spec.over == AverageOver::grid;
    SmallVector<StringRef> names;
    for (auto [name, size] : {std::pair<StringRef, int64_t>{"dp", grid.dp},
                              {"ep", overGrid ? grid.ep : 1},
                              {"tp", overGrid ? grid.tp : 1}})
      if (size > 1) {
        names.push_back(name);
        members *= size;
      }
    axes = b.getStrArrayAttr(names);
    // A member's slice is of whole blocks.
    block = hasBlocks() ? this->spec.block : 1;
    all = Extent{1, members * block, "n", members * block};
  }

  void build();

private:
  using Parts = SmallVector<Value, 2>;

  const AveragingSpec &spec;
  FunctionBuilder b;
  ArrayAttr axes;
  int64_t members, block;
  Extent all; // the values of a member, with zeros up to equal slices

  bool hasBlocks() const {
    return spec.compression != Compression::none &&
           spec.compression != Compression::fp16;
  }
  QuantAttr format() {
    return QuantAttr::get(
        b.getContext(),
        static_cast<QuantKind>(static_cast<int>(spec.compression) -
                               static_cast<int>(Compression::blockwise_int8)),
        block);
  }
  RankedTensorType vector(Type element) {
    return b.tensor({FunctionBuilder::dynamic}, element);
  }
  ResizeOp resize(Value values, const Extent &rows, Type element) {
    return ResizeOp::create(b, TypeRange{vector(element), b.i32({})}, values,
                            b.getStringAttr(rows.str()));
  }
  Value reduce(coll::ReduceKind kind, Value x, StringRef name) {
    return coll::AllReduceOp::create(b, x.getType(), kind, x, axes, name);
  }
  Parts toWire(Value values, const Extent &rows);
  Value fromWire(const Parts &parts);
  Parts exchange(const Parts &parts);
  Parts gather(const Parts &parts);
};

} // namespace

GroupAverage::Parts GroupAverage::toWire(Value values, const Extent &rows) {
  if (spec.compression == Compression::none)
    return {values};
  if (spec.compression == Compression::fp16)
    return {resize(values, rows, b.getF16Type()).getResult()};
  bool mx = spec.compression == Compression::mxfp4;
  Type scale = mx ? Type(b.getI8Type()) : b.getF32Type();
  auto quantize = QuantizeOp::create(
      b, TypeRange{vector(b.getI8Type()), vector(scale), b.i32({})}, values,
      format());
  return {quantize.getData(), quantize.getScales()};
}

Value GroupAverage::fromWire(const Parts &parts) {
  Type f32 = b.getF32Type();
  if (spec.compression == Compression::none)
    return parts[0];
  if (spec.compression == Compression::fp16)
    return resize(parts[0], all, f32).getResult();
  return DequantizeOp::create(b, vector(f32), parts[0], parts[1], format());
}

GroupAverage::Parts GroupAverage::exchange(const Parts &parts) {
  constexpr StringRef names[] = {"slices", "scales of slices"};
  Parts arrived;
  for (auto [part, name] : llvm::zip(parts, names))
    arrived.push_back(
        coll::AllToAllOp::create(b, part.getType(), part, axes, name));
  return arrived;
}

GroupAverage::Parts GroupAverage::gather(const Parts &parts) {
  constexpr StringRef names[] = {"means", "scales of means"};
  bool packed = spec.compression == Compression::mxfp4 ||
                spec.compression == Compression::int4;
  Extent rows[] = {packed ? all.dividedBy(2) : all, all.dividedBy(block)};
  Parts gathered;
  for (auto [part, name, count] : llvm::zip(parts, names, rows))
    gathered.push_back(coll::AllGatherOp::create(
        b, part.getType(), part, b.getStringAttr(count.str()), axes, name));
  return gathered;
}

void GroupAverage::build() {
  Extent n{1, 1, "n"}, slice = all.dividedBy(members);
  Type f32 = b.getF32Type();
  Value values = b.argument("values", "input", vector(f32), {"n"});
  Value count = b.argument("count", "input", b.i64({}));
  if (spec.errorFeedback) {
    Value error = b.argument("error", "input", vector(f32), {"n"});
    values = AccumulateOp::create(b, vector(f32), values, error);
  }
  ResizeOp sliced = resize(values, all, f32);
  Value status = sliced.getStatus(), sum = sliced.getResult();
  if (spec.compression == Compression::fp16)
    status = resize(values, n, b.getF16Type()).getStatus();
  // No member sends what another one would refuse.
  if (members > 1)
    status = reduce(coll::ReduceKind::max, status, "statuses");
  RequireOp::create(b, status);
  Value sent = sum, slices = sum, member;
  if (members > 1) {
    count = reduce(coll::ReduceKind::sum, count, "contributions");
    Parts wire = toWire(sum, all);
    sent = fromWire(wire);
    slices = fromWire(exchange(wire));
    member = coll::IndexOp::create(b, b.i32({}), axes);
  } else {
    member = arith::ConstantOp::create(
        b, DenseElementsAttr::get(b.i32({}), int32_t(0)));
  }
  Value mean = SliceMeanOp::create(b, vector(f32), slices, count, members);
  // The owner of a slice takes what it gave to others.
  Value given = mean;
  if (members > 1)
    given = fromWire(gather(toWire(mean, slice)));
  b.result("mean", "output", resize(given, n, f32).getResult(), {"n"});
  if (spec.errorFeedback) {
    Value error = ResidualOp::create(b, vector(f32), sum, sent, mean, given,
                                     count, member);
    b.result("error_next", "output", resize(error, n, f32).getResult(), {"n"});
  }
  b.result("status", "plan", status);
  b.finish();
}

void moe::buildAverageGroup(const Spec &spec, ModuleOp module) {
  GroupAverage(spec, module).build();
}
