// The block that is the last to be done adds up what all have written.

// DEFINE: %{args} = --block=1 --grid=8 --print=2 i32x8=none i32x1=zero i32x1=zero
// DEFINE: %{fault} =
// DEFINE: %{planted} = %python %S/../Inputs/plant.py %{fault} %s > %t.mlir && not moe-sim %t.mlir %{args} 2>&1

// RUN: moe-sim %s %{args} | FileCheck %s
// CHECK: {{^}}28{{$}}

// REDEFINE: %{fault} = fence
// RUN: %{planted} | FileCheck %s --check-prefix=RACE
// REDEFINE: %{fault} = fence-after
// RUN: %{planted} | FileCheck %s --check-prefix=RACE
// RACE: error: data race: reads 4 bytes, byte {{[0-9]+}} of 32 at {{.*}}, which another block's thread (0, 0, 0) has written with nothing that orders the two

// REDEFINE: %{fault} = same
// RUN: %{planted} | FileCheck %s --check-prefix=SAME
// SAME: error: overlapping stores: writes 4 bytes, byte 0 of 32 at {{.*}}, which another block's thread (0, 0, 0) has written

// REDEFINE: %{fault} = count
// RUN: %{planted} | FileCheck %s --check-prefix=COUNT
// COUNT: error: data race: {{reads|updates}} 4 bytes

gpu.module @kernels {
  llvm.func @sum(%parts: !llvm.ptr<1>, %done: !llvm.ptr<1>, %out: !llvm.ptr<1>)
      attributes {gpu.kernel, nvvm.kernel} {
    %c0 = llvm.mlir.constant(0 : i32) : i32
    %c1 = llvm.mlir.constant(1 : i32) : i32
    %c7 = llvm.mlir.constant(7 : i32) : i32
    %block = nvvm.read.ptx.sreg.ctaid.x : i32
    %slot = llvm.getelementptr %parts[%block] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32 // same
    // same: %slot = llvm.getelementptr %parts[%c0] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    llvm.store %block, %slot : i32, !llvm.ptr<1>
    nvvm.memory.barrier #nvvm.mem_scope<gpu> // fence
    %before = llvm.atomicrmw add %done, %c1 monotonic : !llvm.ptr<1>, i32 // count
    // count: %before = llvm.load %done : !llvm.ptr<1> -> i32
    // count: %after = llvm.add %before, %c1 : i32
    // count: llvm.store %after, %done : i32, !llvm.ptr<1>
    nvvm.memory.barrier #nvvm.mem_scope<gpu> // fence-after
    %last = llvm.icmp "eq" %before, %c7 : i32
    llvm.cond_br %last, ^add(%c0, %c0 : i32, i32), ^end
  ^add(%i: i32, %sum: i32):
    %from = llvm.getelementptr %parts[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %v = llvm.load %from : !llvm.ptr<1> -> i32
    %next = llvm.add %sum, %v : i32
    %j = llvm.add %i, %c1 : i32
    %more = llvm.icmp "ule" %j, %c7 : i32
    llvm.cond_br %more, ^add(%j, %next : i32, i32), ^store
  ^store:
    llvm.store %next, %out : i32, !llvm.ptr<1>
    llvm.br ^end
  ^end:
    llvm.return
  }
}
