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

// Lane by lane, so that a vector's values are those of scalars.

// CHECK-LABEL: func @vectors
// CHECK-NOT: math.{{exp|log|log1p|powf}}
func.func @vectors(%v: vector<2xf32>, %w: vector<2xf64>) -> (vector<2xf32>, vector<2xf64>) {
  // CHECK: vector.extract %{{.*}}[0] : f32 from vector<2xf32>
  // CHECK: vector.extract %{{.*}}[1] : f32 from vector<2xf32>
  // CHECK: vector.from_elements %{{.*}}, %{{.*}} : vector<2xf32>
  %a = math.log1p %v : vector<2xf32>
  %b = math.exp %w : vector<2xf64>
  return %a, %b : vector<2xf32>, vector<2xf64>
}

// That of f32 is for moe-approximate-math.

// CHECK-LABEL: func @stays
func.func @stays(%x: f32) -> f32 {
  // CHECK: math.exp %{{.*}} : f32
  %a = math.exp %x : f32
  return %a : f32
}
