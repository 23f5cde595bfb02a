//===- CallKernels.cpp - Launches to calls of the runtime -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Kernels/Entry.h"
#include "moe/Target/GPU/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"

namespace moe {
#define GEN_PASS_DEF_CALLKERNELSPASS
#include "moe/Target/GPU/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;

static constexpr llvm::StringLiteral kLaunch = "moe_gpu_launch";

namespace {

struct CallKernels : moe::impl::CallKernelsPassBase<CallKernels> {
  void runOnOperation() override;

private:
  LogicalResult callFrom(func::FuncOp func);
  void call(gpu::LaunchFuncOp launch, Value device, int64_t kernel,
            Block &entry);
  void declare();
};

/// Where a kernel is in its module, counting kernels only.
FailureOr<int64_t> numberOf(gpu::LaunchFuncOp launch) {
  auto module = SymbolTable::lookupNearestSymbolFrom<gpu::GPUModuleOp>(
      launch, launch.getKernelModuleName());
  int64_t number = 0;
  if (module)
    for (Operation &op : module.getOps()) {
      if (!op.hasAttr(gpu::GPUDialect::getKernelFuncAttrName()))
        continue;
      if (SymbolTable::getSymbolName(&op) == launch.getKernelName())
        return number;
      ++number;
    }
  return launch.emitOpError("has no kernel '") << launch.getKernel() << "'";
}

/// A kernel says itself what its clusters are, so that all launches are alike.
LogicalResult setCluster(gpu::LaunchFuncOp launch) {
  if (!launch.hasClusterSize())
    return success();
  gpu::KernelDim3 sizes = launch.getClusterSizeOperandValues();
  SmallVector<int32_t, 3> known;
  for (Value size : {sizes.x, sizes.y, sizes.z}) {
    APInt number;
    if (!matchPattern(size, m_ConstantInt(&number)))
      return launch.emitOpError("expected clusters of a constant size");
    known.push_back(static_cast<int32_t>(number.getSExtValue()));
  }
  SymbolTable::lookupNearestSymbolFrom(launch, launch.getKernel())
      ->setAttr(NVVM::NVVMDialect::getClusterDimAttrName(),
                DenseI32ArrayAttr::get(launch.getContext(), known));
  return success();
}

/// What is in the host's own memory goes to the kernel as it is there: an
/// address of it would mean nothing.
void passByValue(gpu::LaunchFuncOp launch, unsigned operand,
                 LLVM::AllocaOp memory) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(
      launch, launch.getKernel());
  if (!kernel)
    return;
  OpBuilder b(launch);
  kernel.setArgAttr(operand, LLVM::LLVMDialect::getByValAttrName(),
                    TypeAttr::get(memory.getElemType()));
  kernel.setArgAttr(operand, LLVM::LLVMDialect::getAlignAttrName(),
                    b.getI64IntegerAttr(memory.getAlignment().value_or(1)));
}

} // namespace

void CallKernels::call(gpu::LaunchFuncOp launch, Value device, int64_t kernel,
                       Block &entry) {
  ImplicitLocOpBuilder b(launch.getLoc(), launch);
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  Type i64 = b.getI64Type();
  auto toI64 = [&](Value value) -> Value {
    return value.getType().isIndex()
               ? arith::IndexCastOp::create(b, i64, value).getResult()
               : value;
  };
  SmallVector<Value> arguments;
  SmallVector<Type> types;
  for (auto [i, operand] : llvm::enumerate(launch.getKernelOperands())) {
    if (auto memory = operand.getDefiningOp<LLVM::AllocaOp>())
      passByValue(launch, i, memory);
    arguments.push_back(toI64(operand));
    types.push_back(arguments.back().getType());
  }
  // The room is that of the function: a launch may be in a loop.
  OpBuilder::InsertPoint here = b.saveInsertionPoint();
  auto values = LLVM::LLVMStructType::getLiteral(&getContext(), types);
  b.setInsertionPointToStart(&entry);
  Value one = LLVM::ConstantOp::create(b, i64, 1);
  Value room = LLVM::AllocaOp::create(b, pointer, values, one);
  Value count = LLVM::ConstantOp::create(
      b, i64, std::max<int64_t>(static_cast<int64_t>(types.size()), 1));
  Value places = LLVM::AllocaOp::create(b, pointer, pointer, count);
  b.restoreInsertionPoint(here);
  for (auto [i, argument] : llvm::enumerate(arguments)) {
    auto index = static_cast<int32_t>(i);
    Value place = argument;
    if (!argument.getDefiningOp<LLVM::AllocaOp>()) {
      place = LLVM::GEPOp::create(b, pointer, values, room,
                                  ArrayRef<LLVM::GEPArg>{0, index});
      LLVM::StoreOp::create(b, argument, place);
    }
    Value slot = LLVM::GEPOp::create(b, pointer, pointer, places,
                                     ArrayRef<LLVM::GEPArg>{index});
    LLVM::StoreOp::create(b, place, slot);
  }
  Value shared = launch.getDynamicSharedMemorySize();
  if (!shared)
    shared = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  gpu::KernelDim3 blocks = launch.getGridSizeOperandValues();
  gpu::KernelDim3 threads = launch.getBlockSizeOperandValues();
  func::CallOp::create(
      b, kLaunch, TypeRange{},
      ValueRange{
          device, arith::ConstantOp::create(b, b.getI32IntegerAttr(kernel)),
          toI64(blocks.x), toI64(blocks.y), toI64(blocks.z), toI64(threads.x),
          toI64(threads.y), toI64(threads.z), shared, places});
  launch.erase();
}

LogicalResult CallKernels::callFrom(func::FuncOp func) {
  SmallVector<gpu::LaunchFuncOp> launches;
  func.walk([&](gpu::LaunchFuncOp launch) { launches.push_back(launch); });
  if (launches.empty())
    return success();
  auto arguments = func->getAttrOfType<ArrayAttr>(entryAttr::kArguments);
  if (!arguments)
    return func.emitError("expected '")
           << entryAttr::kArguments << "' of a function that launches kernels";
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  Block &entry = func.getBody().front();
  ImplicitLocOpBuilder b(func.getLoc(), func.getContext());
  b.setInsertionPointToStart(&entry);
  // After the workspace and the exchange.
  auto index = static_cast<int32_t>(arguments.size() + 2);
  Value place = LLVM::GEPOp::create(b, pointer, pointer, func.getArgument(1),
                                    ArrayRef<LLVM::GEPArg>{index});
  Value device = LLVM::LoadOp::create(b, pointer, place);
  for (gpu::LaunchFuncOp launch : launches) {
    FailureOr<int64_t> kernel = numberOf(launch);
    if (failed(kernel) || failed(setCluster(launch)))
      return failure();
    call(launch, device, *kernel, entry);
  }
  return success();
}

void CallKernels::declare() {
  ModuleOp module = getOperation();
  if (module.lookupSymbol(kLaunch))
    return;
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  Type i32 = b.getI32Type(), i64 = b.getI64Type();
  func::FuncOp::create(
      b, module.getLoc(), kLaunch,
      b.getFunctionType(
          {pointer, i32, i64, i64, i64, i64, i64, i64, i32, pointer}, {}))
      .setPrivate();
}

void CallKernels::runOnOperation() {
  for (auto func : getOperation().getOps<func::FuncOp>())
    if (!func.isExternal() && failed(callFrom(func)))
      return signalPassFailure();
  declare();
}
