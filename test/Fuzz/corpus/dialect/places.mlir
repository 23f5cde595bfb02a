func.func @places(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>, %c: tensor<4xi32>, %m: tensor<i32>) {
  %s = moe.place %i {places = dense<[[0, 3], [1, -1]]> : tensor<2x2xi32>, total = 4 : i64}
      : (tensor<?x2xi32>) -> tensor<?x2xi32>
  %l = moe.arrivals %c {members = 2 : i64, rows = "8*R"} : (tensor<4xi32>) -> tensor<?x1xi32>
  %k:2 = moe.keep_local %i, %w, %m {experts = 4 : i64, members = 2 : i64}
      : (tensor<?x2xi32>, tensor<?x2xf32>, tensor<i32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}
