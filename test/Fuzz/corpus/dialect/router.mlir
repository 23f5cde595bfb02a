func.func @router(%x: tensor<?x8xbf16>, %weight: tensor<4x8xbf16>,
                  %bias: tensor<4xf32>) {
  %plain = moe.router %x, %weight
      : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xf32>
  %logits = moe.router %x, %weight bias %bias {round = bf16, softcap = 3.0e+01 : f64}
      : (tensor<?x8xbf16>, tensor<4x8xbf16>, tensor<4xf32>) -> tensor<?x4xf32>
  %cosine = moe.router %x, %weight {cosine, temperature = 0.07 : f64}
      : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xf32>
  return
}
