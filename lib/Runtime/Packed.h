//===- Packed.h - What stands beside packed weights -------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Methods of quantisation keep tensors of their own beside the words, which can
// change what the words mean.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_PACKED_H
#define MOE_LIB_RUNTIME_PACKED_H

#include "Checkpoint.h"
#include "Sources.h"

namespace moe::runtime {

/// Names of what may stand beside a tensor of words, with the same holes.
std::vector<std::string> companionsOf(const std::string &name, Packing packing);

/// Fails where an order of groups beside the words is not the plain one.
void checkPacked(Checkpoint &checkpoint, const Stored &words, Packing packing);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_PACKED_H
