func.func @grouped_matmul(%x: tensor<?x8xbf16>, %rows: tensor<?xi32>,
    %offsets: tensor<5xi32>, %gate: tensor<4x16x8xbf16>, %up: tensor<4x16x8xbf16>,
    %gate_bias: tensor<4x16xf32>, %up_bias: tensor<4x16xf32>,
    %dense: tensor<16x8xf16>, %dense_bias: tensor<16xf32>) {
  %plain = moe.grouped_matmul %x, %gate offsets %offsets
      : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<5xi32>) -> tensor<?x16xf32>
  %shared = moe.grouped_matmul %x, %dense bias %dense_bias
      : (tensor<?x8xbf16>, tensor<16x8xf16>, tensor<16xf32>) -> tensor<?x16xf32>
  %h = moe.grouped_matmul %x, %gate, %up bias %gate_bias, %up_bias
      offsets %offsets gather %rows {slots = 2 : i64}
      : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<4x16x8xbf16>,
         tensor<4x16xf32>, tensor<4x16xf32>, tensor<5xi32>, tensor<?xi32>)
      -> tensor<?x16xf32> {
  ^bb0(%g: f32, %u: f32):
    %zero = arith.constant 0.0 : f32
    %relu = arith.maximumf %g, %zero : f32
    %product = arith.mulf %relu, %u : f32
    moe.yield %product
  }
  return
}
