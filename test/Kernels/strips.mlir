// A tile that is alone with its part of a strip asks just ahead of itself; of
// several each asks for some lines of what lies behind the part.
// docs/decisions/0006-cpu-kernels.md says what that gains.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-pack-weights,moe-lower-to-loops{bf16-dot=true},canonicalize,cse)' --split-input-file | FileCheck %s

// Four turns of eight values ahead.
// CHECK-LABEL: func.func @layer_bf16_entry(
// CHECK: %[[ALONE:.*]] = arith.cmpi eq, %{{.*}}, %c1
// CHECK-NEXT: arith.select %[[ALONE]], %c32, %c0
// CHECK-COUNT-9: memref.prefetch
// CHECK: return
func.func @bf16(
    %x: tensor<?x128xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %w: tensor<64x128xbf16> {moe.name = "w", moe.role = "weight"})
    -> (tensor<?x64xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %y = moe.grouped_matmul %x, %w : (tensor<?x128xbf16>, tensor<64x128xbf16>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Of int8 two turns of 16 values, and at most two rows.
// CHECK-LABEL: func.func @layer_int8_entry(
// CHECK: %[[FEW:.*]] = arith.cmpi sle, %{{.*}}, %c2
// CHECK-NEXT: %[[ASKS:.*]] = arith.andi %{{.*}}, %[[FEW]]
// CHECK-NEXT: arith.select %[[ASKS]], %c32, %c0
// CHECK: return
func.func @int8(
    %x: tensor<?x128xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %w: tensor<64x128xi8> {moe.name = "w", moe.role = "weight"},
    %s: tensor<64x1xf32> {moe.name = "w.scales", moe.role = "weight"})
    -> (tensor<?x64xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %v = moe.decode %w, %s <kind = int8> : (tensor<64x128xi8>, tensor<64x1xf32>) -> tensor<64x128xf32>
  %y = moe.grouped_matmul %x, %v : (tensor<?x128xbf16>, tensor<64x128xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
