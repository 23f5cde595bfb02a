// RUN: moe-opt %s --split-input-file --verify-diagnostics --moe-math-to-intrinsics | FileCheck %s

// CHECK-LABEL: func @has
func.func @has(%x: f32, %y: f64) -> (f32, f64) {
  // CHECK: %[[R:.*]] = llvm.call_intrinsic "llvm.sqrt"(%{{.*}}) : (f32) -> f32
  %r = math.sqrt %x : f32
  // CHECK: llvm.call_intrinsic "llvm.fma"(%[[R]], %{{.*}}, %{{.*}}) : (f32, f32, f32) -> f32
  %f = math.fma %r, %x, %x : f32
  // CHECK: llvm.call_intrinsic "llvm.roundeven"(%{{.*}}) : (f64) -> f64
  %e = math.roundeven %y : f64
  return %f, %e : f32, f64
}

// -----

func.func @lacks(%x: f32) -> f32 {
  // expected-error @+1 {{'math.sin' op cannot be computed on a gpu}}
  %s = math.sin %x : f32
  return %s : f32
}
