//===- Leftovers.h - Tensors that no weight is made of ----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A tensor of the layer that nothing is made of is a sign that the layer is
// another one: a bias that the spec does not have, or more experts.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_LEFTOVERS_H
#define MOE_LIB_RUNTIME_LEFTOVERS_H

#include "Checkpoint.h"
#include "Manifest.h"

#include <unordered_set>

namespace moe::runtime {

class Leftovers {
public:
  void use(const std::string &name) { used.insert(name); }
  /// Fails if a tensor under a prefix of the manifest belongs to no source and
  /// is not ignored.
  void check(const Manifest &manifest, int64_t layer,
             Checkpoint &checkpoint) const;

private:
  std::unordered_set<std::string> used;
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_LEFTOVERS_H
