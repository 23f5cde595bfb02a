//===- EmitterWarps.cpp - Items that the lanes of a warp share ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace moe;

static constexpr int64_t warpsOfBlock = 4;

static Val everyLane(Emitter &e) { return e.constant(e.getI32Type(), -1); }

void Emitter::warps(Val end, Body body) {
  Val blocks = (end + double(warpsOfBlock - 1)) / double(warpsOfBlock);
  launch(blocks, warpsOfBlock * lanesOfWarp, 0,
         [&](Val block, Val thread, Value) {
           Val warp = thread / double(lanesOfWarp);
           Val item = block * double(warpsOfBlock) + warp;
           when(item < end, [&] { shareLanes(thread, [&] { body(item); }); });
         });
}

void Emitter::shareLanes(Val thread, llvm::function_ref<void()> body) {
  lane = thread % double(lanesOfWarp);
  body();
  lane = Val();
}

void Emitter::byTurns(Val begin, Val end, Body body, int64_t step) {
  if (lane.value)
    loop(begin + lane * double(step), end, body, step * lanesOfWarp);
  else
    loop(begin, end, body, step);
}

Val Emitter::foldByTurns(Val begin, Val end, Val initial,
                         llvm::function_ref<Val(Val)> body,
                         llvm::function_ref<Val(Val, Val)> both) {
  bool shared = lane.value != nullptr;
  Vals mine = carry(
      shared ? begin + lane : begin, end, initial,
      [&](Val i, ArrayRef<Val> sofar) { return Vals{both(sofar[0], body(i))}; },
      shared ? lanesOfWarp : 1);
  return foldLanes(mine, [&](ArrayRef<Val> a, ArrayRef<Val> b) {
    return Vals{both(a[0], b[0])};
  })[0];
}

Val Emitter::sumByTurns(Val end, Val zero, llvm::function_ref<Val(Val)> body) {
  return foldByTurns(index(0), end, zero, body,
                     [](Val a, Val b) { return a + b; });
}

void Emitter::once(llvm::function_ref<void()> body) {
  if (lane.value)
    when(lane == 0, body);
  else
    body();
}

void Emitter::meet() {
  if (lane.value)
    NVVM::SyncWarpOp::create(*this, everyLane(*this));
}

static Val shuffle(Emitter &e, NVVM::ShflKind kind, Val value, int64_t offset) {
  Type i32 = e.getI32Type();
  int64_t last = kind == NVVM::ShflKind::up ? 0 : Emitter::lanesOfWarp - 1;
  return e.val(NVVM::ShflOp::create(
      e, i32, everyLane(e), value, e.constant(i32, double(offset)),
      e.constant(i32, double(last)), kind, UnitAttr()));
}

/// Of the lane whose number differs in one bit.
static Val fromLane(Emitter &e, Val value, int64_t bit) {
  Type i32 = e.getI32Type(), i64 = e.getI64Type(), type = value.type();
  if (isa<FloatType>(type)) {
    Type bits = e.getIntegerType(type.getIntOrFloatBitWidth());
    return e.bitcast(fromLane(e, e.bitcast(value, bits), bit), type);
  }
  if (type.isIndex())
    return e.asIndex(fromLane(e, e.cast(value, i64), bit));
  if (type.isInteger(1))
    return fromLane(e, e.extend(value, i32), bit) != 0;
  if (type.isInteger(64)) {
    Val low = fromLane(e, e.cast(value, i32), bit);
    Val high = fromLane(e, e.cast(value >> 32, i32), bit);
    return (e.extend(high, i64) << 32) | e.extend(low, i64);
  }
  assert(type.isInteger(32) && "what lanes exchange is of 32 or 64 bits");
  return shuffle(e, NVVM::ShflKind::bfly, value, bit);
}

Emitter::Vals Emitter::foldLanes(
    Vals values, llvm::function_ref<Vals(ArrayRef<Val>, ArrayRef<Val>)> both) {
  if (!lane.value)
    return values;
  for (int64_t bit = lanesOfWarp / 2; bit >= 1; bit /= 2) {
    Vals others;
    for (Val value : values)
      others.push_back(fromLane(*this, value, bit));
    values = both(values, others);
  }
  return values;
}

Emitter::LaneCount Emitter::countLanes(Val condition) {
  Type i32 = getI32Type();
  Val ballot = val(NVVM::VoteSyncOp::create(
      *this, i32, everyLane(*this), condition, NVVM::VoteSyncKind::ballot));
  Val before = (constant(i32, 1) << asI32(lane)) - constant(i32, 1);
  auto count = [&](Val bits) {
    return asIndex(val(LLVM::CtPopOp::create(*this, i32, bits)));
  };
  return {count(ballot), count(ballot & before)};
}

Emitter::LaneSum Emitter::sumLanes(Val value) {
  Val sum = value;
  for (int64_t distance = 1; distance < lanesOfWarp; distance *= 2) {
    Val other = shuffle(*this, NVVM::ShflKind::up, sum, distance);
    sum = select(lane >= double(distance), sum + other, sum);
  }
  return {sum, shuffle(*this, NVVM::ShflKind::idx, sum, lanesOfWarp - 1)};
}
