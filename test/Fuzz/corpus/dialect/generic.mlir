func.func @f(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  %0 = "moe.grouped_matmul"(%x, %w) <{operandSegmentSizes = array<i32: 1, 1, 0, 0, 0>, slots = 1 : i64}> ({
  }) : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %1 = "moe.activate"(%x) ({
  ^bb0(%v: f32):
    "moe.yield"(%v) : (f32) -> ()
  }) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %2:2 = "moe.select"(%x) <{operandSegmentSizes = array<i32: 1, 0, 0, 0, 0>, router = #moe.router<experts = 8, top_k = 1>}> ({
  }) : (tensor<?x8xf32>) -> (tensor<?x1xi32>, tensor<?x1xf32>)
  return
}
