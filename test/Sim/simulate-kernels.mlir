// RUN: moe-opt %s --moe-simulate-kernels --split-input-file | FileCheck %s

// A thread of a kernel becomes a function; its accesses are checked, and what no
// host has is called.

// CHECK-LABEL: llvm.func internal @kernels_fill(
// CHECK-SAME: %[[P:.*]]: !llvm.ptr)
// CHECK: %[[T:.*]] = llvm.call @moe_sim_register({{.*}}) : (i32) -> i32
// CHECK: %[[Q:.*]] = llvm.getelementptr %[[P]][%[[T]]] : (!llvm.ptr, i32) -> !llvm.ptr, i32
// CHECK-DAG: %[[BYTES:.*]] = llvm.mlir.constant(4 : i64)
// CHECK-DAG: %[[SPACE:.*]] = llvm.mlir.constant(1 : i32)
// CHECK: llvm.call @moe_sim_store(%[[Q]], %[[BYTES]], %{{.*}}, %{{.*}}, %{{.*}}) : (!llvm.ptr, i64, i32, i32, i32) -> ()
// CHECK-NEXT: llvm.store %[[T]], %[[Q]] : i32, !llvm.ptr

// What a launch calls finds a pointer to each parameter.
// CHECK-LABEL: llvm.func internal @kernels_fill_thread(
// CHECK-SAME: %[[PARAMETERS:.*]]: !llvm.ptr)
// CHECK: %[[AT:.*]] = llvm.getelementptr %[[PARAMETERS]][0]
// CHECK: %[[ADDRESS:.*]] = llvm.load %[[AT]] : !llvm.ptr -> !llvm.ptr
// CHECK: %[[VALUE:.*]] = llvm.load %[[ADDRESS]] : !llvm.ptr -> !llvm.ptr
// CHECK: llvm.call @kernels_fill(%[[VALUE]])

// Calls go through slots that the loader fills.
// CHECK: llvm.mlir.global internal @moe_sim_register_slot()
// CHECK: llvm.func internal @moe_sim_register(%{{.*}}: i32) -> i32 {
// CHECK: llvm.mlir.addressof @moe_sim_register_slot

// CHECK: llvm.mlir.global external constant @kernels_image()
// CHECK-SAME: !llvm.struct<(array<8 x i8>, i64, i64, ptr, i64, ptr, i64, ptr, i64, ptr, ptr)>
// CHECK: "MOESIM1\00"
gpu.module @kernels {
  llvm.func @fill(%p: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel} {
    %t = nvvm.read.ptx.sreg.tid.x : i32
    %q = llvm.getelementptr %p[%t] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    llvm.store %t, %q : i32, !llvm.ptr<1>
    llvm.return
  }
}

// -----

// Shared memory of one kernel is at the place of another's; dynamic memory has a
// place of its own. A device function is called by its new name.

// CHECK-LABEL: llvm.func internal @kernels_helper(
// CHECK-LABEL: llvm.func internal @kernels_first(
// CHECK: %[[ZERO:.*]] = llvm.mlir.constant(0 : i64)
// CHECK: llvm.call @moe_sim_static_shared(%[[ZERO]])
// CHECK: llvm.call @kernels_helper
// CHECK-LABEL: llvm.func internal @kernels_second(
// CHECK: %[[ZERO:.*]] = llvm.mlir.constant(0 : i64)
// CHECK: llvm.call @moe_sim_static_shared(%[[ZERO]])
// CHECK: llvm.call @moe_sim_dynamic_shared()
gpu.module @kernels {
  llvm.mlir.global internal @a() {addr_space = 3 : i32} : !llvm.array<4 x f32>
  llvm.mlir.global internal @b() {addr_space = 3 : i32} : !llvm.array<8 x f32>
  llvm.mlir.global external @all() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
  llvm.func @helper(%p: !llvm.ptr<3>) {
    %f = llvm.mlir.constant(1.0 : f32) : f32
    llvm.store %f, %p : f32, !llvm.ptr<3>
    llvm.return
  }
  llvm.func @first() attributes {gpu.kernel, nvvm.kernel} {
    %a = llvm.mlir.addressof @a : !llvm.ptr<3>
    llvm.call @helper(%a) : (!llvm.ptr<3>) -> ()
    llvm.return
  }
  llvm.func @second() attributes {gpu.kernel, nvvm.kernel} {
    %b = llvm.mlir.addressof @b : !llvm.ptr<3>
    %all = llvm.mlir.addressof @all : !llvm.ptr<3>
    %v = llvm.load %all : !llvm.ptr<3> -> f32
    llvm.store %v, %b : f32, !llvm.ptr<3>
    llvm.return
  }
}

// -----

// The thread's own memory is not checked where nothing can be wrong, and
// elsewhere only its bounds are. Halves need no library.

// CHECK-LABEL: llvm.func internal @kernels_own(
// CHECK-NOT: moe_sim_store
// CHECK: llvm.call @moe_sim_local
// CHECK-NOT: llvm.fptrunc
// CHECK: llvm.call @moe_sim_float_to_half
// CHECK: llvm.call @moe_sim_approximate
// CHECK: llvm.return
gpu.module @kernels {
  llvm.func @own(%i: i32, %out: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel} {
    %four = llvm.mlir.constant(4 : i32) : i32
    %f = llvm.mlir.constant(1.0 : f32) : f32
    %own = llvm.alloca %four x f32 : (i32) -> !llvm.ptr
    llvm.store %f, %own : f32, !llvm.ptr
    %at = llvm.getelementptr %own[%i] : (!llvm.ptr, i32) -> !llvm.ptr, f32
    %v = llvm.load %at : !llvm.ptr -> f32
    %h = llvm.fptrunc %v : f32 to f16
    %e = llvm.inline_asm "ex2.approx.ftz.f32 $0, $1;", "=f,f" %v : (f32) -> f32
    llvm.store %h, %out : f16, !llvm.ptr<1>
    llvm.return
  }
}
