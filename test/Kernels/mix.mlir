// A mix runs the experts that it alone reads: what the shared one adds is in
// registers, and of the routed ones there are sums of one chunk of tokens, or
// none but y. What an operation kept for itself is free for the next one.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops,canonicalize,cse)' --split-input-file | FileCheck %s

// Sums of 4096 tokens and rows of a window, 256 KiB each; five i32 and two for
// each token; and what alignment takes.

// CHECK-LABEL: func.func @layer_both_entry(
// CHECK-SAME: moe.workspace = {constant = 524820 : i64, per = {T = 8 : i64}}
// CHECK: scf.for %[[FIRST:.*]] = %c0 to %{{.*}} step %c4096 {
// CHECK: %[[SUMS:.*]] = memref.view {{.*}} to memref<4096x16xf32>
// CHECK: vector.store %{{.*}}, %{{.*}} : memref<4096x16xf32>, vector<16xf32>
// CHECK: %[[ROUNDED:.*]] = arith.truncf %{{.*}} : vector<16xf32> to vector<16xbf16>
// CHECK-NEXT: vector.store %[[ROUNDED]], %{{.*}} : memref<?x16xbf16>, vector<16xbf16>
// CHECK: return
func.func @both(
    %x: tensor<?x16xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %indices: tensor<?x2xi32> {moe.name = "i", moe.role = "input", moe.sizes = ["T"]},
    %weights: tensor<?x2xf32> {moe.name = "p", moe.role = "input", moe.sizes = ["T"]},
    %rows: tensor<?xi32> {moe.name = "rows", moe.role = "input", moe.sizes = ["2*T"]},
    %offsets: tensor<5xi32> {moe.name = "offsets", moe.role = "input"},
    %w: tensor<4x16x16xf32> {moe.name = "w", moe.role = "weight"},
    %d: tensor<16x16xf32> {moe.name = "d", moe.role = "weight"})
    -> (tensor<?x16xbf16> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %routed = moe.feed_forward %x up %w down %w offsets %offsets rows %rows weights %weights
      {hidden = f32, slots = 2 : i64}
      : (tensor<?x16xf32>, tensor<4x16x16xf32>, tensor<4x16x16xf32>, tensor<5xi32>,
         tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x16xf32>
  %shared = moe.feed_forward %x up %d down %d {hidden = f32}
      : (tensor<?x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %y = moe.mix %routed, %shared none
      : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xbf16>
  return %y : tensor<?x16xbf16>
}

// -----

// Sums of f32 are where y is, of all tokens at once. Factors of both are found
// once for a token.

// CHECK-LABEL: func.func @layer_in_place_entry(
// CHECK-SAME: moe.workspace = {constant = 262676 : i64, per = {T = 16 : i64}}
// CHECK: memref.store %{{.*}} : memref<?x2xf32>
// CHECK: %[[ROUTED:.*]] = arith.mulf %{{.*}} : vector<16xf32>
// CHECK-NEXT: %[[FACTOR:.*]] = memref.load %{{.*}}[%{{.*}}, %c1] : memref<?x2xf32>
// CHECK-NEXT: %[[FACTORS:.*]] = vector.broadcast %[[FACTOR]] : f32 to vector<16xf32>
// CHECK-NEXT: %[[SHARED:.*]] = arith.mulf %{{.*}}, %[[FACTORS]] : vector<16xf32>
// CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[ROUTED]], %[[SHARED]] : vector<16xf32>
// CHECK-NEXT: vector.store %[[SUM]], %{{.*}} : memref<?x16xf32>, vector<16xf32>
// CHECK: return
func.func @in_place(
    %x: tensor<?x16xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %logits: tensor<?x2xf32> {moe.name = "logits", moe.role = "input", moe.sizes = ["T"]},
    %weights: tensor<?x2xf32> {moe.name = "p", moe.role = "input", moe.sizes = ["T"]},
    %rows: tensor<?xi32> {moe.name = "rows", moe.role = "input", moe.sizes = ["2*T"]},
    %offsets: tensor<5xi32> {moe.name = "offsets", moe.role = "input"},
    %w: tensor<4x16x16xf32> {moe.name = "w", moe.role = "weight"},
    %d: tensor<16x16xf32> {moe.name = "d", moe.role = "weight"})
    -> (tensor<?x16xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %routed = moe.feed_forward %x up %w down %w offsets %offsets rows %rows weights %weights
      {hidden = f32, slots = 2 : i64}
      : (tensor<?x16xf32>, tensor<4x16x16xf32>, tensor<4x16x16xf32>, tensor<5xi32>,
         tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x16xf32>
  %shared = moe.feed_forward %x up %d down %d {hidden = f32}
      : (tensor<?x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %y = moe.mix %routed, %shared logits %logits softmax2
      : (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x2xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// One that is read elsewhere too runs by itself, and so does a mix of others.
// What the shared one adds is rounded like its result.

// CHECK-LABEL: func.func @layer_one_entry(
// CHECK: %[[ADDED:.*]] = arith.truncf %{{.*}} : vector<16xf32> to vector<16xbf16>
// CHECK: %[[ROUNDED:.*]] = arith.extf %[[ADDED]] : vector<16xbf16> to vector<16xf32>
// CHECK: %[[OTHER:.*]] = vector.load %{{.*}} : memref<?x16xf32>, vector<16xf32>
// CHECK: arith.addf %[[OTHER]], %[[ROUNDED]] : vector<16xf32>
// CHECK: return
func.func @one(
    %x: tensor<?x16xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %other: tensor<?x16xf32> {moe.name = "other", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<16x16xf32> {moe.name = "d", moe.role = "weight"})
    -> (tensor<?x16xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %shared = moe.feed_forward %x up %d down %d {hidden = f32}
      : (tensor<?x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>) -> tensor<?x16xbf16>
  %y = moe.mix %other, %shared none
      : (tensor<?x16xf32>, tensor<?x16xbf16>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// CHECK-LABEL: func.func @layer_read_twice_entry(
// CHECK: vector.store %[[SUMS:.*]], %{{.*}} : memref<?x16xf32>, vector<16xf32>
// CHECK: %[[SHARED:.*]] = vector.load %{{.*}} : memref<?x16xf32>, vector<16xf32>
// CHECK: arith.addf %{{.*}}, %[[SHARED]] : vector<16xf32>
// CHECK: return
func.func @read_twice(
    %x: tensor<?x16xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %other: tensor<?x16xf32> {moe.name = "other", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<16x16xf32> {moe.name = "d", moe.role = "weight"})
    -> (tensor<?x16xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]},
        tensor<?x16xf32> {moe.name = "s", moe.role = "output", moe.sizes = ["T"]}) {
  %shared = moe.feed_forward %x up %d down %d {hidden = f32}
      : (tensor<?x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %y = moe.mix %other, %shared none
      : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y, %shared : tensor<?x16xf32>, tensor<?x16xf32>
}
