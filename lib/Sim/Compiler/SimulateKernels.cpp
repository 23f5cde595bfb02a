//===- SimulateKernels.cpp - Kernels to functions of the host -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Image.h"
#include "SharedLayout.h"

#include "moe/Sim/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"

namespace moe {
#define GEN_PASS_DEF_SIMULATEKERNELSPASS
#include "moe/Sim/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;
using namespace moe::sim;

namespace {

struct SimulateKernels : moe::impl::SimulateKernelsPassBase<SimulateKernels> {
  using SimulateKernelsPassBase::SimulateKernelsPassBase;
  void runOnOperation() override;
};

/// One `gpu.module` on its way to the host.
class Simulation {
public:
  Simulation(ModuleOp host, gpu::GPUModuleOp device, int64_t architecture)
      : host(host), device(device), architecture(architecture), calls(host),
        shared(layOutShared(device)) {}

  LogicalResult run();

private:
  LogicalResult rewrite(LLVM::LLVMFuncOp function);
  LogicalResult rewriteAddress(LLVM::AddressOfOp op);
  LogicalResult moveToHost();
  void addEntry(LLVM::LLVMFuncOp kernel, KernelEntry &entry);
  int64_t bytesOf(Type type) {
    return int64_t(DataLayout(device).getTypeSize(type).getFixedValue());
  }

  ModuleOp host;
  gpu::GPUModuleOp device;
  int64_t architecture;
  Calls calls;
  SharedLayout shared;
  SmallVector<KernelEntry> kernels;
  SmallVector<GlobalEntry> globals;
};

} // namespace

LogicalResult Simulation::rewriteAddress(LLVM::AddressOfOp op) {
  auto global = device.lookupSymbol<LLVM::GlobalOp>(op.getGlobalName());
  if (!global || !isShared(global))
    return success();
  calls.setPlace(op);
  auto found = shared.offsetOf.find(global);
  Value address =
      found == shared.offsetOf.end()
          ? calls.call("moe_sim_dynamic_shared", calls.pointer(), {})
          : calls.call("moe_sim_static_shared", calls.pointer(),
                       {calls.constant(found->second, 64)});
  Value cast =
      LLVM::AddrSpaceCastOp::create(calls.builder(), op.getType(), address);
  (void)replace(op, cast);
  return success();
}

LogicalResult Simulation::rewrite(LLVM::LLVMFuncOp function) {
  if (function.isExternal()) {
    if (SymbolTable::symbolKnownUseEmpty(function, device)) {
      function.erase();
      return success();
    }
    return function.emitError("the simulator does not know the function '")
           << function.getName() << "'";
  }
  SmallVector<Operation *> ops;
  function.walk([&](Operation *op) { ops.push_back(op); });
  for (Operation *op : ops) {
    if (op == function)
      continue;
    if (failed(checkAccess(op, calls)))
      return failure();
    if (auto address = dyn_cast<LLVM::AddressOfOp>(op)) {
      if (failed(rewriteAddress(address)))
        return failure();
      continue;
    }
    for (auto *rewrite : {rewriteSynchronization, rewriteCopies,
                          rewriteMatrices, rewriteNumbers, rewriteOther}) {
      calls.setPlace(op);
      Rewrite done = rewrite(op, calls);
      if (failed(done))
        return failure();
      if (*done)
        break;
    }
  }
  return success();
}

static int64_t product(ArrayRef<int32_t> values) {
  int64_t all = 1;
  for (int32_t value : values)
    all *= value;
  return all;
}

/// What a launch runs: loads the parameters and calls the kernel.
void Simulation::addEntry(LLVM::LLVMFuncOp kernel, KernelEntry &entry) {
  ImplicitLocOpBuilder b(kernel.getLoc(), kernel);
  auto pointer = calls.pointer();
  auto type = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(b.getContext()), {pointer});
  b.setInsertionPointAfter(kernel);
  auto body = LLVM::LLVMFuncOp::create(b, (kernel.getName() + "_thread").str(),
                                       type, LLVM::Linkage::Internal);
  Block *block = body.addEntryBlock(b);
  b.setInsertionPointToStart(block);
  SmallVector<Value> arguments;
  for (auto [i, argument] : llvm::enumerate(kernel.getArguments())) {
    Value at = LLVM::GEPOp::create(b, pointer, pointer, block->getArgument(0),
                                   ArrayRef<LLVM::GEPArg>{int32_t(i)});
    Value parameter = LLVM::LoadOp::create(b, pointer, at);
    // A parameter by value is read where it lies.
    if (auto byValue = kernel.getArgAttrOfType<TypeAttr>(
            unsigned(i), LLVM::LLVMDialect::getByValAttrName())) {
      entry.parameterSizes.push_back(bytesOf(byValue.getValue()));
      arguments.push_back(parameter);
      continue;
    }
    entry.parameterSizes.push_back(bytesOf(argument.getType()));
    arguments.push_back(LLVM::LoadOp::create(b, argument.getType(), parameter));
  }
  LLVM::CallOp::create(b, kernel, arguments);
  LLVM::ReturnOp::create(b, ValueRange());
  entry.body = body;
}

/// One address space, and nothing of what only a GPU's compiler reads.
static void makePlain(Operation *op) {
  AttrTypeReplacer replacer;
  replacer.addReplacement([](LLVM::LLVMPointerType type) {
    return LLVM::LLVMPointerType::get(type.getContext());
  });
  replacer.recursivelyReplaceElementsIn(op, /*replaceAttrs=*/true,
                                        /*replaceLocs=*/false,
                                        /*replaceTypes=*/true);
  op->walk([](LLVM::AddrSpaceCastOp cast) {
    cast.replaceAllUsesWith(cast.getArg());
    cast.erase();
  });
  SmallVector<StringAttr> names;
  for (NamedAttribute attribute : op->getDiscardableAttrs())
    if (isa_and_nonnull<NVVM::NVVMDialect, gpu::GPUDialect>(
            attribute.getNameDialect()))
      names.push_back(attribute.getName());
  for (StringAttr name : names)
    op->removeDiscardableAttr(name);
  if (auto function = dyn_cast<LLVM::LLVMFuncOp>(op)) {
    function.removeArgAttrsAttr();
    function.setLinkage(LLVM::Linkage::Internal);
    function->removeAttr("target_cpu");
    function->removeAttr("target_features");
  }
  if (auto global = dyn_cast<LLVM::GlobalOp>(op)) {
    global.setAddrSpace(0);
    global.setLinkage(LLVM::Linkage::Internal);
  }
}

LogicalResult Simulation::moveToHost() {
  std::string prefix = (device.getName() + "_").str();
  SmallVector<LLVM::LLVMFuncOp> functions(device.getOps<LLVM::LLVMFuncOp>());
  for (LLVM::LLVMFuncOp function : functions) {
    if (!isKernel(function))
      continue;
    KernelEntry entry;
    entry.name = function.getName().str();
    entry.staticShared = shared.bytesOf.lookup(function);
    entry.staticAlignment = shared.staticAlignment;
    entry.dynamicAlignment = shared.dynamicAlignment;
    for (StringRef name : {"nvvm.maxntid", "nvvm.reqntid"})
      if (auto most = function->getAttrOfType<DenseI32ArrayAttr>(name))
        entry.maxThreads = product(most);
    if (auto cluster =
            function->getAttrOfType<DenseI32ArrayAttr>("nvvm.cluster_dim")) {
      llvm::fill(entry.cluster, 1);
      llvm::copy(ArrayRef<int32_t>(cluster), entry.cluster);
    }
    addEntry(function, entry);
    kernels.push_back(std::move(entry));
  }
  for (Operation &op : llvm::make_early_inc_range(*device.getBody())) {
    auto global = dyn_cast<LLVM::GlobalOp>(op);
    if (global && isShared(global)) {
      op.erase();
      continue;
    }
    if (!global && !isa<LLVM::LLVMFuncOp>(op))
      return op.emitOpError("in kernels is not known to the simulator");
    std::string name = SymbolTable::getSymbolName(&op).str();
    if (global)
      globals.push_back({name, global, bytesOf(global.getGlobalType())});
    if (failed(SymbolTable::replaceAllSymbolUses(
            &op, StringAttr::get(op.getContext(), prefix + name), device)))
      return op.emitOpError("cannot be renamed");
    SymbolTable::setSymbolName(&op, prefix + name);
  }
  for (Operation &op : llvm::make_early_inc_range(*device.getBody())) {
    makePlain(&op);
    op.moveBefore(device);
  }
  return success();
}

LogicalResult Simulation::run() {
  SmallVector<LLVM::LLVMFuncOp> functions(device.getOps<LLVM::LLVMFuncOp>());
  for (LLVM::LLVMFuncOp function : functions)
    if (failed(rewrite(function)))
      return failure();
  if (failed(moveToHost()))
    return failure();
  std::string name = device.getName().str();
  device.erase();
  makeImage(host, name, architecture, kernels, globals, calls);
  return success();
}

void SimulateKernels::runOnOperation() {
  ModuleOp module = getOperation();
  if (architecture != 80 && architecture != 90) {
    module.emitError("'architecture' is ")
        << Twine(architecture.getValue()) << ", expected 80 or 90";
    return signalPassFailure();
  }
  auto devices = llvm::to_vector(module.getOps<gpu::GPUModuleOp>());
  if (devices.size() > 1) {
    devices[1].emitError("a second module of kernels, expected one");
    return signalPassFailure();
  }
  for (gpu::GPUModuleOp device : devices)
    if (failed(Simulation(module, device, architecture).run()))
      return signalPassFailure();
  module->removeAttr(gpu::GPUDialect::getContainerModuleAttrName());
}
