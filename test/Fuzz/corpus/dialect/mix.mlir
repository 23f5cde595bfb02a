func.func @mix(%routed: tensor<?x8xf32>, %shared: tensor<?x8xf32>,
               %logits: tensor<?x1xf32>, %two: tensor<?x2xf32>) {
  %rounded = moe.mix %routed none : (tensor<?x8xf32>) -> tensor<?x8xf16>
  %sum = moe.mix %routed, %shared none
      : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xbf16>
  %y = moe.mix %routed, %shared logits %logits sigmoid
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xbf16>
  %soft = moe.mix %routed, %shared logits %two softmax2
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return
}
