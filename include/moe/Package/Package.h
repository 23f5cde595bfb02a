//===- Package.h - What an application links --------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PACKAGE_PACKAGE_H
#define MOE_PACKAGE_PACKAGE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace llvm {
class Module;
} // namespace llvm

namespace moe {

struct Spec;

/// How members along an axis share a dimension of a weight.
struct Split {
  int64_t dim = 0;
  std::string axis;
  int64_t parts = 1;                         // blocks that are each split
  std::vector<std::vector<int64_t>> experts; // of each member, if not in order
};

/// Which part of a weight a rank has.
struct Shard {
  std::vector<int64_t> whole;
  std::vector<Split> split;
  std::string onlyFirst; // the axis whose other members have zeros
};

inline bool operator==(const Split &a, const Split &b) {
  return std::tie(a.dim, a.axis, a.parts, a.experts) ==
         std::tie(b.dim, b.axis, b.parts, b.experts);
}
inline bool operator==(const Shard &a, const Shard &b) {
  return std::tie(a.whole, a.split, a.onlyFirst) ==
         std::tie(b.whole, b.split, b.onlyFirst);
}
inline bool operator!=(const Shard &a, const Shard &b) { return !(a == b); }

/// One buffer of a function, as docs/Manifest.md has it.
struct Argument {
  std::string name, role, type;
  std::vector<std::string> shape;
  bool startsAsWeight = false;
  int64_t fanIn = 0; // of a weight; 0: its last size
  std::optional<Shard> shard;
  std::string packed; // a weight in strips: their order
};

/// A size that is the sum of one over a group.
struct SizeSum {
  std::string size, of;
  std::vector<std::string> axes;
  /// Only of ranks that come before along these; none: of all.
  std::vector<std::string> before = {};
};

/// What of an exchange is the same in each call; what it does not have is
/// empty.
struct Collective {
  std::string kind;
  std::vector<std::string> axes;
  std::string type;
  std::optional<int64_t> row;
  std::string rows, reduce;
  std::optional<int64_t> root, peer, places;
  std::string pattern, mode, bound, name;
  std::vector<int64_t> chunk; // the first place, and the one after the last
  std::string whole;
  bool even = false, packed = false;
};

/// One function of a package.
struct Signature {
  std::string name, symbol;
  std::vector<std::string> sizes;
  std::vector<Argument> arguments;
  int64_t workspaceConstant = 0;
  std::vector<std::pair<std::string, int64_t>> workspacePer;
  std::vector<SizeSum> sums;
  std::vector<std::string> tokensOver; // axes
  bool hasExchange = false;            // takes the pointer for collectives
  std::vector<Collective> collectives;
  /// Of code for a device, where that has others beside a CPU.
  std::optional<std::vector<Collective>> deviceCollectives;

  std::vector<Argument> withRole(llvm::StringRef role) const;
};

/// Reads what `moe-lower-to-loops` left on the entries of `module`, and reports
/// what no package can have: docs/Manifest.md says what the runtime takes.
mlir::FailureOr<std::vector<Signature>> readSignatures(mlir::ModuleOp module);

/// Adds functions made for another CPU or, with `areOfDevice`, for a device: a
/// workspace that is enough for both, and the device's exchanges. In all else
/// they have to be the same.
llvm::Error mergeSignatures(std::vector<Signature> &signatures,
                            llvm::ArrayRef<Signature> others, bool areOfDevice);

/// The kernels of a package for a device, one image for each architecture.
struct PackageKernels {
  struct Image {
    std::string arch, bytes;
    std::string symbol; // of a table in the package, in place of bytes
  };
  std::vector<Image> images;
  std::vector<std::string> names; // of kernels, in the order of their numbers
};

/// The code of a package for one CPU, or for a device and its host.
struct PackageVariant {
  std::string kind; // of the target
  std::string cpu;
  std::vector<std::string> features;
  std::string suffix;     // of the symbols of its functions
  PackageKernels kernels; // none: the CPU does it all
};

/// What a manifest says beyond its functions.
struct PackageInfo {
  std::string name;
  const Spec *spec = nullptr; // null: made from .mlir
  std::string triple;
  std::vector<PackageVariant> variants;
  /// Sizes of axes; empty: those of the spec.
  std::vector<std::pair<std::string, int64_t>> grid;
};

std::string makeManifest(const PackageInfo &info,
                         llvm::ArrayRef<Signature> signatures);
std::string makeHeader(llvm::StringRef name,
                       llvm::ArrayRef<Signature> signatures);

/// Gives the functions of one variant their symbols, and hides all but its
/// entries.
void nameEntries(llvm::Module &code, const PackageVariant &variant,
                 llvm::ArrayRef<Signature> signatures);

/// Adds the package's table, its manifest and the functions of its header to
/// the code of all variants.
void addInterface(llvm::Module &code, const PackageInfo &info,
                  llvm::StringRef manifest,
                  llvm::ArrayRef<Signature> signatures);

/// Writes a file whole or not at all. "-" is standard output; a device or a
/// pipe is written to and stays what it is.
llvm::Error writeText(llvm::StringRef path, llvm::StringRef text);

/// Writes libNAME.so, libNAME.a, NAME.h, NAME.json, NAMEConfig.cmake and
/// NAME.pc to `directory`: all of them, or on an error none.
llvm::Error writePackage(llvm::StringRef directory, llvm::StringRef name,
                         llvm::StringRef object, llvm::StringRef manifest,
                         llvm::StringRef header);

} // namespace moe

#endif // MOE_PACKAGE_PACKAGE_H
