//===- Exchange.cpp - Rows go to where their experts are ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RankProgram.h"

using namespace mlir;
using namespace moe;

std::optional<Axis> RankProgram::expertAxis() const {
  Axis axis = parallel.expertsOnTp ? Axis::tp : Axis::ep;
  if (parallel.size(axis) == 1 && parallel.placement.empty())
    return std::nullopt;
  return axis;
}

void RankProgram::spreadExperts() {
  if (!expertAxis())
    return;
  for (GroupOp group : llvm::to_vector(func.getOps<GroupOp>())) {
    if (llvm::none_of(group->getUsers(), llvm::IsaPred<DispatchOp>))
      continue; // it counts, or says who has a place
    if (parallel.expertsOnTp)
      keepLocal(group);
    else
      exchangeRows(group);
  }
}

static RankedTensorType tensorOf(ArrayRef<int64_t> shape, Type element) {
  return RankedTensorType::get(shape, element);
}

static constexpr int64_t dynamic = ShapedType::kDynamic;

/// The group that sorts by place, where the places of experts are not 0 to
/// E - 1 in order. The other one stays for whoever asks for the plan.
GroupOp RankProgram::placeExperts(GroupOp group) {
  if (parallel.placement.empty())
    return group;
  int64_t experts = group.getExperts();
  int64_t places = parallel.placement.front().size();
  int64_t total = places * parallel.ep;
  SmallVector<SmallVector<int32_t>> placesOf(experts);
  for (int64_t i = 0; i < total; ++i)
    if (int64_t expert = parallel.placement[i / places][i % places];
        expert >= 0)
      placesOf[expert].push_back(i);
  size_t most = 0;
  for (ArrayRef<int32_t> list : placesOf)
    most = std::max(most, list.size());
  SmallVector<int32_t> table;
  for (SmallVector<int32_t> &list : placesOf) {
    list.resize(most, -1);
    table.append(list);
  }
  auto type = tensorOf({experts, int64_t(most)}, b.getI32Type());
  Value slots = PlaceOp::create(
      b, group.getIndices().getType(), group.getIndices(),
      DenseIntElementsAttr::get(type, table), b.getI64IntegerAttr(total));
  int64_t nulls = group.getNullExperts();
  return GroupOp::create(b,
                         TypeRange{group.getRows().getType(),
                                   tensorOf({total + 1}, b.getI32Type()),
                                   group.getPositions().getType(),
                                   tensorOf({total + nulls}, b.getI32Type())},
                         slots, group.getWeights(), b.getI64IntegerAttr(total),
                         b.getI64IntegerAttr(nulls), group.getCapacityAttr());
}

/// The type of rows while they are exchanged: their own where the wire has none
/// that is smaller.
RankedTensorType RankProgram::wireType(RankedTensorType type) {
  if (parallel.wire == "none" || parallel.size(Axis::ep) == 1)
    return type;
  if (parallel.wire == "bf16")
    return type.getElementTypeBitWidth() == 16 ? type
                                               : type.clone(b.getBF16Type());
  int64_t bytes = wireFormat().getRowBytes(type.getDimSize(1));
  return tensorOf({type.getDimSize(0), bytes}, b.getI8Type());
}

QuantAttr RankProgram::wireFormat() {
  if (parallel.wire == "bf16")
    return {};
  return QuantAttr::get(b.getContext(), *symbolizeQuantKind(parallel.wire),
                        parallel.wireBlock);
}

Value RankProgram::pack(Value rows, Value counts) {
  RankedTensorType type = wireType(cast<RankedTensorType>(rows.getType()));
  if (type == rows.getType())
    return rows;
  return PackRowsOp::create(b, type, rows, counts, wireFormat());
}

Value RankProgram::unpack(Value packed, Value counts, Type type) {
  if (packed.getType() == type)
    return packed;
  return UnpackRowsOp::create(b, type, packed, counts, wireFormat());
}

/// The rows of a dispatch as they are sent. Rows are packed before they are
/// copied, each once however many experts it goes to, unless they are changed
/// on the way.
Value RankProgram::packDispatched(DispatchOp dispatch, Value sizes) {
  if (dispatch.getWeights())
    return pack(dispatch.getXs(), sizes);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(dispatch);
  Value packed = pack(dispatch.getX(), Value());
  if (packed == dispatch.getX())
    return dispatch.getXs();
  auto type = cast<RankedTensorType>(packed.getType());
  return DispatchOp::create(
      b, type.clone(SmallVector<int64_t>{dynamic, type.getDimSize(1)}), packed,
      dispatch.getRows(), Value(), dispatch.getSlotsAttr());
}

/// Sends rows to the ranks of their experts and results back.
void RankProgram::exchangeRows(GroupOp group) {
  b.setInsertionPointAfter(group);
  b.setLoc(group.getLoc());
  GroupOp placed = placeExperts(group);
  int64_t total = placed.getExperts(), here = total / parallel.ep;
  int64_t slots = group.getIndices().getType().getDimSize(1);
  Type i32 = b.getI32Type();
  ArrayAttr ep = axes(Axis::ep);
  auto pattern = coll::PatternKindAttr::get(
      b.getContext(), *coll::symbolizePatternKind(parallel.exchange));
  auto mode = coll::ModeKindAttr::get(b.getContext(),
                                      *coll::symbolizeModeKind(parallel.rows));
  StringAttr arriving = times(slots, "R"), leaving = times(slots, rowsName());
  StringAttr pair = parallel.rows == "padded" ? arriving : StringAttr();

  Value sizes =
      GroupSizesOp::create(b, tensorOf({total}, i32), placed.getOffsets());
  Value arrived =
      coll::AllToAllOp::create(b, sizes.getType(), sizes, ep, "counts of rows");
  Value places = ArrivalsOp::create(b, tensorOf({dynamic, 1}, i32), arrived,
                                    b.getI64IntegerAttr(parallel.ep), arriving,
                                    IntegerAttr(), IntegerAttr(), StringAttr());
  auto local = GroupOp::create(
      b,
      TypeRange{tensorOf({dynamic}, i32), tensorOf({here + 1}, i32),
                tensorOf({dynamic, 1}, i32), tensorOf({here}, i32)},
      places, Value(), b.getI64IntegerAttr(here), b.getI64IntegerAttr(0),
      CapacityAttr());

  for (Operation *user : llvm::make_early_inc_range(group->getUsers())) {
    auto dispatch = dyn_cast<DispatchOp>(user);
    if (!dispatch)
      continue;
    b.setInsertionPointAfter(dispatch);
    b.setLoc(dispatch.getLoc());
    dispatch.getRowsMutable().assign(placed.getRows());
    Type type = dispatch.getXs().getType();
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : dispatch.getXs().getUses())
      uses.push_back(&use);
    Value sent = packDispatched(dispatch, sizes);
    Value xs = coll::AllToAllVOp::create(
        b, sent.getType(), sent, sizes, arrived, pattern, mode, arriving, pair,
        ep, b.getStringAttr("rows to experts"));
    Value rows =
        DispatchOp::create(b, type, unpack(xs, arrived, type), local.getRows(),
                           Value(), b.getI64IntegerAttr(1));
    for (OpOperand *use : uses)
      use->set(rows);
    if (dispatch.use_empty())
      dispatch.erase();
  }
  for (Operation *user : llvm::make_early_inc_range(group->getUsers())) {
    if (auto matmul = dyn_cast<GroupedMatmulOp>(user))
      matmul.getOffsetsMutable().assign(local.getOffsets());
    auto combine = dyn_cast<CombineOp>(user);
    if (!combine)
      continue;
    b.setInsertionPoint(combine);
    b.setLoc(combine.getLoc());
    Value inOrder = CombineOp::create(
        b, combine.getYs().getType(), combine.getYs(), local.getPositions(),
        places, Value(), Value(), Value(), b.getI64IntegerAttr(here),
        b.getUnitAttr(), UnitAttr(), UnitAttr());
    Value sent = pack(inOrder, arrived);
    Value back = coll::AllToAllVOp::create(
        b, sent.getType(), sent, arrived, sizes, pattern, mode, leaving, pair,
        ep, b.getStringAttr("results to tokens"));
    combine.getYsMutable().assign(unpack(back, sizes, inOrder.getType()));
    combine.getPositionsMutable().assign(placed.getPositions());
  }
}

/// Leaves the slots of this rank's experts; the results of all ranks add up.
void RankProgram::keepLocal(GroupOp group) {
  b.setInsertionPointAfter(group);
  b.setLoc(group.getLoc());
  int64_t here = group.getExperts() / parallel.tp;
  Value member =
      coll::IndexOp::create(b, tensorOf({}, b.getI32Type()), axes(Axis::tp));
  int64_t nulls = group.getNullExperts();
  auto keep = [&](Value indices) {
    return KeepLocalOp::create(
        b, TypeRange{indices.getType(), group.getWeights().getType()}, indices,
        group.getWeights(), member, b.getI64IntegerAttr(group.getExperts()),
        b.getI64IntegerAttr(parallel.tp));
  };
  KeepLocalOp kept = keep(group.getIndices());
  Value placed = kept.getLocal();
  if (group.getCapacity())
    placed =
        KeepPlacedOp::create(b, placed.getType(), placed, group.getPositions());
  auto local = GroupOp::create(
      b,
      TypeRange{group.getRows().getType(), tensorOf({here + 1}, b.getI32Type()),
                group.getPositions().getType(),
                tensorOf({here + nulls}, b.getI32Type())},
      placed, kept.getKept(), b.getI64IntegerAttr(here),
      b.getI64IntegerAttr(nulls), CapacityAttr());
  for (Operation *user : llvm::make_early_inc_range(group->getUsers())) {
    if (auto dispatch = dyn_cast<DispatchOp>(user)) {
      dispatch.getRowsMutable().assign(local.getRows());
      if (dispatch.getWeights())
        dispatch.getWeightsMutable().assign(kept.getKept());
    } else if (auto matmul = dyn_cast<GroupedMatmulOp>(user)) {
      matmul.getOffsetsMutable().assign(local.getOffsets());
    } else if (auto combine = dyn_cast<CombineOp>(user)) {
      // It also sees slots that have lost their places.
      b.setInsertionPoint(combine);
      bool same = combine.getIndices() == group.getIndices();
      KeepLocalOp ours = same ? kept : keep(combine.getIndices());
      combine.getPositionsMutable().assign(local.getPositions());
      combine.getIndicesMutable().assign(ours.getLocal());
      combine.getWeightsMutable().assign(ours.getKept());
      combine.setExperts(here);
      parts[combine.getY()] = combine.getY().getType();
    }
  }
}
