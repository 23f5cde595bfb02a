func.func private @numbers() attributes {
  a = #moe.router<experts = 1, top_k = 1, scale = 0.1>,
  b = #moe.router<experts = 1, top_k = 1, scale = -0.0>,
  c = #moe.router<experts = 1, top_k = 1, scale = 0.30000000000000004>,
  d = #moe.router<experts = 1, top_k = 1, scale = 1.7976931348623157e308>,
  e = #moe.router<experts = 1, top_k = 1, scale = 4.9e-324>,
  f = #moe.router<experts = 1, top_k = 1, scale = 1.0e6>}
