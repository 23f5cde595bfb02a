// Folds that are right for every input, NaN and -0 included, and beside each
// what must stay.

// RUN: moe-opt %s --canonicalize --split-input-file | FileCheck %s

// With nothing to add, mix is a rounding; f32 to f32 is none.
// CHECK-LABEL: func @mix
// CHECK-SAME: (%[[ROUTED:.*]]: tensor<?x8xf32>, %[[BIAS:.*]]: tensor<8xf32>)
func.func @mix(%routed: tensor<?x8xf32>, %bias: tensor<8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xbf16>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %same = moe.mix %routed none : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: %[[ROUNDED:.*]] = moe.mix %[[ROUTED]] none : {{.*}} -> tensor<?x8xbf16>
  %rounded = moe.mix %routed none : (tensor<?x8xf32>) -> tensor<?x8xbf16>
  // CHECK: %[[SUM:.*]] = moe.mix %[[ROUTED]], %[[ROUTED]] none
  %sum = moe.mix %routed, %routed none
      : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: %[[MOVED:.*]] = moe.mix %[[ROUTED]] bias %[[BIAS]] none
  %moved = moe.mix %routed bias %bias none
      : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  // CHECK: return %[[ROUTED]], %[[ROUNDED]], %[[SUM]], %[[MOVED]]
  return %same, %rounded, %sum, %moved
      : tensor<?x8xf32>, tensor<?x8xbf16>, tensor<?x8xf32>, tensor<?x8xf32>
}

// -----

// Only -0 is neutral: x + (+0) turns -0 into +0.
// CHECK-LABEL: func @accumulate_float
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>)
func.func @accumulate_float(%x: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %negative = arith.constant dense<-0.0> : tensor<4xf32>
  %positive = arith.constant dense<0.0> : tensor<4xf32>
  %mixed = arith.constant dense<[-0.0, -0.0, 0.0, -0.0]> : tensor<4xf32>
  %a = moe.accumulate %x, %negative : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %b = moe.accumulate %negative, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: %[[C:.*]] = moe.accumulate
  %c = moe.accumulate %x, %positive : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: %[[D:.*]] = moe.accumulate
  %d = moe.accumulate %x, %mixed : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: return %[[X]], %[[X]], %[[C]], %[[D]]
  return %a, %b, %c, %d : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: func @accumulate_integer
// CHECK-SAME: (%[[SUM:.*]]: tensor<4xi64>, %[[VALUES:.*]]: tensor<4xi32>)
func.func @accumulate_integer(%sum: tensor<4xi64>, %values: tensor<4xi32>)
    -> (tensor<4xi64>, tensor<4xi64>) {
  %zero = arith.constant dense<0> : tensor<4xi32>
  %zero64 = arith.constant dense<0> : tensor<4xi64>
  %a = moe.accumulate %sum, %zero : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
  // Widening the values is not ours to say.
  // CHECK: %[[B:.*]] = moe.accumulate %{{.*}}, %[[VALUES]]
  %b = moe.accumulate %zero64, %values : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
  // CHECK: return %[[SUM]], %[[B]]
  return %a, %b : tensor<4xi64>, tensor<4xi64>
}

// -----

// Shapes that are known only on one side are no reason to add a cast.
// CHECK-LABEL: func @accumulate_shapes
func.func @accumulate_shapes(%x: tensor<?xf32>) -> tensor<4xf32> {
  %negative = arith.constant dense<-0.0> : tensor<4xf32>
  // CHECK: moe.accumulate
  %a = moe.accumulate %x, %negative : (tensor<?xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %a : tensor<4xf32>
}

// -----

// x * 1 is x, so weights of 1 need not be read.
// CHECK-LABEL: func @dispatch
func.func @dispatch(%x: tensor<3x8xf32>, %rows: tensor<6xi32>)
    -> (tensor<6x8xf32>, tensor<6x8xf32>) {
  %one = arith.constant dense<1.0> : tensor<3x2xf32>
  %half = arith.constant dense<0.5> : tensor<3x2xf32>
  // CHECK: moe.dispatch %{{.*}}, %{{.*}} {slots = 2 : i64}
  %a = moe.dispatch %x, %rows weights %one {slots = 2 : i64}
      : (tensor<3x8xf32>, tensor<6xi32>, tensor<3x2xf32>) -> tensor<6x8xf32>
  // CHECK: moe.dispatch %{{.*}}, %{{.*}} weights %{{.*}} {slots = 2 : i64}
  %b = moe.dispatch %x, %rows weights %half {slots = 2 : i64}
      : (tensor<3x8xf32>, tensor<6xi32>, tensor<3x2xf32>) -> tensor<6x8xf32>
  return %a, %b : tensor<6x8xf32>, tensor<6x8xf32>
}

// -----

// A body that returns an argument computes nothing.
// CHECK-LABEL: func @activate_identity
// CHECK-SAME: (%[[GATE:.*]]: tensor<?x8xf32>, %[[UP:.*]]: tensor<?x8xf32>)
func.func @activate_identity(%gate: tensor<?x8xf32>, %up: tensor<?x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %a = moe.activate %gate : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%g: f32):
    moe.yield %g
  }
  %b = moe.activate %gate, %up
      : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%g: f32, %u: f32):
    moe.yield %u
  }
  // CHECK: return %[[GATE]], %[[UP]]
  return %a, %b : tensor<?x8xf32>, tensor<?x8xf32>
}

// -----

// An input that the body does not read need not be computed, but one stays to
// say the shape. Constants stay inside, as regions see nothing else.
// CHECK-LABEL: func @activate_unused
// CHECK-SAME: (%[[GATE:.*]]: tensor<?x8xf32>, %[[UP:.*]]: tensor<?x8xf32>)
func.func @activate_unused(%gate: tensor<?x8xf32>, %up: tensor<?x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  // CHECK: moe.activate %[[UP]] :
  // CHECK-NEXT: ^bb0(%[[U:.*]]: f32):
  // CHECK-NEXT: %[[NEGATED:.*]] = arith.negf %[[U]]
  // CHECK-NEXT: moe.yield %[[NEGATED]]
  %a = moe.activate %gate, %up
      : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%g: f32, %u: f32):
    %negated = arith.negf %u : f32
    moe.yield %negated
  }
  // CHECK: moe.activate %[[UP]] :
  // CHECK-NEXT: ^bb0(%{{.*}}: f32):
  // CHECK-NEXT: %[[CONSTANT:.*]] = arith.constant 3.0
  // CHECK-NEXT: moe.yield %[[CONSTANT]]
  %b = moe.activate %gate, %up
      : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%g: f32, %u: f32):
    %one = arith.constant 1.0 : f32
    %two = arith.constant 2.0 : f32
    %three = arith.addf %one, %two : f32
    moe.yield %three
  }
  return %a, %b : tensor<?x8xf32>, tensor<?x8xf32>
}

// -----

// CHECK-LABEL: func @epilogue
func.func @epilogue(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}} : {{.*}} -> tensor<?x4xf32>
  // CHECK-NOT: {
  // CHECK: moe.grouped_matmul
  // CHECK-NEXT: ^bb0
  %a = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%v: f32):
    moe.yield %v
  }
  // Two weights need a region, whatever it returns.
  %b = moe.grouped_matmul %x, %w, %w
      : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%v: f32, %unused: f32):
    moe.yield %v
  }
  return %a, %b : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// What the product is stays.
// CHECK-LABEL: func @epilogue_of_transposed
func.func @epilogue_of_transposed(%x: tensor<?x8xf32>, %w: tensor<8x4xf32>) -> tensor<?x4xf32> {
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}} {tf32, transposed} : {{.*}} -> tensor<?x4xf32>
  // CHECK-NEXT: return
  %a = moe.grouped_matmul %x, %w {tf32, transposed} : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%v: f32):
    moe.yield %v
  }
  return %a : tensor<?x4xf32>
}

// -----

// Only identity_nulls and pass_through read x.
// CHECK-LABEL: func @combine
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x8xbf16>)
func.func @combine(%ys: tensor<?x8xf32>, %p: tensor<?x2xi32>, %i: tensor<?x2xi32>,
                   %w: tensor<?x2xf32>, %x: tensor<?x8xbf16>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  // CHECK: moe.combine
  // CHECK-NOT: x %[[X]]
  // CHECK-SAME: {experts = 4 : i64}
  %a = moe.combine %ys, %p, %i, %w x %x {experts = 4 : i64}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>,
         tensor<?x8xbf16>) -> tensor<?x8xf32>
  // CHECK: moe.combine {{.*}} x %[[X]] {experts = 4 : i64, pass_through}
  %b = moe.combine %ys, %p, %i, %w x %x {experts = 4 : i64, pass_through}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>,
         tensor<?x8xbf16>) -> tensor<?x8xf32>
  return %a, %b : tensor<?x8xf32>, tensor<?x8xf32>
}

// -----

// Quantizing loses bits, so undoing it is not the identity.
// CHECK-LABEL: func @quantize
func.func @quantize(%v: tensor<64xf32>) -> tensor<64xf32> {
  // CHECK: moe.quantize
  %d, %s, %status = moe.quantize %v <kind = int8, block = 64>
      : (tensor<64xf32>) -> (tensor<64xi8>, tensor<1xf32>, tensor<i32>)
  // CHECK: moe.dequantize
  %r = moe.dequantize %d, %s <kind = int8, block = 64>
      : (tensor<64xi8>, tensor<1xf32>) -> tensor<64xf32>
  return %r : tensor<64xf32>
}

// -----

// What nobody reads goes, but a clock is looked at on purpose.
// CHECK-LABEL: func @dead
func.func @dead(%logits: tensor<?x4xf32>) {
  // CHECK-NOT: moe.select
  %i, %w = moe.select %logits <experts = 4, top_k = 2>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // CHECK: moe.clock
  %start = moe.clock : () -> tensor<1xi64>
  // CHECK: moe.clock
  %end = moe.clock : () -> tensor<1xi64>
  return
}
