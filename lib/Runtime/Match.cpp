//===- Match.cpp - From a tensor to a piece of a weight -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Types first, then the shape that the type and the source ask for.
//
//===----------------------------------------------------------------------===//

#include "Match.h"
#include "Status.h"
#include "StoredMatrix.h"

#include <algorithm>

namespace moe::runtime {

Target Target::share(int64_t count) const {
  Target part = *this;
  (perExpert ? part.units : part.outputs) = count;
  return part;
}

static bool endsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         text.substr(text.size() - end.size()) == end;
}

Target targetOf(const Weight &weight, bool eachExpert) {
  Target target;
  target.dtype = weight.dtype;
  target.role = endsWith(weight.name, ".scales")  ? Target::Role::scales
                : endsWith(weight.name, ".zeros") ? Target::Role::zeros
                                                  : Target::Role::values;
  target.perExpert = weight.perExpert || eachExpert;
  const std::vector<int64_t> &shape = weight.wholeShape();
  size_t axis = 0;
  if (target.perExpert && axis < shape.size())
    target.units = shape[axis++];
  target.outputAxis = axis;
  // Experts that each have one tensor have no outputs but themselves.
  if (axis < shape.size() && (weight.perExpert || !eachExpert))
    target.outputs = shape[axis++];
  target.inputAxis = axis;
  for (; axis < shape.size(); ++axis)
    target.inputs *= shape[axis];
  return target;
}

/// Sizes of 1 mean nothing.
static std::vector<int64_t> withoutOnes(const std::vector<int64_t> &shape) {
  std::vector<int64_t> result;
  for (int64_t size : shape)
    if (size != 1)
      result.push_back(size);
  return result;
}

/// Stacked or flat, and for blocks of 16 bytes with one dimension more.
static bool fits(std::vector<int64_t> shape, const Source &source,
                 int64_t units, int64_t rows, int64_t columns) {
  if (source.packing == Packing::blocks && shape.size() >= 2) {
    int64_t block = shape.back();
    shape.pop_back();
    std::optional<int64_t> joined = multiply(shape.back(), block);
    if (!joined)
      return false;
    shape.back() = *joined;
  }
  shape = withoutOnes(shape);
  if (shape == withoutOnes({units, rows, columns}) ||
      shape == withoutOnes({units * rows, columns}))
    return true;
  // Parts of a vector may stand one below the other.
  return source.parts > 1 && units == 1 && columns == 1 &&
         shape == std::vector<int64_t>{source.parts, rows / source.parts};
}

[[noreturn]] static void failShape(const Stored &tensor,
                                   const StoredMatrix &matrix,
                                   const Target &target, int64_t units,
                                   bool stacked) {
  std::vector<int64_t> expected;
  if (stacked)
    expected.push_back(units);
  expected.push_back(matrix.rows);
  if (matrix.columns != 1 || target.inputs != 1)
    expected.push_back(matrix.columns);
  std::string other;
  if (matrix.eitherWay && matrix.rows != matrix.columns &&
      expected.size() - stacked == 2) {
    std::vector<int64_t> turned = expected;
    std::swap(turned[turned.size() - 1], turned[turned.size() - 2]);
    other = " or " + describe(turned);
  }
  fail(MOE_SHAPE_MISMATCH, tensor.where(), "expected ", describe(expected),
       other, ", found ", describe(tensor.entry->shape));
}

static int64_t elementsOf(const Stored &tensor) {
  int64_t count = 1; // the header's reader has seen that it does not overflow
  for (int64_t size : tensor.entry->shape)
    count *= size;
  return count;
}

static Piece matchNumber(const Stored &tensor, const Target &target,
                         int64_t units) {
  Conversion conversion = conversionTo(tensor, target);
  int64_t count = elementsOf(tensor);
  if (count != 1 && count != units)
    fail(MOE_SHAPE_MISMATCH, tensor.where(), "expected one number",
         units == 1 ? "" : " or " + std::to_string(units), ", found ",
         describe(tensor.entry->shape));
  Piece piece;
  piece.tensor = tensor;
  piece.broadcast = true;
  piece.units = units;
  piece.rows = count == units ? 1 : 0; // 0: the first is that of all
  piece.conversion = conversion;
  piece.outputs = target.outputs;
  piece.inputs = target.inputs;
  piece.elementBytes = bytes(target.dtype);
  piece.fileBytes = fileBytesOf(conversion, piece.elementBytes);
  piece.unitStride = target.unitStride();
  piece.pitch = piece.inputs * piece.elementBytes;
  return piece;
}

Piece matchTensor(const Stored &tensor, const Source &source,
                  const Target &target, bool oneUnit) {
  int64_t units = oneUnit ? 1 : target.units;
  if (source.broadcast)
    return matchNumber(tensor, target, units);
  StoredMatrix matrix = matrixOf(tensor, source, target);
  const std::vector<int64_t> &shape = tensor.entry->shape;
  if (!fits(shape, source, units, matrix.rows, matrix.columns)) {
    if (!matrix.eitherWay ||
        !fits(shape, source, units, matrix.columns, matrix.rows))
      failShape(tensor, matrix, target, units, !oneUnit && target.perExpert);
    std::swap(matrix.rows, matrix.columns);
    matrix.transposed = !matrix.transposed;
  }
  Piece piece;
  piece.tensor = tensor;
  piece.units = units;
  piece.rows = matrix.rows;
  piece.columns = matrix.columns;
  piece.fileBytes = matrix.fileBytes;
  piece.transposed = matrix.transposed;
  piece.firstOutput =
      source.interleaved ? source.part : source.part * target.outputs;
  piece.outputStep = source.interleaved ? source.parts : 1;
  piece.conversion = matrix.conversion;
  piece.outputs = target.outputs;
  piece.inputs = matrix.inputs;
  piece.elementBytes = matrix.elementBytes;
  piece.unitStride = target.unitStride();
  piece.pitch = piece.inputs * piece.elementBytes;
  // A vector is the same either way.
  if (piece.transposed && piece.conversion <= Conversion::i64ToI32 &&
      (piece.rows == 1 || piece.columns == 1)) {
    piece.transposed = false;
    std::swap(piece.rows, piece.columns);
  }
  return piece;
}

int64_t countIn(const Stored &tensor, const Source &source,
                const Target &target) {
  StoredMatrix one = matrixOf(tensor, source, target.share(1));
  int64_t elements = std::max<int64_t>(one.rows * one.columns, 1);
  return elementsOf(tensor) / elements;
}

} // namespace moe::runtime
