//===- MathToIntrinsics.cpp - What the machine computes itself ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Target/GPU/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/StringSwitch.h"

namespace moe {
#define GEN_PASS_DEF_MATHTOINTRINSICSPASS
#include "moe/Target/GPU/Passes.h.inc"
} // namespace moe

using namespace mlir;

namespace {

struct MathToIntrinsics
    : moe::impl::MathToIntrinsicsPassBase<MathToIntrinsics> {
  void runOnOperation() override {
    WalkResult result = getOperation()->walk([](Operation *op) {
      if (!isa<math::MathDialect>(op->getDialect()))
        return WalkResult::advance();
      StringRef name = intrinsic(op->getName().stripDialect());
      if (name.empty()) {
        op->emitOpError("cannot be computed on a gpu");
        return WalkResult::interrupt();
      }
      OpBuilder b(op);
      auto call = LLVM::CallIntrinsicOp::create(
          b, op->getLoc(), op->getResult(0).getType(), b.getStringAttr(name),
          op->getOperands());
      op->replaceAllUsesWith(call);
      op->erase();
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

  static StringRef intrinsic(StringRef name) {
    return llvm::StringSwitch<StringRef>(name)
        .Case("absf", "llvm.fabs")
        .Case("ceil", "llvm.ceil")
        .Case("copysign", "llvm.copysign")
        .Case("floor", "llvm.floor")
        .Case("fma", "llvm.fma")
        .Case("roundeven", "llvm.roundeven")
        .Case("sqrt", "llvm.sqrt")
        .Case("trunc", "llvm.trunc")
        .Default("");
  }
};

} // namespace
