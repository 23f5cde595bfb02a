// Functions that have a polynomial are arithmetic, of numbers and of vectors.

// RUN: moe-opt %s --moe-approximate-math | FileCheck %s

// CHECK-LABEL: func @approximated
// CHECK-NOT: math.{{exp|tanh|erf}}
// CHECK: math.fma {{.*}} : f32
// CHECK-NOT: math.{{exp|tanh|erf}}
// CHECK: math.fma {{.*}} : vector<8xf32>
// CHECK-NOT: math.{{exp|tanh|erf}}
// CHECK: return
func.func @approximated(%x: f32, %v: vector<8xf32>) -> (f32, f32, f32, vector<8xf32>) {
  %a = math.exp %x : f32
  %b = math.tanh %x : f32
  %c = math.erf %x : f32
  %d = math.exp %v : vector<8xf32>
  return %a, %b, %c, %d : f32, f32, f32, vector<8xf32>
}

// What is not accurate everywhere is left to the library, and so is f64.
// CHECK-LABEL: func @exact
// CHECK: math.log %
// CHECK: math.log1p %
// CHECK: math.exp %{{.*}} : f64
func.func @exact(%x: f32, %y: f64) -> (f32, f32, f64) {
  %a = math.log %x : f32
  %b = math.log1p %x : f32
  %c = math.exp %y : f64
  return %a, %b, %c : f32, f32, f64
}
