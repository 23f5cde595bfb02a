func.func @group(%indices: tensor<?x2xi32>, %weights: tensor<?x2xf32>,
                 %i3: tensor<3x2xi32>, %w3: tensor<3x2xf32>) {
  %rows, %offsets, %positions, %counts = moe.group %indices, %weights
      {experts = 4 : i64, capacity = #moe.capacity<factor = 1.25>}
      : (tensor<?x2xi32>, tensor<?x2xf32>)
      -> (tensor<?xi32>, tensor<5xi32>, tensor<?x2xi32>, tensor<4xi32>)
  %0:4 = moe.group %i3, %w3
      {experts = 4 : i64, null_experts = 2 : i64,
       capacity = #moe.capacity<tokens = 3, priority = probability>}
      : (tensor<3x2xi32>, tensor<3x2xf32>)
      -> (tensor<6xi32>, tensor<5xi32>, tensor<3x2xi32>, tensor<6xi32>)
  return
}
