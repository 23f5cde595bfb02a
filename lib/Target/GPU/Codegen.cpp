//===- Codegen.cpp - Kernels at the NVVM level to PTX ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Target/GPU/GPU.h"

#include "moe/Kernels/Instructions.h"

#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/LoopUtils.h"

using namespace llvm;
using namespace moe;

/// Of CUDA 12.4.
static constexpr int64_t ptxOfFp8 = 84;

mlir::gpu::GPUModuleOp moe::findKernels(mlir::ModuleOp module) {
  auto kernels = module.getOps<mlir::gpu::GPUModuleOp>();
  return kernels.empty() ? mlir::gpu::GPUModuleOp() : *kernels.begin();
}

std::vector<std::string> moe::kernelNames(mlir::gpu::GPUModuleOp kernels) {
  std::vector<std::string> names;
  for (mlir::Operation &op : kernels.getOps())
    if (op.hasAttr(mlir::gpu::GPUDialect::getKernelFuncAttrName()))
      names.push_back(mlir::SymbolTable::getSymbolName(&op).str());
  return names;
}

bool moe::usesWgmma(mlir::Operation *op) {
  return op
      ->walk([](mlir::NVVM::WgmmaMmaAsyncOp) {
        return mlir::WalkResult::interrupt();
      })
      .wasInterrupted();
}

bool moe::usesFp8(mlir::Operation *op) {
  return op
      ->walk([](mlir::LLVM::CallIntrinsicOp call) {
        return call.getIntrin() == kMmaOfE4m3 ? mlir::WalkResult::interrupt()
                                              : mlir::WalkResult::advance();
      })
      .wasInterrupted();
}

void moe::dropKernels(mlir::gpu::GPUModuleOp kernels, const GPUArch &arch) {
  for (mlir::Operation &op : make_early_inc_range(kernels.getOps()))
    if ((!arch.hasWgmma() && usesWgmma(&op)) ||
        (!arch.hasFp8() && usesFp8(&op)))
      op.erase();
}

/// Registers can move between warpgroups if it is known how many there are: all
/// of the multiprocessor's.
static void boundRegisters(mlir::gpu::GPUModuleOp kernels) {
  mlir::Builder b(kernels.getContext());
  kernels.walk([&](mlir::NVVM::SetMaxRegisterOp op) {
    op->getParentOfType<mlir::LLVM::LLVMFuncOp>()->setAttr(
        mlir::NVVM::NVVMDialect::getMinctasmAttrName(), b.getI32IntegerAttr(1));
  });
}

static Expected<std::unique_ptr<TargetMachine>> makeMachine(const GPUArch &arch,
                                                            int64_t ptx) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  Triple triple("nvptx64-nvidia-cuda");
  std::string message;
  const llvm::Target *target = TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return createStringError(message);
  return std::unique_ptr<TargetMachine>(target->createTargetMachine(
      triple, arch.sm, "+ptx" + std::to_string(ptx), TargetOptions(),
      std::nullopt, std::nullopt, CodeGenOptLevel::Aggressive));
}

static void optimize(Module &module, TargetMachine &machine) {
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager callGraph;
  ModuleAnalysisManager modules;
  // What is read in many turns at once does not fit into registers; ptxas
  // unrolls what does.
  PipelineTuningOptions tuning;
  tuning.LoopUnrolling = false;
  PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);
  builder.buildPerModuleDefaultPipeline(OptimizationLevel::O3)
      .run(module, modules);
}

/// Asks ptxas to leave the loops of kernels of one thread as they are: what
/// their turns read at once would not fit into registers.
static void keepRolled(Module &module) {
  for (Function &function : module) {
    StringRef threads =
        function.getFnAttribute("nvvm.maxntid").getValueAsString();
    if (function.isDeclaration() || threads.split(',').first != "1")
      continue;
    DominatorTree dominators(function);
    LoopInfo loops(dominators);
    for (Loop *loop : loops.getLoopsInPreorder())
      addStringMetadataToLoop(loop, "llvm.loop.unroll.disable");
  }
}

/// What is passed by value stays where it is: TMA reads descriptions of tensors
/// from there.
static void keepParameters(Module &module) {
  for (Function &function : module)
    for (Argument &argument : function.args())
      if (argument.hasByValAttr())
        argument.addAttr(
            Attribute::get(module.getContext(), "nvvm.grid_constant"));
}

Expected<std::string> moe::emitPtx(mlir::gpu::GPUModuleOp kernels,
                                   const GPUArch &arch) {
  mlir::MLIRContext &context = *kernels.getContext();
  mlir::registerBuiltinDialectTranslation(context);
  mlir::registerGPUDialectTranslation(context);
  mlir::registerLLVMDialectTranslation(context);
  mlir::registerNVVMDialectTranslation(context);
  // Other architectures and the simulator take the kernels as they were.
  mlir::OwningOpRef<mlir::gpu::GPUModuleOp> own = kernels.clone();
  dropKernels(*own, arch);
  int64_t ptx = usesFp8(*own) ? std::max(arch.ptx, ptxOfFp8) : arch.ptx;
  Expected<std::unique_ptr<TargetMachine>> machine = makeMachine(arch, ptx);
  if (!machine)
    return machine.takeError();
  boundRegisters(*own);
  mlir::PassManager toText(&context, kernels->getName().getStringRef());
  toText.addPass(mlir::createConvertNVVMToLLVMPass());
  if (mlir::failed(toText.run(*own)))
    return createStringError("the kernels cannot be lowered to LLVM IR");
  LLVMContext llvmContext;
  std::unique_ptr<Module> module =
      mlir::translateModuleToLLVMIR(*own, llvmContext, "kernels");
  if (!module)
    return createStringError("the kernels cannot be translated to LLVM IR");
  module->setDataLayout((*machine)->createDataLayout());
  module->setTargetTriple((*machine)->getTargetTriple());
  keepParameters(*module);
  optimize(*module, **machine);
  keepRolled(*module);
  SmallString<0> text;
  raw_svector_ostream stream(text);
  legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, stream, nullptr,
                                      CodeGenFileType::AssemblyFile))
    return createStringError("no PTX for " + arch.name);
  passes.run(*module);
  return text.str().str();
}
