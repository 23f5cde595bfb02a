// Threads exchange values through shared memory.

// DEFINE: %{args} = --block=64 --print=1 i32x64=iota i32x64=none
// DEFINE: %{fault} =
// DEFINE: %{planted} = %python %S/../Inputs/plant.py %{fault} %s > %t.mlir && not moe-sim %t.mlir %{args} 2>&1

// RUN: moe-sim %s %{args} | FileCheck %s
// CHECK: 63,62,61,{{.*}},2,1,0

// REDEFINE: %{fault} = barrier
// RUN: %{planted} | FileCheck %s --check-prefix=BARRIER
// BARRIER: error: {{data race: reads 4 bytes, byte [0-9]+ of 256 of shared memory, which thread \([0-9]+, 0, 0\) has written|read of unwritten memory: reads 4 bytes, byte [0-9]+ of 256 of shared memory}}
// BARRIER: at {{.*}}.mlir:[[#]]:{{[0-9]+}}: llvm.load
// BARRIER: kernel reverse, block (0, 0, 0), thread ({{[0-9]+}}, 0, 0)
// BARRIER: moe-sim: error: the kernel failed with CUDA_ERROR_LAUNCH_FAILED

// REDEFINE: %{fault} = bounds
// RUN: %{planted} | FileCheck %s --check-prefix=BOUNDS
// BOUNDS: error: out of bounds: reads 4 bytes, byte 256 of 256 of shared memory
// BOUNDS: CUDA_ERROR_ILLEGAL_ADDRESS

// REDEFINE: %{fault} = global-bounds
// RUN: %{planted} | FileCheck %s --check-prefix=GLOBAL
// GLOBAL: error: out of bounds: writes 4 bytes, byte 256 of 256 at

// REDEFINE: %{fault} = misaligned
// RUN: %{planted} | FileCheck %s --check-prefix=MISALIGNED
// MISALIGNED: error: misaligned access: reads 4 bytes, byte {{[0-9]+}} of 256 of shared memory, expected a multiple of 4
// MISALIGNED: CUDA_ERROR_MISALIGNED_ADDRESS

// REDEFINE: %{fault} = overlap
// RUN: %{planted} | FileCheck %s --check-prefix=OVERLAP
// OVERLAP: error: overlapping stores: writes 4 bytes, byte {{[0-9]+}} of 256 of shared memory, which thread ({{[0-9]+}}, 0, 0) has written with nothing that orders the two
// OVERLAP: the other is at {{.*}}: llvm.store

// REDEFINE: %{fault} = unwritten
// RUN: %{planted} | FileCheck %s --check-prefix=UNWRITTEN
// UNWRITTEN: error: read of unwritten memory: reads 4 bytes, byte {{[0-9]+}} of 256 of shared memory, which nobody has written

// REDEFINE: %{fault} = short-barrier
// RUN: %{planted} | FileCheck %s --check-prefix=SHORT
// SHORT: error: {{data race|read of unwritten memory}}: reads 4 bytes, byte {{[0-9]+}} of 256 of shared memory

// REDEFINE: %{fault} = odd-barrier
// RUN: %{planted} | FileCheck %s --check-prefix=ODD
// ODD: error: wrong operand: barrier 0 of 40 threads, expected a multiple of 32

// REDEFINE: %{fault} = half-warp
// RUN: %{planted} | FileCheck %s --check-prefix=HALF
// HALF: error: deadlock: no thread can go on
// HALF-DAG: 16 threads from thread (0, 0, 0) of block (0, 0, 0) on: barrier 0 of all threads, at {{.*}}: nvvm.barrier
// HALF-DAG: 48 threads from thread (16, 0, 0) of block (0, 0, 0) on: barrier 1 of all threads, at {{.*}}: nvvm.barrier

// A global buffer that nobody has written is no better than shared memory.
// RUN: not moe-sim %s --block=64 i32x64=none i32x64=none 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: read of unwritten memory: reads 4 bytes, byte {{[0-9]+}} of 256 at

gpu.module @kernels {
  llvm.mlir.global internal @tile() {addr_space = 3 : i32} : !llvm.array<64 x i32>

  llvm.func @reverse(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel} {
    %zero = llvm.mlir.constant(0 : i32) : i32
    %one = llvm.mlir.constant(1 : i32) : i32
    %two = llvm.mlir.constant(2 : i32) : i32
    %sixteen = llvm.mlir.constant(16 : i32) : i32
    %thirtytwo = llvm.mlir.constant(32 : i32) : i32
    %forty = llvm.mlir.constant(40 : i32) : i32
    %last = llvm.mlir.constant(63 : i32) : i32
    // bounds: %last2 = llvm.mlir.constant(64 : i32) : i32
    %tile = llvm.mlir.addressof @tile : !llvm.ptr<3>
    %t = nvvm.read.ptx.sreg.tid.x : i32
    %from = llvm.getelementptr %in[%t] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %v = llvm.load %from : !llvm.ptr<1> -> i32
    %half = llvm.lshr %t, %one : i32
    %slot = llvm.getelementptr %tile[%t] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32 // overlap
    // overlap: %slot = llvm.getelementptr %tile[%half] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %odd = llvm.and %t, %one : i32
    %even = llvm.icmp "eq" %odd, %zero : i32
    %early = llvm.icmp "ult" %t, %sixteen : i32
    // unwritten: llvm.cond_br %even, ^store, ^sync
    llvm.br ^store // unwritten
  ^store:
    llvm.store %v, %slot : i32, !llvm.ptr<3>
    llvm.br ^sync
  ^sync:
    // half-warp: llvm.cond_br %early, ^barrier, ^late
    llvm.br ^barrier // half-warp
  ^late:
    nvvm.barrier id = %one
    llvm.br ^read
  ^barrier:
    nvvm.barrier0 // barrier // short-barrier // odd-barrier
    // short-barrier: nvvm.barrier id = %zero number_of_threads = %thirtytwo
    // odd-barrier: nvvm.barrier id = %zero number_of_threads = %forty
    llvm.br ^read
  ^read:
    %r = llvm.sub %last, %t : i32 // bounds
    // bounds: %r = llvm.sub %last2, %t : i32
    %other = llvm.getelementptr %tile[%r] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32 // misaligned
    // misaligned: %other0 = llvm.getelementptr %tile[%r] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    // misaligned: %other = llvm.getelementptr %other0[%two] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
    %w = llvm.load %other : !llvm.ptr<3> -> i32
    %to = llvm.getelementptr %out[%t] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32 // global-bounds
    // global-bounds: %next = llvm.add %t, %one : i32
    // global-bounds: %to = llvm.getelementptr %out[%next] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    llvm.store %w, %to : i32, !llvm.ptr<1>
    llvm.return
  }
}
