// Copies to shared memory that are waited for, one group behind another.

// DEFINE: %{args} = --block=32 --print=1 i32x256=iota i32x256=none
// DEFINE: %{fault} =
// DEFINE: %{planted} = %python %S/../Inputs/plant.py %{fault} %s > %t.mlir && not moe-sim %t.mlir %{args} 2>&1

// RUN: moe-sim %s %{args} | FileCheck %s
// CHECK: 124,125,126,127,{{.*}},0,1,2,3,252,

// REDEFINE: %{fault} = wait
// RUN: %{planted} | FileCheck %s --check-prefix=WAIT
// WAIT: error: access before a copy has been waited for: reads 16 bytes, byte {{[0-9]+}} of 1024 of shared memory, to which thread ({{[0-9]+}}, 0, 0) copies and has not waited for it
// WAIT: its copy is at {{.*}}: nvvm.cp.async.shared.global
// WAIT: at {{.*}}: llvm.load

// REDEFINE: %{fault} = short-wait
// RUN: %{planted} | FileCheck %s --check-prefix=WAIT

// REDEFINE: %{fault} = commit
// RUN: %{planted} | FileCheck %s --check-prefix=WAIT

// REDEFINE: %{fault} = barrier
// RUN: %{planted} | FileCheck %s --check-prefix=BARRIER
// BARRIER: error: {{data race|read of unwritten memory|access before a copy has been waited for}}: reads 16 bytes

// REDEFINE: %{fault} = misaligned
// RUN: %{planted} | FileCheck %s --check-prefix=MISALIGNED
// MISALIGNED: error: misaligned access: writes 16 bytes, byte {{[0-9]+}} of 1024 of shared memory, expected a multiple of 16

// REDEFINE: %{fault} = overwrite
// RUN: %{planted} | FileCheck %s --check-prefix=OVERWRITE
// OVERWRITE: error: access before a copy has been waited for: writes 4 bytes

gpu.module @kernels {
  llvm.mlir.global internal @tile() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<256 x i32>

  llvm.func @reverse(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel} {
    %c0 = llvm.mlir.constant(0 : i32) : i32
    %c2 = llvm.mlir.constant(2 : i32) : i32
    %c4 = llvm.mlir.constant(4 : i32) : i32
    %c31 = llvm.mlir.constant(31 : i32) : i32
    %c128 = llvm.mlir.constant(128 : i32) : i32
    %tile = llvm.mlir.addressof @tile : !llvm.ptr<3>
    %t = nvvm.read.ptx.sreg.tid.x : i32
    %at0 = llvm.mul %t, %c4 : i32
    %at1 = llvm.add %at0, %c128 : i32
    %from0 = llvm.getelementptr %in[%at0] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %from1 = llvm.getelementptr %in[%at1] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %slot0 = llvm.getelementptr %tile[%at0] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32 // misaligned
    // misaligned: %aside = llvm.add %at0, %c2 : i32
    // misaligned: %slot0 = llvm.getelementptr %tile[%aside] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %slot1 = llvm.getelementptr %tile[%at1] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    nvvm.cp.async.shared.global %slot0, %from0, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
    nvvm.cp.async.commit.group // commit
    nvvm.cp.async.shared.global %slot1, %from1, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
    nvvm.cp.async.commit.group
    // overwrite: llvm.store %c0, %slot1 : i32, !llvm.ptr<3>

    %r = llvm.sub %c31, %t : i32
    %back0 = llvm.mul %r, %c4 : i32
    %back1 = llvm.add %back0, %c128 : i32
    nvvm.cp.async.wait.group 1 // wait
    nvvm.barrier0 // barrier
    %read0 = llvm.getelementptr %tile[%back0] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %v0 = llvm.load %read0 {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
    %to0 = llvm.getelementptr %out[%at0] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    llvm.store %v0, %to0 {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>
    nvvm.cp.async.wait.group 0 // short-wait
    nvvm.barrier0
    %read1 = llvm.getelementptr %tile[%back1] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %v1 = llvm.load %read1 {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
    %to1 = llvm.getelementptr %out[%at1] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    llvm.store %v1, %to1 {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>
    llvm.return
  }
}
