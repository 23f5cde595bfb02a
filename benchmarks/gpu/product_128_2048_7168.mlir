module attributes {moe.name = "product_128_2048_7168"} {
  func.func @forward(%rows: tensor<?x7168xbf16> {moe.name = "rows", moe.role = "input", moe.sizes = ["R"]}, %weight: tensor<128x2048x7168xbf16> {moe.name = "weight", moe.role = "weight"}, %offsets: tensor<129xi32> {moe.name = "offsets", moe.role = "input"}) -> (tensor<?x2048xbf16> {moe.name = "y", moe.role = "output", moe.sizes = ["R"]}) {
    %y = moe.grouped_matmul %rows, %weight offsets %offsets : (tensor<?x7168xbf16>, tensor<128x2048x7168xbf16>, tensor<129xi32>) -> tensor<?x2048xbf16>
    return %y : tensor<?x2048xbf16>
  }
}
