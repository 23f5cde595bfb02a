// Every operation and optional piece, in custom form, generic form and
// bytecode. The descriptions of the operations quote this file.

// RUN: moe-opt %s --verify-roundtrip | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s --emit-bytecode | moe-opt | FileCheck %s

// CHECK: module attributes {coll.grid = {dp = 2 : i64, ep = 2 : i64, tp = 2 : i64}}
module attributes {coll.grid = {dp = 2, ep = 2, tp = 2}} {

// CHECK-LABEL: func @all_reduce
func.func @all_reduce(%x: tensor<?x8xf32>, %n: tensor<i64>) {
  // CHECK: coll.all_reduce sum %{{.*}} over [tp] {name = "parts of the sum"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = coll.all_reduce sum %x over [tp] {name = "parts of the sum"}
      : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // No name is not printed.
  // CHECK: coll.all_reduce max %{{.*}} over [dp, ep, tp] : (tensor<i64>) -> tensor<i64>
  %0 = coll.all_reduce max %n over [dp, ep, tp] {name = ""} : (tensor<i64>) -> tensor<i64>
  // CHECK: coll.all_reduce min
  %1 = coll.all_reduce min %n over [dp, tp] : (tensor<i64>) -> tensor<i64>
  return
}

// CHECK-LABEL: func @scattered
func.func @scattered(%x: tensor<?x8xf32>, %fixed: tensor<4x8xf32>) {
  // CHECK: coll.reduce_scatter sum %{{.*}} over [tp] {rows = "T"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = coll.reduce_scatter sum %x over [tp] {rows = "T"}
      : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: coll.reduce_scatter sum %{{.*}} over [tp] : (tensor<4x8xf32>) -> tensor<2x8xf32>
  %0 = coll.reduce_scatter sum %fixed over [tp] : (tensor<4x8xf32>) -> tensor<2x8xf32>
  return
}

// CHECK-LABEL: func @gathered
func.func @gathered(%x: tensor<?x8xbf16>, %fixed: tensor<2xi8>) {
  // CHECK: coll.all_gather %{{.*}} over [ep, tp] {rows = "S"} : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
  %y = coll.all_gather %x over [ep, tp] {rows = "S"}
      : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
  // CHECK: coll.all_gather %{{.*}} over [dp] {name = "shares"} : (tensor<2xi8>) -> tensor<4xi8>
  %0 = coll.all_gather %fixed over [dp] {name = "shares"} : (tensor<2xi8>) -> tensor<4xi8>
  return
}

// CHECK-LABEL: func @broadcast
func.func @broadcast(%x: tensor<4xf32>) {
  // CHECK: coll.broadcast %{{.*}} over [dp] {root = 1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  %y = coll.broadcast %x over [dp] {root = 1 : i64}
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// CHECK-LABEL: func @exchange
func.func @exchange(%counts: tensor<8xi32>, %sent: tensor<?x8xbf16>) {
  // CHECK: coll.all_to_all %{{.*}} over [ep] {name = "counts"} : (tensor<8xi32>) -> tensor<8xi32>
  %arrived = coll.all_to_all %counts over [ep] {name = "counts"}
      : (tensor<8xi32>) -> tensor<8xi32>
  // CHECK: coll.all_to_all_v %{{.*}}, %{{.*}}, %{{.*}} over [ep] pattern ring mode padded {bound = "8*R", name = "rows to experts", pair = "8*R"} :
  %xs = coll.all_to_all_v %sent, %counts, %arrived over [ep] pattern ring mode padded
      {bound = "8*R", name = "rows to experts", pair = "8*R"}
      : (tensor<?x8xbf16>, tensor<8xi32>, tensor<8xi32>) -> tensor<?x8xbf16>
  // What is usual is not printed.
  // CHECK: coll.all_to_all_v %{{.*}}, %{{.*}}, %{{.*}} over [ep] : {{.*}} -> tensor<16x8xbf16>
  %0 = coll.all_to_all_v %sent, %counts, %arrived over [ep] pattern all_to_all mode exact
      : (tensor<?x8xbf16>, tensor<8xi32>, tensor<8xi32>) -> tensor<16x8xbf16>
  return
}

// CHECK-LABEL: func @chunks
func.func @chunks(%counts: tensor<8xi32>, %arrived: tensor<8xi32>, %sent: tensor<?x8xbf16>,
                  %ys: tensor<?x8xf32>) {
  // CHECK: %[[FIRST:.*]] = coll.start_all_to_all_v %{{.*}}, %{{.*}}, %{{.*}} places 0 to 1 of send over [ep] mode padded {name = "rows, 1 of 2", pair = "8*R"} : (tensor<?x8xbf16>, tensor<8xi32>, tensor<8xi32>) -> !coll.pending
  %padded = coll.start_all_to_all_v %sent, %counts, %counts places 0 to 1 of send over [ep] mode padded
      {name = "rows, 1 of 2", pair = "8*R"}
      : (tensor<?x8xbf16>, tensor<8xi32>, tensor<8xi32>) -> !coll.pending
  // CHECK: coll.wait %[[FIRST]] : (!coll.pending) -> tensor<16x8xbf16>
  %fixed = coll.wait %padded : (!coll.pending) -> tensor<16x8xbf16>
  // CHECK: %[[SECOND:.*]] = coll.start_all_to_all_v
  %0 = coll.start_all_to_all_v %sent, %counts, %arrived places 0 to 2 of send
      over [ep] {name = "rows to experts, 1 of 2"}
      : (tensor<?x8xbf16>, tensor<8xi32>, tensor<8xi32>) -> !coll.pending
  // CHECK: coll.start_all_to_all_v %{{.*}}, %{{.*}}, %{{.*}} places 0 to 1 of receive over [ep] :
  %1 = coll.start_all_to_all_v %ys, %counts, %counts places 0 to 1 of receive over [ep] mode exact
      : (tensor<?x8xf32>, tensor<8xi32>, tensor<8xi32>) -> !coll.pending
  %2 = coll.start_all_to_all_v %ys, %counts, %counts places 1 to 4 of receive over [ep]
      : (tensor<?x8xf32>, tensor<8xi32>, tensor<8xi32>) -> !coll.pending
  // CHECK: coll.wait %[[SECOND]] {rows = "C0"} : (!coll.pending) -> tensor<?x8xbf16>
  // CHECK: coll.wait %{{.*}}, %{{.*}} {rows = "8*T"} : (!coll.pending, !coll.pending) -> tensor<?x8xf32>
  %xs = coll.wait %0 {rows = "C0"} : (!coll.pending) -> tensor<?x8xbf16>
  %back = coll.wait %1, %2 {rows = "8*T"}
      : (!coll.pending, !coll.pending) -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func @pairs
func.func @pairs(%x: tensor<?x8xf32>) {
  // CHECK: coll.send %{{.*}} over [ep] {to = 1 : i64} : (tensor<?x8xf32>) -> ()
  coll.send %x over [ep] {to = 1 : i64} : (tensor<?x8xf32>) -> ()
  // CHECK: coll.recv over [ep] {from = 0 : i64, rows = "R"} : () -> tensor<?x8xf32>
  %y = coll.recv over [ep] {from = 0 : i64, rows = "R"} : () -> tensor<?x8xf32>
  // CHECK: coll.recv over [ep] {from = 0 : i64} : () -> tensor<i32>
  %0 = coll.recv over [ep] {from = 0 : i64} : () -> tensor<i32>
  return
}

// CHECK-LABEL: func @members
func.func @members() {
  // CHECK: coll.barrier over [dp, ep, tp] {name = "before the step"}
  coll.barrier over [dp, ep, tp] {name = "before the step"}
  // CHECK: coll.index over [tp] : () -> tensor<i32>
  %i = coll.index over [tp] : () -> tensor<i32>
  return
}

}
