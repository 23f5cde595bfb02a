//===- CPUTarget.cpp - What is known of a CPU when code is made -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Target/CPU/CPU.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"

using namespace llvm;
using namespace moe;

/// Features that the runtime knows how to ask the CPU for.
static constexpr StringLiteral checkable[] = {
    "sse3",       "ssse3",      "sse4.1",      "sse4.2",     "popcnt",
    "avx",        "avx2",       "fma",         "f16c",       "bmi",
    "bmi2",       "lzcnt",      "movbe",       "avx512f",    "avx512bw",
    "avx512cd",   "avx512dq",   "avx512vl",    "avx512vnni", "avx512bf16",
    "avx512vbmi", "avx512fp16", "amx-tile",    "amx-bf16",   "amx-int8",
    "avxvnni",    "avx512ifma", "avx512bitalg"};

CPUTarget::CPUTarget(CPUTarget &&) = default;
CPUTarget &CPUTarget::operator=(CPUTarget &&) = default;
CPUTarget::~CPUTarget() = default;

static std::string nearest(StringRef name, const MCSubtargetInfo &info) {
  StringRef best;
  unsigned bestDistance = 3;
  for (const SubtargetSubTypeKV &cpu : info.getAllProcessorDescriptions()) {
    unsigned distance =
        name.edit_distance(StringRef(cpu.Key), true, bestDistance);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = StringRef(cpu.Key);
    }
  }
  return best.empty() ? std::string()
                      : ("; did you mean '" + best + "'?").str();
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
  if (name == "native") {
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
                               nearest(name, *info));
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
  for (StringRef feature : checkable)
    if (machine->getMCSubtargetInfo()->checkFeatures(("+" + feature).str()))
      features.push_back(feature.str());
  return features;
}

int64_t CPUTarget::vectorWidth() const {
  const MCSubtargetInfo &info = *machine->getMCSubtargetInfo();
  if (info.checkFeatures("+avx512f"))
    return 16;
  return info.checkFeatures("+avx2") ? 8 : 4;
}
