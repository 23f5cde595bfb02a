func.func @dispatch(%x: tensor<?x8xbf16>, %rows: tensor<?xi32>,
                    %weights: tensor<?x2xf32>) {
  %plain = moe.dispatch %x, %rows {slots = 2 : i64}
      : (tensor<?x8xbf16>, tensor<?xi32>) -> tensor<?x8xbf16>
  %xs = moe.dispatch %x, %rows weights %weights {slots = 2 : i64}
      : (tensor<?x8xbf16>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x8xbf16>
  return
}
