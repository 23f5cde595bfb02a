//===- StoredMatrix.cpp - Types and layouts of tensors in files -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StoredMatrix.h"
#include "Status.h"

namespace moe::runtime {

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

static std::optional<Conversion> findConversion(const std::string &from,
                                                const Target &target) {
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

Conversion conversionTo(const Stored &tensor, const Target &target) {
  std::optional<Conversion> found = findConversion(tensor.entry->dtype, target);
  if (!found)
    failType(tensor, safetensorsName(target.dtype), target);
  return *found;
}

int64_t fileBytesOf(Conversion conversion, int64_t elementBytes) {
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
static StoredMatrix matrixOfWords(const Stored &tensor, const Source &source,
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
  StoredMatrix matrix;
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

StoredMatrix matrixOf(const Stored &tensor, const Source &source,
                      const Target &target) {
  bool words =
      source.packing != Packing::none && source.packing != Packing::blocks;
  bool bytesOfCompressed =
      source.packing == Packing::compressed && tensor.entry->dtype != "I32";
  if (words && target.role != Target::Role::scales && !bytesOfCompressed)
    return matrixOfWords(tensor, source, target);
  StoredMatrix matrix;
  matrix.conversion = conversionTo(tensor, target);
  matrix.elementBytes = bytes(target.dtype);
  matrix.fileBytes = fileBytesOf(matrix.conversion, matrix.elementBytes);
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

} // namespace moe::runtime
