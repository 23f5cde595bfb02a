func.func @activate_unused(%gate: tensor<?x8xf32>, %up: tensor<?x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %a = moe.activate %gate, %up
      : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%g: f32, %u: f32):
    %negated = arith.negf %u : f32
    moe.yield %negated
  }
  %b = moe.activate %gate, %up
      : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%g: f32, %u: f32):
    %one = arith.constant 1.0 : f32
    %two = arith.constant 2.0 : f32
    %three = arith.addf %one, %two : f32
    moe.yield %three
  }
  return %a, %b : tensor<?x8xf32>, tensor<?x8xf32>
}
