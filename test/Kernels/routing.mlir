// Choice and grouping: rows in vectors for the machine, value by value in the
// reference.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{vector-width=8},canonicalize,cse)' | FileCheck %s --check-prefixes=CHECK,CPU
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{reference=true},canonicalize,cse)' | FileCheck %s --check-prefixes=CHECK,REF

module attributes {moe.name = "layer"} {

// Sixteen tokens are one task and share a row of room: 12 scores and as many
// keys of 4 bytes, and 16 integers of 8 bytes, of which each pick takes the
// largest that is below the one before. What is past the row is never largest.

// CHECK-LABEL: func.func @layer_softmax_entry(
// CPU-SAME: moe.workspace = {constant = {{[0-9]+}} : i64, per = {T = 14 : i64}}
// CPU-DAG: %[[TAIL:.*]] = arith.constant dense<[true, true, true, true, false, false, false, false]>
// CPU-DAG: %[[LOWEST:.*]] = arith.constant dense<-9223372036854775808> : vector<8xi64>
// CPU-DAG: %[[C16:.*]] = arith.constant 16 : index
// CPU: arith.divui {{.*}}, %[[C16]] : index
// CPU: scf.parallel
// CPU: scf.for
// CPU: vector.maskedload {{.*}}, %[[TAIL]],
// CPU: arith.cmpf ogt, {{.*}} : vector<8xf32>
// CPU: math.exp {{.*}} : vector<8xf32>
// CPU: arith.divf {{.*}} : vector<8xf32>
// CPU: arith.cmpi slt, {{.*}} : vector<8xi32>
// CPU: arith.extsi {{.*}} : vector<8xi32> to vector<8xi64>
// CPU: vector.store {{.*}} vector<8xi64>
// CPU: arith.select %[[TAIL]], {{.*}}, %[[LOWEST]]
// CPU: vector.store {{.*}} vector<8xi64>
// CPU: scf.for {{.*}} -> (i64)
// CPU: scf.for {{.*}} -> (vector<8xi64>)
// CPU: arith.cmpi slt, {{.*}} : vector<8xi64>
// CPU: arith.maxsi {{.*}} : vector<8xi64>
// CPU: arith.maxsi {{.*}} : vector<4xi64>
// CPU: arith.maxsi {{.*}} : vector<2xi64>
// CPU: arith.maxsi {{.*}} : vector<1xi64>
// CPU: vector.reduction <and>, {{.*}} : vector<8xi1> into i1
// REF-NOT: scf.parallel
// REF-NOT: vector
// REF: math.exp {{.*}} : f64
// REF: scf.for {{.*}} -> (f64, index)
// CHECK: return
func.func @softmax(
    %logits: tensor<?x12xf32> {moe.name = "logits", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?x3xi32> {moe.name = "indices", moe.role = "output", moe.sizes = ["T"]},
        tensor<?x3xf32> {moe.name = "weights", moe.role = "output", moe.sizes = ["T"]}) {
  %indices, %weights = moe.select %logits <experts = 12, top_k = 3>
      : (tensor<?x12xf32>) -> (tensor<?x3xi32>, tensor<?x3xf32>)
  return %indices, %weights : tensor<?x3xi32>, tensor<?x3xf32>
}

// A formula on vectors, and groups of four lanes: the two largest of each half.

// CHECK-LABEL: func.func @layer_groups_entry(
// CPU: scf.parallel
// CPU: arith.addf {{.*}} : vector<8xf32>
// CPU: scf.for
// CPU: vector.load {{.*}} vector<4xf32>
// CPU: vector.extract_strided_slice {{.*}} : vector<4xf32> to vector<2xf32>
// CPU: vector.extract_strided_slice {{.*}} : vector<2xf32> to vector<1xf32>
// CPU: arith.cmpi sge, {{.*}} : i64
// CPU: arith.select {{.*}} : vector<4xf32>
// REF-NOT: vector
// CHECK: return
func.func @groups(
    %logits: tensor<?x8xf32> {moe.name = "logits", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?x3xi32> {moe.name = "indices", moe.role = "output", moe.sizes = ["T"]},
        tensor<?x3xf32> {moe.name = "weights", moe.role = "output", moe.sizes = ["T"]}) {
  %indices, %weights = moe.select %logits
      <experts = 8, top_k = 3, score = function, groups = <count = 2, keep = 1>>
      : (tensor<?x8xf32>) -> (tensor<?x3xi32>, tensor<?x3xf32>) {
  ^bb0(%x: f32):
    %one = arith.constant 1.0 : f32
    %score = arith.addf %x, %one : f32
    moe.yield %score
  }
  return %indices, %weights : tensor<?x3xi32>, tensor<?x3xf32>
}

// Ranges of 256 tokens are counted and placed at the same time, each with
// counters of its own: 3 experts and a null expert.

// CHECK-LABEL: func.func @layer_group_entry(
// CPU-SAME: moe.workspace = {constant = {{[0-9]+}} : i64, per = {T = 1 : i64}}
// CPU: scf.parallel
// CPU: vector.store {{.*}} vector<4xi32>
// CPU: memref.store
// CPU: scf.for {{.*}} -> (vector<4xi32>)
// CPU: scf.for {{.*}} -> (i32)
// CPU: scf.parallel
// REF-NOT: scf.parallel
// REF-NOT: vector
// CHECK: return
func.func @group(
    %indices: tensor<?x2xi32> {moe.name = "indices", moe.role = "input", moe.sizes = ["T"]},
    %weights: tensor<?x2xf32> {moe.name = "weights", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?xi32> {moe.name = "rows", moe.role = "output", moe.sizes = ["2*T"]},
        tensor<4xi32> {moe.name = "offsets", moe.role = "output"},
        tensor<?x2xi32> {moe.name = "positions", moe.role = "output", moe.sizes = ["T"]},
        tensor<4xi32> {moe.name = "counts", moe.role = "output"}) {
  %r, %o, %p, %c = moe.group %indices, %weights {experts = 3 : i64, null_experts = 1 : i64}
      : (tensor<?x2xi32>, tensor<?x2xf32>)
      -> (tensor<?xi32>, tensor<4xi32>, tensor<?x2xi32>, tensor<4xi32>)
  return %r, %o, %p, %c : tensor<?xi32>, tensor<4xi32>, tensor<?x2xi32>, tensor<4xi32>
}

// Squares are summed in f64, lane by lane.

// CHECK-LABEL: func.func @layer_norm_entry(
// CPU: scf.parallel
// CPU: scf.for {{.*}} -> (vector<8xf64>)
// CPU: arith.mulf {{.*}} : vector<8xf64>
// CPU: vector.maskedload {{.*}} vector<8xbf16>
// CPU: vector.maskedstore {{.*}} vector<8xf32>
// REF-NOT: vector
// REF: scf.for {{.*}} -> (f64)
// CHECK: return
func.func @norm(
    %x: tensor<?x20xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %scale: tensor<20xf32> {moe.name = "scale", moe.role = "weight"})
    -> (tensor<?x20xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %y = moe.rms_norm %x scale %scale {eps = 1.0e-6 : f64}
      : (tensor<?x20xbf16>, tensor<20xf32>) -> tensor<?x20xf32>
  return %y : tensor<?x20xf32>
}

// A row is finite if all of its vectors are.

// CHECK-LABEL: func.func @layer_check_entry(
// CPU: scf.parallel
// CPU: arith.cmpf olt, {{.*}} : vector<4xf32>
// CPU: vector.reduction <and>, {{.*}} : vector<4xi1> into i1
// REF-NOT: vector
// REF: arith.cmpf olt, {{.*}} : f64
// CHECK: return
func.func @check(
    %logits: tensor<?x4xf32> {moe.name = "logits", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<i32> {moe.name = "status", moe.role = "plan"}) {
  %status = moe.check_finite %logits : (tensor<?x4xf32>) -> tensor<i32>
  return %status : tensor<i32>
}

}
