// What kernels do around exchanges on a GPU: the runtime moves rows there, and
// adds and counts nothing.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true},canonicalize,cse)' --split-input-file | FileCheck %s

// A sum: parts of a share of the rows come from all, are added, and the share is
// given to all.

// CHECK-LABEL: func.func @layer_sum_entry(
// CHECK-SAME: {axes = ["tp"], dtype = f32, even, kind = "reduce_scatter", reduce = "none", row = 8 : i64},
// CHECK-SAME: {axes = ["tp"], dtype = f32, even, kind = "all_gather", row = 8 : i64}],
// CHECK: call @moe_member
// CHECK: call @moe_collective(
// CHECK: scf.if
// CHECK: scf.parallel
// CHECK: %[[A:.*]] = memref.load
// CHECK: %[[B:.*]] = memref.load
// CHECK: %[[S:.*]] = arith.addf %[[A]], %[[B]] : f32
// CHECK: memref.store %[[S]]
// CHECK: func.call @moe_collective(
module attributes {moe.name = "layer", coll.grid = {dp = 1, ep = 2, tp = 2}} {
func.func @sum(%part: tensor<?x8xf32> {moe.name = "part", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %y = coll.all_reduce sum %part over [tp] : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
}

// -----

// Exact counts are read by the runtime; padded rows are put into blocks by
// kernels, and no counts are handed over.

// CHECK-LABEL: func.func @layer_rows_entry(
// CHECK-SAME: kind = "all_to_all_v", mode = "exact", pattern = "all_to_all", places = 2 : i64
// CHECK-SAME: bound = "2*R", dtype = bf16, kind = "all_to_all_v", mode = "padded", packed, pattern = "all_to_all"
// CHECK: %[[NULL:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK: call @moe_collective(
// CHECK: scf.for
// CHECK: scf.parallel
// CHECK: func.call @moe_collective({{.*}}, %[[NULL]], %[[NULL]])
// CHECK: scf.if
// CHECK: scf.parallel
module attributes {moe.name = "layer", coll.grid = {dp = 1, ep = 2, tp = 2}} {
func.func @rows(
    %x: tensor<?x8xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["2*T"]},
    %sent: tensor<4xi32> {moe.name = "sent", moe.role = "input"},
    %arrived: tensor<4xi32> {moe.name = "arrived", moe.role = "input"})
    -> (tensor<?x8xbf16> {moe.name = "xs", moe.role = "plan", moe.sizes = ["2*R"]},
        tensor<?x8xbf16> {moe.name = "ys", moe.role = "plan", moe.sizes = ["2*R"]})
    attributes {moe.sums = {R = {of = "T", axes = ["ep"]}}, moe.tokens_over = ["dp", "ep"]} {
  %xs = coll.all_to_all_v %x, %sent, %arrived over [ep] {bound = "2*R"}
      : (tensor<?x8xbf16>, tensor<4xi32>, tensor<4xi32>) -> tensor<?x8xbf16>
  %ys = coll.all_to_all_v %x, %sent, %arrived over [ep] mode padded {bound = "2*R", pair = "2*R"}
      : (tensor<?x8xbf16>, tensor<4xi32>, tensor<4xi32>) -> tensor<?x8xbf16>
  return %xs, %ys : tensor<?x8xbf16>, tensor<?x8xbf16>
}
}
