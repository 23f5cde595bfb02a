//===- MmaInstructions.cpp - Matrices in registers ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MmaTile.h"

#include "moe/Kernels/Instructions.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace moe;

Value Staged::view(Emitter &e, Value shared, int64_t begin, Type type) const {
  int64_t width = pitch() * bits() / int64_t(type.getIntOrFloatBitWidth());
  return e.shared(shared, begin, type, {mmaStages, lines, width});
}

/// Values as an instruction takes them.
static Value asRegister(Emitter &e, Value two) {
  Type element = cast<VectorType>(two.getType()).getElementType();
  if (element.isF32())
    return roundToTf32(e, vector::ExtractOp::create(e, two, 0));
  if (element.isF16())
    return two;
  auto word = VectorType::get(1, e.getI32Type());
  return vector::ExtractOp::create(e, vector::BitCastOp::create(e, word, two),
                                   0);
}

SmallVector<Value> moe::loadMatrices(Emitter &e, Value memory, ArrayRef<Val> at,
                                     bool transposed) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  const int64_t perRegister = 32 / int64_t(element.getIntOrFloatBitWidth());
  Value four = nvgpu::LdMatrixOp::create(
      e, VectorType::get({4, perRegister}, element), memory, values(at),
      e.getBoolAttr(transposed), e.getI32IntegerAttr(4));
  SmallVector<Value> each;
  for (int64_t i = 0; i < 4; ++i)
    each.push_back(asRegister(e, vector::ExtractOp::create(e, four, i)));
  return each;
}

Value moe::roundToTf32(Emitter &e, Value value) {
  return NVVM::ConvertFloatToTF32Op::create(e, e.getI32Type(), value,
                                            NVVM::FPRoundingMode::RNA,
                                            NVVM::SaturationMode::NONE,
                                            /*relu=*/false);
}

void moe::multiplyMatrices(Emitter &e, Type element, ArrayRef<Value> a,
                           ArrayRef<Value> b, MutableArrayRef<Val> sums) {
  Type f32 = e.getF32Type();
  SmallVector<Value> before = values(sums);
  auto result =
      LLVM::LLVMStructType::getLiteral(e.getContext(), {f32, f32, f32, f32});
  Value next;
  if (element.getIntOrFloatBitWidth() == 8) {
    // The operation of NVVM has no floats of 8 bits.
    SmallVector<Value> operands(a);
    llvm::append_range(operands, b);
    llvm::append_range(operands, before);
    next = LLVM::CallIntrinsicOp::create(e, result, e.getStringAttr(kMmaOfE4m3),
                                         operands)
               .getResult(0);
  } else {
    auto type = element.isF32()    ? NVVM::MMATypes::tf32
                : element.isBF16() ? NVVM::MMATypes::bf16
                                   : NVVM::MMATypes::f16;
    next = NVVM::MmaOp::create(
        e, result, a, b, before,
        ArrayRef<int64_t>{mmaRows, mmaOutputs, mmaDepth(element)}, std::nullopt,
        std::nullopt, std::array{type, type},
        std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  }
  for (int64_t i = 0; i < sumsPerThread; ++i)
    sums[i] = e.val(LLVM::ExtractValueOp::create(e, next, i));
}
