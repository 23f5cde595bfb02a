//===- Manifest.h - What a package says about itself ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The manifest of docs/Manifest.md as plain structs. Whatever is in one has
// been checked: names are unique, references resolve, sizes do not overflow and
// can be found from the caller's tensors.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_MANIFEST_H
#define MOE_LIB_RUNTIME_MANIFEST_H

#include "DType.h"
#include "Slice.h"
#include "Sources.h"

#include "moe/Support/Strips.h"

#include <string>
#include <string_view>
#include <vector>

namespace moe::runtime {

constexpr size_t maxManifestBytes = size_t(16) << 20;
constexpr size_t maxRank = 8;
/// Of each table: weights, state, the arguments of a function.
constexpr size_t maxTensors = 1024;

/// One entry of a shape: ceil(factor * size / divisor), or factor alone.
struct Dim {
  int64_t factor = 1;
  int size = -1; ///< index into Function::sizes; -1: a plain number
  int64_t divisor = 1;
};

enum class Role { input, output, weight, state, plan };

struct Tensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  int64_t byteSize = 0;
};

struct Weight : Tensor {
  std::string fileName;
  int64_t fanIn = 1;
  bool perExpert = false;               ///< the first dimension counts experts
  StripOrder packed = StripOrder::rows; ///< on a CPU
  /// None: the weight is in the tensor `fileName`.
  std::vector<SourceList> alternatives;
  std::optional<Shard> shard; ///< where ranks have slices of it

  const std::vector<int64_t> &wholeShape() const {
    return shard ? shard->whole : shape;
  }
};

struct State : Tensor {
  int initialWeight = -1; ///< index into Manifest::weights; -1: zero
};

struct Argument {
  std::string name;
  Role role = Role::input;
  DType dtype = DType::f32;
  std::vector<Dim> shape;
  int index = -1; ///< into weights or state, for those roles
};

/// A size that is the sum of another one over a group of ranks.
struct Sum {
  int size = 0, of = 0; ///< indices into Function::sizes
  int32_t axes = 0;
  /// Only of ranks that come before along these of the axes; 0: of all.
  int32_t before = 0;
};

struct Function {
  std::string name, symbol;
  std::vector<std::string> sizes;
  std::vector<Sum> sums;  ///< each after those that it is a sum of
  int32_t tokensOver = 0; ///< axes whose ranks have tokens of their own
  std::vector<Collective> collectives;
  std::optional<std::vector<Collective>> deviceCollectives; ///< if others
  std::vector<Argument> arguments;
  int64_t workspaceConstant = 0;
  std::vector<int64_t> workspacePer; ///< one for each size

  /// How this size is a sum; null where it is none.
  const Sum *findSum(int size) const;
  /// The size that counts a rank's tokens, of which sums are; -1: none.
  int tokenSize() const;
  /// Whether it runs on all ranks together.
  bool needsRanks() const { return !sums.empty() || !collectives.empty(); }

  /// Index of the argument, -1 where there is none.
  int find(std::string_view argument) const;
};

/// What does the arithmetic.
enum class DeviceKind { cpu, cuda, sim };
const char *name(DeviceKind kind);

/// The code for one CPU, or for a device and its host.
struct Variant {
  DeviceKind kind = DeviceKind::cpu;
  std::string cpu;
  std::vector<std::string> features;      ///< that it asks for
  std::vector<std::string> architectures; ///< of its kernels

  bool usesGPU() const { return kind != DeviceKind::cpu; }
};

/// What a reader of files needs to know beside the weights.
struct CheckpointRules {
  int64_t layer = 0;
  /// What begins so must belong to a weight, or match what is ignored.
  std::vector<std::string> prefixes, ignore;
};

/// Milliseconds of each phase of a step; 0: the world's timeout.
struct AveragingTimeouts {
  int64_t matchMs = 0, exchangeMs = 0;
};

struct Manifest {
  std::string name, triple;
  Grid grid;
  AveragingTimeouts averaging;
  CheckpointRules checkpoint;
  std::vector<Variant> variants; ///< at least one
  std::vector<Weight> weights;
  std::vector<State> state;
  std::vector<Function> functions;

  int findWeight(std::string_view name) const;
  int findState(std::string_view name) const;
  int findFunction(std::string_view name) const;
};

/// Parses and checks; `label` is the file's name in messages.
Manifest parseManifest(std::string_view text, const std::string &label);

/// "2*T" as text, for messages.
std::string describe(const std::vector<Dim> &shape, const Function &function);

/// The value of an entry; nothing where it overflows.
std::optional<int64_t> evaluate(const Dim &dim, const int64_t *sizes);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_MANIFEST_H
