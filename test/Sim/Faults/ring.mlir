// One warp fills a ring of two stages, the other adds up what is in them.

// DEFINE: %{args} = --block=64 --print=1 i32x128=iota i32x32=none
// DEFINE: %{fault} =
// DEFINE: %{planted} = %python %S/../Inputs/plant.py %{fault} %s > %t.mlir && not moe-sim %t.mlir %{args} 2>&1

// RUN: moe-sim %s %{args} | FileCheck %s
// RUN: env MOE_SIM_SEED=2 MOE_SIM_PREEMPT=3 moe-sim %s %{args} | FileCheck %s
// CHECK: 192,196,{{.*}},316

// REDEFINE: %{fault} = empty-wait
// RUN: %{planted} | FileCheck %s --check-prefix=RACE
// REDEFINE: %{fault} = empty-phase
// RUN: %{planted} | FileCheck %s --check-prefix=DEADLOCK
// REDEFINE: %{fault} = full-phase
// RUN: %{planted} | FileCheck %s --check-prefix=EARLY
// REDEFINE: %{fault} = release
// RUN: %{planted} | FileCheck %s --check-prefix=DEADLOCK
// REDEFINE: %{fault} = early-release
// RUN: %{planted} | FileCheck %s --check-prefix=RACE
// REDEFINE: %{fault} = one-stage
// RUN: %{planted} | FileCheck %s --check-prefix=RACE

// RACE: error: {{data race|overlapping stores|wrong mbarrier}}:
// EARLY: error: {{data race|read of unwritten memory|deadlock}}:
// DEADLOCK: error: deadlock: no thread can go on
// DEADLOCK: on: phase {{[0-9]+}} of the mbarrier at byte

gpu.module @kernels {
  llvm.mlir.global internal @tile() {addr_space = 3 : i32, alignment = 128 : i64} : !llvm.array<64 x i32>
  llvm.mlir.global internal @full() {addr_space = 3 : i32} : !llvm.array<2 x i64>
  llvm.mlir.global internal @empty() {addr_space = 3 : i32} : !llvm.array<2 x i64>

  llvm.func @sum(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel} {
    %c0 = llvm.mlir.constant(0 : i32) : i32
    %c1 = llvm.mlir.constant(1 : i32) : i32
    %c4 = llvm.mlir.constant(4 : i32) : i32
    %c32 = llvm.mlir.constant(32 : i32) : i32
    %bytes = llvm.mlir.constant(128 : i32) : i32
    %ticks = llvm.mlir.constant(1000 : i32) : i32
    %tile = llvm.mlir.addressof @tile : !llvm.ptr<3>
    %full = llvm.mlir.addressof @full : !llvm.ptr<3>
    %empty = llvm.mlir.addressof @empty : !llvm.ptr<3>
    %t = nvvm.read.ptx.sreg.tid.x : i32
    %first = llvm.icmp "eq" %t, %c0 : i32
    llvm.cond_br %first, ^init, ^sync
  ^init:
    %full1 = llvm.getelementptr %full[1] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
    %empty1 = llvm.getelementptr %empty[1] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
    nvvm.mbarrier.init %full, %c1 : !llvm.ptr<3>, i32
    nvvm.mbarrier.init %full1, %c1 : !llvm.ptr<3>, i32
    nvvm.mbarrier.init %empty, %c32 : !llvm.ptr<3>, i32
    nvvm.mbarrier.init %empty1, %c32 : !llvm.ptr<3>, i32
    nvvm.fence.mbarrier.init
    llvm.br ^sync
  ^sync:
    nvvm.barrier0
    %consumes = llvm.icmp "uge" %t, %c32 : i32
    llvm.cond_br %consumes, ^consume(%c0, %c0 : i32, i32), ^elect
  ^elect:
    %leader = nvvm.elect.sync -> i1
    llvm.cond_br %leader, ^produce(%c0 : i32), ^end

  ^produce(%i: i32):
    %s = llvm.and %i, %c1 : i32 // one-stage
    // one-stage: %s = llvm.and %i, %c0 : i32
    %round = llvm.lshr %i, %c1 : i32
    %parity = llvm.and %round, %c1 : i32
    %before = llvm.xor %parity, %c1 : i32 // empty-phase
    // empty-phase: %before = llvm.xor %parity, %c0 : i32
    %e = llvm.getelementptr %empty[%s] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
    %f = llvm.getelementptr %full[%s] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
    nvvm.mbarrier.try_wait.parity %e, %before, %ticks : !llvm.ptr<3>, i32, i32 // empty-wait
    nvvm.mbarrier.arrive.expect_tx %f, %bytes : !llvm.ptr<3>, i32
    %offset = llvm.mul %i, %c32 : i32
    %from = llvm.getelementptr %in[%offset] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %place = llvm.mul %s, %c32 : i32
    %to = llvm.getelementptr %tile[%place] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %wide = llvm.addrspacecast %to : !llvm.ptr<3> to !llvm.ptr<7>
    nvvm.cp.async.bulk.shared.cluster.global %wide, %from, %f, %bytes : !llvm.ptr<7>, !llvm.ptr<1>
    %next = llvm.add %i, %c1 : i32
    %more = llvm.icmp "ult" %next, %c4 : i32
    llvm.cond_br %more, ^produce(%next : i32), ^end

  ^consume(%j: i32, %acc: i32):
    %sj = llvm.and %j, %c1 : i32 // one-stage
    // one-stage: %sj = llvm.and %j, %c0 : i32
    %roundj = llvm.lshr %j, %c1 : i32
    %parityj = llvm.and %roundj, %c1 : i32 // full-phase
    // full-phase: %parityj = llvm.xor %roundj, %c1 : i32
    %ej = llvm.getelementptr %empty[%sj] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
    %fj = llvm.getelementptr %full[%sj] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
    nvvm.mbarrier.try_wait.parity %fj, %parityj, %ticks : !llvm.ptr<3>, i32, i32
    // early-release: %state0 = nvvm.mbarrier.arrive %ej : !llvm.ptr<3> -> i64
    %placej = llvm.mul %sj, %c32 : i32
    %lane = llvm.sub %t, %c32 : i32
    %at = llvm.add %placej, %lane : i32
    %slot = llvm.getelementptr %tile[%at] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %v = llvm.load %slot : !llvm.ptr<3> -> i32
    %sum = llvm.add %acc, %v : i32
    %state = nvvm.mbarrier.arrive %ej : !llvm.ptr<3> -> i64 // release // early-release
    %nextj = llvm.add %j, %c1 : i32
    %morej = llvm.icmp "ult" %nextj, %c4 : i32
    llvm.cond_br %morej, ^consume(%nextj, %sum : i32, i32), ^store
  ^store:
    %result = llvm.getelementptr %out[%lane] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    llvm.store %sum, %result : i32, !llvm.ptr<1>
    llvm.br ^end
  ^end:
    llvm.return
  }
}
