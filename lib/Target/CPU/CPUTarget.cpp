//===- CPUTarget.cpp - What is known of a CPU when code is made -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Target/CPU/CPU.h"

#include "moe/Support/Suggest.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"

#include <unistd.h>

using namespace llvm;
using namespace moe;

/// What LLVM knows of the instructions of x86 CPUs; its other features only say
/// what is fast.
static constexpr StringLiteral x86Features[] = {
#define X86_FEATURE(ENUM, STR) STR,
#include "llvm/TargetParser/X86TargetParser.def"
};

/// Features that no package needs to ask for: what every x86-64 has, ways of
/// using other instructions, and instructions for systems, which nothing but an
/// intrinsic asks for and virtual machines hide.
static constexpr StringLiteral neverAsked[] = {
    "64bit",       "cmov",     "cx8",        "fxsr",       "mmx",
    "sse",         "sse2",     "x87",        "vzeroupper", "cldemote",
    "clwb",        "clzero",   "clflushopt", "enqcmd",     "fsgsbase",
    "invpcid",     "lwp",      "mwaitx",     "movdiri",    "movdir64b",
    "pconfig",     "pku",      "prefetchi",  "ptwrite",    "rdpid",
    "rdpru",       "rdrnd",    "rdseed",     "serialize",  "shstk",
    "tsxldtrk",    "uintr",    "waitpkg",    "wbnoinvd",   "xsave",
    "xsavec",      "xsaveopt", "xsaves",     "amx-avx512", "amx-bf16",
    "amx-complex", "amx-fp16", "amx-fp8",    "amx-int8",   "amx-movrs",
    "amx-tf32",    "amx-tile"};

CPUTarget::CPUTarget(CPUTarget &&) = default;
CPUTarget &CPUTarget::operator=(CPUTarget &&) = default;
CPUTarget::~CPUTarget() = default;

static std::string suggestion(StringRef name, const MCSubtargetInfo &info) {
  std::vector<std::string_view> known;
  for (const SubtargetSubTypeKV &cpu : info.getAllProcessorDescriptions())
    known.push_back(cpu.Key);
  return didYouMean(name, known);
}

Expected<CPUTarget> CPUTarget::create(StringRef name) {
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  Triple triple(sys::getDefaultTargetTriple());
  std::string message;
  const llvm::Target *target = TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return createStringError(message);
  CPUTarget result;
  SubtargetFeatures features;
  result.native = name == "native";
  if (result.native) {
    result.cpu = sys::getHostCPUName();
    // A guest may hide features that its CPU model has.
    for (auto &[feature, enabled] : sys::getHostCPUFeatures())
      features.AddFeature(feature, enabled);
  } else {
    std::unique_ptr<MCSubtargetInfo> info(
        target->createMCSubtargetInfo(triple, "", ""));
    if (!info->isCPUStringValid(name))
      return createStringError("unknown cpu '" + name.str() +
                               "'; expected 'native' or a cpu of LLVM such as "
                               "'x86-64-v3'" +
                               suggestion(name, *info));
    result.cpu = name.str();
  }
  TargetOptions options;
  result.machine.reset(target->createTargetMachine(
      triple, result.cpu, features.getString(), options, Reloc::PIC_,
      std::nullopt, CodeGenOptLevel::Aggressive));
  return result;
}

std::string CPUTarget::triple() const {
  return machine->getTargetTriple().str();
}

std::vector<std::string> CPUTarget::requiredFeatures() const {
  std::vector<std::string> features;
  for (const SubtargetFeatureKV &feature :
       machine->getMCSubtargetInfo()->getEnabledProcessorFeatures())
    if (is_contained(x86Features, feature.Key) &&
        !is_contained(neverAsked, feature.Key))
      features.push_back(feature.Key);
  return features;
}

bool CPUTarget::hasBF16Dot() const {
  return machine->getMCSubtargetInfo()->checkFeatures("+avx512bf16");
}

int64_t CPUTarget::registers() const {
  return machine->getMCSubtargetInfo()->checkFeatures("+avx512f") ? 32 : 16;
}

int64_t CPUTarget::vectorWidth() const {
  const MCSubtargetInfo &info = *machine->getMCSubtargetInfo();
  if (info.checkFeatures("+avx512f"))
    return 16;
  return info.checkFeatures("+avx2") ? 8 : 4;
}

/// A system that does not tell leaves what the CPU's name told.
static void setCache(int64_t &size, [[maybe_unused]] int level) {
#ifdef _SC_LEVEL1_DCACHE_SIZE
  long bytes =
      sysconf(level == 1 ? _SC_LEVEL1_DCACHE_SIZE : _SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0)
    size = bytes;
#endif
}

Machine CPUTarget::core() const {
  Machine core;
  core.lanes = vectorWidth();
  core.registers = registers();
  setCaches(core, cpu);
  if (native) {
    setCache(core.l1, 1);
    setCache(core.l2, 2);
  }
  return core;
}
