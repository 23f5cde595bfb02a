//===- Npy.h - NumPy files --------------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Reading and writing of .npy files, little-endian, in C order. bf16, which
// NumPy lacks, is written as '<V2' and read from '<V2' or '<u2'.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUN_NPY_H
#define MOE_LIB_RUN_NPY_H

#include "Array.h"

namespace moe::run {

Array readNpy(const std::string &path);
void writeNpy(const std::string &path, const Array &array);

} // namespace moe::run

#endif // MOE_LIB_RUN_NPY_H
