//===- Matrices.cpp - Products of matrices, and their fragments -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Operations/Abi.h"
#include "Calls.h"

#include "moe/Kernels/Instructions.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe::sim;

static std::optional<Element> typeOf(StringRef name) {
  return llvm::StringSwitch<std::optional<Element>>(name)
      .Case("f16", Element::F16)
      .Case("bf16", Element::BF16)
      .Case("tf32", Element::TF32)
      .Case("f32", Element::F32)
      .Case("s8", Element::S8)
      .Case("u8", Element::U8)
      .Case("s32", Element::S32)
      .Case("e4m3", Element::E4M3)
      .Case("e5m2", Element::E5M2)
      .Default(std::nullopt);
}

/// The product as a constant that the simulator's calls take.
static Value describe(const Product &product, Calls &calls) {
  ArrayRef<uint32_t> words(reinterpret_cast<const uint32_t *>(&product),
                           sizeof(Product) / sizeof(uint32_t));
  return calls.words(words);
}

/// Registers one after another in memory.
static Value spill(ValueRange values, int64_t offset, Calls &calls) {
  auto &b = calls.builder();
  for (auto [i, value] : llvm::enumerate(values))
    LLVM::StoreOp::create(b, value, calls.scratch(offset + int64_t(4 * i)));
  return calls.scratch(offset);
}

/// The fields of a struct, or one value, from such memory.
static Value reload(Type type, int64_t offset, Calls &calls) {
  auto &b = calls.builder();
  auto fields = dyn_cast<LLVM::LLVMStructType>(type);
  if (!fields)
    return LLVM::LoadOp::create(b, type, calls.scratch(offset));
  Value all = LLVM::UndefOp::create(b, type);
  for (auto [i, field] : llvm::enumerate(fields.getBody())) {
    Value each =
        LLVM::LoadOp::create(b, field, calls.scratch(offset + int64_t(4 * i)));
    all = LLVM::InsertValueOp::create(b, all, each,
                                      ArrayRef<int64_t>{int64_t(i)});
  }
  return all;
}

// Where the parts of a product are in the function's memory for calls.
enum Offset : int64_t { OfA = 0, OfB = 64, OfC = 128, OfD = 192 };

static Rewrite multiply(NVVM::MmaOp op, Calls &calls) {
  auto unknown = [&] {
    return op.emitOpError("of this shape and these types is not known to the "
                          "simulator");
  };
  auto named = [&](std::optional<NVVM::MMATypes> type) {
    return type ? typeOf(NVVM::stringifyEnum(*type)) : std::nullopt;
  };
  auto a = named(op.getMultiplicandAPtxType());
  auto b = named(op.getMultiplicandBPtxType());
  auto c = named(op.accumPtxType()), d = named(op.resultPtxType());
  if (!a || !b || !c || !d)
    return unknown();
  auto shape = op.getShape();
  // Registers of A and B hold the whole rows and columns.
  int64_t elements = 32 * int64_t(op.getOperandA().size()) / bitsOf(*a);
  bool known = shape.getM() == 16 && shape.getN() == 8 &&
               elements * 2 == shape.getK() &&
               op.getLayoutA() == NVVM::MMALayout::row &&
               op.getLayoutB() == NVVM::MMALayout::col && !op.getB1Op();
  if (!known)
    return unknown();
  Product product = {};
  product.m = 16;
  product.n = 8;
  product.k = uint32_t(shape.getK());
  product.a = *a;
  product.b = *b;
  product.c = *c;
  product.d = *d;
  product.saturate =
      op.getIntOverflowBehavior() == NVVM::MMAIntOverflow::satfinite;
  calls.call("moe_sim_mma",
             {describe(product, calls), spill(op.getOperandA(), OfA, calls),
              spill(op.getOperandB(), OfB, calls),
              spill(op.getOperandC(), OfC, calls), calls.scratch(OfD),
              calls.site()});
  return replace(op, reload(op.getType(), OfD, calls));
}

/// mma.sync of e4m3: four registers of A, two of B, four of C.
static Rewrite multiply(LLVM::CallIntrinsicOp op, Calls &calls) {
  if (op.getIntrin() != moe::kMmaOfE4m3)
    return false;
  Product product = {};
  product.m = 16;
  product.n = 8;
  product.k = 32;
  product.a = product.b = Element::E4M3;
  product.c = product.d = Element::F32;
  ValueRange operands = op.getArgs();
  calls.call("moe_sim_mma", {describe(product, calls),
                             spill(operands.take_front(4), OfA, calls),
                             spill(operands.slice(4, 2), OfB, calls),
                             spill(operands.drop_front(6), OfC, calls),
                             calls.scratch(OfD), calls.site()});
  return replace(op, reload(op.getResult(0).getType(), OfD, calls));
}

static Rewrite multiply(NVVM::WgmmaMmaAsyncOp op, Calls &calls) {
  auto a = typeOf(NVVM::stringifyEnum(op.getTypeA()));
  auto b = typeOf(NVVM::stringifyEnum(op.getTypeB()));
  auto d = typeOf(NVVM::stringifyEnum(op.getTypeD()));
  if (!a || !b || !d)
    return op.emitOpError("of these types is not known to the simulator");
  Product product = {};
  auto shape = op.getShape();
  product.m = uint32_t(shape.getM());
  product.n = uint32_t(shape.getN());
  product.k = uint32_t(shape.getK());
  product.a = *a;
  product.b = *b;
  product.c = product.d = *d;
  product.saturate = op.getSatfinite() &&
                     *op.getSatfinite() == NVVM::MMAIntOverflow::satfinite;
  product.negateA = op.getScaleA() == NVVM::WGMMAScaleIn::neg;
  product.negateB = op.getScaleB() == NVVM::WGMMAScaleIn::neg;
  // A is M by K and B is K by N: of A rows, and of B columns, follow K.
  product.columnA = op.getLayoutA() == NVVM::MMALayout::col;
  product.columnB = op.getLayoutB() == NVVM::MMALayout::row;
  product.accumulate = op.getScaleD() == NVVM::WGMMAScaleOut::one;
  auto &builder = calls.builder();
  Value memory = calls.scratch(0);
  LLVM::StoreOp::create(builder, op.getInouts(), memory);
  calls.call("moe_sim_wgmma", {describe(product, calls), op.getDescriptorA(),
                               op.getDescriptorB(), memory, calls.site()});
  Value result = LLVM::LoadOp::create(builder, op.getType(), memory);
  return replace(op, result);
}

Rewrite moe::sim::rewriteMatrices(Operation *op, Calls &calls) {
  auto transposed = [&](NVVM::MMALayout layout) {
    return calls.constant(layout == NVVM::MMALayout::col);
  };
  auto isB16 = [](auto shape, NVVM::LdStMatrixEltType type) {
    return shape.getM() == 8 && shape.getN() == 8 &&
           type == NVVM::LdStMatrixEltType::B16;
  };
  return llvm::TypeSwitch<Operation *, Rewrite>(op)
      .Case([&](NVVM::LdMatrixOp load) -> Rewrite {
        if (!isB16(load.getShape(), load.getEltType()))
          return op->emitOpError("of this shape is not known to the simulator");
        calls.call("moe_sim_ldmatrix",
                   {load.getPtr(), calls.constant(load.getNum()),
                    transposed(load.getLayout()), calls.scratch(0),
                    calls.site()});
        return replace(op, reload(load.getType(), 0, calls));
      })
      .Case([&](NVVM::StMatrixOp store) -> Rewrite {
        if (!isB16(store.getShape(), store.getEltType()))
          return op->emitOpError("of this shape is not known to the simulator");
        Value registers = spill(store.getSources(), 0, calls);
        calls.call("moe_sim_stmatrix",
                   {store.getPtr(),
                    calls.constant(int64_t(store.getSources().size())),
                    transposed(store.getLayout()), registers, calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::MmaOp each) { return multiply(each, calls); })
      .Case([&](LLVM::CallIntrinsicOp each) { return multiply(each, calls); })
      .Case([&](NVVM::WgmmaMmaAsyncOp each) { return multiply(each, calls); })
      .Case([&](NVVM::WgmmaFenceAlignedOp) {
        calls.call("moe_sim_wgmma_fence", {});
        return replace(op);
      })
      .Case([&](NVVM::WgmmaGroupSyncAlignedOp) {
        calls.call("moe_sim_wgmma_commit", {calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::WgmmaWaitGroupSyncOp wait) {
        calls.call(
            "moe_sim_wgmma_wait",
            {calls.constant(int64_t(wait.getGroup()), 64), calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::SetMaxRegisterOp set) {
        calls.call("moe_sim_set_registers",
                   {calls.constant(set.getRegCount()), calls.site()});
        return replace(op);
      })
      .Default([](Operation *) { return Rewrite(false); });
}
