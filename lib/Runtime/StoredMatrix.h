//===- StoredMatrix.h - Types and layouts in files --------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_STOREDMATRIX_H
#define MOE_LIB_RUNTIME_STOREDMATRIX_H

#include "Match.h"

namespace moe::runtime {

/// What a source asks of a tensor's last two dimensions.
struct StoredMatrix {
  int64_t rows, columns, fileBytes;
  bool transposed;
  bool eitherWay = false; ///< the shape may decide
  Conversion conversion = Conversion::none;
  int64_t inputs, elementBytes; ///< of the piece
};

/// Fails where the tensor's type is none that can become the target's.
StoredMatrix matrixOf(const Stored &tensor, const Source &source,
                      const Target &target);
Conversion conversionTo(const Stored &tensor, const Target &target);
/// Of an element in the file.
int64_t fileBytesOf(Conversion conversion, int64_t elementBytes);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_STOREDMATRIX_H
