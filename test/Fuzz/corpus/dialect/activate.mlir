func.func @activate(%gate: tensor<?x16xf32>, %up: tensor<?x16xf32>) {
  %h = moe.activate %gate, %up
      : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%g: f32, %u: f32):
    %product = arith.mulf %g, %u : f32
    moe.yield %product
  }
  %abs = moe.activate %up : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%u: f32):
    %zero = arith.constant 0.0 : f32
    %below = arith.cmpf olt, %u, %zero : f32
    %negated = arith.negf %u : f32
    %result = arith.select %below, %negated, %u : f32
    moe.yield %result
  }
  return
}
