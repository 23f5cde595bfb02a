// Two blocks of a cluster read each other's shared memory.

// DEFINE: %{args} = --block=32 --grid=4 --cluster=2 --print=0 i32x128=none
// DEFINE: %{fault} =
// DEFINE: %{planted} = %python %S/../Inputs/plant.py %{fault} %s > %t.mlir && not moe-sim %t.mlir %{args} 2>&1

// RUN: moe-sim %s %{args} | FileCheck %s
// CHECK: 1000,1001,{{.*}},1031,0,1,{{.*}},31,3000,{{.*}},2031

// REDEFINE: %{fault} = first
// RUN: %{planted} | FileCheck %s --check-prefix=FIRST
// FIRST: error: {{data race|read of unwritten memory}}: reads 4 bytes

// REDEFINE: %{fault} = last
// RUN: %{planted} | FileCheck %s --check-prefix=LAST
// LAST: error: use after free: {{.*}} shared memory of block ({{[0-9]+}}, 0, 0), which {{can have|has}} ended

// REDEFINE: %{fault} = rank
// RUN: %{planted} | FileCheck %s --check-prefix=RANK
// RANK: error: wrong operand: mapa to block 2 of a cluster of 2

// RUN: not moe-sim %s --block=32 --grid=3 --cluster=2 i32x128=none 2>&1 | FileCheck %s --check-prefix=GRID
// GRID: error: kernel exchange: clusters of (2, 1, 1) in a grid of (3, 1, 1)

// RUN: env MOE_SIM_ARCH=sm_80 not moe-sim %s %{args} 2>&1 | FileCheck %s --check-prefix=ARCH
// ARCH: error: kernel exchange: clusters before sm_90

gpu.module @kernels {
  llvm.mlir.global internal @tile() {addr_space = 3 : i32} : !llvm.array<32 x i32>

  llvm.func @exchange(%out: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel} {
    %c1 = llvm.mlir.constant(1 : i32) : i32
    %c2 = llvm.mlir.constant(2 : i32) : i32
    %c32 = llvm.mlir.constant(32 : i32) : i32
    %thousand = llvm.mlir.constant(1000 : i32) : i32
    %tile = llvm.mlir.addressof @tile : !llvm.ptr<3>
    %t = nvvm.read.ptx.sreg.tid.x : i32
    %block = nvvm.read.ptx.sreg.ctaid.x : i32
    %rank = nvvm.read.ptx.sreg.cluster.ctarank : i32
    %slot = llvm.getelementptr %tile[%t] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %base = llvm.mul %block, %thousand : i32
    %value = llvm.add %base, %t : i32
    llvm.store %value, %slot : i32, !llvm.ptr<3>
    nvvm.cluster.arrive // first
    nvvm.cluster.wait // first
    %peer = llvm.xor %rank, %c1 : i32 // rank
    // rank: %peer = llvm.or %rank, %c2 : i32
    %there = nvvm.mapa %slot, %peer : !llvm.ptr<3> -> !llvm.ptr<7>
    %v = llvm.load %there : !llvm.ptr<7> -> i32
    %row = llvm.mul %block, %c32 : i32
    %at = llvm.add %row, %t : i32
    %to = llvm.getelementptr %out[%at] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    llvm.store %v, %to : i32, !llvm.ptr<1>
    nvvm.cluster.arrive // last
    nvvm.cluster.wait // last
    llvm.return
  }
}
