module attributes {coll.grid = {dp = 1, ep = 2, tp = 2}} {
  func.func @coll(%x: tensor<?x8xbf16>, %c: tensor<4xi32>) -> (tensor<?x8xbf16>, tensor<i32>) {
    %a = coll.all_to_all %c over [ep] : (tensor<4xi32>) -> tensor<4xi32>
    %y = coll.all_to_all_v %x, %c, %a over [ep] pattern ring {bound = "8*R"}
        : (tensor<?x8xbf16>, tensor<4xi32>, tensor<4xi32>) -> tensor<?x8xbf16>
    %s = coll.reduce_scatter sum %y over [dp] {rows = "T"} : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
    %g = coll.all_gather %s over [dp] {rows = "8*R"} : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
    %b = coll.broadcast %g over [ep, tp] {root = 3 : i64} : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
    %l = moe.arrivals %a places 0 to 1 {members = 2 : i64, rows = "8*R", size = "C"} : (tensor<4xi32>) -> tensor<?x1xi32>
    %p = coll.start_all_to_all_v %x, %c, %a places 0 to 1 of send over [ep]
        : (tensor<?x8xbf16>, tensor<4xi32>, tensor<4xi32>) -> !coll.pending
    %w = coll.wait %p {rows = "C"} : (!coll.pending) -> tensor<?x8xbf16>
    coll.barrier over [tp] {name = "end"}
    coll.barrier over [tp]
    %i = coll.index over [dp] : () -> tensor<i32>
    return %b, %i : tensor<?x8xbf16>, tensor<i32>
  }
}
