// Dispatch and activation become part of the products around them, and only
// where that computes the same.

// RUN: moe-opt %s --pass-pipeline='builtin.module(func.func(moe-fuse))' --split-input-file | FileCheck %s

// CHECK-LABEL: func @glu
// CHECK-SAME: %[[X:.*]]: tensor<?x8xbf16>, %[[ROWS:.*]]: tensor<?xi32>, %[[OFF:.*]]: tensor<5xi32>, %[[G:.*]]: tensor<4x16x8xbf16>, %[[U:.*]]: tensor<4x16x8xbf16>
func.func @glu(%x: tensor<?x8xbf16>, %rows: tensor<?xi32>, %offsets: tensor<5xi32>,
               %wg: tensor<4x16x8xbf16>, %wu: tensor<4x16x8xbf16>) -> tensor<?x16xf32> {
  // CHECK-NOT: moe.dispatch
  // CHECK: %[[H:.*]] = moe.grouped_matmul %[[X]], %[[G]], %[[U]] offsets %[[OFF]] gather %[[ROWS]] {slots = 2 : i64}
  // CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32):
  // CHECK-NEXT: %[[P:.*]] = arith.mulf %[[A]], %[[B]] : f32
  // CHECK-NEXT: moe.yield %[[P]]
  // CHECK-NOT: moe.activate
  // CHECK: return %[[H]]
  %xs = moe.dispatch %x, %rows {slots = 2 : i64}
      : (tensor<?x8xbf16>, tensor<?xi32>) -> tensor<?x8xbf16>
  %g = moe.grouped_matmul %xs, %wg offsets %offsets
      : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<5xi32>) -> tensor<?x16xf32>
  %u = moe.grouped_matmul %xs, %wu offsets %offsets
      : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<5xi32>) -> tensor<?x16xf32>
  %h = moe.activate %g, %u : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: f32, %b: f32):
    %product = arith.mulf %a, %b : f32
    moe.yield %product
  }
  return %h : tensor<?x16xf32>
}

// -----

// The epilogue is already there when the dispatch is folded, and stays.
// CHECK-LABEL: func @epilogue_then_dispatch
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32>, %[[ROWS:.*]]: tensor<?xi32>
func.func @epilogue_then_dispatch(%x: tensor<?x8xf32>, %rows: tensor<?xi32>,
    %offsets: tensor<5xi32>, %w: tensor<4x16x8xf32>, %b: tensor<4x16xf32>) -> tensor<?x16xf32> {
  // CHECK: moe.grouped_matmul %[[X]], %{{.*}} bias %{{.*}} offsets %{{.*}} gather %[[ROWS]] {slots = 3 : i64}
  // CHECK: math.tanh
  // CHECK-NEXT: moe.yield
  %xs = moe.dispatch %x, %rows {slots = 3 : i64}
      : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %h = moe.grouped_matmul %xs, %w bias %b offsets %offsets
      : (tensor<?x8xf32>, tensor<4x16x8xf32>, tensor<4x16xf32>, tensor<5xi32>)
      -> tensor<?x16xf32> {
  ^bb0(%a: f32):
    %t = math.tanh %a : f32
    moe.yield %t
  }
  return %h : tensor<?x16xf32>
}

// -----

// The dispatch is folded already when the activation is, and stays.
// CHECK-LABEL: func @dispatch_then_epilogue
func.func @dispatch_then_epilogue(%x: tensor<?x8xf32>, %rows: tensor<?xi32>,
    %offsets: tensor<5xi32>, %wg: tensor<4x16x8xf32>, %wu: tensor<4x16x8xf32>,
    %bg: tensor<4x16xf32>, %bu: tensor<4x16xf32>) -> tensor<?x16xf32> {
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}}, %{{.*}} bias %{{.*}}, %{{.*}} offsets %{{.*}} gather %{{.*}} {slots = 2 : i64}
  // CHECK: arith.subf
  // CHECK-NEXT: moe.yield
  // CHECK-NOT: moe.activate
  %g = moe.grouped_matmul %x, %wg bias %bg offsets %offsets gather %rows {slots = 2 : i64}
      : (tensor<?x8xf32>, tensor<4x16x8xf32>, tensor<4x16xf32>, tensor<5xi32>, tensor<?xi32>)
      -> tensor<?x16xf32>
  %u = moe.grouped_matmul %x, %wu bias %bu offsets %offsets gather %rows {slots = 2 : i64}
      : (tensor<?x8xf32>, tensor<4x16x8xf32>, tensor<4x16xf32>, tensor<5xi32>, tensor<?xi32>)
      -> tensor<?x16xf32>
  %h = moe.activate %g, %u : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: f32, %b: f32):
    %difference = arith.subf %a, %b : f32
    moe.yield %difference
  }
  return %h : tensor<?x16xf32>
}

// -----

// A dense product, without offsets or rows, takes an activation too.
// CHECK-LABEL: func @dense
func.func @dense(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>) -> tensor<?x16xf32> {
  // CHECK: moe.grouped_matmul %{{[a-z0-9]*}}, %{{[a-z0-9]*}} :
  // CHECK: arith.negf
  // CHECK-NOT: moe.activate
  %u = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %h = moe.activate %u : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: f32):
    %negated = arith.negf %a : f32
    moe.yield %negated
  }
  return %h : tensor<?x16xf32>
}

// -----

// Rows that are weighted on the way are not rows of x.
// CHECK-LABEL: func @weighted_dispatch
func.func @weighted_dispatch(%x: tensor<?x8xbf16>, %rows: tensor<?xi32>,
    %weights: tensor<?x2xf32>, %offsets: tensor<5xi32>, %w: tensor<4x16x8xbf16>)
    -> tensor<?x16xf32> {
  // CHECK: %[[XS:.*]] = moe.dispatch
  // CHECK: moe.grouped_matmul %[[XS]], %{{.*}} offsets
  // CHECK-NOT: gather
  %xs = moe.dispatch %x, %rows weights %weights {slots = 2 : i64}
      : (tensor<?x8xbf16>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  %h = moe.grouped_matmul %xs, %w offsets %offsets
      : (tensor<?x8xf32>, tensor<4x16x8xbf16>, tensor<5xi32>) -> tensor<?x16xf32>
  return %h : tensor<?x16xf32>
}

// -----

// Its sums are wanted by themselves, so they are computed by themselves.
// CHECK-LABEL: func @shared_use
func.func @shared_use(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>)
    -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  // CHECK: %[[U:.*]] = moe.grouped_matmul
  // CHECK: moe.activate %[[U]]
  // CHECK: return %[[U]]
  %u = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %h = moe.activate %u : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: f32):
    %t = math.tanh %a : f32
    moe.yield %t
  }
  return %u, %h : tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// One product as both inputs has two uses.
// CHECK-LABEL: func @same_twice
func.func @same_twice(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>) -> tensor<?x16xf32> {
  // CHECK: moe.grouped_matmul
  // CHECK: moe.activate
  %u = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %h = moe.activate %u, %u : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: f32, %b: f32):
    %product = arith.mulf %a, %b : f32
    moe.yield %product
  }
  return %h : tensor<?x16xf32>
}

// -----

// Products of different rows, of different element types, or of which only one
// has a bias are not one.
// CHECK-LABEL: func @different_rows
// CHECK-COUNT-6: moe.grouped_matmul
// CHECK-NOT: moe.grouped_matmul
func.func @different_rows(%x: tensor<?x8xf32>, %z: tensor<?x8xf32>, %w: tensor<16x8xf32>,
    %half: tensor<16x8xf16>, %bias: tensor<16xf32>)
    -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %g0 = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %u0 = moe.grouped_matmul %z, %w : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %h0 = moe.activate %g0, %u0 : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: f32, %b: f32):
    %product = arith.mulf %a, %b : f32
    moe.yield %product
  }
  %g1 = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %u1 = moe.grouped_matmul %x, %half : (tensor<?x8xf32>, tensor<16x8xf16>) -> tensor<?x16xf32>
  %h1 = moe.activate %g1, %u1 : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: f32, %b: f32):
    %product = arith.mulf %a, %b : f32
    moe.yield %product
  }
  %g2 = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %u2 = moe.grouped_matmul %x, %w bias %bias
      : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %h2 = moe.activate %g2, %u2 : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: f32, %b: f32):
    %product = arith.mulf %a, %b : f32
    moe.yield %product
  }
  return %h0, %h1, %h2 : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// A second activation has nowhere to go.
// CHECK-LABEL: func @second_activation
func.func @second_activation(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>) -> tensor<?x16xf32> {
  // CHECK: moe.grouped_matmul
  // CHECK: math.tanh
  // CHECK: moe.activate
  // CHECK: math.exp
  %u = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %h = moe.activate %u : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: f32):
    %t = math.tanh %a : f32
    moe.yield %t
  }
  %i = moe.activate %h : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: f32):
    %t = math.exp %a : f32
    moe.yield %t
  }
  return %i : tensor<?x16xf32>
}

// -----

// What else reads the dispatched rows does not keep a product from gathering.
// CHECK-LABEL: func @dispatched_and_returned
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32>, %[[ROWS:.*]]: tensor<?xi32>
func.func @dispatched_and_returned(%x: tensor<?x8xf32>, %rows: tensor<?xi32>,
    %offsets: tensor<5xi32>, %w: tensor<4x16x8xf32>) -> (tensor<?x16xf32>, tensor<?x8xf32>) {
  // CHECK: %[[XS:.*]] = moe.dispatch
  // CHECK: moe.grouped_matmul %[[X]], %{{.*}} gather %[[ROWS]] {slots = 2 : i64}
  // CHECK: return %{{.*}}, %[[XS]]
  %xs = moe.dispatch %x, %rows {slots = 2 : i64}
      : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %h = moe.grouped_matmul %xs, %w offsets %offsets
      : (tensor<?x8xf32>, tensor<4x16x8xf32>, tensor<5xi32>) -> tensor<?x16xf32>
  return %h, %xs : tensor<?x16xf32>, tensor<?x8xf32>
}

// -----

// Rows of others come without weights: each result is that of one row.
// CHECK-LABEL: func @unweighted
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[L:.*]]: tensor<?x1xi32>,
func.func @unweighted(%x: tensor<?x8xf32>, %local: tensor<?x1xi32>,
    %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>) -> tensor<?x8xf32> {
  // CHECK: %[[ROWS:.*]], %[[OFF:.*]], %{{.*}}, %{{.*}} = moe.group %[[L]] {experts = 4 : i64}
  // CHECK-NEXT: %[[Y:.*]] = moe.feed_forward %[[X]] up %{{.*}} down %{{.*}} offsets %[[OFF]] rows %[[ROWS]] {hidden = f32}
  // CHECK-NEXT: return %[[Y]]
  %rows, %offsets, %positions, %counts = moe.group %local {experts = 4 : i64}
      : (tensor<?x1xi32>) -> (tensor<?xi32>, tensor<5xi32>, tensor<?x1xi32>, tensor<4xi32>)
  %xs = moe.dispatch %x, %rows {slots = 1 : i64}
      : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %h = moe.grouped_matmul %xs, %up offsets %offsets
      : (tensor<?x8xf32>, tensor<4x16x8xf32>, tensor<5xi32>) -> tensor<?x16xf32>
  %ys = moe.grouped_matmul %h, %down offsets %offsets
      : (tensor<?x16xf32>, tensor<4x8x16xf32>, tensor<5xi32>) -> tensor<?x8xf32>
  %y = moe.combine %ys, %positions, %local {experts = 4 : i64, unweighted}
      : (tensor<?x8xf32>, tensor<?x1xi32>, tensor<?x1xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Results that are sent as bf16 are rounded where they are made, and read as
// they came.
// CHECK-LABEL: func @packed
// CHECK-SAME: (%[[YS:.*]]: tensor<?x8xf32>,
func.func @packed(%ys: tensor<?x8xf32>, %p: tensor<?x1xi32>, %n: tensor<4xi32>)
    -> (tensor<?x8xf32>, tensor<?x12xi8>) {
  // CHECK: %[[Y:.*]] = moe.combine %[[YS]], {{.*}} -> tensor<?x8xbf16>
  // CHECK-NEXT: %[[Z:.*]] = moe.combine %[[Y]], {{.*}} -> tensor<?x8xf32>
  // CHECK-NEXT: %[[B:.*]] = moe.pack_rows %[[Z]] as
  // CHECK-NEXT: return %[[Z]], %[[B]]
  %y = moe.combine %ys, %p, %p {experts = 4 : i64, unweighted}
      : (tensor<?x8xf32>, tensor<?x1xi32>, tensor<?x1xi32>) -> tensor<?x8xf32>
  %packed = moe.pack_rows %y counts %n : (tensor<?x8xf32>, tensor<4xi32>) -> tensor<?x8xbf16>
  %back = moe.unpack_rows %packed counts %n : (tensor<?x8xbf16>, tensor<4xi32>) -> tensor<?x8xf32>
  %z = moe.combine %back, %p, %p {experts = 4 : i64, unweighted}
      : (tensor<?x8xf32>, tensor<?x1xi32>, tensor<?x1xi32>) -> tensor<?x8xf32>
  %bytes = moe.pack_rows %z as <kind = int8, block = 8> : (tensor<?x8xf32>) -> tensor<?x12xi8>
  return %z, %bytes : tensor<?x8xf32>, tensor<?x12xi8>
}

// -----

// Products are made one only if they are of one kind.
// CHECK-LABEL: func @kinds
func.func @kinds(%x: tensor<?x8xf32>, %g: tensor<4x8x16xf32>, %u: tensor<4x8x16xf32>,
    %w: tensor<4x16x8xf32>, %offsets: tensor<5xi32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}}, %{{.*}} offsets %{{.*}} {tf32, transposed}
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}} offsets %{{.*}} {tf32, transposed}
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}} offsets %{{.*}} {tf32}
  // CHECK: moe.activate
  %a = moe.grouped_matmul %x, %g offsets %offsets {tf32, transposed}
      : (tensor<?x8xf32>, tensor<4x8x16xf32>, tensor<5xi32>) -> tensor<?x16xf32>
  %b = moe.grouped_matmul %x, %u offsets %offsets {tf32, transposed}
      : (tensor<?x8xf32>, tensor<4x8x16xf32>, tensor<5xi32>) -> tensor<?x16xf32>
  %one = moe.activate %a, %b : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%v: f32, %w0: f32):
    %p = arith.mulf %v, %w0 : f32
    moe.yield %p
  }
  %c = moe.grouped_matmul %x, %g offsets %offsets {tf32, transposed}
      : (tensor<?x8xf32>, tensor<4x8x16xf32>, tensor<5xi32>) -> tensor<?x16xf32>
  %d = moe.grouped_matmul %x, %w offsets %offsets {tf32}
      : (tensor<?x8xf32>, tensor<4x16x8xf32>, tensor<5xi32>) -> tensor<?x16xf32>
  %two = moe.activate %c, %d : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%v: f32, %w0: f32):
    %p = arith.mulf %v, %w0 : f32
    moe.yield %p
  }
  return %one, %two : tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// Two products in one are of weights as they are stored.
// CHECK-LABEL: func @back
func.func @back(%x: tensor<?x8xf32>, %up: tensor<8x16xf32>, %down: tensor<4x16xf32>)
    -> tensor<?x4xf32> {
  // CHECK-NOT: moe.feed_forward
  // CHECK: moe.grouped_matmul
  // CHECK: moe.grouped_matmul
  %h = moe.grouped_matmul %x, %up {transposed} : (tensor<?x8xf32>, tensor<8x16xf32>) -> tensor<?x16xf32>
  %y = moe.grouped_matmul %h, %down : (tensor<?x16xf32>, tensor<4x16xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
