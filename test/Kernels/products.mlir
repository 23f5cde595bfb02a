// Products become tiles of dot products: three rows by eight outputs, a vector
// of sums for each. docs/decisions/0006-cpu-kernels.md draws the loops around.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{bf16-dot=true},canonicalize,cse)' --split-input-file | FileCheck %s --check-prefixes=CHECK,DOT
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops,canonicalize,cse)' --split-input-file | FileCheck %s --check-prefixes=CHECK,FMA
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{vector-width=8 registers=16},canonicalize,cse)' --split-input-file | FileCheck %s --check-prefixes=CHECK,NARROW
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{blocks=rows=6,outs=16,depth=64,task=16},canonicalize,cse)' --split-input-file | FileCheck %s --check-prefixes=CHECK,BLOCKS

// One, two and three rows, and then any number three at a time. Twenty outputs
// are two tiles of eight, and four by themselves. Where the CPU adds pairs of
// bf16 a step is twice as deep, and so are those of f32 that ask for the next
// tile's weights line by line; with few registers a tile has four outputs.

// CHECK-LABEL: func.func @layer_bf16_entry(
// DOT-NOT: math.fma
// DOT: %{{.*}}:8 = scf.for %{{.*}} = %c0 to %c96 step %c32
// DOT: %[[X:.*]] = vector.load {{.*}} : memref<?x96xbf16>, vector<32xbf16>
// DOT: %[[W:.*]] = vector.load {{.*}} : memref<20x96xbf16>, vector<32xbf16>
// DOT: memref.prefetch {{.*}} : memref<20x96xbf16>
// DOT: x86vector.avx512.dot %{{.*}}, %[[W]], %[[X]] : vector<32xbf16> -> vector<16xf32>
// DOT: %{{.*}}:16 = scf.for %{{.*}} = %c0 to %c96 step %c32
// DOT: %{{.*}}:24 = scf.for %{{.*}} = %c0 to %c96 step %c32
// DOT: scf.for %{{.*}} step %c3 {
// DOT: %{{.*}}:24 = scf.for %{{.*}} = %c0 to %c96 step %c32
// DOT-COUNT-24: x86vector.avx512.dot
// DOT-NOT: x86vector.avx512.dot
// DOT: scf.yield
// FMA-NOT: x86vector
// FMA: %{{.*}}:24 = scf.for %{{.*}} = %c0 to %c96 step %c32
// FMA: scf.for %{{.*}} step %c3 {
// FMA: %{{.*}}:24 = scf.for %{{.*}} = %c0 to %c96 step %c32
// FMA: %[[X:.*]] = vector.load {{.*}} : memref<?x96xbf16>, vector<16xbf16>
// FMA: arith.extf %[[X]] : vector<16xbf16> to vector<16xf32>
// FMA: math.fma {{.*}} : vector<16xf32>
// NARROW: scf.for %{{.*}} step %c3 {
// NARROW: %{{.*}}:12 = scf.for %{{.*}} = %c0 to %c96 step %c16
// NARROW-COUNT-24: math.fma {{.*}} : vector<8xf32>
// NARROW-NOT: math.fma
// NARROW: scf.yield
// CHECK: return
func.func @bf16(
    %x: tensor<?x96xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %w: tensor<20x96xbf16> {moe.name = "w", moe.role = "weight"})
    -> (tensor<?x20xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %y = moe.grouped_matmul %x, %w : (tensor<?x96xbf16>, tensor<20x96xbf16>) -> tensor<?x20xf32>
  return %y : tensor<?x20xf32>
}

// -----

// Pairs are for rows and weights that are both bf16, or decode to it.

// CHECK-LABEL: func.func @layer_f32_weight_entry(
// CHECK-NOT: x86vector
// CHECK: math.fma
// CHECK: return
func.func @f32_weight(
    %x: tensor<?x64xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %w: tensor<8x64xf32> {moe.name = "w", moe.role = "weight"})
    -> (tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %y = moe.grouped_matmul %x, %w : (tensor<?x64xbf16>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @layer_f32_rows_entry(
// CHECK-NOT: x86vector
// CHECK: math.fma
// CHECK: return
func.func @f32_rows(
    %x: tensor<?x64xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %w: tensor<8x64xbf16> {moe.name = "w", moe.role = "weight"})
    -> (tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %y = moe.grouped_matmul %x, %w : (tensor<?x64xf32>, tensor<8x64xbf16>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Few rows decode a weight as they go. For more of them a tile is decoded once,
// into memory of the thread's own in the type in which it is multiplied, a
// vector wider than what is in it; only then it is multiplied.

// CHECK-LABEL: func.func @layer_decoded_entry(
// DOT: %[[PANEL:.*]] = memref.alloca() {alignment = 64 : i64} : memref<8x96xbf16>
// FMA: %[[PANEL:.*]] = memref.alloca() {alignment = 64 : i64} : memref<8x80xf32>
// DOT: scf.if
// DOT-NOT: vector.load %[[PANEL]]
// DOT: arith.sitofp {{.*}} : vector<16xi8> to vector<16xf32>
// DOT: x86vector.avx512.dot
// DOT: scf.if
// DOT: vector.store {{.*}}, %[[PANEL]]{{.*}} : memref<8x96xbf16>, vector<32xbf16>
// DOT: scf.for %{{.*}} step %c3 {
// DOT-NOT: arith.sitofp
// DOT: vector.load %[[PANEL]]{{.*}} : memref<8x96xbf16>, vector<32xbf16>
// DOT: x86vector.avx512.dot
// FMA: vector.store {{.*}}, %[[PANEL]]{{.*}} : memref<8x80xf32>, vector<16xf32>
// FMA: scf.for %{{.*}} step %c3 {
// FMA-NOT: arith.sitofp
// FMA: vector.load %[[PANEL]]{{.*}} : memref<8x80xf32>, vector<16xf32>
// FMA: math.fma
// CHECK: return
func.func @decoded(
    %x: tensor<?x64xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<8x64xi8> {moe.name = "w.weight", moe.role = "weight"},
    %s: tensor<8x1xf32> {moe.name = "w.scales", moe.role = "weight"})
    -> (tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %w = moe.decode %d, %s <kind = int8> : (tensor<8x64xi8>, tensor<8x1xf32>) -> tensor<8x64xf32>
  %y = moe.grouped_matmul %x, %w : (tensor<?x64xbf16>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Blocks with scales of their own have sums of their own, so that a tile has
// half the outputs. Pairs need blocks of whole steps: 64 values, but not 16. Two
// steps of decoded values are one turn.

// CHECK-LABEL: func.func @layer_blocks_entry(
// DOT: %{{.*}}:12 = scf.for %{{.*}} = %c0 to %c128 step %c64
// DOT-NOT: scf.for
// DOT-COUNT-2: x86vector.avx512.dot
// DOT: math.fma {{.*}} : vector<16xf32>
// CHECK: return
func.func @blocks(
    %x: tensor<?x128xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<8x128xi8> {moe.name = "w.weight", moe.role = "weight"},
    %s: tensor<8x2xf32> {moe.name = "w.scales", moe.role = "weight"})
    -> (tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %w = moe.decode %d, %s <kind = int8, inputs = 64>
      : (tensor<8x128xi8>, tensor<8x2xf32>) -> tensor<8x128xf32>
  %y = moe.grouped_matmul %x, %w : (tensor<?x128xbf16>, tensor<8x128xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @layer_small_blocks_entry(
// CHECK-NOT: x86vector
// CHECK: math.fma
// CHECK: return
func.func @small_blocks(
    %x: tensor<?x128xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<8x128xi8> {moe.name = "w.weight", moe.role = "weight"},
    %s: tensor<8x8xf32> {moe.name = "w.scales", moe.role = "weight"})
    -> (tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %w = moe.decode %d, %s <kind = int8, inputs = 16>
      : (tensor<8x128xi8>, tensor<8x8xf32>) -> tensor<8x128xf32>
  %y = moe.grouped_matmul %x, %w : (tensor<?x128xbf16>, tensor<8x128xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// A depth of several chunks starts with sums of zero, and each chunk adds to
// them: two of 64 values, and one of 22 of which the last six are behind a mask.

// CHECK-LABEL: func.func @layer_chunks_entry(
// BLOCKS-DAG: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : vector<16xf32>
// BLOCKS-DAG: %[[MASK:.*]] = arith.constant dense<[true, true, true, true, true, true, false, false, false, false, false, false, false, false, false, false]> : vector<16xi1>
// BLOCKS: %[[SUMS:.*]] = memref.alloca() {alignment = 64 : i64} : memref<6x16xf32>
// BLOCKS: vector.store %[[ZERO]], %[[SUMS]]
// BLOCKS: scf.for %[[CHUNK:.*]] = %c0 to %c128 step %c64 {
// BLOCKS: %[[END:.*]] = arith.addi %[[CHUNK]], %c64
// BLOCKS: %{{.*}}:8 = scf.for %{{.*}} = %[[CHUNK]] to %[[END]] step %c16
// BLOCKS: %[[OLD:.*]] = vector.load %[[SUMS]]{{.*}} vector<8xf32>
// BLOCKS: %[[NEW:.*]] = arith.addf {{.*}}%[[OLD]]
// BLOCKS: vector.store %[[NEW]], %[[SUMS]]
// BLOCKS: vector.load %{{.*}}[%{{.*}}, %c128] : memref<?x150xf32>, vector<16xf32>
// BLOCKS: vector.maskedload %{{.*}}[%{{.*}}, %c144], %[[MASK]], %[[ZERO]] : memref<?x150xf32>
// CHECK: return
func.func @chunks(
    %x: tensor<?x150xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %w: tensor<8x150xf32> {moe.name = "w", moe.role = "weight"})
    -> (tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %y = moe.grouped_matmul %x, %w : (tensor<?x150xf32>, tensor<8x150xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
