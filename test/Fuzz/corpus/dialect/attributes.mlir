func.func private @attributes() attributes {
  a = #moe.router<experts = 256, top_k = 8, score = function, renormalize = add,
                  eps = 1.0e-20, scale = 2.5, groups = <count = 8, keep = 4>>,
  b = #moe.groups<count = 8, keep = 4, reduce = max, fill = zero>,
  c = #moe.capacity<factor = 1.25, priority = probability>,
  d = #moe.quant<kind = fp8_e4m3, block = 64>}
