// A product of 64 x 16 and 16 x 8 ones, from shared memory that threads have
// written and write again afterwards.

// DEFINE: %{args} = --block=128 --print=2 bf16x1024=ones bf16x128=ones f32x512=none
// DEFINE: %{fault} =
// DEFINE: %{planted} = %python %S/../Inputs/plant.py %{fault} %s > %t.mlir && not moe-sim %t.mlir %{args} 2>&1

// RUN: moe-sim %s %{args} | FileCheck %s
// CHECK: {{^}}16,16,16,16,{{.*}},16{{$}}

// REDEFINE: %{fault} = proxy-fence
// RUN: %{planted} | FileCheck %s --check-prefix=PROXY
// PROXY: error: missing proxy fence: reads 16 bytes, byte {{[0-9]+}} of {{[0-9]+}} of shared memory through the async proxy
// PROXY: at {{.*}}: nvvm.wgmma.mma_async

// REDEFINE: %{fault} = barrier
// RUN: %{planted} | FileCheck %s --check-prefix=BARRIER
// BARRIER: error: {{data race|read of unwritten memory}}: reads 16 bytes

// REDEFINE: %{fault} = wgmma-fence
// RUN: %{planted} | FileCheck %s --check-prefix=FENCE
// FENCE: error: divergent threads: the first wgmma.mma_async of a thread without wgmma.fence before it

// REDEFINE: %{fault} = wait
// RUN: %{planted} | FileCheck %s --check-prefix=WAIT
// REDEFINE: %{fault} = commit
// RUN: %{planted} | FileCheck %s --check-prefix=WAIT
// WAIT: error: data race: writes 16 bytes, byte {{[0-9]+}} of {{[0-9]+}} of shared memory, which an asynchronous operation has read
// WAIT: the other is at {{.*}}: nvvm.wgmma.mma_async

// REDEFINE: %{fault} = stride
// RUN: %{planted} | FileCheck %s --check-prefix=STRIDE
// STRIDE: error: {{out of bounds|read of unwritten memory}}: reads 16 bytes

// RUN: not moe-sim %s --block=96 bf16x1024=ones bf16x128=ones f32x512=none 2>&1 | FileCheck %s --check-prefix=WARPS
// WARPS: error: divergent threads: wgmma by a warp that is not one of four

gpu.module @kernels {
  llvm.mlir.global internal @a() {addr_space = 3 : i32, alignment = 128 : i64} : !llvm.array<1024 x bf16>
  llvm.mlir.global internal @b() {addr_space = 3 : i32, alignment = 128 : i64} : !llvm.array<128 x bf16>

  llvm.func @multiply(%ga: !llvm.ptr<1>, %gb: !llvm.ptr<1>, %out: !llvm.ptr<1>)
      attributes {gpu.kernel, nvvm.kernel} {
    %c4 = llvm.mlir.constant(4 : i32) : i32
    %c8 = llvm.mlir.constant(8 : i32) : i32
    %c16 = llvm.mlir.constant(16 : i32) : i32
    %f0 = llvm.mlir.constant(0.0 : f32) : f32
    %nothing = llvm.mlir.zero : vector<8xbf16>
    %a = llvm.mlir.addressof @a : !llvm.ptr<3>
    %b = llvm.mlir.addressof @b : !llvm.ptr<3>
    %t = nvvm.read.ptx.sreg.tid.x : i32
    %at = llvm.mul %t, %c8 : i32
    %ga0 = llvm.getelementptr %ga[%at] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, bf16
    %va = llvm.load %ga0 {alignment = 16 : i64} : !llvm.ptr<1> -> vector<8xbf16>
    %a0 = llvm.getelementptr %a[%at] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, bf16
    llvm.store %va, %a0 {alignment = 16 : i64} : vector<8xbf16>, !llvm.ptr<3>
    %some = llvm.icmp "ult" %t, %c16 : i32
    llvm.cond_br %some, ^b, ^sync
  ^b:
    %gb0 = llvm.getelementptr %gb[%at] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, bf16
    %vb = llvm.load %gb0 {alignment = 16 : i64} : !llvm.ptr<1> -> vector<8xbf16>
    %b0 = llvm.getelementptr %b[%at] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, bf16
    llvm.store %vb, %b0 {alignment = 16 : i64} : vector<8xbf16>, !llvm.ptr<3>
    llvm.br ^sync
  ^sync:
    nvvm.fence.proxy {kind = #nvvm.proxy_kind<async>} // proxy-fence
    nvvm.barrier0 // barrier

    // Eight rows of 16 bytes lie together; K goes on 128 bytes further, and the
    // next eight rows are 256 bytes further.
    %mask = llvm.mlir.constant(0x3ffff : i64) : i64
    %four = llvm.mlir.constant(4 : i64) : i64
    %strides = llvm.mlir.constant(0x1000080000 : i64) : i64 // stride
    // stride: %strides = llvm.mlir.constant(0x2000080000 : i64) : i64
    %ia = llvm.ptrtoint %a : !llvm.ptr<3> to i64
    %wa = llvm.and %ia, %mask : i64
    %sa = llvm.lshr %wa, %four : i64
    %da = llvm.or %sa, %strides : i64
    %ib = llvm.ptrtoint %b : !llvm.ptr<3> to i64
    %wb = llvm.and %ib, %mask : i64
    %sb = llvm.lshr %wb, %four : i64
    %db = llvm.or %sb, %strides : i64
    %d0 = llvm.mlir.undef : !llvm.struct<(f32, f32, f32, f32)>
    %d1 = llvm.insertvalue %f0, %d0[0] : !llvm.struct<(f32, f32, f32, f32)>
    %d2 = llvm.insertvalue %f0, %d1[1] : !llvm.struct<(f32, f32, f32, f32)>
    %d3 = llvm.insertvalue %f0, %d2[2] : !llvm.struct<(f32, f32, f32, f32)>
    %d4 = llvm.insertvalue %f0, %d3[3] : !llvm.struct<(f32, f32, f32, f32)>
    nvvm.wgmma.fence.aligned // wgmma-fence
    %d = nvvm.wgmma.mma_async %da, %db, %d4, <m = 64, n = 8, k = 16>,
      D [<f32>, #nvvm.wgmma_scale_out<one>],
      A [<bf16>, #nvvm.wgmma_scale_in<one>, <row>],
      B [<bf16>, #nvvm.wgmma_scale_in<one>, <col>]
      : !llvm.struct<(f32, f32, f32, f32)> -> !llvm.struct<(f32, f32, f32, f32)>
    nvvm.wgmma.commit.group.sync.aligned // commit
    nvvm.wgmma.wait.group.sync.aligned 0 // wait
    llvm.store %nothing, %a0 {alignment = 16 : i64} : vector<8xbf16>, !llvm.ptr<3>
    %four32 = llvm.mul %t, %c4 : i32
    %to = llvm.getelementptr %out[%four32] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f32
    llvm.store %d, %to {alignment = 4 : i64} : !llvm.struct<(f32, f32, f32, f32)>, !llvm.ptr<1>
    llvm.return
  }
}
