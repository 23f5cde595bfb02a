//===- Pieces.h - What a load will do ---------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Before a byte of a tensor is read, every tensor is found and checked. What
// comes of it says where each goes.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_PIECES_H
#define MOE_LIB_RUNTIME_PIECES_H

#include "Checkpoint.h"
#include "Manifest.h"

namespace moe::runtime {

/// How elements of a file become those of a weight.
enum class Conversion : uint8_t {
  none,
  bf16ToF32,
  f16ToF32,
  e8m0ToF32,
  i64ToI32,
  /// Words of eight numbers of four bits.
  awqWeights,
  gptqZeros,
  awqZeros,
  compressedZeros,
};

/// What one tensor gives to a weight. The tensor is seen as units of `[rows,
/// columns]`, the weight as `[units, outputs, inputs]`; a unit is an expert, or
/// all of a weight without experts.
struct Piece {
  Stored tensor;
  int64_t rows = 1, columns = 1;
  int64_t fileBytes = 1; ///< of an element in the file
  bool transposed = false;
  bool broadcast = false; ///< one number for each unit, or for all
  Conversion conversion = Conversion::none;
  /// What is taken of the tensor, from these on, and of its outputs every so
  /// many.
  int64_t firstUnit = 0, firstOutput = 0, outputStep = 1, firstInput = 0;

  int64_t units = 1, outputs = 1, inputs = 1;
  int64_t elementBytes = 1; ///< of one of the inputs
  int64_t begin = 0;        ///< where the first unit is, in bytes
  int64_t unitStride = 0;   ///< from a unit to the next, in bytes
  int64_t pitch = 0;        ///< from an output to the next, in bytes

  /// Whether whole rows go from the file to the weight as they are.
  bool isPlain() const {
    return !transposed && !broadcast && outputStep == 1 && inputs == columns &&
           conversion == Conversion::none;
  }
  /// Those of a unit's rows that anything is taken of.
  int64_t firstRow() const;
  int64_t endRow() const;
  uint64_t rowBytes() const { return uint64_t(columns * fileBytes); }
  uint64_t unitBytes() const { return uint64_t(rows) * rowBytes(); }
};

/// Quantised tensors whose values are computed while they are loaded. Each of
/// the arrays is what docs/Spec.md has for one unit.
struct DecodedPiece {
  Decode decode;
  DType dtype = DType::f32; ///< of the values
  int64_t units = 1, outputs = 1, inputs = 1;
  std::vector<Piece> weights, scales, zeros, globalScale;
  /// What is taken of it.
  struct Taken {
    int64_t firstUnit = 0, firstOutput = 0, firstInput = 0;
    int64_t units = 1, outputs = 1, inputs = 1;
  } taken;
  int64_t begin = 0, unitStride = 0, pitch = 0; ///< as in Piece

  int64_t weightBytes() const;  ///< of one unit
  int64_t scaleRows() const;    ///< of one unit
  int64_t scaleColumns() const; ///< of one unit
  bool hasByteScales() const {
    return decode.coding == Coding::mxfp4 || decode.coding == Coding::nvfp4;
  }
};

struct WeightPieces {
  std::vector<Piece> plain;
  std::vector<DecodedPiece> decoded;
};

/// Finds the tensors of every weight, one entry for each. All tensors of the
/// whole are looked for, whatever a rank takes of them.
std::vector<WeightPieces> findPieces(const Manifest &manifest,
                                     const std::vector<Slice> &slices,
                                     int64_t layer, Checkpoint &checkpoint);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_PIECES_H
