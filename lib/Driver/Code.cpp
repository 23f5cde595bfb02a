//===- Code.cpp - The code of a package -----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Code.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"

using namespace llvm;
using namespace moe;

Expected<std::vector<Program>> moe::createPrograms(ArrayRef<std::string> cpus) {
  std::vector<Program> programs;
  for (const std::string &cpu : cpus) {
    Expected<CPUTarget> target = CPUTarget::create(cpu);
    if (!target)
      return target.takeError();
    // Names in the list differ, but 'native' is another name of one of them.
    for (const Program &program : programs)
      if (program.target.name() == target->name())
        return createStringError("--cpu lists '" + target->name() +
                                 "' and 'native', which is the same here");
    programs.push_back({std::move(*target), {}});
  }
  return programs;
}

std::vector<PackageVariant> moe::describe(ArrayRef<Program> programs) {
  std::vector<PackageVariant> variants;
  for (const Program &program : programs) {
    std::string cpu = program.target.name().str();
    std::string suffix = programs.size() > 1 ? "." + cpu : "";
    variants.push_back({cpu, program.target.requiredFeatures(), suffix});
  }
  return variants;
}

Expected<std::unique_ptr<Module>>
moe::translate(ArrayRef<Program> programs, ArrayRef<PackageVariant> variants,
               ArrayRef<Signature> signatures, const PackageKernels &kernels,
               LLVMContext &context) {
  auto all = std::make_unique<Module>("moe", context);
  for (size_t i = 0; i < programs.size(); ++i) {
    auto prepare = [&](Module &code) {
      nameEntries(code, variants[i], signatures, kernels);
    };
    Expected<std::unique_ptr<Module>> code =
        programs[i].target.translate(*programs[i].module, context, prepare);
    if (!code)
      return code.takeError();
    if (Linker::linkModules(*all, std::move(*code)))
      return createStringError("the code for cpu '" + variants[i].cpu +
                               "' cannot be linked with that for others");
  }
  return all;
}

Expected<SmallString<0>> moe::emit(Module &code, bool asAssembly) {
  Expected<CPUTarget> anyCpu = CPUTarget::create("generic");
  if (!anyCpu)
    return anyCpu.takeError();
  return anyCpu->emit(code, asAssembly ? CPUTarget::Output::assembly
                                       : CPUTarget::Output::object);
}
