// Products of warpgroups for sm_90a: what the host prepares, and a kernel for few
// rows and one for many.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true always-wgmma=true},canonicalize,cse)' --split-input-file | FileCheck %s
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true wgmma=true},canonicalize,cse)' --split-input-file | FileCheck %s --check-prefix=BOTH

// BOTH-LABEL: func.func @layer_grouped_entry(
// BOTH: %[[HAS:.*]] = call @moe_gpu_has_wgmma
// BOTH: %[[IS:.*]] = arith.cmpi ne, %[[HAS]], %c0_i32
// BOTH: scf.if %[[IS]] {
// BOTH: nvvm.wgmma.mma_async
// BOTH: scf.if
// BOTH: nvvm.mma.sync
// BOTH: return

// CHECK-LABEL: func.func @layer_grouped_entry(
// Descriptions of the weights for boxes of 64 of the depth, in the function's
// memory. Up to 8 rows for each expert: tiles of 16 rows, of which outputs are
// the first operand, 64 of each weight.
// CHECK: %[[MAP:.*]] = llvm.alloca %{{.*}} x !llvm.array<128 x i8> {alignment = 64 : i64}
// CHECK: %[[FEW:.*]] = arith.cmpi sle, %[[R:.*]], %c32 : index
// CHECK: scf.if %[[FEW]] {
// CHECK: call @moe_gpu_tensor_map(%{{.*}}, %[[G:.*]], %{{.*}}, %c2_i32, %c200_i64, %c320_i64, %c4_i64, %c400_i64, %c128000_i64, %c64_i32, %c64_i32)
// CHECK: call @moe_gpu_tensor_map(%{{.*}}, %[[U:.*]], %{{.*}}, %c2_i32, %c200_i64, %c320_i64, %c4_i64, %c400_i64, %c128000_i64, %c64_i32, %c64_i32)
// As many blocks as run at once, two on a multiprocessor.
// CHECK: %[[P:.*]] = {{.*}}call @moe_gpu_processors
// CHECK: gpu.launch {{.*}}%c256, %{{.*}} dynamic_shared_memory_size
// CHECK: memref.view {{.*}} to memref<5x16x64xbf16, #gpu.address_space<workgroup>>
// CHECK-NOT: nvvm.setmaxregister
// CHECK: nvvm.wgmma.mma_async {{.*}} <m = 64, n = 16, k = 16>, D[<f32>, <zero>]

// Up to 32: tiles of 64 rows and 112 outputs of each weight, of which each
// warpgroup takes every other one. Four warps empty a stage.
// CHECK: gpu.launch {{.*}}%c384, %{{.*}} dynamic_shared_memory_size
// CHECK: nvvm.mbarrier.init %{{.*}}, %c129_i32
// CHECK: nvvm.mbarrier.init %{{.*}}, %c4_i32
// CHECK: nvvm.setmaxregister increase 216
// CHECK: arith.muli %{{.*}}, %c2 : index
// It waits for its turn and then for its first stage, and passes the turn on.
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK-NEXT: nvvm.fence.proxy
// CHECK: nvvm.wgmma.mma_async {{.*}} <m = 64, n = 112, k = 16>
// CHECK: nvvm.wgmma.wait.group.sync.aligned 0
// CHECK: nvvm.mbarrier.arrive
// CHECK: nvvm.mbarrier.arrive
// CHECK: vector.store

// More: tiles of 128 rows, which two warpgroups share.
// CHECK: gpu.launch {{.*}}%c384, %{{.*}} dynamic_shared_memory_size
// CHECK: memref.view {{.*}} to memref<4x128x64xbf16, #gpu.address_space<workgroup>>
// A stage is full with an arrival of each thread that copies and one for TMA.
// CHECK: nvvm.mbarrier.init %{{.*}}, %c129_i32
// CHECK: nvvm.fence.mbarrier.init
// CHECK: gpu.barrier
// CHECK: nvvm.setmaxregister decrease 72
// Each block takes tiles as long as there are any, from where it was.
// CHECK: scf.for {{.*}} iter_args
// CHECK: scf.while
// CHECK: memref.load %{{.*}} : memref<5xi32>
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK: nvvm.mbarrier.arrive.expect_tx %{{.*}}, %c28672_i32
// CHECK-COUNT-2: nvvm.cp.async.bulk.tensor.shared.cluster.global
// CHECK-COUNT-8: nvgpu.device_async_copy
// CHECK-NOT: nvgpu.device_async_copy
// CHECK: nvvm.cp.async.mbarrier.arrive {{.*}} {noinc = true}
// CHECK: nvvm.setmaxregister increase 216
// The first step adds to nothing; with the next one asked for, it is waited for.
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK-NEXT: nvvm.fence.proxy
// CHECK: nvvm.wgmma.fence.aligned
// CHECK-COUNT-2: nvvm.wgmma.mma_async {{.*}}D[<f32>, <zero>]
// CHECK-COUNT-6: nvvm.wgmma.mma_async {{.*}}D[<f32>, <one>]
// CHECK: nvvm.wgmma.commit.group.sync.aligned
// CHECK: scf.for
// CHECK: nvvm.wgmma.fence.aligned
// CHECK-COUNT-8: nvvm.wgmma.mma_async {{.*}}D[<f32>, <one>]
// CHECK: nvvm.wgmma.wait.group.sync.aligned 1
// CHECK: nvvm.mbarrier.arrive
// CHECK: nvvm.wgmma.wait.group.sync.aligned 0
// CHECK: nvvm.mbarrier.arrive
// Eight outputs at a time, through the block's memory.
// CHECK: vector.store {{.*}} memref<16x24xf32, #gpu.address_space<workgroup>>, vector<2xf32>
// CHECK: nvvm.bar.warp.sync
// CHECK: vector.load {{.*}} memref<16x24xf32, #gpu.address_space<workgroup>>, vector<8xf32>
// CHECK: arith.mulf
// CHECK: vector.store {{.*}} {alignment = 16 : i64} : memref<?x320xbf16>, vector<8xbf16>
// CHECK: return
func.func @grouped(
    %x: tensor<?x200xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %g: tensor<4x320x200xbf16> {moe.name = "g", moe.role = "weight"},
    %u: tensor<4x320x200xbf16> {moe.name = "u", moe.role = "weight"},
    %rows: tensor<?xi32> {moe.name = "rows", moe.role = "input", moe.sizes = ["2*T"]},
    %offsets: tensor<5xi32> {moe.name = "offsets", moe.role = "input"})
    -> (tensor<?x320xbf16> {moe.name = "y", moe.role = "output", moe.sizes = ["2*T"]}) {
  %y = moe.grouped_matmul %x, %g, %u offsets %offsets gather %rows {slots = 2 : i64}
      : (tensor<?x200xbf16>, tensor<4x320x200xbf16>, tensor<4x320x200xbf16>, tensor<5xi32>, tensor<?xi32>)
      -> tensor<?x320xbf16> {
  ^bb0(%a: f32, %b: f32):
    %p = arith.mulf %a, %b : f32
    moe.yield %p
  }
  return %y : tensor<?x320xbf16>
}
