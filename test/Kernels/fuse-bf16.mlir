// With bf16-step, what only a product of pairs of bf16 reads is bf16 as well, and
// so are results that are only mixed.

// RUN: moe-opt %s --pass-pipeline='builtin.module(func.func(moe-fuse{bf16-step=32}))' --split-input-file | FileCheck %s --check-prefixes=CHECK,BF16
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

// -----

// Rounding gains nothing where the next weight is not multiplied as pairs: it
// is of f32, or a step has two scales.

// CHECK-LABEL: func @no_pairs
// CHECK: moe.feed_forward {{.*}} {hidden = f32}
// CHECK: moe.feed_forward {{.*}} {hidden = f32}
// BF16: moe.feed_forward {{.*}} {hidden = bf16}
func.func @no_pairs(%x: tensor<?x8xbf16>, %w: tensor<64x8xbf16>, %d: tensor<8x64xf32>,
    %data: tensor<8x64xi8>, %small: tensor<8x4xf32>, %large: tensor<8x2xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %h0 = moe.grouped_matmul %x, %w : (tensor<?x8xbf16>, tensor<64x8xbf16>) -> tensor<?x64xf32>
  %y0 = moe.grouped_matmul %h0, %d : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  %d1 = moe.decode %data, %small <kind = int8, inputs = 16>
      : (tensor<8x64xi8>, tensor<8x4xf32>) -> tensor<8x64xf32>
  %h1 = moe.grouped_matmul %x, %w : (tensor<?x8xbf16>, tensor<64x8xbf16>) -> tensor<?x64xf32>
  %y1 = moe.grouped_matmul %h1, %d1 : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  %d2 = moe.decode %data, %large <kind = int8, inputs = 32>
      : (tensor<8x64xi8>, tensor<8x2xf32>) -> tensor<8x64xf32>
  %h2 = moe.grouped_matmul %x, %w : (tensor<?x8xbf16>, tensor<64x8xbf16>) -> tensor<?x64xf32>
  %y2 = moe.grouped_matmul %h2, %d2 : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return %y0, %y1, %y2 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}
