// Exchanges become calls of the runtime. What they are is said once, on the
// entry; what follows one runs only if it succeeded.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{vector-width=8},canonicalize,cse)' --split-input-file | FileCheck %s --check-prefixes=CHECK,CPU
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{reference=true},canonicalize,cse)' --split-input-file | FileCheck %s --check-prefixes=CHECK,REF

// The number of rows that come from others is a size of the function, after T:
// the sum of their tokens. The pointer that calls need is after the workspace.

// CHECK-DAG: func.func private @moe_collective(!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr) -> i32
// CHECK-LABEL: func.func @layer_exchange_entry(
// CHECK-SAME: moe.collectives = [
// CHECK-SAME: {axes = ["ep"], dtype = i32, kind = "all_to_all", name = "counts", row = 1 : i64},
// CHECK-SAME: {axes = ["ep"], dtype = bf16, kind = "all_to_all_v", mode = "exact", name = "rows", pattern = "ring", places = 2 : i64, row = 8 : i64, rows = "2*R"},
// CPU-SAME: {axes = ["tp"], dtype = f32, kind = "all_reduce", reduce = "sum", row = 8 : i64}],
// REF-SAME: {axes = ["tp"], dtype = f64, kind = "all_reduce", reduce = "sum", row = 8 : i64}],
// CHECK-SAME: moe.sizes = ["T", "R"], moe.sums = {R = {axes = ["ep"], of = "T"}}, moe.tokens_over = ["dp", "ep"],
// CHECK-SAME: per = {R = {{[0-9]+}} : i64, T =

// CHECK-DAG: %[[NULL:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK-DAG: %[[OK:.*]] = arith.constant 0 : i32
// CHECK-DAG: %[[PAIRS:.*]] = arith.constant 4 : i64
// CHECK: %[[SLOT:.*]] = llvm.getelementptr %{{.*}}[6]
// CHECK: %[[EXCHANGE:.*]] = llvm.load %[[SLOT]] : !llvm.ptr -> !llvm.ptr

// CHECK: %[[S0:.*]] = call @moe_collective(%[[EXCHANGE]], %{{.*}}, %[[C:.*]], %[[A:.*]], %[[PAIRS]], %[[NULL]], %[[NULL]])
// CHECK: %[[OK0:.*]] = arith.cmpi eq, %[[S0]], %[[OK]] : i32
// CHECK: scf.if %[[OK0]] {

// Counts of both sides are given; the rows are those that are sent.
// CHECK: %[[ROWS:.*]] = arith.index_cast %{{.*}} : index to i64
// CHECK: %[[S1:.*]] = func.call @moe_collective(%[[EXCHANGE]], %{{.*}}, %{{.*}}, %{{.*}}, %[[ROWS]], %[[C]], %[[A]])
// CHECK: %[[OK1:.*]] = arith.cmpi eq, %[[S1]], %[[OK]] : i32
// CHECK: scf.if %[[OK1]] {

// The reference sums in f64, and so what it is given is made that.
// REF: arith.extf {{.*}} : f32 to f64
// CHECK: %[[S2:.*]] = func.call @moe_collective(%[[EXCHANGE]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[NULL]], %[[NULL]])
// CHECK: %[[OK2:.*]] = arith.cmpi eq, %[[S2]], %[[OK]] : i32

// What the caller has is written when all of them have succeeded.
// CHECK: scf.if %[[OK2]] {
// CPU: scf.parallel
// CHECK: memref.store {{.*}} : memref<?x8xbf16>
// CPU: scf.parallel
// REF: arith.truncf {{.*}} : f64 to f32
// CHECK: memref.store {{.*}} : memref<?x8xf32>
// CHECK-NOT: else
// CHECK: return
module attributes {moe.name = "layer", coll.grid = {dp = 1, ep = 2, tp = 2}} {
func.func @exchange(
    %x: tensor<?x8xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["2*T"]},
    %part: tensor<?x8xf32> {moe.name = "part", moe.role = "input", moe.sizes = ["T"]},
    %counts: tensor<4xi32> {moe.name = "counts", moe.role = "input"})
    -> (tensor<?x8xbf16> {moe.name = "xs", moe.role = "plan", moe.sizes = ["2*R"]},
        tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]})
    attributes {moe.sums = {R = {of = "T", axes = ["ep"]}}, moe.tokens_over = ["dp", "ep"]} {
  %arrived = coll.all_to_all %counts over [ep] {name = "counts"} : (tensor<4xi32>) -> tensor<4xi32>
  %xs = coll.all_to_all_v %x, %counts, %arrived over [ep] pattern ring
      {bound = "2*R", name = "rows"}
      : (tensor<?x8xbf16>, tensor<4xi32>, tensor<4xi32>) -> tensor<?x8xbf16>
  %y = coll.all_reduce sum %part over [tp] : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %xs, %y : tensor<?x8xbf16>, tensor<?x8xf32>
}
}

// -----

// Every other one. `rows` are those of what is sent, but of what is received
// where the other side may have more; a scalar is one.

// CHECK-LABEL: func.func @layer_others_entry(
// CHECK-SAME: {axes = ["dp", "tp"], dtype = i32, kind = "reduce_scatter", reduce = "sum", row = 1 : i64, rows = "T"},
// CHECK-SAME: {axes = ["tp"], dtype = i32, kind = "all_gather", row = 1 : i64, rows = "S"},
// CHECK-SAME: {axes = ["tp"], dtype = i32, kind = "all_gather", row = 1 : i64, rows = "4"},
// CHECK-SAME: {axes = ["tp"], dtype = i64, kind = "broadcast", root = 1 : i64, row = 12 : i64},
// CHECK-SAME: {axes = ["ep"], dtype = i8, kind = "send", peer = 1 : i64, row = 1 : i64},
// CHECK-SAME: {axes = ["ep"], dtype = i8, kind = "recv", name = "byte", peer = 0 : i64, row = 1 : i64},
// CHECK-SAME: {axes = ["dp", "ep", "tp"], kind = "barrier"}]
// CHECK-SAME: moe.sizes = ["S", "T"]
// CHECK-DAG: %[[NULL:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK-DAG: %[[ZERO:.*]] = arith.constant 0 : i64
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1 : i64
// CHECK-DAG: %[[TWO:.*]] = arith.constant 2 : i64
// CHECK: %[[S:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK: %[[T:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK: call @moe_collective(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[T]], %[[NULL]], %[[NULL]])
// CHECK: scf.if
// CHECK: call @moe_collective(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[T]], %[[NULL]], %[[NULL]])
// CHECK: scf.if

// A slice is sent as rows without gaps.
// CHECK: memref.load {{.*}} : memref<2xi32, strided<[1], offset: 1>>
// CHECK: memref.store
// CHECK: call @moe_collective(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[TWO]], %[[NULL]], %[[NULL]])
// CHECK: scf.if
// CHECK: call @moe_collective(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[TWO]], %[[NULL]], %[[NULL]])
// CHECK: scf.if
// CHECK: call @moe_collective(%{{.*}}, %{{.*}}, %{{.*}}, %[[NULL]], %[[ONE]], %[[NULL]], %[[NULL]])
// CHECK: scf.if
// CHECK: call @moe_collective(%{{.*}}, %{{.*}}, %[[NULL]], %{{.*}}, %[[ONE]], %[[NULL]], %[[NULL]])
// CHECK: scf.if
// CHECK: call @moe_collective(%{{.*}}, %{{.*}}, %[[NULL]], %[[NULL]], %[[ZERO]], %[[NULL]], %[[NULL]])
// CHECK: scf.if
// CHECK: return
module attributes {coll.grid = {dp = 2, ep = 2, tp = 2}} {
func.func @others(%x: tensor<?xi32> {moe.name = "x", moe.sizes = ["S"]},
                  %three: tensor<3xi32> {moe.name = "three"},
                  %cube: tensor<2x3x4xi64> {moe.name = "cube"}, %byte: tensor<i8> {moe.name = "byte"})
    -> (tensor<?xi32> {moe.name = "y", moe.sizes = ["S"]}, tensor<4xi32> {moe.name = "four"},
        tensor<2x3x4xi64> {moe.name = "same"}, tensor<i8> {moe.name = "other"}) {
  %share = coll.reduce_scatter sum %x over [dp, tp] {rows = "T"} : (tensor<?xi32>) -> tensor<?xi32>
  %y = coll.all_gather %share over [tp] {rows = "S"} : (tensor<?xi32>) -> tensor<?xi32>
  %two = tensor.extract_slice %three[1] [2] [1] : tensor<3xi32> to tensor<2xi32>
  %four = coll.all_gather %two over [tp] : (tensor<2xi32>) -> tensor<4xi32>
  %same = coll.broadcast %cube over [tp] {root = 1 : i64} : (tensor<2x3x4xi64>) -> tensor<2x3x4xi64>
  coll.send %byte over [ep] {to = 1 : i64} : (tensor<i8>) -> ()
  %other = coll.recv over [ep] {from = 0 : i64, name = "byte"} : () -> tensor<i8>
  coll.barrier over [dp, ep, tp]
  return %y, %four, %same, %other : tensor<?xi32>, tensor<4xi32>, tensor<2x3x4xi64>, tensor<i8>
}
}

// -----

// Which rank this is costs no exchange, and outputs are computed where the
// caller has them.

// CHECK-LABEL: func.func @layer_own_entry(
// CHECK-SAME: moe.collectives = [],
// CHECK: %[[AXES:.*]] = arith.constant 5 : i32
// CHECK: %[[I:.*]] = call @moe_member(%{{.*}}, %[[AXES]]) : (!llvm.ptr, i32) -> i32
// CHECK: memref.store %[[I]], %[[MEMBER:.*]][] : memref<i32>
// CHECK: %[[M:.*]] = memref.load %[[MEMBER]][] : memref<i32>
// CHECK: %[[FIRST:.*]] = arith.muli %[[M]], %{{.*}} : i32
// CPU: scf.parallel
// CHECK: %[[NULL:.*]] = arith.cmpi sge, %[[INDEX:.*]], %{{.*}} : i32
// CHECK-DAG: %[[AFTER:.*]] = arith.subi %[[INDEX]], %c9_i32 : i32
// CHECK-DAG: %[[REAL:.*]] = arith.subi %[[INDEX]], %[[FIRST]] : i32
// CHECK: %[[LOCAL:.*]] = arith.select %[[NULL]], %[[AFTER]], %[[REAL]] : i32
// CHECK-DAG: %[[LOW:.*]] = arith.cmpi sge, %[[LOCAL]], %{{.*}} : i32
// CHECK-DAG: %[[HIGH:.*]] = arith.cmpi slt, %[[LOCAL]], %{{.*}} : i32
// CHECK: %[[SHARE:.*]] = arith.andi %[[LOW]], %[[HIGH]] : i1
// CHECK: %[[OURS:.*]] = arith.select %[[NULL]], %{{.*}}, %[[SHARE]] : i1
// CHECK: arith.select %[[OURS]], %[[LOCAL]], %{{.*}} : i32
// CHECK: arith.select %[[OURS]]
func.func @own(%indices: tensor<?x2xi32> {moe.name = "indices", moe.sizes = ["T"]},
               %weights: tensor<?x2xf32> {moe.name = "weights", moe.sizes = ["T"]})
    -> (tensor<?x2xi32> {moe.name = "local", moe.sizes = ["T"]},
        tensor<?x2xf32> {moe.name = "kept", moe.sizes = ["T"]}) {
  %member = coll.index over [dp, tp] : () -> tensor<i32>
  %local, %kept = moe.keep_local %indices, %weights, %member {experts = 12 : i64, members = 4 : i64}
      : (tensor<?x2xi32>, tensor<?x2xf32>, tensor<i32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return %local, %kept : tensor<?x2xi32>, tensor<?x2xf32>
}

// -----

// Where a rank's tokens are among those of all is a size.

// CHECK-LABEL: func.func @layer_tokens_entry(
// CHECK-SAME: moe.sizes = ["N", "T", "P"]
// CHECK-SAME: moe.sums = {P = {axes = ["dp"], before = ["dp"], of = "T"}}
// CHECK: %[[NUMBER:.*]] = arith.addi %[[P:.*]], %[[R:.*]] : index
// CHECK: %[[WIDE:.*]] = arith.index_cast %[[NUMBER]] : index to i64
// CHECK: memref.store %[[WIDE]], %{{.*}}[%[[R]]] : memref<?xi64>
// CHECK: %[[ROW:.*]] = arith.addi %[[P]], %[[R2:.*]] : index
// CHECK: memref.load %{{.*}}[%[[ROW]], %[[C:.*]]] : memref<?x2xi32>
// CHECK: memref.store %{{.*}}, %{{.*}}[%[[R2]], %[[C]]] : memref<?x2xi32>
// CHECK: %[[PLACED:.*]] = arith.cmpi sge
// CHECK: arith.select %[[PLACED]]
func.func @tokens(%all: tensor<?x2xi32> {moe.name = "all", moe.sizes = ["N"]},
                  %positions: tensor<?x2xi32> {moe.name = "positions", moe.sizes = ["T"]})
    -> (tensor<?xi64> {moe.name = "numbers", moe.sizes = ["T"]},
        tensor<?x2xi32> {moe.name = "own", moe.sizes = ["T"]},
        tensor<?x2xi32> {moe.name = "kept", moe.sizes = ["T"]})
    attributes {moe.sums = {P = {axes = ["dp"], before = ["dp"], of = "T"}}} {
  %numbers = moe.row_numbers {first = "P", rows = "T"} : () -> tensor<?xi64>
  %own = moe.take_rows %all {first = "P", rows = "T"} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  %kept = moe.keep_placed %own, %positions : (tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<?x2xi32>
  return %numbers, %own, %kept : tensor<?xi64>, tensor<?x2xi32>, tensor<?x2xi32>
}

// -----

// A rank that is alone is number 0.

// CHECK-LABEL: func.func @layer_alone_entry(
// CHECK: %[[ZERO:.*]] = arith.constant 0 : i32
// CHECK: memref.store %[[ZERO]], %{{.*}}[] : memref<i32>
func.func @alone() -> (tensor<i32> {moe.name = "i"}) {
  %zero = arith.constant dense<0> : tensor<i32>
  return %zero : tensor<i32>
}

// -----

// Places are in a table, one for each content: how many an expert has, and
// which.

// CHECK-DAG: memref.global "private" constant @moe_table.places.0 : memref<6xi32> = dense<[2, 0, 3, 1, 1, -1]>
// CHECK-DAG: memref.global "private" constant @moe_table.places.1 : memref<4xi32> = dense<[1, 1, 1, 0]>
// CHECK-LABEL: func.func @layer_places_entry(
// CHECK: %[[TABLE:.*]] = memref.get_global @moe_table.places.0
// CPU: scf.parallel (%[[T:.*]]) =
// REF: scf.for %[[T:.*]] =
// CHECK: %[[PLACE:.*]] = scf.if %{{.*}} -> (i32) {
// CHECK: %[[LOADED:.*]] = memref.load %[[TABLE]]
// CHECK: %[[COUNT:.*]] = arith.index_cast %[[LOADED]] : i32 to index
// CHECK: arith.remui %[[T]], %[[COUNT]] : index
// CHECK: memref.load %[[TABLE]]
// CHECK: } else {
// CHECK: arith.select
// CHECK: memref.store %[[PLACE]]
// CHECK: memref.get_global @moe_table.places.1
// CHECK-NOT: arith.remui
// CHECK: memref.store
// CHECK: memref.load %[[TABLE]]
// CHECK: arith.remui
func.func @places(%indices: tensor<?x2xi32> {moe.name = "indices", moe.sizes = ["T"]})
    -> (tensor<?x2xi32> {moe.name = "a", moe.sizes = ["T"]},
        tensor<?x2xi32> {moe.name = "b", moe.sizes = ["T"]},
        tensor<?x2xi32> {moe.name = "c", moe.sizes = ["T"]}) {
  %a = moe.place %indices {places = dense<[[0, 3], [1, -1]]> : tensor<2x2xi32>, total = 4 : i64}
      : (tensor<?x2xi32>) -> tensor<?x2xi32>
  %b = moe.place %indices {places = dense<[[1], [0]]> : tensor<2x1xi32>, total = 2 : i64}
      : (tensor<?x2xi32>) -> tensor<?x2xi32>
  %c = moe.place %a {places = dense<[[0, 3], [1, -1]]> : tensor<2x2xi32>, total = 4 : i64}
      : (tensor<?x2xi32>) -> tensor<?x2xi32>
  return %a, %b, %c : tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xi32>
}

// -----

// Rows that arrived, by member and by place; no count leads past those there
// are.

// CHECK-LABEL: func.func @layer_arrivals_entry(
// CHECK-SAME: moe.sizes = ["R"]
// CHECK-DAG: %[[NONE:.*]] = arith.constant -1 : i32
// CHECK-DAG: %[[TWO:.*]] = arith.constant 2 : index
// CHECK-DAG: %[[EIGHT:.*]] = arith.constant 8 : index
// CHECK: %[[ROOM:.*]] = arith.muli %{{.*}}, %[[EIGHT]] : index
// CHECK: %[[END:.*]] = scf.for %[[I:.*]] = {{.*}} iter_args(%[[AT:.*]] = %{{.*}}) -> (index) {
// CHECK: arith.maxsi
// CHECK: %[[NEXT:.*]] = arith.minsi %{{.*}}, %[[ROOM]] : index
// CHECK: arith.remui %[[I]], %[[TWO]] : index
// CHECK: scf.for %{{.*}} = %[[AT]] to %[[NEXT]]
// CHECK: scf.for %[[R:.*]] = %[[END]] to %[[ROOM]]
// CHECK-NEXT: memref.store %[[NONE]], %{{.*}}[%[[R]], %{{.*}}] : memref<?x1xi32>
func.func @arrivals(%counts: tensor<6xi32> {moe.name = "counts"})
    -> (tensor<?x1xi32> {moe.name = "local", moe.sizes = ["8*R"]}) {
  %local = moe.arrivals %counts {members = 3 : i64, rows = "8*R"} : (tensor<6xi32>) -> tensor<?x1xi32>
  return %local : tensor<?x1xi32>
}

// -----

// What follows a requirement is done only where the status is 0; the caller has
// the status by then.

// CHECK-LABEL: func.func @layer_required_entry(
// CHECK: %[[BAD:.*]] = memref.load %{{.*}}[] : memref<i32>
// CHECK: %[[GOOD:.*]] = arith.cmpi eq, %{{.*}}, %{{.*}} : i32
// CHECK: scf.if %[[GOOD]] {
// CHECK: call @moe_collective
module attributes {coll.grid = {dp = 2, ep = 1, tp = 1}} {
func.func @required(%x: tensor<4xf32> {moe.name = "x", moe.role = "input"},
                    %s: tensor<i32> {moe.name = "s", moe.role = "input"})
    -> (tensor<4xf32> {moe.name = "y", moe.role = "output"},
        tensor<i32> {moe.name = "status", moe.role = "plan"}) {
  moe.require %s : (tensor<i32>) -> ()
  %y = coll.all_reduce sum %x over [dp] : (tensor<4xf32>) -> tensor<4xf32>
  return %y, %s : tensor<4xf32>, tensor<i32>
}
}

// -----

// An exchange in two halves: rows that come have their place before it starts,
// and the number of those that can come is theirs.

// CHECK-DAG: func.func private @moe_collective_start(!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, i64, i64, !llvm.ptr, !llvm.ptr) -> i32
// CHECK-DAG: func.func private @moe_collective_wait(!llvm.ptr, i32) -> i32
// CHECK-LABEL: func.func @layer_chunks_entry(
// CHECK-SAME: moe.collectives = [
// CHECK-SAME: {axes = ["ep"], bound = "2*R", chunk = array<i64: 0, 1>, dtype = bf16, kind = "all_to_all_v", mode = "padded", name = "rows", pattern = "all_to_all", places = 2 : i64, row = 8 : i64, whole = "send"},
// CHECK-SAME: {axes = ["ep"], chunk = array<i64: 0, 1>, dtype = bf16, kind = "all_to_all_v", mode = "exact", pattern = "all_to_all", places = 2 : i64, row = 8 : i64, whole = "receive"},
// CHECK-SAME: {axes = ["ep"], chunk = array<i64: 1, 2>, dtype = bf16, kind = "all_to_all_v", mode = "exact", pattern = "all_to_all", places = 2 : i64, row = 8 : i64, whole = "receive"}],

// The size that the function finds out is not one that it is given, and its
// rows are some of all: as much as 2*R.
// CHECK-SAME: moe.sizes = ["T", "R"]
// CHECK-SAME: per = {R = 40 : i64, T = 32 : i64}

// CHECK-DAG: %[[ZERO:.*]] = arith.constant 0 : i32
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1 : i32
// CHECK: %[[MINE:.*]] = arith.minsi
// CHECK: %[[ROOM:.*]] = arith.index_cast %[[MINE]] : index to i64
// CHECK: %[[S0:.*]] = call @moe_collective_start(%[[EXCHANGE:.*]], %[[ZERO]], %{{.*}}, %[[XS:.*]], %[[ROWS:.*]], %[[ROOM]], %{{.*}}, %{{.*}})
// CHECK: arith.cmpi eq, %[[S0]], %[[ZERO]] : i32
// CHECK: scf.if
// CHECK: func.call @moe_collective_wait(%[[EXCHANGE]], %[[ZERO]])
// CHECK: scf.if

// What two exchanges fill is one buffer.
// CHECK: func.call @moe_collective_start(%[[EXCHANGE]], %[[ONE]], %[[XS]], %[[BACK:.*]], %[[ROOM]], %[[ROWS]], %{{.*}}, %{{.*}})
// CHECK: scf.if
// CHECK: func.call @moe_collective_start(%[[EXCHANGE]], %{{.*}}, %[[XS]], %[[BACK]], %[[ROOM]], %[[ROWS]], %{{.*}}, %{{.*}})
// CHECK: scf.if
// CHECK: func.call @moe_collective_wait(%[[EXCHANGE]], %[[ONE]])
// CHECK: scf.if
// CHECK: func.call @moe_collective_wait(%[[EXCHANGE]], %{{.*}})
// CHECK: scf.if
// CHECK: return
module attributes {coll.grid = {dp = 1, ep = 2, tp = 1}} {
func.func @chunks(%x: tensor<?x8xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["2*T"]},
                  %c: tensor<4xi32> {moe.name = "c", moe.role = "input"},
                  %d: tensor<4xi32> {moe.name = "d", moe.role = "input"})
    -> (tensor<?x8xbf16> {moe.name = "y", moe.role = "output", moe.sizes = ["2*T"]})
    attributes {moe.sums = {R = {of = "T", axes = ["ep"]}}, moe.tokens_over = ["ep"]} {
  %local = moe.arrivals %d places 0 to 1 {members = 2 : i64, rows = "2*R", size = "C"} : (tensor<4xi32>) -> tensor<?x1xi32>
  %0 = coll.start_all_to_all_v %x, %c, %d places 0 to 1 of send over [ep] mode padded {name = "rows", pair = "2*R"}
      : (tensor<?x8xbf16>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  %xs = coll.wait %0 {rows = "C"} : (!coll.pending) -> tensor<?x8xbf16>
  %1 = coll.start_all_to_all_v %xs, %d, %c places 0 to 1 of receive over [ep]
      : (tensor<?x8xbf16>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  %2 = coll.start_all_to_all_v %xs, %d, %c places 1 to 2 of receive over [ep]
      : (tensor<?x8xbf16>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
  %y = coll.wait %1, %2 {rows = "2*T"} : (!coll.pending, !coll.pending) -> tensor<?x8xbf16>
  return %y : tensor<?x8xbf16>
}
}
