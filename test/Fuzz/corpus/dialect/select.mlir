func.func @select(%logits: tensor<?x4xf32>, %bias: tensor<4xf32>,
                  %scale3: tensor<3xf32>, %loads: tensor<4xi64>,
                  %ids: tensor<?xi64>, %x: tensor<?x8xf16>) {
  %0:2 = moe.select %logits <experts = 4, top_k = 2>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  %indices, %weights = moe.select %logits bias %bias
      <experts = 4, top_k = 2, score = function, renormalize = add>
      : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  ^bb0(%l: f32):
    %one = arith.constant 1.0 : f32
    %negated = arith.negf %l : f32
    %exp = math.exp %negated : f32
    %sum = arith.addf %exp, %one : f32
    %score = arith.divf %one, %sum : f32
    moe.yield %score
  }
  %1:2 = moe.select %logits bias %bias scale %scale3 loads %loads
      <experts = 3, top_k = 2, null_experts = 1, balancing = load_aware,
                  renormalize = clamp, eps = 1.0e-20, scale = 2.5, lambda = 0.5,
                  groups = <count = 2, keep = 1, reduce = sum_top2, fill = zero>>
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<3xf32>, tensor<4xi64>)
      -> (tensor<?x2xi32>, tensor<?x2xf32>)
  %2:2 = moe.select %logits <experts = 4, top_k = 2, strategy = similarity,
                                        balancing = expert_choice, factor = 1.25>
      : (tensor<?x4xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>)
  %3:2 = moe.select %logits <experts = 4, top_k = 2, balancing = round_robin,
                                        score_on = selected>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  %4:2 = moe.select %x ids %ids <experts = 4, top_k = 1, strategy = hash,
                                            seed = 18446744073709551615>
      : (tensor<?x8xf16>, tensor<?xi64>) -> (tensor<?x1xi32>, tensor<?x1xf32>)
  %5:2 = moe.select %x <experts = 4, top_k = 1, strategy = random>
      : (tensor<?x8xf16>) -> (tensor<?x1xi32>, tensor<?x1xf32>)
  %6:2 = moe.select %x loads %loads <experts = 4, top_k = 1, strategy = load_based>
      : (tensor<?x8xf16>, tensor<4xi64>) -> (tensor<?x1xi32>, tensor<?x1xf32>)
  return
}
