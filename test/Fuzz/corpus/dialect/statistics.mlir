func.func @statistics(%logits: tensor<?x4xf32>, %indices: tensor<?x2xi32>,
    %weights: tensor<?x2xf32>, %counts: tensor<4xi32>, %bias: tensor<4xf32>,
    %loads: tensor<4xi64>) {
  %loss = moe.loss router_z %logits, %indices {coefficient = 1.000000e-03 : f64}
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<f32>
  %hf = moe.loss load_balance_hf %logits, %indices {coefficient = 0.0 : f64}
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<f32>
  %switch = moe.loss load_balance_switch %logits, %indices {coefficient = 1.0 : f64}
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<f32>
  %importance = moe.loss importance %logits, %indices {coefficient = 1.0 : f64}
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<f32>
  %imbalance = moe.imbalance %counts : (tensor<4xi32>) -> tensor<f32>
  %new_bias, %new_loads = moe.rebalance %bias, %loads {rate = 1.000000e-03 : f64}
      : (tensor<4xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xi64>)
  %start = moe.clock : () -> tensor<i64>
  %time = moe.clock after %indices, %weights
      : (tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<i64>
  return
}
