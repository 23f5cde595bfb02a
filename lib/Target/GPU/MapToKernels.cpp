//===- MapToKernels.cpp - Loops over buffers to launches ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Kernels/Entry.h"
#include "moe/Target/GPU/GPU.h"
#include "moe/Target/GPU/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

namespace moe {
#define GEN_PASS_DEF_MAPTOKERNELSPASS
#include "moe/Target/GPU/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;

static constexpr int64_t threadsPerBlock = 128;

namespace {

struct MapToKernels : moe::impl::MapToKernelsPassBase<MapToKernels> {
  void runOnOperation() override;

private:
  unsigned number = 0;
  /// Code of one thread that has no launch yet, in order.
  SmallVector<Operation *> pending;
  /// Values that launches of one thread made.
  llvm::SetVector<Value> made;

  void mapBlock(Block &block);
  gpu::LaunchOp launch(ImplicitLocOpBuilder &b, Value blocks, int64_t threads);
  void mapParallel(scf::ParallelOp loop);
  void mapPending();
  LogicalResult passValues();
};

bool isBuffer(Value value) { return isa<BaseMemRefType>(value.getType()); }

/// Whether it is of the kind that launches are made of.
bool hasParallel(Operation *op) {
  return op
      ->walk([](Operation *inner) {
        return isa<scf::ParallelOp, gpu::LaunchOp, func::CallOp>(inner)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Whether it reads or writes memory of the device, or its clock.
bool touchesDevice(Operation *op) {
  return op
      ->walk([](Operation *inner) {
        bool touches = inner->getDialect()->getNamespace() == "nvvm" ||
                       (llvm::any_of(inner->getOperands(), isBuffer) &&
                        !isMemoryEffectFree(inner));
        return touches ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

/// The operation that the code was made for.
StringRef nameOf(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName().getValue();
  if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      if (StringRef name = nameOf(part); !name.empty())
        return name;
  return "";
}

} // namespace

gpu::LaunchOp MapToKernels::launch(ImplicitLocOpBuilder &b, Value blocks,
                                   int64_t threads) {
  Value one = arith::ConstantIndexOp::create(b, 1);
  auto launch = gpu::LaunchOp::create(
      b, blocks, one, one, arith::ConstantIndexOp::create(b, threads), one,
      one);
  b.setInsertionPointToEnd(&launch.getBody().front());
  gpu::TerminatorOp::create(b);
  return launch;
}

void MapToKernels::mapParallel(scf::ParallelOp loop) {
  ImplicitLocOpBuilder b(loop.getLoc(), loop);
  Value count = loop.getUpperBound()[0];
  Value blocks = arith::CeilDivUIOp::create(
      b, count, arith::ConstantIndexOp::create(b, threadsPerBlock));
  gpu::LaunchOp kernel = launch(b, blocks, threadsPerBlock);
  b.setInsertionPointToStart(&kernel.getBody().front());
  Value first =
      arith::MulIOp::create(b, kernel.getBlockIds().x,
                            arith::ConstantIndexOp::create(b, threadsPerBlock));
  Value i = arith::AddIOp::create(b, first, kernel.getThreadIds().x);
  Value isInside =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ult, i, count);
  auto inside = scf::IfOp::create(b, isInside, /*withElseRegion=*/false);
  loop.getInductionVars()[0].replaceAllUsesWith(i);
  Block *body = inside.thenBlock();
  loop.getBody()->getTerminator()->erase();
  body->getOperations().splice(body->begin(), loop.getBody()->getOperations());
  loop.erase();
}

void MapToKernels::mapPending() {
  if (pending.empty())
    return;
  Operation *last = pending.back();
  ImplicitLocOpBuilder b(pending.front()->getLoc(), last->getNextNode());
  gpu::LaunchOp kernel =
      launch(b, arith::ConstantIndexOp::create(b, 1), /*threads=*/1);
  Operation *end = kernel.getBody().front().getTerminator();
  for (Operation *op : pending) {
    op->moveBefore(end);
    made.insert(op->result_begin(), op->result_end());
  }
  pending.clear();
}

void MapToKernels::mapBlock(Block &block) {
  auto isMade = [&](Value value) {
    return made.contains(value) ||
           llvm::is_contained(pending, value.getDefiningOp());
  };
  for (Operation &op : llvm::make_early_inc_range(block.without_terminator())) {
    if (auto loop = dyn_cast<scf::ParallelOp>(op)) {
      mapPending();
      mapParallel(loop);
    } else if (isa<gpu::LaunchOp, func::CallOp>(op)) {
      mapPending();
    } else if (hasParallel(&op)) {
      mapPending();
      for (Region &region : op.getRegions())
        for (Block &inner : region)
          mapBlock(inner);
    } else if (touchesDevice(&op) || llvm::any_of(op.getOperands(), isMade)) {
      pending.push_back(&op);
    }
  }
  mapPending();
}

/// Makes views and constants in the kernel itself.
static void sink(gpu::LaunchOp launch) {
  auto isSunk = [](Value value) {
    Operation *op = value.getDefiningOp();
    return op && isMemoryEffectFree(op) && op->getNumRegions() == 0 &&
           (isBuffer(value) || isa<LLVM::LLVMStructType>(value.getType()) ||
            matchPattern(op, m_Constant()));
  };
  Region &body = launch.getBody();
  while (true) {
    llvm::SetVector<Value> used;
    getUsedValuesDefinedAbove(body, used);
    bool any = false;
    OpBuilder b(launch.getContext());
    for (Value value : used) {
      if (!isSunk(value))
        continue;
      b.setInsertionPointToStart(&body.front());
      Operation *clone = b.clone(*value.getDefiningOp());
      unsigned result = cast<OpResult>(value).getResultNumber();
      replaceAllUsesInRegionWith(value, clone->getResult(result), body);
      any = true;
    }
    if (!any)
      return;
  }
}

/// What is left on the host must not need what the device makes; other launches
/// find it in memory.
LogicalResult MapToKernels::passValues() {
  func::FuncOp func = getOperation();
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  int64_t slots = 0;
  Value workspace; // made where there is something to pass
  for (Value value : made) {
    auto maker = value.getDefiningOp()->getParentOfType<gpu::LaunchOp>();
    SmallVector<OpOperand *> elsewhere;
    for (OpOperand &use : value.getUses())
      if (!maker->isProperAncestor(use.getOwner()))
        elsewhere.push_back(&use);
    if (elsewhere.empty())
      continue;
    auto arguments = func->getAttrOfType<ArrayAttr>(entryAttr::kArguments);
    if (slots == entryAttr::kPassedValues || !arguments)
      return emitError(value.getLoc(), "no room for a value that passes from "
                                       "one kernel to another");
    ImplicitLocOpBuilder b(value.getLoc(), &getContext());
    auto slot = [&](int64_t index) -> Value {
      return LLVM::GEPOp::create(b, pointer, b.getI64Type(), workspace,
                                 ArrayRef<LLVM::GEPArg>{int32_t(index)});
    };
    if (!workspace) {
      b.setInsertionPointToStart(&func.getBody().front());
      Value place = LLVM::GEPOp::create(
          b, pointer, pointer, func.getArgument(1),
          ArrayRef<LLVM::GEPArg>{int32_t(arguments.size())});
      workspace = LLVM::LoadOp::create(b, pointer, place);
    }
    bool isIndex = value.getType().isIndex();
    Type stored = isIndex ? b.getI64Type() : value.getType();
    b.setInsertionPoint(maker.getBody().front().getTerminator());
    Value kept = isIndex ? arith::IndexCastOp::create(b, stored, value) : value;
    LLVM::StoreOp::create(b, kept, slot(slots));
    DenseMap<Operation *, Value> loaded;
    for (OpOperand *use : elsewhere) {
      auto user = use->getOwner()->getParentOfType<gpu::LaunchOp>();
      if (!user)
        return emitError(value.getLoc(),
                         "the host would have to wait for a value of the "
                         "device: it is used by '")
               << use->getOwner()->getName() << "'";
      Value &again = loaded[user];
      if (!again) {
        b.setInsertionPointToStart(&user.getBody().front());
        again = LLVM::LoadOp::create(b, stored, slot(slots));
        if (isIndex)
          again = arith::IndexCastOp::create(b, b.getIndexType(), again);
      }
      use->set(again);
    }
    ++slots;
  }
  return success();
}

void MapToKernels::runOnOperation() {
  func::FuncOp func = getOperation();
  if (func.isExternal())
    return;
  number = 0;
  pending.clear();
  made.clear();
  for (Block &block : func.getBody())
    mapBlock(block);
  if (failed(passValues()))
    return signalPassFailure();
  StringRef function = func.getName();
  if (auto name = func->getAttrOfType<StringAttr>(entryAttr::kFunction))
    function = name.getValue();
  func.walk([&](gpu::LaunchOp launch) {
    sink(launch);
    StringRef op = nameOf(launch.getLoc());
    std::string name = (function + "_" + Twine(number++)).str();
    if (!op.empty())
      name += ("_" + op).str();
    if (usesWgmma(launch))
      name += kWgmmaSuffix;
    if (usesFp8(launch))
      name += kFp8Suffix;
    launch.setModule("kernels");
    launch.setFunction(name);
  });
}
