func.func @sums(%sum: tensor<4xi64>, %values: tensor<4xi32>, %scalar: tensor<f32>,
                %sets: tensor<?x?xf32>) {
  %result = moe.accumulate %sum, %values
      : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
  %0 = moe.accumulate %scalar, %scalar : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %mean, %status = moe.average %sets : (tensor<?x?xf32>) -> (tensor<?xf32>, tensor<i32>)
  return
}
