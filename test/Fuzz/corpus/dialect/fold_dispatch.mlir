func.func @dispatch(%x: tensor<3x8xbf16>, %rows: tensor<6xi32>)
    -> (tensor<6x8xbf16>, tensor<6x8xbf16>) {
  %one = arith.constant dense<1.0> : tensor<3x2xf32>
  %half = arith.constant dense<0.5> : tensor<3x2xf32>
  %a = moe.dispatch %x, %rows weights %one {slots = 2 : i64}
      : (tensor<3x8xbf16>, tensor<6xi32>, tensor<3x2xf32>) -> tensor<6x8xbf16>
  %b = moe.dispatch %x, %rows weights %half {slots = 2 : i64}
      : (tensor<3x8xbf16>, tensor<6xi32>, tensor<3x2xf32>) -> tensor<6x8xbf16>
  return %a, %b : tensor<6x8xbf16>, tensor<6x8xbf16>
}
