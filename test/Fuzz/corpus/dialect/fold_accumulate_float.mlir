func.func @accumulate_float(%x: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %negative = arith.constant dense<-0.0> : tensor<4xf32>
  %positive = arith.constant dense<0.0> : tensor<4xf32>
  %mixed = arith.constant dense<[-0.0, -0.0, 0.0, -0.0]> : tensor<4xf32>
  %a = moe.accumulate %x, %negative : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %b = moe.accumulate %negative, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c = moe.accumulate %x, %positive : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %d = moe.accumulate %x, %mixed : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %a, %b, %c, %d : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}
