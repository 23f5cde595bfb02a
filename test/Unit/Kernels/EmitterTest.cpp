//===- EmitterTest.cpp - What the emitter's arithmetic computes -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Operations on constants fold, so that a value can be asked for.
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "gtest/gtest.h"

#include <random>

using namespace mlir;
using namespace moe;

namespace {

class EmitterTest : public testing::Test {
protected:
  EmitterTest()
      : context(makeRegistry()), e(UnknownLoc::get(&context), &context,
                                   Float32Type::get(&context), false) {
    context.loadAllAvailableDialects();
    module = ModuleOp::create(e.getLoc());
    e.setInsertionPointToStart(module->getBody());
  }

  static DialectRegistry makeRegistry() {
    DialectRegistry registry;
    registry.insert<arith::ArithDialect, func::FuncDialect,
                    vector::VectorDialect>();
    return registry;
  }

  /// The constants that `body` makes.
  std::vector<float> compute(llvm::function_ref<Val()> body) {
    Type index = e.getIndexType();
    auto function =
        func::FuncOp::create(e, "f", e.getFunctionType({}, {index}));
    Block *block = function.addEntryBlock();
    OpBuilder::InsertionGuard guard(e);
    e.setInsertionPointToStart(block);
    Val value = body();
    function.setType(e.getFunctionType({}, {value.type()}));
    func::ReturnOp::create(e, value.value);
    RewritePatternSet patterns(&context);
    for (RegisteredOperationName op : context.getRegisteredOperations())
      op.getCanonicalizationPatterns(patterns, &context);
    EXPECT_TRUE(
        succeeded(applyPatternsGreedily(function, std::move(patterns))));
    DenseElementsAttr found;
    bool isConstant =
        matchPattern(block->getTerminator()->getOperand(0), m_Constant(&found));
    EXPECT_TRUE(isConstant);
    std::vector<float> result;
    if (isConstant)
      llvm::append_range(result, found.getValues<float>());
    function.erase();
    return result;
  }

  Val constant(ArrayRef<float> values) { return e.numbers(values); }

  MLIRContext context;
  Emitter e;
  OwningOpRef<ModuleOp> module;
};

} // namespace

/// Halves added to each other until one lane is left.
static float sumByHalves(std::vector<float> lanes) {
  for (size_t half = lanes.size() / 2; half > 0; half /= 2)
    for (size_t i = 0; i < half; ++i)
      lanes[i] += lanes[i + half];
  return lanes[0];
}

TEST_F(EmitterTest, AddsLanesByHalvesWhateverIsBesideThem) {
  std::mt19937 random(1);
  std::normal_distribution<float> mantissa;
  std::uniform_int_distribution<int> exponent(-12, 12);
  for (size_t lanes : {4, 8, 16})
    for (size_t count = 1; count <= lanes; count *= 2) {
      std::vector<std::vector<float>> vectors(count);
      std::vector<float> expected;
      for (std::vector<float> &vector : vectors) {
        for (size_t lane = 0; lane < lanes; ++lane)
          vector.push_back(std::ldexp(mantissa(random), exponent(random)));
        expected.push_back(sumByHalves(vector));
      }
      std::vector<float> found = compute([&] {
        Emitter::Vals values;
        for (const std::vector<float> &vector : vectors)
          values.push_back(constant(vector));
        return e.addLanes(values);
      });
      EXPECT_EQ(found, expected) << count << " of " << lanes;
    }
}

TEST_F(EmitterTest, Interleaves) {
  EXPECT_EQ(compute([&] {
              return e.interleave(constant({0, 2, 4, 6}),
                                  constant({1, 3, 5, 7}));
            }),
            (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}));
}
