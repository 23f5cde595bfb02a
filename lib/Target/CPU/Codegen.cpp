//===- Codegen.cpp - The LLVM dialect to machine code ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Target/CPU/CPU.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;
using namespace moe;

static void optimize(Module &module, TargetMachine &machine) {
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager callGraph;
  ModuleAnalysisManager modules;
  // Kernels are unrolled as far as registers go.
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

/// Whether some instruction converts to or from f16.
static bool convertsF16(const Module &module) {
  for (const Function &function : module)
    for (const Instruction &instruction : instructions(function))
      if (isa<FPExtInst, FPTruncInst>(instruction) &&
          (instruction.getType()->getScalarType()->isHalfTy() ||
           instruction.getOperand(0)->getType()->getScalarType()->isHalfTy()))
        return true;
  return false;
}

/// Makes masked reads and writes of 16-bit floats those of integers. CPUs
/// without masks take such vectors apart, and would convert each number on the
/// way, with a function of the compiler's own library.
static void maskIntegers(Function &function) {
  for (Instruction &instruction :
       make_early_inc_range(instructions(function))) {
    auto *access = dyn_cast<IntrinsicInst>(&instruction);
    Intrinsic::ID id = access ? access->getIntrinsicID() : 0;
    bool isLoad = id == Intrinsic::masked_load;
    if (!isLoad && id != Intrinsic::masked_store)
      continue;
    Value *pointer = access->getArgOperand(isLoad ? 0 : 1);
    Value *values = access->getArgOperand(isLoad ? 2 : 0);
    Value *mask = access->getArgOperand(isLoad ? 1 : 2);
    Type *type = values->getType();
    if (!type->getScalarType()->is16bitFPTy())
      continue;
    IRBuilder<> builder(access);
    Value *integers = builder.CreateBitCast(
        values, VectorType::getInteger(cast<VectorType>(type)));
    Align align = access->getParamAlign(isLoad ? 0 : 1).valueOrOne();
    if (isLoad) {
      Value *loaded = builder.CreateMaskedLoad(integers->getType(), pointer,
                                               align, mask, integers);
      access->replaceAllUsesWith(builder.CreateBitCast(loaded, type));
    } else {
      builder.CreateMaskedStore(integers, pointer, align, mask);
    }
    access->eraseFromParent();
  }
}

Expected<std::unique_ptr<Module>>
CPUTarget::translate(mlir::ModuleOp module, LLVMContext &context,
                     function_ref<void(Module &)> prepare) const {
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  std::unique_ptr<Module> result =
      mlir::translateModuleToLLVMIR(module, context, "moe");
  if (!result)
    return createStringError("the module cannot be translated to LLVM IR");
  result->setDataLayout(machine->createDataLayout());
  result->setTargetTriple(machine->getTargetTriple());
  // Without the instruction it would be a call to a compiler's own library.
  if (convertsF16(*result) && machine->getTargetTriple().isX86() &&
      !machine->getMCSubtargetInfo()->checkFeatures("+f16c"))
    return createStringError("cpu '" + cpu +
                             "' cannot convert f16; expected one with f16c, "
                             "such as 'x86-64-v3'");
  prepare(*result);
  for (Function &function : *result) {
    function.addFnAttr("target-cpu", machine->getTargetCPU());
    function.addFnAttr("target-features", machine->getTargetFeatureString());
    if (function.isDeclaration())
      continue;
    function.setDoesNotThrow();
    maskIntegers(function);
    // Without it, CPUs whose LLVM model prefers narrow vectors split ours.
    function.addFnAttr("prefer-vector-width",
                       std::to_string(vectorWidth() * 32));
  }
  optimize(*result, *machine);
  return result;
}

Expected<SmallString<0>> CPUTarget::emit(Module &module, Output output) const {
  SmallString<0> buffer;
  raw_svector_ostream stream(buffer);
  legacy::PassManager passes;
  auto type = output == Output::assembly ? CodeGenFileType::AssemblyFile
                                         : CodeGenFileType::ObjectFile;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, type))
    return createStringError("no machine code for " + triple());
  passes.run(module);
  return buffer;
}
