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

Expected<std::vector<Program>>
moe::createPrograms(ArrayRef<std::string> cpus, ArrayRef<TargetKind> targets) {
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
    programs.push_back({std::move(*target), targets.front(), {}, {}});
  }
  if (targets.size() == 1)
    return programs;
  Expected<CPUTarget> host = CPUTarget::create("generic");
  if (!host)
    return host.takeError();
  programs.push_back({std::move(*host), targets.back(), {}, {}});
  return programs;
}

std::vector<PackageVariant> moe::describe(std::vector<Program> &programs) {
  std::vector<PackageVariant> variants;
  for (Program &program : programs) {
    std::string suffix = programs.size() > 1 ? "." + program.label().str() : "";
    variants.push_back({name(program.kind).str(), program.target.name().str(),
                        program.target.requiredFeatures(), suffix,
                        std::move(program.kernels)});
  }
  return variants;
}

Expected<std::unique_ptr<Module>>
moe::translate(ArrayRef<Program> programs, ArrayRef<PackageVariant> variants,
               ArrayRef<Signature> signatures, LLVMContext &context) {
  auto all = std::make_unique<Module>("moe", context);
  for (size_t i = 0; i < programs.size(); ++i) {
    auto prepare = [&](Module &code) {
      nameEntries(code, variants[i], signatures);
    };
    Expected<std::unique_ptr<Module>> code =
        programs[i].target.translate(*programs[i].module, context, prepare);
    if (!code)
      return code.takeError();
    if (Linker::linkModules(*all, std::move(*code)))
      return createStringError("the code for '" + programs[i].label().str() +
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
