func.func @empty(%logits: tensor<0x4xf32>, %v: tensor<0xf32>) {
  %i, %w = moe.select %logits <experts = 4, top_k = 2>
      : (tensor<0x4xf32>) -> (tensor<0x2xi32>, tensor<0x2xf32>)
  %0:4 = moe.group %i, %w {experts = 4 : i64}
      : (tensor<0x2xi32>, tensor<0x2xf32>)
      -> (tensor<0xi32>, tensor<5xi32>, tensor<0x2xi32>, tensor<4xi32>)
  %1:3 = moe.quantize %v <kind = int8, block = 64>
      : (tensor<0xf32>) -> (tensor<0xi8>, tensor<0xf32>, tensor<i32>)
  return
}
