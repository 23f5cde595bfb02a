//===- CheckOptions.cpp - What options say together -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CheckOptions.h"
#include "GridOptions.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace moe;

/// One number of all devices, or several of one.
static Error setTokens(CompileOptions &options, StringRef text) {
  bool grid = options.grid.devices > 0;
  const int64_t most = grid ? int64_t(1) << 36 : 1 << 20;
  const size_t mostNumbers = grid ? 1 : 16;
  SmallVector<StringRef> numbers;
  text.split(numbers, ',');
  options.tokens.clear();
  for (StringRef number : numbers) {
    int64_t tokens = 0;
    if (number.getAsInteger(10, tokens) || tokens < 1 || tokens > most ||
        numbers.size() > mostNumbers)
      return createStringError(
          "found '" + text.str() + "' for --tokens, expected " +
          (grid ? "a number from 1 to " + Twine(most) + " with --devices"
                : "up to " + Twine(mostNumbers) + " numbers from 1 to " +
                      Twine(most) + ", such as 1,16,256"));
    options.tokens.push_back(tokens);
  }
  return Error::success();
}

static bool isKernels(Emit emit) {
  return emit == Emit::ptx || emit == Emit::cubin || emit == Emit::fatbin;
}

/// Whether what is written has room for the code of one CPU only.
static bool isForOneCpu(Emit emit) {
  return emit == Emit::mlir || emit == Emit::llvm || emit == Emit::assembly ||
         emit == Emit::object || emit == Emit::plan;
}

/// What only kernels have, and what they do not have.
static Error checkGpuOptions(CompileOptions &options) {
  TargetKind target = options.targets.back();
  bool isGpu = hasKernels(target);
  bool isSimulated = target == TargetKind::sim;
  bool isMixed = options.targets.size() > 1;
  if (isMixed && (isForOneCpu(options.emit) || isKernels(options.emit)))
    return createStringError("found 'cpu," + moe::name(target).str() +
                             "' for --target, expected one name for --emit=" +
                             emitName(options.emit).str());
  if (!isGpu && !options.gpuArchs.empty())
    return createStringError("--gpu-arch goes with --target=cuda or sim only");
  if (!isGpu && options.gpuClusters)
    return createStringError(
        "--gpu-clusters goes with --target=cuda or sim only");
  if ((!isGpu || isSimulated) && isKernels(options.emit))
    return createStringError("--emit=" + emitName(options.emit).str() +
                             " goes with --target=cuda only");
  if (!isGpu)
    return Error::success();
  if (!isMixed && options.cpus.front() == "native")
    options.cpus = {"generic"}; // of the host, which only launches
  if (!isMixed && options.cpus.size() > 1)
    return createStringError("expected one name for --cpu with --target=" +
                             moe::name(target).str());
  if (isSimulated && options.gpuArchs.size() > 1)
    return createStringError(
        "expected one name for --gpu-arch with --target=sim");
  if (isSimulated && options.gpuArchs.empty())
    return setGpuArchs(options, "compute_80");
  bool isOne = options.emit == Emit::ptx || options.emit == Emit::cubin;
  if (isOne && options.gpuArchs.size() > 1)
    return createStringError("expected one name for --gpu-arch with --emit=" +
                             emitName(options.emit).str());
  if (options.emit == Emit::cubin && !options.gpuArchs.empty() &&
      options.gpuArchs.front().isPtx)
    return createStringError("found '" + options.gpuArchs.front().name +
                             "' for --gpu-arch, expected one such as 'sm_80' "
                             "with --emit=cubin");
  if (options.gpuArchs.empty())
    return setGpuArchs(options, isOne ? "sm_80" : "sm_80,compute_80");
  return Error::success();
}

Error moe::checkOptions(CompileOptions &options, GivenOptions given) {
  if (options.input.empty())
    return createStringError("no input; expected a spec such as model.json");
  if (options.json && !options.layers && !given.plan)
    return createStringError("--json goes with --layers or --plan only");
  if (given.plan &&
      (options.layers || options.emit != Emit::mlir || given.phase))
    return createStringError("expected either --plan or " +
                             Twine(options.layers ? "--layers"
                                   : given.phase  ? "--compile-to"
                                                  : "--emit"));
  if (given.plan && options.targets.back() != TargetKind::cpu)
    return createStringError("--plan goes with --target=cpu only");
  for (auto [name, isGiven] :
       {std::pair("--tokens", !given.tokens.empty()),
        std::pair("--ceilings", !options.ceilings.empty()),
        std::pair("--devices", options.grid.devices > 0)})
    if (isGiven && !given.plan)
      return createStringError(Twine(name) + " goes with --plan only");
  if (Error error = checkGridOptions(options.grid))
    return error;
  for (auto [name, isGiven] :
       {std::pair("--ceilings", !options.ceilings.empty()),
        std::pair("--blocks", !options.blocks.empty()),
        std::pair("--cpu", options.cpus.front() != "native")})
    if (isGiven && options.grid.devices)
      return createStringError("expected either --devices or " + Twine(name));
  if (given.tokens.empty())
    given.tokens = options.grid.devices ? "8192" : "1,16,256,4096";
  if (Error error = setTokens(options, given.tokens))
    return error;
  if (given.plan)
    options.emit = Emit::plan;
  if (options.layers && options.import.layer)
    return createStringError("expected either --layers or --layer");
  if (options.layers && (options.emit != Emit::mlir || given.phase))
    return createStringError("expected either --layers or " +
                             Twine(given.phase ? "--compile-to" : "--emit"));
  if (given.phase && options.emit != Emit::mlir)
    return createStringError("--compile-to goes with --emit=mlir only");
  if (options.cpus.size() > 1 && isForOneCpu(options.emit))
    return createStringError("found '" + join(options.cpus, ",") +
                             "' for --cpu, expected one name for " +
                             (options.emit == Emit::plan
                                  ? "--plan"
                                  : "--emit=" + emitName(options.emit)));
  if (Error error = checkGpuOptions(options))
    return error;
  if (options.emit == Emit::package && options.output == "-")
    return createStringError("expected -o DIRECTORY for --emit=package");
  if (options.emit == Emit::plan)
    options.compileTo = Phase::kernels;
  else if (options.emit != Emit::mlir && options.emit != Emit::spec)
    options.compileTo = Phase::target;
  return Error::success();
}
