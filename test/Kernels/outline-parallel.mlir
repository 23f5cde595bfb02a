// Parallel loops become functions over a range that the runtime calls.

// RUN: moe-opt %s --moe-outline-parallel --split-input-file | FileCheck %s

// What the body uses is put in a struct on the stack; constants are made anew.

// CHECK: func.func private @moe_parallel_for(!llvm.ptr, !llvm.ptr, i64)
// CHECK-NOT: @moe_parallel_for(!llvm.ptr, !llvm.ptr, i64)

// CHECK-LABEL: func.func private @scale_loop0(
// CHECK-SAME: %[[CONTEXT:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64)
// CHECK-DAG: %[[TWO:.*]] = arith.constant 2.000000e+00 : f32
// CHECK-DAG: %[[FIELD0:.*]] = llvm.getelementptr %[[CONTEXT]][0, 0] {{.*}} -> !llvm.ptr, !llvm.struct<(struct<{{.*}}>, f32)>
// CHECK: %[[LOADED:.*]] = llvm.load %[[FIELD0]]
// CHECK: %[[M:.*]] = builtin.unrealized_conversion_cast %[[LOADED]] : {{.*}} to memref<?xf32>
// CHECK: %[[FIELD1:.*]] = llvm.getelementptr %[[CONTEXT]][0, 1]
// CHECK: %[[S:.*]] = llvm.load %[[FIELD1]] : !llvm.ptr -> f32
// CHECK-DAG: %[[LOW:.*]] = arith.index_cast %[[BEGIN]] : i64 to index
// CHECK-DAG: %[[HIGH:.*]] = arith.index_cast %[[END]] : i64 to index
// CHECK: scf.for %[[I:.*]] = %[[LOW]] to %[[HIGH]]
// CHECK-NEXT: %[[V:.*]] = memref.load %[[M]][%[[I]]]
// CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[V]], %[[S]]
// CHECK-NEXT: %[[P:.*]] = arith.mulf %[[SUM]], %[[TWO]]
// CHECK-NEXT: memref.store %[[P]], %[[M]][%[[I]]]
// CHECK-NEXT: }
// CHECK-NEXT: return

// CHECK-LABEL: func.func @scale(
// CHECK-SAME: %[[MEMORY:.*]]: memref<?xf32>, %[[SCALAR:.*]]: f32, %[[N:.*]]: index)
// CHECK: %[[STACK:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(struct<{{.*}}>, f32)>
// CHECK: %[[DESCRIPTOR:.*]] = builtin.unrealized_conversion_cast %[[MEMORY]]
// CHECK: llvm.store %[[DESCRIPTOR]], %{{.*}}
// CHECK: llvm.store %[[SCALAR]], %{{.*}}
// CHECK: %[[BODY:.*]] = constant @scale_loop0 : (!llvm.ptr, i64, i64) -> ()
// CHECK: %[[POINTER:.*]] = builtin.unrealized_conversion_cast %[[BODY]]
// CHECK: %[[COUNT:.*]] = arith.index_cast %[[N]] : index to i64
// CHECK: call @moe_parallel_for(%[[POINTER]], %[[STACK]], %[[COUNT]])
// CHECK-NOT: scf.parallel
// CHECK: return
func.func @scale(%m: memref<?xf32>, %s: f32, %n: index) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %two = arith.constant 2.0 : f32
  scf.parallel (%i) = (%zero) to (%n) step (%one) {
    %v = memref.load %m[%i] : memref<?xf32>
    %sum = arith.addf %v, %s : f32
    %p = arith.mulf %sum, %two : f32
    memref.store %p, %m[%i] : memref<?xf32>
  }
  return
}

// -----

// Every loop has a function of its own; the call is declared once. A loop in a
// loop of the host keeps its stack: the struct is made where the function
// begins, and filled where the loop was.

// CHECK-COUNT-1: func.func private @moe_parallel_for
// CHECK-NOT: func.func private @moe_parallel_for
// CHECK: func.func private @several_loop0(
// CHECK: func.func private @several_loop1(
// CHECK-LABEL: func.func @several(
// CHECK-COUNT-2: llvm.alloca
// CHECK: call @moe_parallel_for
// CHECK: scf.for
// CHECK-NOT: llvm.alloca
// CHECK: call @moe_parallel_for
// CHECK: func.func private @other_loop0(
// CHECK-LABEL: func.func @other(
// CHECK: call @moe_parallel_for
func.func @several(%m: memref<?xf32>, %n: index) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %nothing = arith.constant 0.0 : f32
  scf.parallel (%i) = (%zero) to (%n) step (%one) {
    memref.store %nothing, %m[%i] : memref<?xf32>
  }
  scf.for %j = %zero to %n step %one {
    scf.parallel (%i) = (%zero) to (%j) step (%one) {
      memref.store %nothing, %m[%j] : memref<?xf32>
    }
  }
  return
}
func.func @other(%m: memref<?xf32>, %n: index) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %nothing = arith.constant 0.0 : f32
  scf.parallel (%i) = (%zero) to (%n) step (%one) {
    memref.store %nothing, %m[%i] : memref<?xf32>
  }
  return
}

// -----

// Only the outermost of nested loops is shared out.

// CHECK-LABEL: func.func private @nested_loop0(
// CHECK: scf.for
// CHECK: scf.parallel
// CHECK-LABEL: func.func @nested(
// CHECK-COUNT-1: call @moe_parallel_for
// CHECK-NOT: call @moe_parallel_for
func.func @nested(%m: memref<?x?xf32>, %n: index) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %nothing = arith.constant 0.0 : f32
  scf.parallel (%i) = (%zero) to (%n) step (%one) {
    scf.parallel (%j) = (%zero) to (%n) step (%one) {
      memref.store %nothing, %m[%i, %j] : memref<?x?xf32>
    }
  }
  return
}

// -----

// A function of that name that is there already is the one that is called.

// CHECK-COUNT-1: func.func private @moe_parallel_for
// CHECK-NOT: func.func private @moe_parallel_for
func.func private @moe_parallel_for(!llvm.ptr, !llvm.ptr, i64)
// CHECK-LABEL: func.func @declared(
// CHECK: call @moe_parallel_for
// CHECK-NEXT: return
func.func @declared(%m: memref<?xf32>, %n: index) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %nothing = arith.constant 0.0 : f32
  scf.parallel (%i) = (%zero) to (%n) step (%one) {
    memref.store %nothing, %m[%i] : memref<?xf32>
  }
  return
}

// -----

// Loops of other shapes are left alone.

// CHECK-NOT: moe_parallel_for
// CHECK-LABEL: func.func @from_one(
// CHECK: scf.parallel
func.func @from_one(%m: memref<?xf32>, %n: index) {
  %one = arith.constant 1 : index
  %nothing = arith.constant 0.0 : f32
  scf.parallel (%i) = (%one) to (%n) step (%one) {
    memref.store %nothing, %m[%i] : memref<?xf32>
  }
  return
}
// CHECK-LABEL: func.func @from_anywhere(
// CHECK: scf.parallel
func.func @from_anywhere(%m: memref<?xf32>, %low: index, %n: index) {
  %one = arith.constant 1 : index
  %nothing = arith.constant 0.0 : f32
  scf.parallel (%i) = (%low) to (%n) step (%one) {
    memref.store %nothing, %m[%i] : memref<?xf32>
  }
  return
}
// CHECK-LABEL: func.func @in_twos(
// CHECK: scf.parallel
func.func @in_twos(%m: memref<?xf32>, %n: index) {
  %zero = arith.constant 0 : index
  %two = arith.constant 2 : index
  %nothing = arith.constant 0.0 : f32
  scf.parallel (%i) = (%zero) to (%n) step (%two) {
    memref.store %nothing, %m[%i] : memref<?xf32>
  }
  return
}
// CHECK-LABEL: func.func @two_dimensions(
// CHECK: scf.parallel
func.func @two_dimensions(%m: memref<?x?xf32>, %n: index) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %nothing = arith.constant 0.0 : f32
  scf.parallel (%i, %j) = (%zero, %zero) to (%n, %n) step (%one, %one) {
    memref.store %nothing, %m[%i, %j] : memref<?x?xf32>
  }
  return
}
// CHECK-LABEL: func.func @tensor(
// CHECK: scf.parallel
func.func @tensor(%t: tensor<4xf32>, %m: memref<4xf32>) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %four = arith.constant 4 : index
  scf.parallel (%i) = (%zero) to (%four) step (%one) {
    %v = tensor.extract %t[%i] : tensor<4xf32>
    memref.store %v, %m[%i] : memref<4xf32>
  }
  return
}
// CHECK-LABEL: func.func @reduction(
// CHECK: scf.parallel
func.func @reduction(%m: memref<?xf32>, %n: index) -> f32 {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %nothing = arith.constant 0.0 : f32
  %sum = scf.parallel (%i) = (%zero) to (%n) step (%one) init (%nothing) -> f32 {
    %v = memref.load %m[%i] : memref<?xf32>
    scf.reduce(%v : f32) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      scf.reduce.return %s : f32
    }
  }
  return %sum : f32
}

// -----

// Memory of the thread's own is made once for all iterations that it does, not
// again for each.

// CHECK-LABEL: func.func private @own_memory_loop0(
// CHECK: %[[OWN:.*]] = memref.alloca() {alignment = 64 : i64} : memref<4x8xf32>
// CHECK: scf.for %[[I:.*]] =
// CHECK-NOT: memref.alloca
// CHECK: memref.store %{{.*}}, %[[OWN]][%{{.*}}, %{{.*}}]
// CHECK: return
// CHECK-LABEL: func.func @own_memory(
// CHECK-NOT: memref.alloca
// CHECK: call @moe_parallel_for
func.func @own_memory(%m: memref<?xf32>, %n: index) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  scf.parallel (%i) = (%zero) to (%n) step (%one) {
    %own = memref.alloca() {alignment = 64 : i64} : memref<4x8xf32>
    %v = memref.load %m[%i] : memref<?xf32>
    memref.store %v, %own[%zero, %one] : memref<4x8xf32>
    %w = memref.load %own[%zero, %one] : memref<4x8xf32>
    memref.store %w, %m[%i] : memref<?xf32>
  }
  return
}

// -----

// A loop under a condition is called there; its context is on the stack of the
// function.

// CHECK-LABEL: func.func private @condition_loop0(
// CHECK-LABEL: func.func @condition(
// CHECK: %[[STACK:.*]] = llvm.alloca
// CHECK: scf.if
// CHECK-NOT: llvm.alloca
// CHECK: scf.if
// CHECK: call @moe_parallel_for(%{{.*}}, %[[STACK]], %{{.*}})
// CHECK-NOT: scf.parallel
func.func @condition(%m: memref<?xf32>, %n: index, %first: i1, %second: i1) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %nothing = arith.constant 0.0 : f32
  scf.if %first {
    scf.if %second {
      scf.parallel (%i) = (%zero) to (%n) step (%one) {
        memref.store %nothing, %m[%i] : memref<?xf32>
      }
    }
  }
  return
}
