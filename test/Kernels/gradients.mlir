// Products that gradients need, and f32 as tf32.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops,canonicalize,cse)' --split-input-file | FileCheck %s --check-prefix=CPU
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true},canonicalize,cse)' --split-input-file | FileCheck %s --check-prefix=GPU
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true always-wgmma=true},canonicalize,cse)' --split-input-file | FileCheck %s --check-prefix=GPU
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{reference=true},canonicalize,cse)' --split-input-file | FileCheck %s --check-prefix=REF

// On a CPU vectors have outputs: 48 at a time, of eight rows. On a GPU the
// weights lie in the block's memory as they are, with places of the depth 72
// apart, and are turned round where they are read.

// REF-LABEL: func.func @layer_back_entry(
// REF: arith.mulf {{.*}} : f64
// CPU-LABEL: func.func @layer_back_entry(
// CPU: scf.parallel
// CPU: %{{.*}}:24 = scf.for %{{.*}} = %c0 to %c96 step %c1
// CPU: vector.broadcast {{.*}} : f32 to vector<16xf32>
// CPU: vector.load {{.*}} : memref<4x96x64xbf16>, vector<16xbf16>
// CPU-COUNT-24: math.fma {{.*}} : vector<16xf32>
// CPU-NOT: math.fma
// CPU: scf.yield
// GPU-LABEL: func.func @layer_back_entry(
// GPU-DAG: memref.view {{.*}} to memref<3x64x40xbf16, #gpu.address_space<workgroup>>
// GPU-DAG: memref.view {{.*}} to memref<3x32x72xbf16, #gpu.address_space<workgroup>>
// GPU: nvgpu.ldmatrix {{.*}} transpose = false} : memref<3x64x40xbf16
// GPU: nvgpu.ldmatrix {{.*}} transpose = true} : memref<3x32x72xbf16
// GPU: nvvm.mma.sync {{.*}} shape = #nvvm.shape<m = 16, n = 8, k = 16>
// GPU: return
func.func @back(
    %x: tensor<?x96xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["R"]},
    %w: tensor<4x96x64xbf16> {moe.name = "w", moe.role = "weight"},
    %o: tensor<5xi32> {moe.name = "offsets", moe.role = "input"})
    -> (tensor<?x64xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["R"]}) {
  %y = moe.grouped_matmul %x, %w offsets %o {transposed}
      : (tensor<?x96xbf16>, tensor<4x96x64xbf16>, tensor<5xi32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// The depth is the rows of an expert: how many is read where the sums are made,
// and as many blocks as tiles of all sums are launched. Both factors are turned.

// REF-LABEL: func.func @layer_outer_entry(
// REF: arith.mulf {{.*}} : f64
// CPU-LABEL: func.func @layer_outer_entry(
// CPU: %[[BEGIN:.*]] = arith.index_cast
// CPU: %[[END:.*]] = arith.index_cast
// CPU: %{{.*}}:24 = scf.for %{{.*}} = %[[BEGIN]] to %[[END]] step %c1
// CPU: math.fma {{.*}} : vector<16xf32>
// CPU: vector.store {{.*}} : memref<4x96x64xf32>, vector<16xf32>
// GPU-LABEL: func.func @layer_outer_entry(
// GPU: gpu.launch blocks({{.*}}) in ({{.*}} = %c8,
// GPU-COUNT-2: memref.view {{.*}} to memref<3x32x72xbf16, #gpu.address_space<workgroup>>
// GPU-NOT: transpose = false
// GPU: nvgpu.ldmatrix {{.*}} transpose = true}
// GPU: nvvm.mma.sync
// GPU: memref.store {{.*}} : memref<4x96x64xf32>
// GPU: return
func.func @outer(
    %x: tensor<?x96xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["R"]},
    %y: tensor<?x64xbf16> {moe.name = "y", moe.role = "input", moe.sizes = ["R"]},
    %o: tensor<5xi32> {moe.name = "offsets", moe.role = "input"})
    -> (tensor<4x96x64xf32> {moe.name = "sums", moe.role = "output"}) {
  %s = moe.grouped_outer %x, %y offsets %o
      : (tensor<?x96xbf16>, tensor<?x64xbf16>, tensor<5xi32>) -> tensor<4x96x64xf32>
  return %s : tensor<4x96x64xf32>
}

// -----

// Values of f32 are rounded on their way to an instruction. A CPU multiplies
// them as they are.

// REF-LABEL: func.func @layer_tf32_entry(
// CPU-LABEL: func.func @layer_tf32_entry(
// CPU: math.fma {{.*}} : vector<16xf32>
// GPU-LABEL: func.func @layer_tf32_entry(
// GPU: memref.view {{.*}} to memref<3x64x20xf32, #gpu.address_space<workgroup>>
// GPU: nvgpu.ldmatrix {{.*}} -> vector<4x1xf32>
// GPU: nvvm.convert.float.to.tf32 {{.*}} {rnd = #nvvm.fp_rnd_mode<rna>}
// GPU: nvvm.mma.sync {{.*}} shape = #nvvm.shape<m = 16, n = 8, k = 8>
// GPU: return
func.func @tf32(
    %x: tensor<?x96xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["R"]},
    %w: tensor<64x96xf32> {moe.name = "w", moe.role = "weight"})
    -> (tensor<?x64xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["R"]}) {
  %y = moe.grouped_matmul %x, %w {tf32} : (tensor<?x96xf32>, tensor<64x96xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Nobody has asked, or rows do not begin where 16 bytes do: multiply-adds.

// GPU-LABEL: func.func @layer_fma_entry(
// GPU-NOT: nvvm.mma.sync
// GPU: math.fma
// GPU: return
func.func @fma(
    %x: tensor<?x96xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["R"]},
    %y: tensor<?x63xf32> {moe.name = "y", moe.role = "input", moe.sizes = ["R"]},
    %o: tensor<5xi32> {moe.name = "offsets", moe.role = "input"},
    %w: tensor<64x96xf32> {moe.name = "w", moe.role = "weight"})
    -> (tensor<?x64xf32> {moe.name = "z", moe.role = "output", moe.sizes = ["R"]},
        tensor<4x96x63xf32> {moe.name = "sums", moe.role = "output"}) {
  %z = moe.grouped_matmul %x, %w : (tensor<?x96xf32>, tensor<64x96xf32>) -> tensor<?x64xf32>
  %s = moe.grouped_outer %x, %y offsets %o {tf32}
      : (tensor<?x96xf32>, tensor<?x63xf32>, tensor<5xi32>) -> tensor<4x96x63xf32>
  return %z, %s : tensor<?x64xf32>, tensor<4x96x63xf32>
}
