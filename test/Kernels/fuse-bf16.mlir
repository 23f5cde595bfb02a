// With bf16-hidden, what only a product of bf16 rows reads is bf16 as well, and
// so are results that are only mixed.

// RUN: moe-opt %s --pass-pipeline='builtin.module(func.func(moe-fuse{bf16-hidden=true}))' --split-input-file | FileCheck %s --check-prefixes=CHECK,BF16
// RUN: moe-opt %s --pass-pipeline='builtin.module(func.func(moe-fuse))' --split-input-file | FileCheck %s --check-prefixes=CHECK,F32

// CHECK-LABEL: func @experts
// BF16: moe.feed_forward {{.*}} {hidden = bf16, slots = 2 : i64} {{.*}} -> tensor<?x8xf32>
// F32: moe.feed_forward {{.*}} {hidden = f32, slots = 2 : i64} {{.*}} -> tensor<?x8xf32>
func.func @experts(%x: tensor<?x8xbf16>, %i: tensor<?x2xi32>, %weights: tensor<?x2xf32>,
    %w: tensor<4x16x8xbf16>, %d: tensor<4x8x16xbf16>) -> tensor<?x8xf32> {
  %rows, %offsets, %positions, %counts = moe.group %i, %weights {experts = 4 : i64}
      : (tensor<?x2xi32>, tensor<?x2xf32>)
      -> (tensor<?xi32>, tensor<5xi32>, tensor<?x2xi32>, tensor<4xi32>)
  %xs = moe.dispatch %x, %rows {slots = 2 : i64}
      : (tensor<?x8xbf16>, tensor<?xi32>) -> tensor<?x8xbf16>
  %h = moe.grouped_matmul %xs, %w offsets %offsets
      : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<5xi32>) -> tensor<?x16xf32>
  %ys = moe.grouped_matmul %h, %d offsets %offsets
      : (tensor<?x16xf32>, tensor<4x8x16xbf16>, tensor<5xi32>) -> tensor<?x8xf32>
  %y = moe.combine %ys, %positions, %i, %weights {experts = 4 : i64}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: func @f32_rows
// CHECK: moe.feed_forward {{.*}} {hidden = f32}
func.func @f32_rows(%x: tensor<?x8xf32>, %w: tensor<16x8xbf16>, %d: tensor<8x16xbf16>)
    -> tensor<?x8xf32> {
  %h = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<16x8xbf16>) -> tensor<?x16xf32>
  %y = moe.grouped_matmul %h, %d : (tensor<?x16xf32>, tensor<8x16xbf16>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// The second product reads what the first one makes as its rows; a result that
// leaves, or that something else reads, stays as it is.

// CHECK-LABEL: func @chain
// CHECK: moe.feed_forward
// BF16-SAME: -> tensor<?x8xf32>
// CHECK: moe.grouped_matmul
// CHECK-SAME: -> tensor<?x16xf32>
// CHECK: return
func.func @chain(%x: tensor<?x8xbf16>, %w: tensor<16x8xbf16>, %d: tensor<8x16xbf16>)
    -> (tensor<?x8xf32>, tensor<?x16xf32>) {
  %h = moe.grouped_matmul %x, %w : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x16xf32>
  %y = moe.grouped_matmul %h, %d : (tensor<?x16xf32>, tensor<8x16xbf16>) -> tensor<?x8xf32>
  %z = moe.grouped_matmul %x, %w : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x16xf32>
  return %y, %z : tensor<?x8xf32>, tensor<?x16xf32>
}

// -----

// CHECK-LABEL: func @mixed
// BF16: %[[H:.*]] = moe.feed_forward {{.*}} {hidden = bf16} {{.*}} -> tensor<?x8xbf16>
// BF16: moe.mix %{{.*}}, %[[H]] none : (tensor<?x8xf32>, tensor<?x8xbf16>) -> tensor<?x8xf32>
// F32: moe.mix {{.*}} : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
func.func @mixed(%x: tensor<?x8xbf16>, %other: tensor<?x8xf32>, %w: tensor<16x8xbf16>,
    %d: tensor<8x16xbf16>) -> tensor<?x8xf32> {
  %h = moe.grouped_matmul %x, %w : (tensor<?x8xbf16>, tensor<16x8xbf16>) -> tensor<?x16xf32>
  %s = moe.grouped_matmul %h, %d : (tensor<?x16xf32>, tensor<8x16xbf16>) -> tensor<?x8xf32>
  %y = moe.mix %other, %s none : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
