// A tile is written by all threads and copied to global memory by one of them,
// after which the tile is used anew.

// DEFINE: %{args} = --block=64 --print=0 i32x64=none
// DEFINE: %{fault} =
// DEFINE: %{planted} = %python %S/../Inputs/plant.py %{fault} %s > %t.mlir && not moe-sim %t.mlir %{args} 2>&1

// RUN: moe-sim %s %{args} | FileCheck %s
// CHECK: 0,1,2,{{.*}},62,63

// REDEFINE: %{fault} = fence
// RUN: %{planted} | FileCheck %s --check-prefix=FENCE
// FENCE: error: missing proxy fence: reads 256 bytes, byte {{[0-9]+}} of 256 of shared memory through the async proxy, which thread ({{[0-9]+}}, 0, 0) has written by the generic one, without a fence.proxy.async in between
// FENCE: its store is at {{.*}}: llvm.store
// FENCE: at {{.*}}: nvvm.cp.async.bulk.global.shared.cta

// REDEFINE: %{fault} = barrier
// RUN: %{planted} | FileCheck %s --check-prefix=BARRIER
// BARRIER: error: {{data race|read of unwritten memory}}: reads 256 bytes

// REDEFINE: %{fault} = commit
// RUN: %{planted} | FileCheck %s --check-prefix=REUSE
// REDEFINE: %{fault} = wait
// RUN: %{planted} | FileCheck %s --check-prefix=REUSE
// REUSE: error: {{data race: (writes 4|reads 256) bytes|access before a copy has been waited for: the block ends before its copy is done}}

// REDEFINE: %{fault} = misaligned
// RUN: %{planted} | FileCheck %s --check-prefix=MISALIGNED
// MISALIGNED: error: misaligned access: cp.async.bulk between

// REDEFINE: %{fault} = size
// RUN: %{planted} | FileCheck %s --check-prefix=SIZE
// SIZE: error: wrong operand: cp.async.bulk of 252 bytes, expected a multiple of 16

// REDEFINE: %{fault} = bounds
// RUN: %{planted} | FileCheck %s --check-prefix=BOUNDS
// BOUNDS: error: out of bounds: reads 272 bytes, byte 0 of 256 of shared memory

gpu.module @kernels {
  llvm.mlir.global internal @tile() {addr_space = 3 : i32, alignment = 128 : i64} : !llvm.array<64 x i32>

  llvm.func @copy(%out: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel} {
    %c0 = llvm.mlir.constant(0 : i32) : i32
    %bytes = llvm.mlir.constant(256 : i32) : i32 // size // bounds
    // size: %bytes = llvm.mlir.constant(252 : i32) : i32
    // bounds: %bytes = llvm.mlir.constant(272 : i32) : i32
    %tile = llvm.mlir.addressof @tile : !llvm.ptr<3>
    %t = nvvm.read.ptx.sreg.tid.x : i32
    %slot = llvm.getelementptr %tile[%t] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    llvm.store %t, %slot : i32, !llvm.ptr<3>
    nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>} // fence
    nvvm.barrier0 // barrier
    %first = llvm.icmp "eq" %t, %c0 : i32
    llvm.cond_br %first, ^copy, ^next
  ^copy:
    %from = llvm.getelementptr %tile[0] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32 // misaligned
    // misaligned: %from = llvm.getelementptr %tile[1] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
    nvvm.cp.async.bulk.global.shared.cta %out, %from, %bytes : !llvm.ptr<1>, !llvm.ptr<3>
    nvvm.cp.async.bulk.commit.group // commit
    nvvm.cp.async.bulk.wait_group 0 // wait
    llvm.br ^next
  ^next:
    nvvm.barrier0
    llvm.store %c0, %slot : i32, !llvm.ptr<3>
    llvm.return
  }
}
