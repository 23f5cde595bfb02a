// RUN: moe-opt %s --moe-expand-math | FileCheck %s

// CHECK-LABEL: func @expands
// CHECK-NOT: math.{{exp|log|log1p|powf}}
func.func @expands(%x: f64, %y: f32) -> (f64, f32, f32, f32) {
  %a = math.exp %x : f64
  %b = math.log %y : f32
  %c = math.log1p %y : f32
  %d = math.powf %y, %b : f32
  return %a, %b, %c, %d : f64, f32, f32, f32
}

// That of f32 is for moe-approximate-math, and vectors are for other targets.

// CHECK-LABEL: func @stays
func.func @stays(%x: f32, %v: vector<4xf32>) -> (f32, vector<4xf32>) {
  // CHECK: math.exp %{{.*}} : f32
  %a = math.exp %x : f32
  // CHECK: math.log %{{.*}} : vector<4xf32>
  %b = math.log %v : vector<4xf32>
  return %a, %b : f32, vector<4xf32>
}
