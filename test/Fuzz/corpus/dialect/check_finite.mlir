func.func @check_finite(%logits: tensor<?x4xf32>) -> tensor<i32> {
  %status = moe.check_finite %logits : (tensor<?x4xf32>) -> tensor<i32>
  return %status : tensor<i32>
}
