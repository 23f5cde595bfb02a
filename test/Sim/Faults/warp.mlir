// Lanes of a warp exchange values, through shared memory and by a shuffle.

// DEFINE: %{args} = --block=32 --print=0 i32x32=none
// DEFINE: %{fault} =
// DEFINE: %{planted} = %python %S/../Inputs/plant.py %{fault} %s > %t.mlir && not moe-sim %t.mlir %{args} 2>&1

// RUN: moe-sim %s %{args} | FileCheck %s
// CHECK: 1,1,5,5,9,9,{{.*}},61,61

// REDEFINE: %{fault} = sync
// RUN: %{planted} | FileCheck %s --check-prefix=SYNC
// SYNC: error: {{data race|read of unwritten memory}}: reads 4 bytes

// REDEFINE: %{fault} = mask
// RUN: %{planted} | FileCheck %s --check-prefix=MASK
// MASK: error: divergent threads: shfl.sync by lane {{[0-9]+}}, which is not in its mask 0xffff

// REDEFINE: %{fault} = branch
// RUN: %{planted} | FileCheck %s --check-prefix=BRANCH
// BRANCH: error: {{divergent threads: shfl.sync from lane [0-9]+, which does not take part in it|deadlock}}

gpu.module @kernels {
  llvm.mlir.global internal @tile() {addr_space = 3 : i32} : !llvm.array<32 x i32>

  llvm.func @exchange(%out: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel} {
    %c0 = llvm.mlir.constant(0 : i32) : i32
    %c1 = llvm.mlir.constant(1 : i32) : i32
    %clamp = llvm.mlir.constant(31 : i32) : i32
    %all = llvm.mlir.constant(-1 : i32) : i32 // mask
    // mask: %all = llvm.mlir.constant(0xffff : i32) : i32
    %every = llvm.mlir.constant(-1 : i32) : i32
    %tile = llvm.mlir.addressof @tile : !llvm.ptr<3>
    %t = nvvm.read.ptx.sreg.laneid : i32
    %slot = llvm.getelementptr %tile[%t] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    llvm.store %t, %slot : i32, !llvm.ptr<3>
    nvvm.bar.warp.sync %every : i32 // sync
    %pair = llvm.xor %t, %c1 : i32
    %other = llvm.getelementptr %tile[%pair] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %v = llvm.load %other : !llvm.ptr<3> -> i32
    %odd = llvm.and %t, %c1 : i32
    %leaves = llvm.icmp "eq" %odd, %c1 : i32
    // branch: llvm.cond_br %leaves, ^end, ^shuffle
    llvm.br ^shuffle // branch
  ^shuffle:
    %w = nvvm.shfl.sync bfly %all, %v, %c1, %clamp : i32 -> i32
    %sum = llvm.add %v, %w : i32
    %to = llvm.getelementptr %out[%t] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    llvm.store %sum, %to : i32, !llvm.ptr<1>
    llvm.br ^end
  ^end:
    llvm.return
  }
}
