// Exchanges that need not be, and beside each what must stay.

// RUN: moe-opt %s --canonicalize --cse --split-input-file | FileCheck %s

// A rank that is alone along the axes has everything already.
module attributes {coll.grid = {dp = 1, ep = 1, tp = 2}} {
// CHECK-LABEL: func @alone
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[C:.*]]: tensor<4xi32>, %[[F:.*]]: tensor<4x8xf32>)
func.func @alone(%x: tensor<?x8xf32>, %c: tensor<4xi32>, %f: tensor<4x8xf32>)
    -> (tensor<?x8xf32>, tensor<4xi32>, tensor<4x8xf32>, tensor<i32>) {
  // CHECK-NEXT: %[[ZERO:.*]] = arith.constant dense<0> : tensor<i32>
  // CHECK-NEXT: return %[[X]], %[[C]], %[[F]], %[[ZERO]]
  coll.barrier over [dp, ep]
  %0 = coll.all_reduce sum %x over [dp, ep] : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = coll.reduce_scatter sum %0 over [ep] {rows = "T"}
      : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %2 = coll.all_gather %1 over [dp] {rows = "T"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %3 = coll.broadcast %2 over [dp] {root = 0 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %4 = coll.all_to_all %c over [ep] : (tensor<4xi32>) -> tensor<4xi32>
  %5 = coll.all_to_all_v %f, %c, %4 over [ep]
      : (tensor<4x8xf32>, tensor<4xi32>, tensor<4xi32>) -> tensor<4x8xf32>
  %6 = coll.index over [dp] : () -> tensor<i32>
  return %3, %4, %5, %6 : tensor<?x8xf32>, tensor<4xi32>, tensor<4x8xf32>, tensor<i32>
}

// Two members along tp; types that differ; and rows whose bound is another.
// CHECK-LABEL: func @together
func.func @together(%x: tensor<?x8xf32>, %f: tensor<4x8xf32>, %c: tensor<4xi32>)
    -> (tensor<?x8xf32>, tensor<i32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  // CHECK: coll.barrier over [ep, tp]
  coll.barrier over [ep, tp]
  // CHECK: coll.all_reduce sum
  %0 = coll.all_reduce sum %x over [dp, tp] : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: coll.index
  %1 = coll.index over [tp] : () -> tensor<i32>
  // CHECK: coll.broadcast
  %2 = coll.broadcast %f over [ep] {root = 0 : i64} : (tensor<4x8xf32>) -> tensor<?x8xf32>
  // CHECK: coll.all_to_all_v
  %3 = coll.all_to_all_v %x, %c, %c over [ep] {bound = "R"}
      : (tensor<?x8xf32>, tensor<4xi32>, tensor<4xi32>) -> tensor<?x8xf32>
  return %0, %1, %2, %3 : tensor<?x8xf32>, tensor<i32>, tensor<?x8xf32>, tensor<?x8xf32>
}
}

// -----

// Without a grid nothing is known of groups; nothing is removed because its
// result is not used, and two that are alike stay two, in their order.
// CHECK-LABEL: func @order
func.func @order(%x: tensor<4xf32>, %c: tensor<4xi32>) -> (tensor<4xf32>, tensor<4xf32>) {
  // CHECK-NEXT: %[[A:.*]] = coll.all_reduce sum
  // CHECK-NEXT: %[[B:.*]] = coll.all_reduce sum
  // CHECK-NEXT: coll.all_to_all
  // CHECK-NEXT: coll.broadcast
  // CHECK-NEXT: coll.send
  // CHECK-NEXT: coll.recv
  // CHECK-NEXT: coll.barrier
  // CHECK-NEXT: return %[[A]], %[[B]]
  %0 = coll.all_reduce sum %x over [ep] : (tensor<4xf32>) -> tensor<4xf32>
  %1 = coll.all_reduce sum %x over [ep] : (tensor<4xf32>) -> tensor<4xf32>
  %2 = coll.all_to_all %c over [ep] : (tensor<4xi32>) -> tensor<4xi32>
  %3 = coll.broadcast %x over [ep] {root = 1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  coll.send %x over [ep] {to = 1 : i64} : (tensor<4xf32>) -> ()
  %4 = coll.recv over [ep] {from = 1 : i64} : () -> tensor<4xf32>
  coll.barrier over [ep]
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// The number of a rank never changes.
// CHECK-LABEL: func @index
// CHECK-NEXT: %[[I:.*]] = coll.index over [ep]
// CHECK-NEXT: return %[[I]], %[[I]]
func.func @index() -> (tensor<i32>, tensor<i32>) {
  %0 = coll.index over [ep] : () -> tensor<i32>
  %1 = coll.index over [ep] : () -> tensor<i32>
  %2 = coll.index over [tp] : () -> tensor<i32>
  return %0, %1 : tensor<i32>, tensor<i32>
}

// -----

// Shares of a sum that are put together are the sum.
// CHECK-LABEL: func @sum
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>)
// CHECK-NEXT: %[[Y:.*]] = coll.all_reduce sum %[[X]] over [ep, tp] {name = "parts"}
// CHECK-NEXT: return %[[Y]]
func.func @sum(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = coll.reduce_scatter sum %x over [ep, tp] {name = "parts", rows = "T"}
      : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = coll.all_gather %0 over [ep, tp] {rows = "S"}
      : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// Not those that something else reads, nor over other axes.
// CHECK-LABEL: func @shares
func.func @shares(%x: tensor<?x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  // CHECK: coll.reduce_scatter
  // CHECK: coll.all_gather
  %0 = coll.reduce_scatter sum %x over [tp] {rows = "T"}
      : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = coll.all_gather %0 over [tp] {rows = "S"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: coll.reduce_scatter
  // CHECK: coll.all_gather
  %2 = coll.reduce_scatter sum %x over [tp] {rows = "T"}
      : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %3 = coll.all_gather %2 over [ep] {rows = "S"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0, %1, %3 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}

// -----

// Blocks that go there and come back at once.
// CHECK-LABEL: func @there_and_back
// CHECK-SAME: (%[[X:.*]]: tensor<4xi32>)
// CHECK-NEXT: return %[[X]]
func.func @there_and_back(%x: tensor<4xi32>) -> tensor<4xi32> {
  %0 = coll.all_to_all %x over [ep] : (tensor<4xi32>) -> tensor<4xi32>
  %1 = coll.all_to_all %0 over [ep] : (tensor<4xi32>) -> tensor<4xi32>
  return %1 : tensor<4xi32>
}

// CHECK-LABEL: func @there
// CHECK: coll.all_to_all
// CHECK: coll.all_to_all
// CHECK: coll.all_to_all
func.func @there(%x: tensor<4xi32>) -> (tensor<4xi32>, tensor<4xi32>, tensor<4xi32>) {
  %0 = coll.all_to_all %x over [ep] : (tensor<4xi32>) -> tensor<4xi32>
  %1 = coll.all_to_all %0 over [ep] : (tensor<4xi32>) -> tensor<4xi32>
  %2 = coll.all_to_all %0 over [tp] : (tensor<4xi32>) -> tensor<4xi32>
  return %0, %1, %2 : tensor<4xi32>, tensor<4xi32>, tensor<4xi32>
}

// -----

// CHECK-LABEL: func @broadcasts
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>)
// CHECK-NEXT: %[[A:.*]] = coll.broadcast %[[X]] over [dp] {root = 1 : i64}
// CHECK-NEXT: %[[B:.*]] = coll.broadcast %[[A]] over [dp] {root = 0 : i64}
// CHECK-NEXT: %[[C:.*]] = coll.broadcast %[[A]] over [ep] {root = 1 : i64}
// CHECK-NEXT: return %[[A]], %[[B]], %[[C]]
func.func @broadcasts(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %0 = coll.broadcast %x over [dp] {root = 1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  %1 = coll.broadcast %0 over [dp] {root = 1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  %2 = coll.broadcast %1 over [dp] {root = 0 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  %3 = coll.broadcast %1 over [ep] {root = 1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return %1, %2, %3 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// Of barriers in a row one is enough, whatever is computed in between.
// CHECK-LABEL: func @barriers
// CHECK-NEXT: coll.index
// CHECK-NEXT: coll.barrier over [ep] {name = "third"}
// CHECK-NEXT: coll.barrier over [tp]
// CHECK-NEXT: coll.barrier over [ep]
// CHECK-NEXT: coll.send
// CHECK-NEXT: coll.barrier over [ep]
// CHECK-NEXT: return
func.func @barriers(%x: tensor<4xf32>) -> tensor<i32> {
  coll.barrier over [ep] {name = "first"}
  coll.barrier over [ep] {name = "second"}
  %0 = coll.index over [ep] : () -> tensor<i32>
  coll.barrier over [ep] {name = "third"}
  coll.barrier over [tp]
  coll.barrier over [ep]
  coll.send %x over [ep] {to = 1 : i64} : (tensor<4xf32>) -> ()
  coll.barrier over [ep]
  return %0 : tensor<i32>
}

// -----

// A rank that is alone waits for nobody, where it has all rows.
module attributes {coll.grid = {dp = 1 : i64, ep = 1 : i64, tp = 2 : i64}} {
// CHECK-LABEL: func @chunk_of_one
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>,
// CHECK-NEXT: %[[SOME:.*]] = coll.start_all_to_all_v %[[X]]
// CHECK-NEXT: %[[Y:.*]] = coll.wait %[[SOME]]
// CHECK-NEXT: return %[[X]], %[[Y]]
func.func @chunk_of_one(%x: tensor<4xf32>, %c: tensor<2xi32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = coll.start_all_to_all_v %x, %c, %c places 0 to 2 of send over [ep]
      : (tensor<4xf32>, tensor<2xi32>, tensor<2xi32>) -> !coll.pending
  %1 = coll.wait %0 : (!coll.pending) -> tensor<4xf32>
  %2 = coll.start_all_to_all_v %x, %c, %c places 0 to 1 of send over [ep]
      : (tensor<4xf32>, tensor<2xi32>, tensor<2xi32>) -> !coll.pending
  %3 = coll.wait %2 : (!coll.pending) -> tensor<4xf32>
  return %1, %3 : tensor<4xf32>, tensor<4xf32>
}
}
