//===- Passes.td - From a whole program to that of a rank --*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SHARDING_PASSES
#define MOE_SHARDING_PASSES

include "mlir/Pass/PassBase.td"

def ShardPass : Pass<"moe-shard", "::mlir::ModuleOp"> {
  let summary = "Make the program of one rank out of the whole one";
  let description = [{
    Spreads functions with tokens over the ranks of `moe.parallel`: weights become
    the slices that a rank has, described by `moe.shard`, and `coll` operations
    move rows to where their experts are and sums to where they are needed. All
    ranks run the same code. docs/decisions/0008-sharding.md shows the program.

    ```mlir
    module attributes {moe.parallel = {ep = 2, tp = 2}} {
      func.func @forward(..., %w: tensor<8x64x32xbf16> {moe.role = "weight", ...})
    ```
    becomes
    ```mlir
    module attributes {coll.grid = {dp = 1, ep = 2, tp = 2}} {
      func.func @forward(..., %w: tensor<4x32x32xbf16> {moe.role = "weight", ...,
        moe.shard = {whole = array<i64: 8, 64, 32>, split = [{axis = "ep", dim = 0}, {axis = "tp", dim = 1} ]}})
        attributes {moe.sums = {R = {axes = ["ep"], of = "T"}}, moe.tokens_over = ["ep"]}
    ```
  }];
  let dependentDialects = ["::moe::MoEDialect", "::moe::coll::CollDialect",
                           "::mlir::tensor::TensorDialect"];
}

#endif // MOE_SHARDING_PASSES
