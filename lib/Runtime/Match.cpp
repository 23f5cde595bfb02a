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

namespace {
struct ConversionRow {
  const char *from;
  DType to;
  Conversion conversion;
};
} // namespace

/// Beside equal types. What is quantised stays what it is, bit for bit.
static constexpr ConversionRow conversions[] = {
    {"BF16", DType::f32, Conversion::bf16ToF32},
    {"F16", DType::f32, Conversion::f16ToF32},
    {"I64", DType::i32, Conversion::i64ToI32},
    {"I8", DType::u8, Conversion::none},
    {"F8_E4M3", DType::u8, Conversion::none},
};
static constexpr ConversionRow scaleConversions[] = {
    {"F8_E8M0", DType::f32, Conversion::e8m0ToF32},
    {"F8_E8M0", DType::u8, Conversion::none},
};

static std::optional<Conversion> conversionTo(const Target &target,
                                              const std::string &from) {
  if (from == safetensorsName(target.dtype))
    return Conversion::none;
  auto find = [&](const auto &table) -> std::optional<Conversion> {
    for (const ConversionRow &row : table)
      if (from == row.from && row.to == target.dtype)
        return row.conversion;
    return std::nullopt;
  };
  std::optional<Conversion> found = find(conversions);
  if (!found && target.role == Target::Role::scales)
    found = find(scaleConversions);
  return found;
}

static bool isWider(const std::string &type, DType than) {
  bool narrow = than == DType::bf16 || than == DType::f16;
  return type == "F64" ||
         (narrow && (type == "F32" || type == "F16" || type == "BF16"));
}

[[noreturn]] static void failType(const Stored &tensor, const char *expected,
                                  const Target &target) {
  const std::string &found = tensor.entry->dtype;
  const char *reason = "";
  if (isWider(found, target.dtype))
    reason = ", whose values need not fit";
  else if (found.rfind("F8_", 0) == 0 || found == "I32" || found == "U8")
    reason = "; quantised weights need 'experts.quantization' or sources that "
             "decode them";
  fail(MOE_DTYPE_MISMATCH, tensor.where(), "expected ", expected, ", found ",
       found, reason);
}

namespace {
/// What a source asks of a tensor's last two dimensions.
struct Matrix {
  int64_t rows, columns, fileBytes;
  bool transposed;
  bool eitherWay = false; ///< the shape may decide
  Conversion conversion = Conversion::none;
  int64_t inputs, elementBytes; ///< of the piece
};
} // namespace

static int64_t fileBytesOf(Conversion conversion, int64_t elementBytes) {
  switch (conversion) {
  case Conversion::bf16ToF32:
  case Conversion::f16ToF32:
    return 2;
  case Conversion::e8m0ToF32:
    return 1;
  case Conversion::i64ToI32:
    return 8;
  default:
    return elementBytes;
  }
}

/// Words of eight numbers: of the weights along the inputs, except for awq, and
/// of the zeros along the outputs.
static Matrix matrixOfWords(const Stored &tensor, const Source &source,
                            const Target &target) {
  int64_t outputs = target.outputs * source.parts;
  bool zeros = target.role == Target::Role::zeros;
  bool alongOutputs = zeros || source.packing == Packing::awq;
  if (target.dtype != DType::u8)
    failType(tensor, safetensorsName(target.dtype), target);
  if (tensor.entry->dtype != "I32")
    failType(tensor, "I32", target);
  if (alongOutputs ? target.outputs % 8 : target.inputs % 4)
    fail(MOE_SHAPE_MISMATCH, tensor.where(), "eight numbers to a word, but ",
         alongOutputs ? target.outputs : 2 * target.inputs,
         alongOutputs ? " outputs" : " inputs");
  Matrix matrix;
  matrix.fileBytes = 4;
  matrix.inputs = target.inputs;
  matrix.elementBytes = 1;
  if (source.packing == Packing::compressed) {
    matrix.transposed = false;
    matrix.rows = zeros ? outputs / 8 : outputs;
    matrix.columns = zeros ? target.inputs : target.inputs / 4;
    matrix.conversion = zeros ? Conversion::compressedZeros : Conversion::none;
  } else {
    matrix.transposed = true;
    matrix.columns = alongOutputs ? outputs / 8 : outputs;
    matrix.rows = zeros          ? target.inputs
                  : alongOutputs ? 2 * target.inputs
                                 : target.inputs / 4;
    bool gptq = source.packing == Packing::gptq;
    matrix.conversion =
        zeros  ? gptq ? Conversion::gptqZeros : Conversion::awqZeros
        : gptq ? Conversion::none
               : Conversion::awqWeights;
  }
  if (matrix.conversion == Conversion::none) {
    matrix.inputs = target.inputs / 4;
    matrix.elementBytes = 4;
  }
  return matrix;
}

static Matrix matrixOf(const Stored &tensor, const Source &source,
                       const Target &target) {
  bool words =
      source.packing != Packing::none && source.packing != Packing::blocks;
  bool bytesOfCompressed =
      source.packing == Packing::compressed && tensor.entry->dtype != "I32";
  if (words && target.role != Target::Role::scales && !bytesOfCompressed)
    return matrixOfWords(tensor, source, target);
  std::optional<Conversion> conversion =
      conversionTo(target, tensor.entry->dtype);
  if (!conversion)
    failType(tensor, safetensorsName(target.dtype), target);
  Matrix matrix;
  matrix.conversion = *conversion;
  matrix.elementBytes = bytes(target.dtype);
  matrix.fileBytes = fileBytesOf(*conversion, matrix.elementBytes);
  matrix.inputs = target.inputs;
  // The scales of these stand as the weights do.
  matrix.transposed = source.transposed || source.packing == Packing::gptq ||
                      source.packing == Packing::awq;
  matrix.eitherWay = source.packing == Packing::none;
  matrix.rows = target.outputs * source.parts;
  matrix.columns = target.inputs;
  if (matrix.transposed)
    std::swap(matrix.rows, matrix.columns);
  return matrix;
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

[[noreturn]] static void failShape(const Stored &tensor, const Matrix &matrix,
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
  std::optional<Conversion> conversion =
      conversionTo(target, tensor.entry->dtype);
  if (!conversion)
    failType(tensor, safetensorsName(target.dtype), target);
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
  piece.conversion = *conversion;
  piece.outputs = target.outputs;
  piece.inputs = target.inputs;
  piece.elementBytes = bytes(target.dtype);
  piece.fileBytes = fileBytesOf(*conversion, piece.elementBytes);
  piece.unitStride = target.unitStride();
  piece.pitch = piece.inputs * piece.elementBytes;
  return piece;
}

Piece matchTensor(const Stored &tensor, const Source &source,
                  const Target &target, bool oneUnit) {
  int64_t units = oneUnit ? 1 : target.units;
  if (source.broadcast)
    return matchNumber(tensor, target, units);
  Matrix matrix = matrixOf(tensor, source, target);
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
  Matrix one = matrixOf(tensor, source, target.share(1));
  int64_t elements = std::max<int64_t>(one.rows * one.columns, 1);
  return elementsOf(tensor) / elements;
}

} // namespace moe::runtime
