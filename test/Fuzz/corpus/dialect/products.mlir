func.func @products(%x: tensor<?x16xf32>, %y: tensor<?x8xf32>, %w: tensor<4x16x8xf32>,
    %offsets: tensor<5xi32>) {
  %back = moe.grouped_matmul %x, %w offsets %offsets {transposed, tf32}
      : (tensor<?x16xf32>, tensor<4x16x8xf32>, tensor<5xi32>) -> tensor<?x8xf32>
  %outer = moe.grouped_outer %x, %y offsets %offsets {tf32}
      : (tensor<?x16xf32>, tensor<?x8xf32>, tensor<5xi32>) -> tensor<4x16x8xf32>
  return
}
