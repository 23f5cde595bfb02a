// RUN: moe-opt %s --split-input-file --verify-diagnostics --pass-pipeline='builtin.module(func.func(moe-map-to-kernels))' | FileCheck %s

// A thread for each iteration, and the view made in the kernel.

// CHECK-LABEL: func @entry
// CHECK-SAME: %[[SIZES:.*]]: !llvm.ptr, %[[P:.*]]: !llvm.ptr, %[[N:.*]]: index
func.func @entry(%sizes: !llvm.ptr, %p: !llvm.ptr, %n: index) attributes {moe.arguments = [{}], moe.function = "forward"} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %data = llvm.load %p : !llvm.ptr -> !llvm.ptr
  %poison = llvm.mlir.poison : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
  %d = llvm.insertvalue %data, %poison[1] : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
  %view = builtin.unrealized_conversion_cast %d : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)> to memref<?xf32>
  // CHECK: %[[BLOCKS:.*]] = arith.ceildivui %[[N]]
  // CHECK: gpu.launch blocks(%[[B:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %[[BLOCKS]]
  // CHECK-SAME: threads(%[[T:.*]], %{{.*}}, %{{.*}}) in
  // CHECK-SAME: module(@kernels) function(@forward_0)
  // CHECK: unrealized_conversion_cast
  // CHECK: %[[FIRST:.*]] = arith.muli %[[B]]
  // CHECK: %[[I:.*]] = arith.addi %[[FIRST]], %[[T]]
  // CHECK: %[[IN:.*]] = arith.cmpi ult, %[[I]], %[[N]]
  // CHECK: scf.if %[[IN]]
  // CHECK: memref.store %{{.*}}, %{{.*}}[%[[I]]]
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    memref.store %zero, %view[%i] : memref<?xf32>
    scf.reduce
  }
  return
}

// -----

// Code between loops is one thread's, and what it makes passes through memory.

// CHECK-LABEL: func @passes
// CHECK: gpu.launch
// CHECK-SAME: function(@forward_0)
// CHECK: %[[V:.*]] = memref.load
// CHECK: %[[DOUBLE:.*]] = arith.addf %[[V]], %[[V]]
// CHECK: %[[SLOT:.*]] = llvm.getelementptr %[[WS:.*]][0]
// CHECK: llvm.store %[[DOUBLE]], %[[SLOT]]
// CHECK: gpu.launch
// CHECK-SAME: function(@forward_1)
// CHECK: %[[SLOT2:.*]] = llvm.getelementptr %[[WS]][0]
// CHECK: llvm.load %[[SLOT2]]
func.func @passes(%sizes: !llvm.ptr, %p: !llvm.ptr, %m: memref<8xf32>, %n: index) attributes {moe.arguments = [{}], moe.function = "forward"} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %v = memref.load %m[%c0] : memref<8xf32>
  %double = arith.addf %v, %v : f32
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    memref.store %double, %m[%i] : memref<8xf32>
    scf.reduce
  }
  return
}

// -----

// Launches may be in loops of the host.

// CHECK-LABEL: func @looped
// CHECK: scf.for
// CHECK: arith.ceildivui
// CHECK: gpu.launch
func.func @looped(%sizes: !llvm.ptr, %p: !llvm.ptr, %m: memref<8xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  scf.for %j = %c0 to %n step %c1 {
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
      memref.store %zero, %m[%i] : memref<8xf32>
      scf.reduce
    }
  }
  return
}

// -----

func.func @waits(%sizes: !llvm.ptr, %p: !llvm.ptr, %m: memref<8xindex>) attributes {moe.arguments = [{}]} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @+1 {{the host would have to wait for a value of the device: it is used by 'arith.ceildivui'}}
  %n = memref.load %m[%c0] : memref<8xindex>
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    memref.store %i, %m[%i] : memref<8xindex>
    scf.reduce
  }
  return
}
