// Weights of codes in products of matrix instructions.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true},canonicalize,cse)' --split-input-file | FileCheck %s

// Codes are copied as they are, 16 bytes at a time, and decoded two by two on
// the way to an instruction. The sums of a block of 64 places are scaled when
// they are whole.

// CHECK-LABEL: func.func @layer_int8_entry(
// CHECK: memref.view {{.*}} to memref<3x64x40xbf16, #gpu.address_space<workgroup>>
// CHECK: memref.view {{.*}} to memref<3x64x48xi8, #gpu.address_space<workgroup>>
// CHECK: memref.view {{.*}} to memref<3x64x24xi16, #gpu.address_space<workgroup>>
// CHECK: nvgpu.device_async_copy {{.*}}, 16, %{{.*}} {bypassL1} : memref<4x40x128xi8>
// CHECK: scf.for {{.*}} step %c2 {{.*}} -> (f32
// CHECK: scf.for {{.*}} -> (f32
// CHECK: nvgpu.ldmatrix {{.*}} -> vector<4x2xbf16>
// CHECK: memref.load {{.*}} : memref<3x64x24xi16, #gpu.address_space<workgroup>>
// CHECK-COUNT-2: arith.sitofp {{.*}} : i8 to f32
// CHECK: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync {{.*}} f16
// CHECK: math.fma
// CHECK: return
func.func @int8(
    %x: tensor<?x128xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<4x40x128xi8> {moe.name = "d", moe.role = "weight"},
    %s: tensor<4x40x2xf32> {moe.name = "s", moe.role = "weight"},
    %offsets: tensor<5xi32> {moe.name = "offsets", moe.role = "input"})
    -> (tensor<?x40xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %w = moe.decode %d, %s <kind = int8, inputs = 64>
      : (tensor<4x40x128xi8>, tensor<4x40x2xf32>) -> tensor<4x40x128xf32>
  %y = moe.grouped_matmul %x, %w offsets %offsets
      : (tensor<?x128xbf16>, tensor<4x40x128xf32>, tensor<5xi32>) -> tensor<?x40xf32>
  return %y : tensor<?x40xf32>
}

// -----

// Blocks that no step of 32 places has whole: multiply-adds.

// CHECK-LABEL: func.func @layer_narrow_entry(
// CHECK-NOT: nvvm.mma.sync
// CHECK: math.fma
// CHECK: return
func.func @narrow(
    %x: tensor<?x128xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<40x128xi8> {moe.name = "d", moe.role = "weight"},
    %s: tensor<40x8xf32> {moe.name = "s", moe.role = "weight"})
    -> (tensor<?x40xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %w = moe.decode %d, %s <kind = int8, inputs = 16>
      : (tensor<40x128xi8>, tensor<40x8xf32>) -> tensor<40x128xf32>
  %y = moe.grouped_matmul %x, %w
      : (tensor<?x128xbf16>, tensor<40x128xf32>) -> tensor<?x40xf32>
  return %y : tensor<?x40xf32>
}

// -----

// Two codes a byte, and a scale that becomes part of the values: one byte is
// what an instruction takes of a line.

// CHECK-LABEL: func.func @layer_mxfp4_entry(
// CHECK: memref.view {{.*}} to memref<3x64x16xi8, #gpu.address_space<workgroup>>
// CHECK: scf.if
// CHECK: nvgpu.device_async_copy
// CHECK: memref.load {{.*}} : memref<3x64x16xi8, #gpu.address_space<workgroup>>
// CHECK: nvvm.mma.sync
// CHECK: return
func.func @mxfp4(
    %x: tensor<?x128xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<40x64xi8> {moe.name = "d", moe.role = "weight"},
    %s: tensor<40x4xi8> {moe.name = "s", moe.role = "weight"})
    -> (tensor<?x40xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %w = moe.decode %d, %s <kind = mxfp4, inputs = 32>
      : (tensor<40x64xi8>, tensor<40x4xi8>) -> tensor<40x128xf32>
  %y = moe.grouped_matmul %x, %w
      : (tensor<?x128xbf16>, tensor<40x128xf32>) -> tensor<?x40xf32>
  return %y : tensor<?x40xf32>
}
