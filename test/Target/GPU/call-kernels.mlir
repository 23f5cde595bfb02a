// RUN: moe-opt %s --split-input-file --verify-diagnostics --moe-call-kernels | FileCheck %s

module attributes {gpu.container_module} {
  gpu.module @kernels {
    gpu.func @first() kernel { gpu.return }
    gpu.func @helper() { gpu.return }
    gpu.func @second(%n: index, %p: !llvm.ptr) kernel { gpu.return }
  }

  // CHECK: func.func private @moe_gpu_launch
  // CHECK-LABEL: func.func @entry
  // CHECK-SAME: %{{.*}}: !llvm.ptr, %[[BUFFERS:.*]]: !llvm.ptr, %[[N:.*]]: index
  func.func @entry(%sizes: !llvm.ptr, %buffers: !llvm.ptr, %n: index) attributes {moe.arguments = [{}, {}]} {
    // The room for arguments is there once.
    // CHECK: %[[ROOM:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(i64, ptr)>
    // CHECK: %[[PLACES:.*]] = llvm.alloca %{{.*}} x !llvm.ptr
    // After two arguments, the workspace and the exchange.
    // CHECK: %[[PLACE:.*]] = llvm.getelementptr %[[BUFFERS]][4]
    // CHECK: %[[DEVICE:.*]] = llvm.load %[[PLACE]]
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %bytes = arith.constant 512 : i32
    // CHECK: %[[N64:.*]] = arith.index_cast %[[N]] : index to i64
    // CHECK: %[[A:.*]] = llvm.getelementptr %[[ROOM]][0, 0]
    // CHECK: llvm.store %[[N64]], %[[A]]
    // CHECK: %[[KERNEL:.*]] = arith.constant 1 : i32
    // CHECK: call @moe_gpu_launch(%[[DEVICE]], %[[KERNEL]], {{.*}}, %c512_i32, %[[PLACES]])
    gpu.launch_func @kernels::@second blocks in (%n, %c1, %c1) threads in (%c64, %c1, %c1)
        dynamic_shared_memory_size %bytes args(%n : index, %buffers : !llvm.ptr)
    return
  }
}

// -----

// What the host has in memory of its own goes by value.

module attributes {gpu.container_module} {
  gpu.module @kernels {
    // CHECK: llvm.func @first(%arg0: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>}, %arg1: !llvm.ptr)
    llvm.func @first(%map: !llvm.ptr, %p: !llvm.ptr) attributes {gpu.kernel} { llvm.return }
  }
  // CHECK-LABEL: func.func @entry
  func.func @entry(%sizes: !llvm.ptr, %buffers: !llvm.ptr) attributes {moe.arguments = [{}]} {
    %c1 = arith.constant 1 : index
    %one = llvm.mlir.constant(1 : i64) : i64
    // CHECK: %[[PLACES:.*]] = llvm.alloca %{{.*}} x !llvm.ptr :
    // CHECK: %[[MAP:.*]] = llvm.alloca %{{.*}} x !llvm.array<128 x i8> {alignment = 64 : i64}
    %map = llvm.alloca %one x !llvm.array<128 x i8> {alignment = 64 : i64} : (i64) -> !llvm.ptr
    // CHECK: %[[SLOT:.*]] = llvm.getelementptr %[[PLACES]][0]
    // CHECK: llvm.store %[[MAP]], %[[SLOT]]
    gpu.launch_func @kernels::@first blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1)
        args(%map : !llvm.ptr, %buffers : !llvm.ptr)
    return
  }
}

// -----

// Its clusters are part of a kernel.

module attributes {gpu.container_module} {
  gpu.module @kernels {
    // CHECK: llvm.func @first() attributes {gpu.kernel, nvvm.cluster_dim = array<i32: 2, 1, 1>}
    llvm.func @first() attributes {gpu.kernel} { llvm.return }
  }
  // CHECK-LABEL: func.func @entry
  // CHECK: call @moe_gpu_launch
  func.func @entry(%sizes: !llvm.ptr, %buffers: !llvm.ptr) attributes {moe.arguments = []} {
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    gpu.launch_func @kernels::@first clusters in (%c2, %c1, %c1) blocks in (%c2, %c1, %c1) threads in (%c1, %c1, %c1)
    return
  }
}

// -----

module attributes {gpu.container_module} {
  gpu.module @kernels {
    llvm.func @first() attributes {gpu.kernel} { llvm.return }
  }
  func.func @entry(%sizes: !llvm.ptr, %buffers: !llvm.ptr, %n: index) attributes {moe.arguments = []} {
    %c1 = arith.constant 1 : index
    // expected-error @+1 {{expected clusters of a constant size}}
    gpu.launch_func @kernels::@first clusters in (%n, %c1, %c1) blocks in (%n, %c1, %c1) threads in (%c1, %c1, %c1)
    return
  }
}

// -----

module attributes {gpu.container_module} {
  gpu.module @kernels {
    gpu.func @first() kernel { gpu.return }
  }
  // expected-error @+1 {{expected 'moe.arguments' of a function that launches kernels}}
  func.func @entry(%sizes: !llvm.ptr, %buffers: !llvm.ptr, %n: index) {
    %c1 = arith.constant 1 : index
    gpu.launch_func @kernels::@first blocks in (%n, %c1, %c1) threads in (%c1, %c1, %c1)
    return
  }
}
