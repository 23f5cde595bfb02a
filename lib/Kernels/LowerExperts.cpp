//===- LowerExperts.cpp - From rows of tokens to their combined results ---===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowCodes.h"

using namespace mlir;
using namespace moe;

void moe::lower(Lowering &l, DispatchOp op) {
  Emitter &e = l.e;
  Value x = l[op.getX()], rows = l[op.getRows()];
  Extent count = l.extent(op.getRows(), 0);
  Value xs = l.result(op.getXs(), {count});
  int64_t slots = op.getSlots();
  auto copyOf = [&](Val r, llvm::function_ref<void(Val, Val)> body) {
    Val slot = e.load(rows, {r});
    e.when(slot >= 0, [&] {
      slot = e.asIndex(slot);
      Val token = slot / slots, weight;
      if (op.getWeights())
        weight = e.load(l[op.getWeights()], {token, slot % slots});
      body(token, weight);
    });
  };
  if (l.gpu)
    return l.eachValue(l.size(count), l.size(op.getX(), 1), [&](Val r, Val c) {
      copyOf(r, [&](Val token, Val weight) {
        Val value = e.load(x, {token, c});
        e.store(weight.value ? value * weight : value, xs, {r, c});
      });
    });
  Row row(l, op.getX().getType().getDimSize(1));
  e.parallel(l.size(count), [&](Val r) {
    copyOf(r, [&](Val token, Val weight) {
      row.forEach([&](RowPart c) {
        Val value = row.load(x, {token, c.first}, c);
        row.store(weight.value ? value * row.fill(weight) : value, xs,
                  {r, c.first}, c);
      });
    });
  });
}

/// Whether somebody has written all rows: those of tokens, not such as come
/// from elsewhere or are sorted by expert.
static bool isWhole(Value rows) {
  return isa<BlockArgument>(rows) || rows.getDefiningOp<RMSNormOp>();
}

void moe::lower(Lowering &l, GroupedMatmulOp op) {
  Emitter &e = l.e;
  Value gather = op.getGather();
  Extent rows = l.extent(gather ? gather : op.getXs(), 0);
  Value ys = l.result(op.getYs(), {rows});
  int64_t slots = op.getSlots();

  auto row = [&](Val r) {
    if (!gather)
      return r;
    return e.asIndex(e.load(l[gather], {r})) / slots;
  };
  auto finish = [&](Val expert, Val r, Val o, int64_t valid,
                    ArrayRef<Val> sums) {
    SmallVector<Val, 2> values(sums), at = {expert, o};
    if (!op.getOffsets())
      at = {o};
    for (auto [value, bias] : llvm::zip(values, op.getBiases()))
      value = value + e.loadLike(value, l[bias], at, valid);
    Val value = op.getEpilogue().empty()
                    ? values[0]
                    : e.inlineRegion(op.getEpilogue(), values);
    e.storeLike(value, ys, {r, o}, valid);
  };
  Product product = {
      l[op.getXs()], row,   {}, op.getOffsets() ? l[op.getOffsets()] : Value(),
      l.size(rows),  finish};
  bool decodes = decodesWeights(op);
  for (Value weight : op.getWeights())
    product.weights.push_back(decodes
                                  ? Weight(l, weight.getDefiningOp<DecodeOp>())
                                  : Weight(l, l[weight]));
  product.transposed = op.getTransposed();
  product.tf32 = op.getTf32();
  Lowering::TemporaryRoom room(l);
  if (QuantAttr format = op.getFormatAttr()) {
    bool areAllThere = !op.getOffsets() || isWhole(op.getXs());
    roundRows(l, product, format, areAllThere ? l.extent(op.getXs(), 0) : rows,
              areAllThere);
  }
  emitProduct(l, product);
}

void moe::lower(Lowering &l, GroupedOuterOp op) {
  Extent experts = l.extent(op.getOffsets(), 0);
  Value sums = l.result(op.getSums(), {Extent::constant(experts.factor - 1)});
  emitOuter(l, {l[op.getXs()], l[op.getYs()], l[op.getOffsets()], sums,
                op.getTf32()});
}

void moe::lower(Lowering &l, ActivateOp op) {
  Emitter &e = l.e;
  Value first = op.getInputs().front();
  Value result = l.result(op.getResult(), {l.extent(first, 0)});
  l.eachValue(l.size(first, 0), l.size(first, 1), [&](Val r, Val c) {
    SmallVector<Val, 2> values;
    for (Value input : op.getInputs())
      values.push_back(e.load(l[input], {r, c}));
    e.store(e.inlineRegion(op.getBody(), values), result, {r, c});
  });
}

void moe::lower(Lowering &l, CombineOp op) {
  Emitter &e = l.e;
  Value ys = l[op.getYs()], positions = l[op.getPositions()];
  Value indices = l[op.getIndices()];
  Value weights = op.getUnweighted() ? Value() : l[op.getWeights()];
  Value x = op.getX() ? l[op.getX()] : Value();
  Value member = op.getMember() ? l[op.getMember()] : Value();
  Extent tokens = l.extent(op.getPositions(), 0);
  Value y = l.result(op.getY(), {tokens});
  int64_t width = cast<RankedTensorType>(op.getY().getType()).getDimSize(1);
  int64_t slots =
      cast<RankedTensorType>(op.getPositions().getType()).getDimSize(1);

  // One vector of columns, or one column at a time.
  auto columns = [&](Val t, Val c, int64_t count, int64_t valid) {
    auto load = [&](Value buffer, Val row) {
      return count == 1 ? e.load(buffer, {row, c})
                        : e.loadVector(buffer, {row, c}, count, valid);
    };
    Type type = count == 1 ? Type(e.real) : VectorType::get(count, e.real);
    Val zero = e.constant(type, 0);
    Val total = e.carry(
        e.index(0), e.index(slots), zero, [&](Val j, ArrayRef<Val> total) {
          Val position = e.load(positions, {t, j});
          auto add = [&](Value buffer, Val row, bool weighted) {
            Val value = load(buffer, row);
            if (!weighted)
              return total[0] + value;
            Val weight = e.load(weights, {t, j});
            if (count != 1)
              weight = e.broadcast(weight, count);
            return e.fma(weight, value, total[0]);
          };
          auto elsewhere = [&]() -> Val {
            if (!op.getIdentityNulls() && !op.getPassThrough())
              return total[0];
            Val expert = e.load(indices, {t, j});
            Val isNull = expert >= double(op.getExperts());
            Val applies;
            if (!op.getPassThrough())
              applies = isNull;
            else if (op.getIdentityNulls())
              applies = expert >= 0;
            else
              applies = (expert >= 0) & (expert < double(op.getExperts()));
            if (member)
              applies = applies & (e.load(member, {}) == 0);
            return e.choose(
                applies, [&] { return add(x, t, true); },
                [&] { return total[0]; });
          };
          return Emitter::Vals{e.choose(
              position >= 0,
              [&] { return add(ys, e.asIndex(position), !op.getUnweighted()); },
              elsewhere)};
        })[0];
    if (count == 1)
      e.store(total, y, {t, c});
    else
      e.storeVector(total, y, {t, c}, valid);
  };

  if (l.gpu)
    return l.eachValue(l.size(tokens), e.index(width),
                       [&](Val t, Val c) { columns(t, c, 1, 1); });
  e.parallel(l.size(tokens), [&](Val t) {
    if (l.reference)
      return e.loop(e.index(width), [&](Val c) { columns(t, c, 1, 1); });
    int64_t whole = width / l.lanes * l.lanes;
    e.loop(
        e.index(0), e.index(whole),
        [&](Val c) { columns(t, c, l.lanes, l.lanes); }, l.lanes);
    if (whole < width)
      columns(t, e.index(whole), l.lanes, width - whole);
  });
}
