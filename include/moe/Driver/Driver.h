//===- Driver.h - moe-opt -----------------------------------------*- C++ -*-=//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DRIVER_DRIVER_H
#define MOE_DRIVER_DRIVER_H

#include "moe/Import/Import.h"
#include "moe/Pipelines/Pipelines.h"
#include "moe/Schedule/GridPlan.h"
#include "moe/Target/GPU/GPUArch.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace moe {

class CPUTarget;
struct Signature;

enum class Emit {
  spec,
  mlir,
  llvm,
  assembly,
  object,
  header,
  package,
  ptx,
  cubin,
  fatbin,
  plan // --plan
};
enum class TargetKind { cpu, reference, cuda, sim };
llvm::StringRef name(TargetKind target);

/// Whether a target has kernels for a GPU, or what takes its place.
inline bool hasKernels(TargetKind target) {
  return target == TargetKind::cuda || target == TargetKind::sim;
}

/// Devices that a plan is for; 0: not said.
struct GridPlanOptions {
  int64_t devices = 0, nodes = 0, layers = 1;
  double memory = 0, flops = 0, bandwidth = 0;
  Link intra, inter;
  std::vector<std::string> given; // options, in order
};

/// What the command line asks for.
struct CompileOptions {
  std::string input;
  std::string output = "-";
  Emit emit = Emit::mlir;
  std::vector<TargetKind> targets = {TargetKind::cpu};
  std::vector<std::string> cpus = {"native"};
  std::vector<GPUArch> gpuArchs;          // of cuda and sim
  std::optional<GpuClusters> gpuClusters; // none: not said
  Phase compileTo = Phase::graph;
  std::string dumpDirectory; // empty: none
  ImportOptions import;
  bool layers = false; // print the table of layers instead
  bool json = false;   // in JSON
  std::string blocks;  // of products, as parseBlocks reads them; empty: chosen
  bool unpacked = false;       // weights stay in rows
  std::vector<int64_t> tokens; // of a plan
  std::string ceilings;        // a file for a plan; empty: nominal ones
  GridPlanOptions grid;        // of a plan for many devices
};

/// Whether these arguments ask to compile, rather than to run passes.
bool isCompilation(llvm::ArrayRef<const char *> arguments);
llvm::Expected<CompileOptions>
parseOptions(llvm::ArrayRef<const char *> arguments);
llvm::StringRef helpText();

/// Compiles; reports to stderr and returns the exit status.
int compile(const CompileOptions &options);

/// What is expected of a layer on a CPU: a table, or JSON. `forward` is what
/// the compiler made of it.
llvm::Expected<std::string> printPlan(const CompileOptions &options,
                                      const Spec &spec, const CPUTarget &target,
                                      const Signature &forward);

/// How to place a layer on many devices: tables, or JSON.
llvm::Expected<std::string> printGridPlan(const CompileOptions &options,
                                          const Spec &spec);

/// The table of the families of models that can be imported.
std::string familyTable();

/// The whole of moe-opt.
int optMain(int argc, char **argv);

} // namespace moe

#endif // MOE_DRIVER_DRIVER_H
