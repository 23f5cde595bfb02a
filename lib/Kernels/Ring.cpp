//===- Ring.cpp - Stages of a block's memory that go round ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ring.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace moe;

/// How long a thread that waits may sleep at a time.
static constexpr int64_t sleepNanoseconds = 10'000'000;

static Val i32(Emitter &e, int64_t number) {
  return e.constant(e.getI32Type(), static_cast<double>(number));
}

/// Those of full stages come first.
Value Ring::barrier(Val number) {
  auto type = LLVM::LLVMPointerType::get(e.getContext(), /*addressSpace=*/3);
  return LLVM::GEPOp::create(e, type, e.getI64Type(), barriers,
                             ArrayRef<LLVM::GEPArg>{number.value});
}

void Ring::initialize(int64_t toFill, int64_t toEmpty) {
  for (int64_t stage = 0; stage < stages; ++stage) {
    NVVM::MBarrierInitOp::create(e, barrier(i32(e, stage)), i32(e, toFill),
                                 Value());
    NVVM::MBarrierInitOp::create(e, barrier(i32(e, stages + stage)),
                                 i32(e, blocks * toEmpty), Value());
  }
  for (int64_t who : {0, 1})
    NVVM::MBarrierInitOp::create(e, barrier(i32(e, 2 * stages + who)),
                                 i32(e, toEmpty), Value());
  NVVM::FenceMbarrierInitOp::create(e);
}

Ring::Place Ring::begin() { return {i32(e, 0), i32(e, 0)}; }

Ring::Place Ring::next(Place place) {
  Val after = place.stage + 1;
  Val isLast = after == double(stages);
  return {e.select(isLast, i32(e, 0), after),
          e.select(isLast, place.round ^ i32(e, 1), place.round)};
}

Ring::Place Ring::skip(Place place, int64_t count) {
  Val after = place.stage + double(count % stages);
  Val goesRound = after >= double(stages);
  const int64_t whole = count / stages;
  Val rounds = e.extend(goesRound, e.getI32Type()) + double(whole);
  return {e.select(goesRound, after - double(stages), after),
          (place.round + rounds) & 1};
}

Val Ring::previousStage(Val stage) {
  return e.select(stage == 0, i32(e, stages - 1), stage - 1);
}

void Ring::wait(Value barrier, Val parity) {
  NVVM::MBarrierTryWaitParityOp::create(e, barrier, parity,
                                        i32(e, sleepNanoseconds));
}

/// Until what threads of other blocks have done before they arrived is done for
/// this one too.
void Ring::waitForCluster(Value barrier, Val parity) {
  Val ticks = i32(e, sleepNanoseconds);
  scf::WhileOp::create(
      e, TypeRange(), ValueRange(),
      [&](OpBuilder &, Location, ValueRange) {
        Val isOver = e.val(NVVM::MBarrierTryWaitOp::create(
            e, e.getI1Type(), barrier, parity, ticks,
            NVVM::MemScopeKind::CLUSTER));
        scf::ConditionOp::create(e, isOver ^ e.bits(e.getI1Type(), 1),
                                 ValueRange());
      },
      [&](OpBuilder &, Location, ValueRange) { scf::YieldOp::create(e); });
}

void Ring::waitForFull(Place place) { wait(barrier(place.stage), place.round); }

/// In the first round all are: the phase before the first one counts as over.
void Ring::waitForEmpty(Place place) {
  Value empty = barrier(place.stage + double(stages));
  Val before = place.round ^ i32(e, 1);
  if (blocks > 1)
    waitForCluster(empty, before);
  else
    wait(empty, before);
}

void Ring::waitForTurn(Val who, Val number) {
  Val isFirst = e.extend(who == 0, e.getI32Type());
  wait(barrier(who + double(2 * stages)), (number ^ isFirst) & 1);
}

void Ring::passTurn(Val who) {
  NVVM::MBarrierArriveOp::create(e, /*res=*/Type(),
                                 barrier(who + double(2 * stages)), Value());
}

void Ring::expect(Val stage, int64_t bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(
      e, /*res=*/Type(), barrier(stage), i32(e, bytes), NVVM::MemScopeKind::CTA,
      /*relaxed=*/false, /*predicate=*/Value());
}

void Ring::fillWhenCopied(Val stage) {
  NVVM::CpAsyncMBarrierArriveOp::create(e, barrier(stage), /*noinc=*/true);
}

void Ring::release(Val stage, Val block) {
  Value empty = barrier(stage + double(stages));
  auto scope = NVVM::MemScopeKind::CTA;
  if (blocks > 1) {
    auto cluster = LLVM::LLVMPointerType::get(e.getContext(), 7);
    empty = NVVM::MapaOp::create(e, cluster, empty, e.asI32(block));
    scope = NVVM::MemScopeKind::CLUSTER;
  }
  NVVM::MBarrierArriveOp::create(e, /*res=*/Type(), empty, Value(), scope);
}
