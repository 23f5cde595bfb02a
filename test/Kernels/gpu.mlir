// Loops whose iterations are threads, and products in tiles of blocks.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true},canonicalize,cse)' --split-input-file --verify-diagnostics | FileCheck %s

// Rows and weights of bf16, depths in steps of 8: matrix instructions. 64 rows
// by 64 outputs, three stages of 32 places that are 40 apart, and as many
// blocks as there may be tiles: those of full ones, and one for each expert.

// CHECK-LABEL: func.func @layer_grouped_entry(
// CHECK-DAG: %[[C64:.*]] = arith.constant 64 : index
// CHECK-DAG: %[[BYTES:.*]] = arith.constant 46080 : i32
// CHECK-DAG: %[[FULL:.*]] = arith.divui %[[R:.*]], %[[C64]]
// CHECK-DAG: %[[PART:.*]] = arith.minsi %[[R]], %c4
// CHECK: arith.addi %[[FULL]], %[[PART]]
// CHECK: gpu.launch {{.*}} dynamic_shared_memory_size %[[BYTES]]
// CHECK: gpu.dynamic_shared_memory
// The expert and the rows of the block, from the offsets: each lane of a warp
// counts the tiles of an expert, and those before the block's own are added.
// CHECK-COUNT-5: nvvm.shfl.sync up
// CHECK: nvvm.shfl.sync idx
// CHECK: nvvm.vote.sync ballot
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.shfl.sync
// CHECK: scf.if
// CHECK: memref.view {{.*}} to memref<3x64x40xbf16, #gpu.address_space<workgroup>>
// The gather is read once, before the loop.
// CHECK: memref.load %{{.*}} : memref<?xi32>
// CHECK: nvgpu.device_async_copy {{.*}}, 8, %{{.*}} {bypassL1}
// CHECK: nvvm.cp.async.commit.group
// CHECK: scf.for {{.*}} -> (f32
// CHECK-NEXT: nvvm.cp.async.wait.group 1
// CHECK-NEXT: gpu.barrier
// CHECK: nvgpu.device_async_copy
// CHECK: nvgpu.ldmatrix {{.*}} {numTiles = 4 : i32, transpose = false} {{.*}} -> vector<4x2xbf16>
// CHECK: nvvm.mma.sync {{.*}} shape = #nvvm.shape<m = 16, n = 8, k = 16>
// CHECK: scf.yield
// CHECK-NOT: nvvm.mma.sync
// The activation is applied where the sums are.
// CHECK: arith.mulf
// CHECK: memref.store %{{.*}} : memref<?x40xf32>
// CHECK: return
func.func @grouped(
    %x: tensor<?x64xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %g: tensor<4x40x64xbf16> {moe.name = "g", moe.role = "weight"},
    %u: tensor<4x40x64xbf16> {moe.name = "u", moe.role = "weight"},
    %rows: tensor<?xi32> {moe.name = "rows", moe.role = "input", moe.sizes = ["2*T"]},
    %offsets: tensor<5xi32> {moe.name = "offsets", moe.role = "input"})
    -> (tensor<?x40xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["2*T"]}) {
  %y = moe.grouped_matmul %x, %g, %u offsets %offsets gather %rows {slots = 2 : i64}
      : (tensor<?x64xbf16>, tensor<4x40x64xbf16>, tensor<4x40x64xbf16>, tensor<5xi32>, tensor<?xi32>)
      -> tensor<?x40xf32> {
  ^bb0(%a: f32, %b: f32):
    %p = arith.mulf %a, %b : f32
    moe.yield %p
  }
  return %y : tensor<?x40xf32>
}

// -----

// A depth that is no multiple of 16 bytes, or f32: each thread adds up 16 sums
// from what the block has read.

// CHECK-LABEL: func.func @layer_odd_entry(
// CHECK-NOT: nvvm
// CHECK: gpu.launch
// CHECK: memref.view {{.*}} to memref<16x65xf32, #gpu.address_space<workgroup>>
// CHECK: scf.for {{.*}} = %c0 to %c25 step %c16
// CHECK: arith.extf {{.*}} : bf16 to f32
// CHECK: gpu.barrier
// CHECK: scf.for {{.*}} = %c0 to %c16 step %c2
// CHECK-COUNT-32: math.fma
// CHECK-NOT: math.fma
// CHECK: gpu.barrier
// CHECK: return
func.func @odd(
    %x: tensor<?x25xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %w: tensor<8x25xbf16> {moe.name = "w", moe.role = "weight"})
    -> (tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %y = moe.grouped_matmul %x, %w : (tensor<?x25xbf16>, tensor<8x25xbf16>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// A block of 256 slots counts those of each expert and places them, each thread
// by its rank among the others; running sums are made for all experts at once.

// CHECK-LABEL: func.func @layer_group_entry(
// CHECK: gpu.launch
// CHECK: memref.view {{.*}} to memref<256xi32, #gpu.address_space<workgroup>>
// CHECK: gpu.barrier
// CHECK: scf.for {{.*}} = %c0 to %c256 step %c1 {{.*}} -> (i32, i1)
// CHECK: scf.parallel
// CHECK: scf.parallel
// CHECK: gpu.launch
// CHECK: gpu.barrier
// CHECK: return
func.func @group(
    %indices: tensor<?x2xi32> {moe.name = "indices", moe.role = "input", moe.sizes = ["T"]},
    %weights: tensor<?x2xf32> {moe.name = "weights", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?xi32> {moe.name = "rows", moe.role = "output", moe.sizes = ["2*T"]}) {
  %r, %o, %p, %c = moe.group %indices, %weights {experts = 3 : i64}
      : (tensor<?x2xi32>, tensor<?x2xf32>) -> (tensor<?xi32>, tensor<4xi32>, tensor<?x2xi32>, tensor<3xi32>)
  return %r : tensor<?xi32>
}

// -----

// Both products in one are for CPUs.

func.func @both(
    %x: tensor<?x64xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %up: tensor<32x64xf32> {moe.name = "up", moe.role = "weight"},
    %down: tensor<64x32xf32> {moe.name = "down", moe.role = "weight"})
    -> (tensor<?x64xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  // expected-error @+1 {{expected products by themselves for a gpu, found both of the experts' in one}}
  %y = moe.feed_forward %x up %up down %down {hidden = f32} : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<64x32xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
