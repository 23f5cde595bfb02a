func.func @epilogue(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %a = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%v: f32):
    moe.yield %v
  }
  %b = moe.grouped_matmul %x, %w, %w
      : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%v: f32, %unused: f32):
    moe.yield %v
  }
  return %a, %b : tensor<?x4xf32>, tensor<?x4xf32>
}
