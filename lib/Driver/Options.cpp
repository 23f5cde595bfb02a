//===- Options.cpp - The command line of moe-opt --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GridOptions.h"

#include "moe/Driver/Driver.h"
#include "moe/Support/Suggest.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace moe;

static constexpr std::pair<StringLiteral, Emit> emits[] = {
    {"spec", Emit::spec},       {"mlir", Emit::mlir},
    {"llvm", Emit::llvm},       {"asm", Emit::assembly},
    {"object", Emit::object},   {"header", Emit::header},
    {"package", Emit::package}, {"ptx", Emit::ptx},
    {"cubin", Emit::cubin},     {"fatbin", Emit::fatbin},
};
static constexpr std::pair<StringLiteral, TargetKind> targets[] = {
    {"cpu", TargetKind::cpu},
    {"reference", TargetKind::reference},
    {"cuda", TargetKind::cuda},
    {"sim", TargetKind::sim},
};
static constexpr StringLiteral optionNames[] = {
    "--emit",     "--target", "--cpu",     "--compile-to",
    "--dump-dir", "--layer",  "--blocks",  "--tokens",
    "--ceilings", "--grid",   "--gpu-arch"};
static constexpr StringLiteral flagNames[] = {
    "--layers", "--json", "--dequantize", "--plan", "--unpacked"};

StringRef moe::helpText() {
  return R"(moe-opt: compiles Mixture-of-Experts layers

usage: moe-opt SPEC.json [options]     from a spec to the moe dialect or beyond
       moe-opt config.json [options]   the same for a layer of a model of Hugging
                                       Face, of which this is the configuration
       moe-opt FILE.mlir [options]     the same from the moe dialect
       moe-opt FILE.mlir --moe-fuse …  single passes, as mlir-opt runs them

  --emit=WHAT        what to write (default: mlir)
                       spec     the spec with every default written out
                       mlir     the program at the phase of --compile-to
                       llvm     LLVM IR, optimised
                       asm      assembly
                       object   an object file
                       header   the C header of the package
                       package  a directory with library, archive, header,
                                manifest, CMake and pkg-config files
                       ptx      kernels as text, for --target=cuda
                       cubin    kernels as machine code, by ptxas
                       fatbin   the same for several architectures
  --target=KIND      cpu (default), cuda: kernels for NVIDIA GPUs, sim: the same
                     for a simulator that checks what they do, or reference:
                     plain f64 loops that every other target must agree with;
                     cpu,cuda: a package that picks where it is loaded
  --gpu-arch=NAME,…  architectures of GPUs: sm_80, sm_90a, … machine code, by
                     the ptxas of MOE_PTXAS, CUDA_HOME or PATH, compute_80, …
                     PTX, which drivers compile for what is newer too
                     (default: sm_80,compute_80, or one of them)
  --cpu=NAME,…       native (default), x86-64-v3, x86-64-v4, znver4, …; of
                     several, a package runs the best that the machine can
  --compile-to=PHASE stop after import, graph (default), autodiff, sharding,
                     kernels or target
  --dump-dir=DIR     write the program after each phase to DIR
  --grid=dp=1,ep=4,tp=2
                     the devices that a package is for, instead of those of
                     the spec: one package, which each of them runs; with
                     ,chunks=N rows are exchanged beside the experts
  --layer=L          the layer of a config.json (default: its first MoE layer)
  --layers           print the layers of a config.json, in groups of which one
                     package serves all; --json prints them for programs
  --dequantize       plain weights for a config.json whose weights are quantised
  --plan             print how the products are cut into blocks, and the time
                     that a forward is expected to take beside what the machine
                     could do at best; --json prints it for programs
  --tokens=T,…       the numbers of tokens of a plan (default: 1,16,256,4096)
  --devices=N        a plan for N devices: how to place the layer on them, what
                     that takes and sends, and what cannot be; of all devices
                     together --tokens is one number (default: 8192)
  --nodes=N          machines that the devices are in (default: of 8 each)
  --device-memory=M  such as 80GiB (default)
  --link=LINKS       intra:900GB/s,inter:50GB/s: what a device sends within a
                     node and between nodes; intra:900GB/s:3us with a latency
  --device-flops=F   such as 989TFLOP/s; --device-bandwidth=B, such as 3.35TB/s
                     (defaults: those of an H100)
  --layer-count=N    layers like this one that the devices hold (default: 1)
  --ceilings=FILE    what the machine does at best, for a plan, as measured:
                     {"threads": 2, "bandwidth": 3.5e10, "f32": 5.2e11,
                     "bf16": 1.0e12}, in bytes and operations a second
  --blocks=SIZES     other blocks of products than those that are chosen, such
                     as rows=96,outs=64,depth=2048,task=128
  --unpacked         weights stay as they are stored, which makes products on
                     CPUs slower, and borrowed ones need no memory of their own
  --families         print the families of models that are known
  -o PATH            where to write (default: standard output)
  --help             this; --help-passes lists every pass
  --version          the version of this and of LLVM

examples:
  moe-opt examples/specs/tiny.json
  moe-opt examples/specs/olmoe.json --emit=package -o out/
  moe-opt examples/specs/olmoe.json --emit=package --cpu=x86-64-v3,x86-64-v4 -o out/
  moe-opt examples/specs/olmoe.json --emit=package --target=cpu,cuda -o out/
  moe-opt examples/specs/tiny.json --compile-to=kernels --target=reference
  moe-opt config.json --layers
)";
}

static std::string suggestion(StringRef text, ArrayRef<StringRef> known) {
  return didYouMean(text, {known.begin(), known.end()});
}

StringRef moe::name(TargetKind target) {
  return find_if(targets, [&](auto &entry) { return entry.second == target; })
      ->first;
}

template <typename T>
static Error choose(StringRef option, StringRef text,
                    ArrayRef<std::pair<StringLiteral, T>> table, T &result) {
  SmallVector<StringRef> names;
  for (auto &[name, value] : table) {
    if (name == text) {
      result = value;
      return Error::success();
    }
    names.push_back(name);
  }
  return createStringError("unknown value '" + text.str() + "' of " +
                           option.str() + "; expected " + join(names, ", ") +
                           suggestion(text, names));
}

static bool isOption(StringRef argument, StringRef name) {
  return argument == name || argument.starts_with((name + "=").str());
}

bool moe::isCompilation(ArrayRef<const char *> arguments) {
  return any_of(arguments, [](StringRef argument) {
    auto isThis = [&](StringRef name) { return isOption(argument, name); };
    return argument.ends_with(".json") || argument == "--help" ||
           argument == "-h" || is_contained(flagNames, argument) ||
           any_of(optionNames, isThis) || any_of(gridOptionNames(), isThis);
  });
}

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

static Error setGrid(CompileOptions &options, StringRef text) {
  Grid grid;
  auto wrong = [&] {
    return createStringError("found '" + text.str() +
                             "' for --grid, expected sizes of axes such as "
                             "dp=1,ep=4,tp=2 or ep=4,chunks=2");
  };
  SmallVector<StringRef> seen;
  int64_t chunks = 1;
  for (StringRef entry : split(text, ',')) {
    auto [axis, size] = entry.split('=');
    int64_t *member = axis == "dp"       ? &grid.dp
                      : axis == "ep"     ? &grid.ep
                      : axis == "tp"     ? &grid.tp
                      : axis == "chunks" ? &chunks
                                         : nullptr;
    if (!member || is_contained(seen, axis) || size.getAsInteger(10, *member) ||
        *member < 1 || *member > (member == &chunks ? 8 : 1 << 20))
      return wrong();
    seen.push_back(axis);
  }
  if (is_contained(seen, "chunks"))
    grid.chunks = chunks;
  options.import.grid = grid;
  return Error::success();
}

static Error setCpus(CompileOptions &options, StringRef value) {
  options.cpus.clear();
  for (StringRef name : split(value, ',')) {
    if (name.empty())
      return createStringError("found '" + value.str() +
                               "' for --cpu, expected names with a comma "
                               "between them");
    if (is_contained(options.cpus, name))
      return createStringError("'" + name.str() + "' is twice in '" +
                               value.str() + "' for --cpu");
    options.cpus.push_back(name.str());
  }
  return Error::success();
}

static bool isKernels(Emit emit) {
  return emit == Emit::ptx || emit == Emit::cubin || emit == Emit::fatbin;
}

static Error setGpuArchs(CompileOptions &options, StringRef value) {
  options.gpuArchs.clear();
  for (StringRef name : split(value, ',')) {
    Expected<GPUArch> arch = GPUArch::parse(name);
    if (!arch)
      return arch.takeError();
    for (const GPUArch &other : options.gpuArchs)
      if (other.name == arch->name)
        return createStringError("'" + name.str() + "' is twice in '" +
                                 value.str() + "' for --gpu-arch");
    options.gpuArchs.push_back(std::move(*arch));
  }
  return Error::success();
}

static StringRef emitName(Emit emit) {
  return find_if(emits, [&](auto &entry) { return entry.second == emit; })
      ->first;
}

/// A package can have code for the CPU and one kind of device.
static Error setTargets(CompileOptions &options, StringRef value) {
  options.targets.clear();
  for (StringRef entry : split(value, ',')) {
    TargetKind target;
    if (Error error = choose<TargetKind>("--target", entry, targets, target))
      return error;
    options.targets.push_back(target);
  }
  llvm::sort(options.targets); // the CPU's code first
  bool isPair = options.targets.size() == 2 &&
                options.targets.front() == TargetKind::cpu &&
                hasKernels(options.targets.back());
  if (options.targets.size() == 1 || isPair)
    return Error::success();
  return createStringError("found '" + value.str() +
                           "' for --target, expected one name, cpu,cuda or "
                           "cpu,sim");
}

/// Whether what is written has room for the code of one CPU only.
static bool isForOneCpu(Emit emit) {
  return emit == Emit::mlir || emit == Emit::llvm || emit == Emit::assembly ||
         emit == Emit::object || emit == Emit::plan;
}

static Error setOption(CompileOptions &options, StringRef name, StringRef value,
                       bool &phaseGiven, std::string &tokens) {
  if (name == "--emit")
    return choose<Emit>(name, value, emits, options.emit);
  if (name == "--target")
    return setTargets(options, value);
  if (name == "--compile-to") {
    phaseGiven = true;
    SmallVector<StringRef> names;
    for (Phase phase : allPhases())
      names.push_back(moe::name(phase));
    if (std::optional<Phase> phase = parsePhase(value)) {
      options.compileTo = *phase;
      return Error::success();
    }
    return createStringError("unknown value '" + value.str() +
                             "' of --compile-to; expected " +
                             join(names, ", ") + suggestion(value, names));
  }
  if (name == "--layer") {
    int64_t layer = 0;
    if (value.getAsInteger(10, layer) || layer < 0)
      return createStringError("found '" + value.str() +
                               "' for --layer, expected a number from 0 on");
    options.import.layer = layer;
    return Error::success();
  }
  if (name == "--cpu")
    return setCpus(options, value);
  if (name == "--gpu-arch")
    return setGpuArchs(options, value);
  if (name == "--grid")
    return setGrid(options, value);
  if (is_contained(gridOptionNames(), name))
    return setGridOption(options.grid, name, value);
  std::string &text = name == "--blocks"     ? options.blocks
                      : name == "--tokens"   ? tokens
                      : name == "--ceilings" ? options.ceilings
                                             : options.dumpDirectory;
  text = value.str();
  return Error::success();
}

static bool setFlag(CompileOptions &options, StringRef name) {
  bool *flag = name == "--layers"       ? &options.layers
               : name == "--json"       ? &options.json
               : name == "--unpacked"   ? &options.unpacked
               : name == "--dequantize" ? &options.import.dequantize
                                        : nullptr;
  if (flag)
    *flag = true;
  return flag;
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

Expected<CompileOptions> moe::parseOptions(ArrayRef<const char *> arguments) {
  CompileOptions options;
  bool phaseGiven = false, planGiven = false;
  std::string tokens;
  for (size_t i = 0; i < arguments.size(); ++i) {
    StringRef argument = arguments[i];
    bool isPath = argument == "-" || !argument.starts_with("-");
    if (isPath && options.input.empty()) {
      options.input = argument.str();
      continue;
    }
    if (isPath)
      return createStringError("more than one input: '" + options.input +
                               "' and '" + argument.str() + "'");
    if (argument == "--plan")
      planGiven = true;
    if (argument == "--plan" || setFlag(options, argument))
      continue;
    auto [name, value] = argument.split('=');
    if (name != "-o" && !is_contained(optionNames, name) &&
        !is_contained(gridOptionNames(), name)) {
      SmallVector<StringRef> known(std::begin(optionNames),
                                   std::end(optionNames));
      known.append(gridOptionNames().begin(), gridOptionNames().end());
      known.append(std::begin(flagNames), std::end(flagNames));
      known.append({"--families", "--help", "--version"});
      return createStringError("unknown option '" + name.str() + "'" +
                               suggestion(name, known));
    }
    // Both --emit=object and --emit object.
    if (!argument.contains('=')) {
      if (i + 1 == arguments.size())
        return createStringError("expected a value after '" + name.str() + "'");
      value = arguments[++i];
    }
    if (value.empty())
      return createStringError("expected a value after '" + name.str() + "'");
    if (name == "-o")
      options.output = value.str();
    else if (Error error = setOption(options, name, value, phaseGiven, tokens))
      return error;
  }
  if (options.input.empty())
    return createStringError("no input; expected a spec such as model.json");
  if (options.json && !options.layers && !planGiven)
    return createStringError("--json goes with --layers or --plan only");
  if (planGiven && (options.layers || options.emit != Emit::mlir || phaseGiven))
    return createStringError("expected either --plan or " +
                             Twine(options.layers ? "--layers"
                                   : phaseGiven   ? "--compile-to"
                                                  : "--emit"));
  if (planGiven && options.targets.back() != TargetKind::cpu)
    return createStringError("--plan goes with --target=cpu only");
  for (auto [name, given] : {std::pair("--tokens", !tokens.empty()),
                             std::pair("--ceilings", !options.ceilings.empty()),
                             std::pair("--devices", options.grid.devices > 0)})
    if (given && !planGiven)
      return createStringError(Twine(name) + " goes with --plan only");
  if (Error error = checkGridOptions(options.grid))
    return error;
  for (auto [name, given] :
       {std::pair("--ceilings", !options.ceilings.empty()),
        std::pair("--blocks", !options.blocks.empty()),
        std::pair("--cpu", options.cpus.front() != "native")})
    if (given && options.grid.devices)
      return createStringError("expected either --devices or " + Twine(name));
  if (tokens.empty())
    tokens = options.grid.devices ? "8192" : "1,16,256,4096";
  if (Error error = setTokens(options, tokens))
    return error;
  if (planGiven)
    options.emit = Emit::plan;
  if (options.layers && options.import.layer)
    return createStringError("expected either --layers or --layer");
  if (options.layers && (options.emit != Emit::mlir || phaseGiven))
    return createStringError("expected either --layers or " +
                             Twine(phaseGiven ? "--compile-to" : "--emit"));
  if (phaseGiven && options.emit != Emit::mlir)
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
  return options;
}
