//===- Weight.h - Matrices as products read them ----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_WEIGHT_H
#define MOE_LIB_KERNELS_WEIGHT_H

#include "Lowering.h"

namespace moe {

/// A weight [E, O, depth] or [O, depth], in memory as it is or decoded whenever
/// it is read. Vectors of it leave to the sums what all of a sum's values have
/// in common:
///
///   sum over c of x[c] * w[o, c]
///     = factor * sum over blocks of scale * sum over the block of x[c] * v[c]
class Weight {
public:
  Weight(Lowering &l, mlir::Value buffer);
  Weight(Lowering &l, DecodeOp op);

  llvm::ArrayRef<int64_t> shape() const { return sizes; }
  int64_t depth() const { return sizes.back(); }

  /// One value, whole.
  Val load(llvm::ArrayRef<Val> at) const;

  /// Whether it lies in memory as codes of e4m3 with scales, one for so many
  /// outputs; 0: all.
  bool isE4m3() const;
  int64_t scaledOutputs() const { return format.getOutputs(); }
  /// Whether it lies in memory as values of the type.
  bool holds(mlir::Type element) const;
  /// Where it lies, if it does so as values of a type.
  mlir::Value plain() const { return format ? mlir::Value() : data; }
  /// What lies in memory, and how many values an element has.
  mlir::Value stored() const { return data; }
  int64_t perElement() const { return format ? format.getValuesPerByte() : 1; }
  /// Whether its rows follow each other in memory.
  bool isCompact() const {
    return mlir::cast<mlir::MemRefType>(data.getType())
        .getLayout()
        .isIdentity();
  }
  /// Whether its outputs are in strips, as moe-pack-weights says.
  bool isPacked() const { return packed; }
  /// [E, O / stripOutputs, stripOutputs * row], and for each step of the
  /// depth the values of its outputs, four bytes of each.
  mlir::Value strips() const;
  /// Where the scales of a block are part of the values: the same of them, a
  /// byte of each output; or else null.
  mlir::Value scaleStrips() const;
  /// Of words of such strips the numbers at place `i`, times the scales that
  /// bytes stand for.
  Val stripNumber(Val words, int64_t i, Val scales) const;
  Val stripScales(Val bytes) const;
  /// Pairs of them as bf16, from place 2 * i on, with a key that is made of the
  /// scales; null where they are no part of the values.
  Val stripPair(Val words, int64_t i, Val key) const;
  /// The same, of any scales.
  Val productPair(Val words, int64_t i, Val scales) const;
  /// What keys can be made of: results have exponents that bf16 can have.
  static constexpr int64_t leastUsualScale = 2, mostUsualScale = 252;
  Val stripKey(Val bytes) const;
  /// Sums of the numbers as those of the values, for the outputs from a place
  /// on.
  Val stripFactor(Val sums, llvm::ArrayRef<Val> at) const;
  /// Whether `loadPairs` gives its values without loss.
  bool fitsPairs() const;
  /// Vectors will be of bf16. Scales of few bits are then part of the values.
  void usePairs() { pairs = true; }

  /// How much of the depth has one scale and one zero; in memory, and for
  /// vectors.
  int64_t storedBlock() const;
  int64_t block() const;
  /// The scale of the block at a place; null where there is none.
  Val scaleAt(llvm::ArrayRef<Val> at) const;
  /// What decodes the values of the block at a place; null where that takes
  /// nothing: its zeros as f32, or what its codes stand for as bf16.
  Val keyAt(llvm::ArrayRef<Val> at) const;
  /// v at as many places in a row as a vector has lanes, all of them in one
  /// block. Past `valid` nothing is read, and the values are some finite ones.
  Val loadVector(llvm::ArrayRef<Val> at, int64_t valid, Val key) const;
  /// What `loadVector` keeps in registers, values included.
  struct Registers {
    int64_t perOutput, others;
  };
  Registers registers() const;
  /// Vectors of a row that are decoded in one turn. With more of them,
  /// compilers mix the turn until registers are short.
  int64_t stepsAtOnce() const;
  Val applyFactor(Val sum, llvm::ArrayRef<Val> at) const;
  Val applyGlobalScale(Val sum, llvm::ArrayRef<Val> at) const;

  /// For who reads codes from elsewhere: whether floats of a type hold what
  /// they stand for,
  bool isExactIn(mlir::Type element) const;
  /// what decodes those of a block, null where that takes nothing,
  Val codeKey(llvm::ArrayRef<Val> at) const;
  /// and the value of an i32 whose bits above the code are zero.
  Val decode(Val code, Val key) const;
  /// Asks for the line of memory that holds a value. It goes where one tile
  /// reads it from: not into the caches that other threads share.
  void prefetch(llvm::ArrayRef<Val> at) const;
  int64_t bits() const; // of a value in memory
  int64_t valuesPerLine() const { return 512 / bits(); }

private:
  Lowering *l; // weights are copied
  llvm::SmallVector<int64_t, 3> sizes;
  mlir::Value data, scales, zeros, globalScale;
  FormatAttr format; // null: plain
  bool pairs = false, packed = false;

  bool foldsScales() const {
    return pairs && format && format.hasSmallScales();
  }
  Val loadPairs(llvm::ArrayRef<Val> at, int64_t valid, Val key) const;
  Val loadPackedPairs(llvm::ArrayRef<Val> at, int64_t valid, Val key) const;
  Val decodeVector(llvm::ArrayRef<Val> at, int64_t valid, Val key) const;
  Val code(llvm::ArrayRef<Val> at) const;
  Val codes(llvm::ArrayRef<Val> at, int64_t valid) const;
  llvm::SmallVector<Val, 3> blockOf(llvm::ArrayRef<Val> at) const;
  Val scale(llvm::ArrayRef<Val> block) const;
  Val zero(llvm::ArrayRef<Val> block) const;
};

/// The value of an i32 whose bits above the code are zero.
Val valueOfE4m3(Val code);

/// How much of the depth has one scale.
int64_t blockOf(FormatAttr format, int64_t depth);

/// Words of 32 bits as twice as many of 16.
Val halvesOf(Emitter &e, Val words);

/// Whether codes of such a format can lie in strips.
bool hasStrips(FormatAttr format, int64_t depth);

/// Whether all are decoded, from one format.
bool areDecodedAlike(mlir::ValueRange weights);

/// Whether vectors of `step` bf16 hold the values of such a weight without
/// loss: the scales of a vector are alike, or become part of its values.
bool fitsPairs(FormatAttr format, int64_t depth, int64_t step);

/// Where the byte is that holds a value of four bits, and another.
inline llvm::SmallVector<Val, 3> byteOf(llvm::ArrayRef<Val> at) {
  llvm::SmallVector<Val, 3> byte(at);
  byte.back() = at.back() / 2;
  return byte;
}

/// Whether the product decodes its weights itself: all are decoded, and alike.
bool decodesWeights(GroupedMatmulOp op);
bool decodesUps(FeedForwardOp op);

} // namespace moe

#endif // MOE_LIB_KERNELS_WEIGHT_H
