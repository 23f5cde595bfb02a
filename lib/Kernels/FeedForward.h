//===- FeedForward.h - Both products of experts ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_FEEDFORWARD_H
#define MOE_LIB_KERNELS_FEEDFORWARD_H

#include "VectorProduct.h"

namespace moe {

/// A `feed_forward`, some tokens at a time.
class FeedForward {
public:
  FeedForward(Lowering &l, FeedForwardOp op);

  /// What becomes of a value of y, or of a vector of which `valid` count.
  using Put =
      llvm::function_ref<void(Val token, Val out, int64_t valid, Val value)>;

  /// Calls `body` for all tokens: in chunks whose sums take at most `bytes`, or
  /// at once if there are no sums or they can be where y is.
  void eachChunk(mlir::Value y, int64_t bytes,
                 llvm::function_ref<void(Val first, Val end)> body);
  /// Tokens of a chunk. Without `put`, their sums are left where they are.
  void run(Val first, Val end, Put put);
  /// The sum of a token of the chunk, or a vector of them if `model` is one.
  Val sum(Val token, Val out, int64_t valid, Val model);
  bool hasSumsIn(mlir::Value y) const { return sums == y; }
  /// One row after another, as it is defined.
  void reference(mlir::Value y);

private:
  Lowering &l;
  Emitter &e;
  FeedForwardOp op;
  Extent tokens;
  int64_t experts, inner, outputs, slots;
  mlir::Value weights;

  mlir::Value hidden; // [window, inner]
  Val windowBegin, windowEnd;
  mlir::Value sums; // of tokens from `firstToken` on
  Val firstToken, endToken;
  mlir::Value slotOf, starts; // of each row of the chunk, and of each expert
  Put put;

  bool isGrouped() { return static_cast<bool>(op.getOffsets()); }
  Weight weightOf(mlir::Value tensor);
  Product up();
  Product down();
  Val withBias(Val value, mlir::Value bias, Val expert, Val out, int64_t valid);
  void addToToken(Val row, Val out, int64_t valid, Val value);
  std::pair<Val, Val> rowsInWindow(Val expert);
  void listRows();
  void runWindow();
  void upTasks(VectorProduct &product);
  void downTasks(VectorProduct &product);
  void eachSum(
      Val outBegin, Val outEnd,
      llvm::function_ref<void(Val token, Val out, int64_t count, int64_t valid)>
          body);
};

/// The `feed_forward` that gives `value`, if the `mix` which alone reads it is
/// to run it: results go from one to the other in registers.
FeedForwardOp runByMix(const Lowering &l, mlir::Value value);

} // namespace moe

#endif // MOE_LIB_KERNELS_FEEDFORWARD_H
