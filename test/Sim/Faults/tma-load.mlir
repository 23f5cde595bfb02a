// A box of a tensor is copied to shared memory, and each thread reads a row of
// it. Rows are half as long as the swizzle, so that a place which is wrong by one
// has never been written.

// DEFINE: %{args} = --block=64 --print=1 i32x1024=iota i32x64=none map=0:16x64:16x64:64
// DEFINE: %{fault} =
// DEFINE: %{planted} = %python %S/../Inputs/plant.py %{fault} %s > %t.mlir && not moe-sim %t.mlir %{args} 2>&1

// RUN: moe-sim %s %{args} | FileCheck %s
// CHECK: 4,20,36,52,{{.*}},1012

// REDEFINE: %{fault} = short
// RUN: %{planted} | FileCheck %s --check-prefix=SHORT
// SHORT: error: wrong mbarrier: copies bring 4 bytes more than the phase of their mbarrier expects
// SHORT: its init is at {{.*}}: nvvm.mbarrier.init
// SHORT: at {{.*}}: nvvm.cp.async.bulk.tensor.shared.cluster.global

// REDEFINE: %{fault} = long
// RUN: %{planted} | FileCheck %s --check-prefix=LONG
// LONG: error: deadlock: no thread can go on
// LONG: on: phase 0 of the mbarrier at {{.*}}, which lacks 0 of 1 arrivals and 4 bytes, at {{.*}}: nvvm.mbarrier.try_wait.parity

// REDEFINE: %{fault} = phase
// RUN: %{planted} | FileCheck %s --check-prefix=EARLY
// EARLY: error: {{data race|read of unwritten memory}}: reads 4 bytes

// REDEFINE: %{fault} = wait
// RUN: %{planted} | FileCheck %s --check-prefix=EARLY

// REDEFINE: %{fault} = init-fence
// RUN: %{planted} | FileCheck %s --check-prefix=FENCE
// FENCE: error: missing proxy fence: completes on an mbarrier without a fence.mbarrier_init or fence.proxy.async after its init

// REDEFINE: %{fault} = init-barrier
// RUN: %{planted} | FileCheck %s --check-prefix=INIT
// INIT: error: {{data race: uses the mbarrier at .* with nothing that orders it after its init|wrong mbarrier: no mbarrier has been initialized}}

// REDEFINE: %{fault} = arrivals
// RUN: %{planted} | FileCheck %s --check-prefix=ARRIVALS
// ARRIVALS: error: {{wrong mbarrier: 1 arrival at an mbarrier of 1 that lacks 0|deadlock}}

// REDEFINE: %{fault} = more-arrivals
// RUN: %{planted} | FileCheck %s --check-prefix=MORE
// MORE: error: deadlock: no thread can go on
// MORE: which lacks 1 of 2 arrivals and 0 bytes

// REDEFINE: %{fault} = swizzle
// RUN: %{planted} | FileCheck %s --check-prefix=SWIZZLE
// SWIZZLE: error: out of bounds: reads 4 bytes

// RUN: not moe-sim %s --block=64 i32x1024=iota i32x64=none map=0:16x8x8:16x8x8:64 2>&1 | FileCheck %s --check-prefix=RANK
// RANK: error: wrong operand: 2 coordinates for a tensor map of 3

// REDEFINE: %{fault} = reinit
// RUN: %{planted} | FileCheck %s --check-prefix=REINIT
// REINIT: error: wrong mbarrier: init of an mbarrier that is one

// REDEFINE: %{fault} = destination
// RUN: %{planted} | FileCheck %s --check-prefix=DESTINATION
// DESTINATION: error: misaligned access: a box of a tensor at byte 16 of {{[0-9]+}} of shared memory, expected a multiple of 128

gpu.module @kernels {
  llvm.mlir.global internal @tile() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<1024 x i32>
  llvm.mlir.global internal @full() {addr_space = 3 : i32, alignment = 8 : i64} : i64

  llvm.func @columns(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>,
                     %map: !llvm.ptr {llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant})
      attributes {gpu.kernel, nvvm.kernel} {
    %c0 = llvm.mlir.constant(0 : i32) : i32
    %c1 = llvm.mlir.constant(1 : i32) : i32
    %c2 = llvm.mlir.constant(2 : i32) : i32
    %c3 = llvm.mlir.constant(3 : i32) : i32
    %c4 = llvm.mlir.constant(4 : i32) : i32
    %c16 = llvm.mlir.constant(16 : i32) : i32
    %c64 = llvm.mlir.constant(64 : i32) : i32
    %ticks = llvm.mlir.constant(1000000 : i32) : i32
    %bytes = llvm.mlir.constant(4096 : i32) : i32 // short // long
    // short: %bytes = llvm.mlir.constant(4092 : i32) : i32
    // long: %bytes = llvm.mlir.constant(4100 : i32) : i32
    %box = llvm.mlir.addressof @tile : !llvm.ptr<3> // destination
    // destination: %tile0 = llvm.mlir.addressof @tile : !llvm.ptr<3>
    // destination: %box = llvm.getelementptr %tile0[4] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
    %full = llvm.mlir.addressof @full : !llvm.ptr<3>
    %t = nvvm.read.ptx.sreg.tid.x : i32
    %first = llvm.icmp "eq" %t, %c0 : i32
    llvm.cond_br %first, ^init, ^sync
  ^init:
    nvvm.mbarrier.init %full, %c1 : !llvm.ptr<3>, i32 // more-arrivals
    // more-arrivals: nvvm.mbarrier.init %full, %c2 : !llvm.ptr<3>, i32
    // reinit: nvvm.mbarrier.init %full, %c1 : !llvm.ptr<3>, i32
    nvvm.fence.mbarrier.init // init-fence
    llvm.br ^sync
  ^sync:
    nvvm.barrier0 // init-barrier
    llvm.cond_br %first, ^load, ^wait
  ^load:
    nvvm.mbarrier.arrive.expect_tx %full, %bytes : !llvm.ptr<3>, i32
    // arrivals: nvvm.mbarrier.arrive.expect_tx %full, %c0 : !llvm.ptr<3>, i32
    %wide = llvm.addrspacecast %box : !llvm.ptr<3> to !llvm.ptr<7>
    nvvm.cp.async.bulk.tensor.shared.cluster.global %wide, %map, %full, box[%c0, %c0] : !llvm.ptr<7>, !llvm.ptr
    llvm.br ^wait
  ^wait:
    nvvm.mbarrier.try_wait.parity %full, %c0, %ticks : !llvm.ptr<3>, i32, i32 // phase // wait
    // phase: nvvm.mbarrier.try_wait.parity %full, %c1, %ticks : !llvm.ptr<3>, i32, i32
    // Column 4 is in chunk 1 of 16 bytes; the chunk is moved by bits of the row.
    %half = llvm.lshr %t, %c1 : i32
    %bits = llvm.and %half, %c3 : i32 // swizzle
    // swizzle: %bits = llvm.shl %half, %c1 : i32
    %chunk = llvm.xor %bits, %c1 : i32
    %row = llvm.mul %t, %c16 : i32
    %column = llvm.mul %chunk, %c4 : i32
    %at = llvm.add %row, %column : i32
    %from = llvm.getelementptr %box[%at] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %v = llvm.load %from : !llvm.ptr<3> -> i32
    %to = llvm.getelementptr %out[%t] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    llvm.store %v, %to : i32, !llvm.ptr<1>
    llvm.return
  }
}
