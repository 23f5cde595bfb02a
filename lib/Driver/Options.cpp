//===- Options.cpp - The command line of moe-opt --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CheckOptions.h"
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
static constexpr std::pair<StringLiteral, GpuClusters> clusterChoices[] = {
    {"auto", GpuClusters::whereTheyPay},
    {"always", GpuClusters::always},
    {"never", GpuClusters::never},
};
static constexpr StringLiteral optionNames[] = {
    "--emit",     "--target", "--cpu",      "--compile-to",
    "--dump-dir", "--layer",  "--blocks",   "--tokens",
    "--ceilings", "--grid",   "--gpu-arch", "--gpu-clusters"};
static constexpr StringLiteral flagNames[] = {
    "--layers", "--json", "--dequantize", "--plan", "--unpacked"};

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

Error moe::setGpuArchs(CompileOptions &options, StringRef value) {
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

StringRef moe::emitName(Emit emit) {
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

static Error setOption(CompileOptions &options, StringRef name, StringRef value,
                       GivenOptions &given) {
  if (name == "--emit")
    return choose<Emit>(name, value, emits, options.emit);
  if (name == "--target")
    return setTargets(options, value);
  if (name == "--compile-to") {
    given.phase = true;
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
  if (name == "--gpu-clusters")
    return choose<GpuClusters>(name, value, clusterChoices,
                               options.gpuClusters.emplace());
  if (name == "--grid")
    return setGrid(options, value);
  if (is_contained(gridOptionNames(), name))
    return setGridOption(options.grid, name, value);
  std::string &text = name == "--blocks"     ? options.blocks
                      : name == "--tokens"   ? given.tokens
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

Expected<CompileOptions> moe::parseOptions(ArrayRef<const char *> arguments) {
  CompileOptions options;
  GivenOptions given;
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
      given.plan = true;
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
    else if (Error error = setOption(options, name, value, given))
      return error;
  }
  if (Error error = checkOptions(options, given))
    return error;
  return options;
}
