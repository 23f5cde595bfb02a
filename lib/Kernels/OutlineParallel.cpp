//===- OutlineParallel.cpp - Parallel loops to calls of the runtime -------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Kernels/Passes.h"

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

namespace moe {
#define GEN_PASS_DEF_OUTLINEPARALLELPASS
#include "moe/Kernels/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;

static constexpr llvm::StringLiteral kParallelFor = "moe_parallel_for";

namespace {

struct OutlineParallel : moe::impl::OutlineParallelPassBase<OutlineParallel> {
  void runOnOperation() override;

private:
  bool outline(scf::ParallelOp loop, func::FuncOp parent, unsigned number,
               const LLVMTypeConverter &converter);
};

/// Values that the body uses from outside, and constants that it can make anew.
void splitCaptures(scf::ParallelOp loop, llvm::SetVector<Value> &captured,
                   SmallVector<Operation *> &constants) {
  llvm::SetVector<Value> used;
  getUsedValuesDefinedAbove(loop.getRegion(), used);
  for (Value value : used) {
    Operation *definition = value.getDefiningOp();
    if (definition && matchPattern(definition, m_Constant()))
      constants.push_back(definition);
    else
      captured.insert(value);
  }
}

} // namespace

/// A value in the type in which LLVM keeps it, or back.
static Value convert(ImplicitLocOpBuilder &b, Value value, Type type) {
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(b, type, value).getResult(0);
}

/// Whether it could: every value that the body uses must fit into a struct.
bool OutlineParallel::outline(scf::ParallelOp loop, func::FuncOp parent,
                              unsigned number,
                              const LLVMTypeConverter &converter) {
  ImplicitLocOpBuilder b(loop.getLoc(), loop);
  llvm::SetVector<Value> captured;
  SmallVector<Operation *> constants;
  splitCaptures(loop, captured, constants);
  SmallVector<Type> fields;
  for (Value value : captured)
    fields.push_back(converter.convertType(value.getType()));
  if (llvm::is_contained(fields, Type()))
    return false;
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  auto context = LLVM::LLVMStructType::getLiteral(&getContext(), fields);
  auto fieldAt = [&](Value base, size_t i) -> Value {
    return LLVM::GEPOp::create(b, pointer, context, base,
                               ArrayRef<LLVM::GEPArg>{0, int32_t(i)});
  };

  // The body: unpack the context, then run its share of the iterations.
  b.setInsertionPoint(parent);
  std::string name =
      (parent.getName() + "_loop" + std::to_string(number)).str();
  auto body = func::FuncOp::create(
      b, name,
      b.getFunctionType({pointer, b.getI64Type(), b.getI64Type()}, {}));
  body.setPrivate();
  Block *entry = body.addEntryBlock();
  b.setInsertionPointToStart(entry);
  IRMapping mapping;
  for (Operation *constant : constants)
    b.clone(*constant, mapping);
  for (auto [i, value] : llvm::enumerate(captured)) {
    Value field =
        LLVM::LoadOp::create(b, fields[i], fieldAt(entry->getArgument(0), i));
    mapping.map(value, convert(b, field, value.getType()));
  }
  auto toIndex = [&](Value value) -> Value {
    return arith::IndexCastOp::create(b, b.getIndexType(), value);
  };
  // Memory of the thread's own is there once, not again for each iteration.
  for (auto local : loop.getBody()->getOps<memref::AllocaOp>())
    b.clone(*local, mapping);
  auto share = scf::ForOp::create(b, toIndex(entry->getArgument(1)),
                                  toIndex(entry->getArgument(2)),
                                  arith::ConstantIndexOp::create(b, 1));
  func::ReturnOp::create(b);
  b.setInsertionPointToStart(share.getBody());
  mapping.map(loop.getInductionVars()[0], share.getInductionVar());
  for (Operation &op : loop.getBody()->without_terminator())
    if (!isa<memref::AllocaOp>(op))
      b.clone(op, mapping);

  // The call: pack the context on the stack of the function, once.
  b.setInsertionPointToStart(&parent.getBody().front());
  Value one = LLVM::ConstantOp::create(b, b.getI64Type(), 1);
  Value stack = LLVM::AllocaOp::create(b, pointer, context, one);
  b.setInsertionPoint(loop);
  for (auto [i, value] : llvm::enumerate(captured))
    LLVM::StoreOp::create(b, convert(b, value, fields[i]), fieldAt(stack, i));
  Value target = convert(
      b, func::ConstantOp::create(b, body.getFunctionType(), name), pointer);
  Value count =
      arith::IndexCastOp::create(b, b.getI64Type(), loop.getUpperBound()[0]);
  func::CallOp::create(b, kParallelFor, TypeRange{},
                       ValueRange{target, stack, count});
  loop.erase();
  return true;
}

void OutlineParallel::runOnOperation() {
  ModuleOp module = getOperation();
  LLVMTypeConverter converter(&getContext());
  bool any = false;
  for (auto func : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
    unsigned number = 0;
    SmallVector<scf::ParallelOp> loops;
    func.walk<WalkOrder::PreOrder>([&](scf::ParallelOp loop) {
      bool fromZero = matchPattern(loop.getLowerBound()[0], m_Zero()) &&
                      matchPattern(loop.getStep()[0], m_One());
      if (loop.getNumLoops() == 1 && loop.getNumReductions() == 0 && fromZero)
        loops.push_back(loop);
      return WalkResult::skip();
    });
    for (scf::ParallelOp loop : loops)
      number += outline(loop, func, number, converter);
    any |= number != 0;
  }
  if (!any || module.lookupSymbol(kParallelFor))
    return;
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  func::FuncOp::create(
      b, module.getLoc(), kParallelFor,
      b.getFunctionType({pointer, pointer, b.getI64Type()}, {}))
      .setPrivate();
}
