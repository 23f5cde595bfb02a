// Rows and weights of e4m3: rows are rounded once, and products take them as codes
// where the device has such, or decoded.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true always-wgmma=true},canonicalize,cse)' | FileCheck %s --check-prefixes=ROWS,WGMMA
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true always-fp8=true},canonicalize,cse)' | FileCheck %s --check-prefixes=ROWS,FP8
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true},canonicalize,cse)' | FileCheck %s --check-prefixes=ROWS,BF16
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true wgmma=true fp8=true},canonicalize,cse)' | FileCheck %s --check-prefix=BOTH
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops,canonicalize,cse)' | FileCheck %s --check-prefix=CPU

// A warp has two of the 256 values' blocks of a token, whatever experts it goes
// to: its codes, and the scale by one lane.
// ROWS-LABEL: func.func @layer_codes_entry(
// ROWS: memref.view {{.*}} to memref<?x256xi8>
// ROWS: memref.view {{.*}} to memref<?x2xf32>
// ROWS: gpu.launch
// ROWS: nvvm.shfl.sync
// ROWS: arith.divf %{{.*}}, %cst{{.*}} : f32
// ROWS: memref.store {{.*}} : memref<?x2xf32>
// ROWS: memref.store {{.*}} : memref<?x256xi8>

// A stage has 128 of the depth. Its products start from nothing, and are
// waited for; then the stage is free, and both scales times them are added.
// WGMMA: call @moe_gpu_tensor_map(%{{.*}}, %{{.*}}, %{{.*}}, %c1_i32, %c256_i64, %c192_i64, %c4_i64, %c256_i64, %c49152_i64, %c128_i32, %c64_i32)
// WGMMA: memref.view {{.*}} to memref<{{[0-9]+}}x16x128xi8, #gpu.address_space<workgroup>>
// WGMMA: nvvm.wgmma.mma_async {{.*}} <m = 64, n = 16, k = 32>, D[<f32>, <zero>], A[<e4m3>{{.*}}B[<e4m3>
// WGMMA: gpu.launch
// WGMMA: gpu.launch
// WGMMA: nvvm.mbarrier.arrive.expect_tx %{{.*}}, %c16384_i32
// WGMMA: memref.load %{{.*}} : memref<?x2xf32>
// WGMMA: memref.load %{{.*}} : memref<4x2x2xf32>
// WGMMA: nvvm.mbarrier.try_wait.parity
// WGMMA: nvvm.wgmma.mma_async {{.*}} <m = 64, n = 128, k = 32>, D[<f32>, <zero>], A[<e4m3>{{.*}}B[<e4m3>
// WGMMA-COUNT-3: nvvm.wgmma.mma_async {{.*}} <m = 64, n = 128, k = 32>, D[<f32>, <one>]
// WGMMA-NOT: nvvm.wgmma.mma_async
// WGMMA: nvvm.wgmma.commit.group.sync.aligned
// WGMMA-NEXT: nvvm.wgmma.wait.group.sync.aligned 0
// WGMMA: nvvm.mbarrier.arrive
// WGMMA-COUNT-64: math.fma
// WGMMA-NOT: nvvm.mma.sync

// FP8: memref.view {{.*}} to memref<3x64x48xi8, #gpu.address_space<workgroup>>
// FP8: nvgpu.ldmatrix {{.*}} -> vector<4x2xi16>
// FP8: llvm.call_intrinsic "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32"
// FP8-NOT: nvvm.mma.sync
// FP8: math.fma

// BF16: memref.view {{.*}} to memref<3x64x48xi8, #gpu.address_space<workgroup>>
// BF16: memref.load {{.*}} : memref<3x64x24xi16, #gpu.address_space<workgroup>>
// BF16: nvvm.mma.sync
// BF16-NOT: call_intrinsic
// BF16: math.fma

// BOTH: call @moe_gpu_has_wgmma
// BOTH: nvvm.wgmma.mma_async
// BOTH: call @moe_gpu_has_fp8
// BOTH: llvm.call_intrinsic
// BOTH: nvvm.mma.sync

// What the codes stand for, which products of f32 take.
// CPU-LABEL: func.func @layer_codes_entry(
// CPU: memref.view {{.*}} to memref<?x256xf32>
// CPU-NOT: xi8>{{$}}
// CPU: arith.divf
// CPU: vector.store {{.*}} : memref<?x256xf32>
func.func @codes(
    %x: tensor<?x256xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<4x192x256xi8> {moe.name = "d", moe.role = "weight"},
    %s: tensor<4x2x2xf32> {moe.name = "s", moe.role = "weight"},
    %rows: tensor<?xi32> {moe.name = "rows", moe.role = "input", moe.sizes = ["2*T"]},
    %offsets: tensor<5xi32> {moe.name = "offsets", moe.role = "input"})
    -> (tensor<?x192xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["2*T"]}) {
  %w = moe.decode %d, %s <kind = fp8_e4m3, outputs = 128, inputs = 128>
      : (tensor<4x192x256xi8>, tensor<4x2x2xf32>) -> tensor<4x192x256xf32>
  %y = moe.grouped_matmul %x as <kind = fp8_e4m3, block = 128>, %w
      offsets %offsets gather %rows {slots = 2 : i64}
      : (tensor<?x256xbf16>, tensor<4x192x256xf32>, tensor<5xi32>, tensor<?xi32>)
      -> tensor<?x192xf32>
  return %y : tensor<?x192xf32>
}
