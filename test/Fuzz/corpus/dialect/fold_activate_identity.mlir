func.func @activate_identity(%gate: tensor<?x8xf32>, %up: tensor<?x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %a = moe.activate %gate : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%g: f32):
    moe.yield %g
  }
  %b = moe.activate %gate, %up
      : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%g: f32, %u: f32):
    moe.yield %u
  }
  return %a, %b : tensor<?x8xf32>, tensor<?x8xf32>
}
