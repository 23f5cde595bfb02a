func.func @combine(%ys: tensor<?x8xf32>, %positions: tensor<?x2xi32>,
                   %indices: tensor<?x2xi32>, %weights: tensor<?x2xf32>,
                   %x: tensor<?x8xbf16>) {
  %plain = moe.combine %ys, %positions, %indices, %weights
      {experts = 4 : i64, unweighted}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>)
      -> tensor<?x8xf32>
  %y = moe.combine %ys, %positions, %indices, %weights x %x
      {experts = 4 : i64, identity_nulls, pass_through}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>,
         tensor<?x8xbf16>) -> tensor<?x8xbf16>
  return
}
