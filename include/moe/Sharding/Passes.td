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

def OverlapPass : Pass<"moe-overlap", "::mlir::ModuleOp"> {
  let summary = "Send rows to experts and back in chunks, beside the experts";
  let description = [{
    Makes `moe.chunks` exchanges of each that carries rows to experts or results
    back. A chunk is the rows for some places of each rank. All chunks of rows
    are started at once; the experts of one are then computed while the rows of
    the next travel and the results of the last return. What needs no rows of
    others, as a shared expert, is computed before the first chunk is waited for.

    Each expert is in one chunk, so that its weights are read once, and a row is
    computed as it would be without chunks: the results are the same bits.

    ```mlir
    %local = moe.arrivals %arrived {members = 2 : i64, rows = "8*R"}
    %xs = coll.all_to_all_v %sent, %counts, %arrived over [ep] {bound = "8*R"}
    %ys = experts of %xs, which %local sorts
    %back = coll.all_to_all_v %ys, %arrived, %counts over [ep] {bound = "8*T"}
    ```
    with two chunks of four places becomes
    ```mlir
    %local0 = moe.arrivals %arrived places 0 to 2 {members = 2 : i64, rows = "8*R", size = "C0"}
    %local1 = moe.arrivals %arrived places 2 to 4 {members = 2 : i64, rows = "8*R", size = "C1"}
    %0 = coll.start_all_to_all_v %sent, %counts, %arrived places 0 to 2 of send over [ep]
    %1 = coll.start_all_to_all_v %sent, %counts, %arrived places 2 to 4 of send over [ep]
    %xs0 = coll.wait %0 {rows = "C0"}
    %ys0 = experts of %xs0, which %local0 sorts
    %2 = coll.start_all_to_all_v %ys0, %arrived, %counts places 0 to 2 of receive over [ep]
    %xs1 = coll.wait %1 {rows = "C1"}
    %ys1 = experts of %xs1, which %local1 sorts
    %3 = coll.start_all_to_all_v %ys1, %arrived, %counts places 2 to 4 of receive over [ep]
    %back = coll.wait %2, %3 {rows = "8*T"}
    ```
  }];
  let dependentDialects = ["::moe::MoEDialect", "::moe::coll::CollDialect"];
}

#endif // MOE_SHARDING_PASSES
