//===- MmaTile.h - What tiles of matrix instructions read -------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_MMATILE_H
#define MOE_LIB_KERNELS_MMATILE_H

#include "TileProduct.h"

namespace moe {

inline constexpr TileShape mmaShape = {64, 64, 32, 128};
inline constexpr int64_t mmaStages = 3;
/// What one copy takes.
inline constexpr int64_t copyBytes = 16;
/// Of an instruction, and the sums that a thread has of it: two of a row, and
/// two of another.
inline constexpr int64_t mmaRows = 16, mmaOutputs = 8;
inline constexpr int64_t sumsPerThread = 4;
/// Of an instruction for values of the type: 32 bytes.
inline int64_t mmaDepth(mlir::Type element) {
  return 256 / int64_t(element.getIntOrFloatBitWidth());
}

/// A matrix in the block's memory, some steps of the depth at a time. An
/// element of one or two bytes holds one value or two.
struct Staged {
  mlir::Type element;
  int64_t perElement;
  int64_t lines;
  mlir::Value memory = {}; // [stages, lines, pitch]

  int64_t bits() const { return element.getIntOrFloatBitWidth(); }
  /// Elements of a line in a step, and of a copy.
  int64_t elements() const { return mmaShape.depth / perElement; }
  int64_t perCopy() const { return copyBytes * 8 / bits(); }
  /// Lines are as far apart as lets eight of them lie in different banks.
  int64_t pitch() const {
    return elements() + (elements() > perCopy() ? perCopy() : 0);
  }
  int64_t bytes() const { return mmaStages * lines * pitch() * bits() / 8; }
  /// The memory as elements of any type.
  mlir::Value view(Emitter &e, mlir::Value shared, int64_t begin,
                   mlir::Type type) const;
};

/// Four matrices of eight lines of 16 bytes, as instructions take them; with
/// `transposed`, lines and values of 16 bits change places.
llvm::SmallVector<mlir::Value> loadMatrices(Emitter &e, mlir::Value memory,
                                            llvm::ArrayRef<Val> at,
                                            bool transposed = false);
inline llvm::SmallVector<mlir::Value>
loadMatrices(Emitter &e, const Staged &from, Val stage, Val line, Val place) {
  return loadMatrices(e, from.memory, {stage, line, place});
}
/// A value of f32 as tf32, in a register.
mlir::Value roundToTf32(Emitter &e, mlir::Value value);

/// sums + a * b, of values of the type; f32 means tf32.
void multiplyMatrices(Emitter &e, mlir::Type element,
                      llvm::ArrayRef<mlir::Value> a,
                      llvm::ArrayRef<mlir::Value> b,
                      llvm::MutableArrayRef<Val> sums);

/// Two values as a register holds them: floats of 32 bits that the type has.
mlir::Value packPair(Emitter &e, mlir::Type element, Val low, Val high);

/// Rows in the block's memory, as they are or as codes of e4m3. Codes are what
/// is multiplied where `element` is their type, else decoded in registers.
class StagedRows {
public:
  StagedRows(const Product &product, mlir::Type element);

  Staged staged;

  void place(Emitter &e, mlir::Value shared);
  /// What instructions take of 16 rows from `row` on, from `depth` on.
  llvm::SmallVector<mlir::Value> fragments(Emitter &e, Val stage, Val row,
                                           Val lane, int64_t depth) const;

private:
  mlir::Type element;
  Staged pairs; // two codes in each element
};

/// A weight in the block's memory, as it is or as codes. Those are decoded in
/// registers, on their way to instructions.
class StagedWeight {
public:
  StagedWeight(Lowering &l, const Product &product, const Weight &weight,
               mlir::Type element, const ProductTile &tile, int64_t begin);
  static bool fits(const Weight &weight, mlir::Type element);
  static int64_t bytes(const Weight &weight);

  Weight weight;
  Staged staged;

  /// What instructions take of 16 outputs from `out` on, in the tile: of one
  /// half of the depth and the other of eight outputs, then of the others.
  /// `place` is the first in
  /// the step, which begins at `begin` of the depth.
  llvm::SmallVector<mlir::Value> fragments(Val stage, Val out, int64_t place,
                                           Val begin) const;
  /// What the sums of the block of the depth at `c` are to be multiplied by;
  /// null for nothing.
  Val scaleAt(Val out, Val c) const;
  /// How much of the depth has one scale.
  int64_t block() const { return weight.block(); }
  /// A sum with what all of its terms have in common.
  Val finish(Val sum, Val out) const;

private:
  Emitter &e;
  const Product &product;
  const ProductTile &tile;
  mlir::Type element; // of what is multiplied
  Val lane;
  Staged pairs; // two codes in each element; without memory if it has none

  mlir::Value decodePair(Val stage, Val line, Val place, Val key) const;
  llvm::SmallVector<Val, 3> at(Val out, Val c) const;
};

} // namespace moe

#endif // MOE_LIB_KERNELS_MMATILE_H
