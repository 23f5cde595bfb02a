//===- Match.h - From a tensor to a piece of a weight -----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Types and shapes: whether a tensor is what a source says, and how it is read.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_MATCH_H
#define MOE_LIB_RUNTIME_MATCH_H

#include "Pieces.h"

namespace moe::runtime {

/// What is made of tensors: a weight, or an array of a quantised one.
struct Target {
  enum class Role : uint8_t { values, scales, zeros };
  DType dtype = DType::f32;
  Role role = Role::values;
  bool perExpert = false;
  int64_t units = 1, outputs = 1, inputs = 1;
  /// The weight's dimensions from which outputs and inputs are.
  size_t outputAxis = 0, inputAxis = 0;

  int64_t unitStride() const { return outputs * inputs * bytes(dtype); }
  /// The same for fewer experts, or where there are none for fewer rows.
  Target share(int64_t count) const;
  int64_t shareable() const { return perExpert ? units : outputs; }
};

/// The whole weight as units, outputs and inputs. `eachExpert`: its sources
/// have one tensor for each entry of the first dimension.
Target targetOf(const Weight &weight, bool eachExpert);

/// The tensor as all of `target`'s units, or as one of them.
Piece matchTensor(const Stored &tensor, const Source &source,
                  const Target &target, bool oneUnit);

/// How many experts, or rows, of `target` the tensor has.
int64_t countIn(const Stored &tensor, const Source &source,
                const Target &target);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_MATCH_H
