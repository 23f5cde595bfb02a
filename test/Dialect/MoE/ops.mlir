// Every operation and optional piece, in custom form, generic form and
// bytecode. The descriptions of the operations quote this file.

// RUN: moe-opt %s --verify-roundtrip | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s --emit-bytecode | moe-opt | FileCheck %s

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func @router
func.func @router(%x: tensor<?x8xbf16>, %weight: tensor<4x8xbf16>,
                  %bias: tensor<4xf32>) {
  // Defaults are not printed.
  // CHECK: moe.router %{{.*}}, %{{.*}} : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xf32>
  %plain = moe.router %x, %weight
      : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xf32>
  // CHECK: moe.router %{{.*}}, %{{.*}} bias %{{.*}} {round = bf16, softcap = 3.000000e+01 : f64}
  %logits = moe.router %x, %weight bias %bias {round = bf16, softcap = 3.0e+01 : f64}
      : (tensor<?x8xbf16>, tensor<4x8xbf16>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: moe.router %{{.*}}, %{{.*}} {cosine, temperature = 7.000000e-02 : f64}
  %cosine = moe.router %x, %weight {cosine, temperature = 0.07 : f64}
      : (tensor<?x8xbf16>, tensor<4x8xbf16>) -> tensor<?x4xf32>
  return
}

// CHECK-LABEL: func @add_scaled
func.func @add_scaled(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>, %scale: tensor<8xf32>) {
  // CHECK: moe.add_scaled %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %z = moe.add_scaled %x, %y, %scale
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func @select
func.func @select(%logits: tensor<?x4xf32>, %bias: tensor<4xf32>,
                  %scale: tensor<4xf32>, %loads: tensor<4xi64>,
                  %ids: tensor<?xi64>, %table: tensor<9x2xi32>,
                  %x: tensor<?x8xf16>) {
  // CHECK: moe.select %{{.*}} <experts = 4, top_k = 2> : (tensor<?x4xf32>)
  %0:2 = moe.select %logits <experts = 4, top_k = 2>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)

  // A region sees nothing outside itself, so names may repeat inside.
  // CHECK: moe.select %{{.*}} bias %{{.*}} <experts = 4, top_k = 2, score = function, renormalize = add>
  // CHECK-NEXT: ^bb0(%[[L:.*]]: f32):
  // CHECK: moe.yield
  %indices, %weights = moe.select %logits bias %bias
      <experts = 4, top_k = 2, score = function, renormalize = add>
      : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  ^bb0(%l: f32):
    %one = arith.constant 1.0 : f32
    %negated = arith.negf %l : f32
    %exp = math.exp %negated : f32
    %sum = arith.addf %exp, %one : f32
    %score = arith.divf %one, %sum : f32
    moe.yield %score
  }

  // Everything at once.
  // CHECK: moe.select %{{.*}} bias %{{.*}} scale %{{.*}} loads %{{.*}} <experts = 3, top_k = 2, null_experts = 1, balancing = load_aware, renormalize = clamp, eps = 1.0e-20, scale = 2.5, lambda = 0.5, groups = <count = 2, keep = 1, fill = zero>>
  %scale3 = tensor.extract_slice %scale[0] [3] [1] : tensor<4xf32> to tensor<3xf32>
  %1:2 = moe.select %logits bias %bias scale %scale3 loads %loads
      <experts = 3, top_k = 2, null_experts = 1, balancing = load_aware,
                  renormalize = clamp, eps = 1.0e-20, scale = 2.5, lambda = 0.5,
                  groups = <count = 2, keep = 1, reduce = sum_top2, fill = zero>>
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<3xf32>, tensor<4xi64>)
      -> (tensor<?x2xi32>, tensor<?x2xf32>)

  // Expert choice has a slot per expert.
  // CHECK: moe.select %{{.*}} <experts = 4, top_k = 2, strategy = similarity, balancing = expert_choice, factor = 1.25>
  %2:2 = moe.select %logits <experts = 4, top_k = 2, strategy = similarity,
                                        balancing = expert_choice, factor = 1.25>
      : (tensor<?x4xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>)

  // CHECK: moe.select %{{.*}} <experts = 4, top_k = 2, balancing = round_robin, score_on = selected>
  %3:2 = moe.select %logits <experts = 4, top_k = 2, balancing = round_robin,
                                        score_on = selected>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)

  // The table says which expert; the logits say with which weight.
  // CHECK: moe.select %{{.*}} scale %{{.*}} ids %{{.*}} table %{{.*}} <experts = 4, top_k = 2, strategy = table, renormalize = add, p = 2.0>
  %7:2 = moe.select %logits scale %scale ids %ids table %table
      <experts = 4, top_k = 2, strategy = table, renormalize = add, p = 2.0>
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<?xi64>, tensor<9x2xi32>)
      -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // CHECK: moe.select %{{.*}} <experts = 4, top_k = 2, strategy = sparsemixer, threshold = 0.125>
  %8:2 = moe.select %logits <experts = 4, top_k = 2, strategy = sparsemixer, threshold = 0.125>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // Two of three to choose, and the fourth besides.
  // CHECK: moe.select %{{.*}} bias %{{.*}} <experts = 4, top_k = 2, always_on = 1> : (tensor<?x4xf32>, tensor<3xf32>) -> (tensor<?x3xi32>, tensor<?x3xf32>)
  %9:2 = moe.select %logits bias %scale3 <experts = 4, top_k = 2, always_on = 1>
      : (tensor<?x4xf32>, tensor<3xf32>) -> (tensor<?x3xi32>, tensor<?x3xf32>)

  // Strategies that do not learn read how many rows x has.
  // CHECK: moe.select %{{.*}} ids %{{.*}} <experts = 4, top_k = 1, strategy = hash, seed = 18446744073709551615>
  %4:2 = moe.select %x ids %ids <experts = 4, top_k = 1, strategy = hash,
                                            seed = 18446744073709551615>
      : (tensor<?x8xf16>, tensor<?xi64>) -> (tensor<?x1xi32>, tensor<?x1xf32>)
  // CHECK: moe.select %{{.*}} <experts = 4, top_k = 1, strategy = random>
  %5:2 = moe.select %x <experts = 4, top_k = 1, strategy = random>
      : (tensor<?x8xf16>) -> (tensor<?x1xi32>, tensor<?x1xf32>)
  // CHECK: moe.select %{{.*}} loads %{{.*}} <experts = 4, top_k = 1, strategy = load_based>
  %6:2 = moe.select %x loads %loads <experts = 4, top_k = 1, strategy = load_based>
      : (tensor<?x8xf16>, tensor<4xi64>) -> (tensor<?x1xi32>, tensor<?x1xf32>)
  return
}

// Numbers are printed with as many digits as it takes to read them back.
// CHECK-LABEL: func private @numbers
// CHECK-SAME: scale = 0.1>
// CHECK-SAME: scale = -0.0>
// CHECK-SAME: scale = 0.30000000000000004>
// CHECK-SAME: scale = 1.79769313486231570e+308>
// CHECK-SAME: scale = 5.0e-324>
// CHECK-SAME: scale = 1.0e+06>
func.func private @numbers() attributes {
  a = #moe.router<experts = 1, top_k = 1, scale = 0.1>,
  b = #moe.router<experts = 1, top_k = 1, scale = -0.0>,
  c = #moe.router<experts = 1, top_k = 1, scale = 0.30000000000000004>,
  d = #moe.router<experts = 1, top_k = 1, scale = 1.7976931348623157e308>,
  e = #moe.router<experts = 1, top_k = 1, scale = 4.9e-324>,
  f = #moe.router<experts = 1, top_k = 1, scale = 1.0e6>}

// Attributes stand alone as well.
// CHECK-LABEL: func private @attributes
// CHECK-SAME: #moe.router<experts = 256, top_k = 8, score = function, renormalize = add, eps = 1.0e-20, scale = 2.5, groups = <count = 8, keep = 4>>
// CHECK-SAME: #moe.groups<count = 8, keep = 4, reduce = max, fill = zero>
// CHECK-SAME: #moe.capacity<factor = 1.25, priority = probability>
// CHECK-SAME: #moe.quant<kind = fp8_e4m3, block = 64>
// CHECK-SAME: #moe.capacity<tokens = 8, priority = choice_order>
// CHECK-SAME: #moe.format<kind = fp8_e4m3, outputs = 128, inputs = 128>
func.func private @attributes() attributes {
  a = #moe.router<experts = 256, top_k = 8, score = function, renormalize = add,
                  eps = 1.0e-20, scale = 2.5, groups = <count = 8, keep = 4>>,
  b = #moe.groups<count = 8, keep = 4, reduce = max, fill = zero>,
  c = #moe.capacity<factor = 1.25, priority = probability>,
  d = #moe.quant<kind = fp8_e4m3, block = 64>,
  e = #moe.capacity<tokens = 8, priority = choice_order>,
  f = #moe.format<kind = fp8_e4m3, outputs = 128, inputs = 128>}

// CHECK-LABEL: func @check_finite
func.func @check_finite(%logits: tensor<?x4xf32>, %indices: tensor<?x2xi32>) {
  // CHECK: moe.check_finite %{{.*}} : (tensor<?x4xf32>) -> tensor<i32>
  %finite = moe.check_finite %logits : (tensor<?x4xf32>) -> tensor<i32>
  // CHECK: moe.check_finite %{{.*}} indices %{{.*}} : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<i32>
  %status = moe.check_finite %logits indices %indices
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<i32>
  return
}

// CHECK-LABEL: func @group
func.func @group(%indices: tensor<?x2xi32>, %weights: tensor<?x2xf32>,
                 %i3: tensor<3x2xi32>, %w3: tensor<3x2xf32>) {
  // CHECK: moe.group %{{.*}}, %{{.*}} {capacity = #moe.capacity<factor = 1.25>, experts = 4 : i64}
  %rows, %offsets, %positions, %counts = moe.group %indices, %weights
      {experts = 4 : i64, capacity = #moe.capacity<factor = 1.25>}
      : (tensor<?x2xi32>, tensor<?x2xf32>)
      -> (tensor<?xi32>, tensor<5xi32>, tensor<?x2xi32>, tensor<4xi32>)
  // CHECK: moe.group %{{.*}}, %{{.*}} {capacity = #moe.capacity<tokens = 3, priority = probability>, experts = 4 : i64, null_experts = 2 : i64}
  %0:4 = moe.group %i3, %w3
      {experts = 4 : i64, null_experts = 2 : i64,
       capacity = #moe.capacity<tokens = 3, priority = probability>}
      : (tensor<3x2xi32>, tensor<3x2xf32>)
      -> (tensor<6xi32>, tensor<5xi32>, tensor<3x2xi32>, tensor<6xi32>)
  // CHECK: moe.group %{{.*}} {experts = 4 : i64} : (tensor<3x2xi32>) ->
  %1:4 = moe.group %i3 {experts = 4 : i64}
      : (tensor<3x2xi32>)
      -> (tensor<6xi32>, tensor<5xi32>, tensor<3x2xi32>, tensor<4xi32>)
  return
}

//===----------------------------------------------------------------------===//
// Placement
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func @placement
func.func @placement(%indices: tensor<?x2xi32>, %arrived: tensor<8xi32>) {
  // CHECK: moe.place %{{.*}} {places = dense<{{\[}}[0, 3], [1, -1], [2, -1]]> : tensor<3x2xi32>, total = 4 : i64} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  %slots = moe.place %indices {places = dense<[[0, 3], [1, -1], [2, -1]]>
      : tensor<3x2xi32>, total = 4 : i64} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  // CHECK: moe.arrivals %{{.*}} {members = 2 : i64, rows = "8*R"} : (tensor<8xi32>) -> tensor<?x1xi32>
  %local = moe.arrivals %arrived {members = 2 : i64, rows = "8*R"}
      : (tensor<8xi32>) -> tensor<?x1xi32>
  %chunk = moe.arrivals %arrived places 0 to 2 {members = 2 : i64, rows = "8*R", size = "C0"}
      : (tensor<8xi32>) -> tensor<?x1xi32>
  // CHECK: moe.arrivals %{{.*}} places 0 to 2 {members = 2 : i64, rows = "8*R", size = "C0"} : (tensor<8xi32>) -> tensor<?x1xi32>
  // CHECK: moe.arrivals %{{.*}} {members = 8 : i64} : (tensor<8xi32>) -> tensor<16x1xi32>
  %0 = moe.arrivals %arrived {members = 8 : i64} : (tensor<8xi32>) -> tensor<16x1xi32>
  return
}

// CHECK-LABEL: func @own_tokens
func.func @own_tokens(%x: tensor<?x2xi32>, %weights: tensor<9x2xf32>,
                      %positions: tensor<?x2xi32>) {
  // CHECK: moe.row_numbers {first = "P", rows = "T"} : () -> tensor<?xi64>
  %numbers = moe.row_numbers {first = "P", rows = "T"} : () -> tensor<?xi64>
  // CHECK: moe.row_numbers : () -> tensor<4xi64>
  %four = moe.row_numbers : () -> tensor<4xi64>
  // CHECK: moe.take_rows %{{.*}} {first = "P", rows = "T"} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  %y = moe.take_rows %x {first = "P", rows = "T"} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  // CHECK: moe.take_rows %{{.*}} {first = "2*P"} : (tensor<9x2xf32>) -> tensor<3x2xf32>
  %three = moe.take_rows %weights {first = "2*P"} : (tensor<9x2xf32>) -> tensor<3x2xf32>
  // CHECK: moe.keep_placed %{{.*}}, %{{.*}} : (tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<?x2xi32>
  %indices = moe.take_rows %x {first = "P", rows = "T"} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  %kept = moe.keep_placed %indices, %positions
      : (tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<?x2xi32>
  // CHECK: moe.select %{{.*}} ids %{{.*}} <experts = 4, top_k = 2, strategy = random> : (tensor<?xi64>, tensor<?xi64>)
  %0:2 = moe.select %numbers ids %numbers <experts = 4, top_k = 2, strategy = random>
      : (tensor<?xi64>, tensor<?xi64>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// CHECK-LABEL: func @rounded
func.func @rounded(%x: tensor<?x8xf32>, %w: tensor<6x8xf32>) {
  // CHECK: moe.grouped_matmul %{{.*}} as <kind = fp8_e4m3, block = 4>, %{{.*}} : (tensor<?x8xf32>, tensor<6x8xf32>) -> tensor<?x6xf32>
  %y = moe.grouped_matmul %x as <kind = fp8_e4m3, block = 4>, %w
      : (tensor<?x8xf32>, tensor<6x8xf32>) -> tensor<?x6xf32>
  return
}

// CHECK-LABEL: func @pack
func.func @pack(%rows: tensor<?x6xf32>, %half: tensor<?x6xf16>, %sizes: tensor<4xi32>) {
  // CHECK: moe.pack_rows %{{.*}} counts %{{.*}} as <kind = int8, block = 4> : (tensor<?x6xf32>, tensor<4xi32>) -> tensor<?x14xi8>
  %packed = moe.pack_rows %rows counts %sizes as <kind = int8, block = 4>
      : (tensor<?x6xf32>, tensor<4xi32>) -> tensor<?x14xi8>
  // CHECK: moe.pack_rows %{{.*}} : (tensor<?x6xf16>) -> tensor<?x6xbf16>
  %0 = moe.pack_rows %half : (tensor<?x6xf16>) -> tensor<?x6xbf16>
  return
}

// CHECK-LABEL: func @unpack
func.func @unpack(%packed: tensor<?x14xi8>, %sizes: tensor<4xi32>) {
  // CHECK: moe.unpack_rows %{{.*}} counts %{{.*}} as <kind = int8, block = 4> : (tensor<?x14xi8>, tensor<4xi32>) -> tensor<?x6xf32>
  %rows = moe.unpack_rows %packed counts %sizes as <kind = int8, block = 4>
      : (tensor<?x14xi8>, tensor<4xi32>) -> tensor<?x6xf32>
  // CHECK: moe.unpack_rows %{{.*}} as <kind = fp8_e4m3, block = 4> : (tensor<?x14xi8>) -> tensor<?x6xf16>
  %0 = moe.unpack_rows %packed as <kind = fp8_e4m3, block = 4> : (tensor<?x14xi8>) -> tensor<?x6xf16>
  return
}

// CHECK-LABEL: func @group_sizes
func.func @group_sizes(%offsets: tensor<5xi32>) {
  // CHECK: moe.group_sizes %{{.*}} : (tensor<5xi32>) -> tensor<4xi32>
  %sizes = moe.group_sizes %offsets : (tensor<5xi32>) -> tensor<4xi32>
  return
}

// CHECK-LABEL: func @keep_local
func.func @keep_local(%indices: tensor<?x2xi32>, %weights: tensor<?x2xf32>,
                      %member: tensor<i32>) {
  // CHECK: moe.keep_local %{{.*}}, %{{.*}}, %{{.*}} {experts = 4 : i64, members = 2 : i64} :
  %local, %kept = moe.keep_local %indices, %weights, %member
      {experts = 4 : i64, members = 2 : i64}
      : (tensor<?x2xi32>, tensor<?x2xf32>, tensor<i32>)
      -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func @dispatch
func.func @dispatch(%x: tensor<?x8xbf16>, %rows: tensor<?xi32>,
                    %weights: tensor<?x2xf32>) {
  // CHECK: moe.dispatch %{{.*}}, %{{.*}} {slots = 2 : i64}
  %plain = moe.dispatch %x, %rows {slots = 2 : i64}
      : (tensor<?x8xbf16>, tensor<?xi32>) -> tensor<?x8xbf16>
  // CHECK: moe.dispatch %{{.*}}, %{{.*}} weights %{{.*}} {slots = 2 : i64}
  %xs = moe.dispatch %x, %rows weights %weights {slots = 2 : i64}
      : (tensor<?x8xbf16>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func @feed_forward
func.func @feed_forward(%x: tensor<?x8xbf16>, %gate: tensor<4x16x8xbf16>,
    %up: tensor<4x16x8xbf16>, %down: tensor<4x8x16xbf16>,
    %offsets: tensor<5xi32>, %rows: tensor<?xi32>, %weights: tensor<?x2xf32>,
    %wide: tensor<16x8xf32>, %narrow: tensor<8x16xf32>, %b: tensor<16xf32>,
    %c: tensor<8xf32>) -> (tensor<?x8xf32>, tensor<?x8xbf16>) {
  // CHECK: moe.feed_forward %{{.*}} up %{{.*}}, %{{.*}} down %{{.*}} offsets %{{.*}} rows %{{.*}} weights %{{.*}} {hidden = bf16, slots = 2 : i64}
  // CHECK-NEXT: ^bb0(
  %y = moe.feed_forward %x up %gate, %up down %down
      offsets %offsets rows %rows weights %weights {hidden = bf16, slots = 2 : i64}
      : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<4x16x8xbf16>,
         tensor<4x8x16xbf16>, tensor<5xi32>, tensor<?xi32>, tensor<?x2xf32>)
      -> tensor<?x8xf32> {
  ^bb0(%g: f32, %u: f32):
    %product = arith.mulf %g, %u : f32
    moe.yield %product
  }
  // CHECK: moe.feed_forward %{{.*}} up %{{.*}} bias %{{.*}} down %{{.*}} bias %{{.*}} {hidden = f32}
  %z = moe.feed_forward %x up %wide bias %b down %narrow bias %c {hidden = f32}
      : (tensor<?x8xbf16>, tensor<16x8xf32>, tensor<16xf32>, tensor<8x16xf32>,
         tensor<8xf32>) -> tensor<?x8xbf16>
  // CHECK: moe.feed_forward %{{.*}} up %{{.*}} down %{{.*}} offsets %{{.*}} rows %{{.*}} {hidden = f32} :
  %unweighted = moe.feed_forward %x up %gate down %down offsets %offsets rows %rows
      {hidden = f32} : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<4x8x16xbf16>,
      tensor<5xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y, %z : tensor<?x8xf32>, tensor<?x8xbf16>
}

// CHECK-LABEL: func @grouped_matmul
func.func @grouped_matmul(%x: tensor<?x8xbf16>, %rows: tensor<?xi32>,
    %offsets: tensor<5xi32>, %gate: tensor<4x16x8xbf16>, %up: tensor<4x16x8xbf16>,
    %gate_bias: tensor<4x16xf32>, %up_bias: tensor<4x16xf32>,
    %dense: tensor<16x8xf16>, %dense_bias: tensor<16xf32>) {
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}} offsets %{{.*}} : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<5xi32>) -> tensor<?x16xf32>
  %plain = moe.grouped_matmul %x, %gate offsets %offsets
      : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<5xi32>) -> tensor<?x16xf32>
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}} bias %{{.*}} : (tensor<?x8xbf16>, tensor<16x8xf16>, tensor<16xf32>) -> tensor<?x16xf32>
  %shared = moe.grouped_matmul %x, %dense bias %dense_bias
      : (tensor<?x8xbf16>, tensor<16x8xf16>, tensor<16xf32>) -> tensor<?x16xf32>
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}}, %{{.*}} bias %{{.*}}, %{{.*}} offsets %{{.*}} gather %{{.*}} {slots = 2 : i64}
  // CHECK-SAME: -> tensor<?x16xf32> {
  // CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: f32):
  %h = moe.grouped_matmul %x, %gate, %up bias %gate_bias, %up_bias
      offsets %offsets gather %rows {slots = 2 : i64}
      : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<4x16x8xbf16>,
         tensor<4x16xf32>, tensor<4x16xf32>, tensor<5xi32>, tensor<?xi32>)
      -> tensor<?x16xf32> {
  ^bb0(%g: f32, %u: f32):
    %zero = arith.constant 0.0 : f32
    %relu = arith.maximumf %g, %zero : f32
    %product = arith.mulf %relu, %u : f32
    moe.yield %product
  }
  return
}

// CHECK-LABEL: func @products_of_gradients
func.func @products_of_gradients(%dh: tensor<?x16xbf16>, %xs: tensor<?x8xbf16>,
    %up: tensor<4x16x8xbf16>, %dense: tensor<16x8xbf16>, %offsets: tensor<5xi32>,
    %f: tensor<?x8xf32>) {
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}} offsets %{{.*}} {transposed} : (tensor<?x16xbf16>, tensor<4x16x8xbf16>, tensor<5xi32>) -> tensor<?x8xf32>
  %dx = moe.grouped_matmul %dh, %up offsets %offsets {transposed}
      : (tensor<?x16xbf16>, tensor<4x16x8xbf16>, tensor<5xi32>) -> tensor<?x8xf32>
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}} {transposed} : (tensor<?x16xbf16>, tensor<16x8xbf16>) -> tensor<?x8xf32>
  %of_all = moe.grouped_matmul %dh, %dense {transposed}
      : (tensor<?x16xbf16>, tensor<16x8xbf16>) -> tensor<?x8xf32>
  // CHECK: moe.grouped_outer %{{.*}}, %{{.*}} offsets %{{.*}} : (tensor<?x16xbf16>, tensor<?x8xbf16>, tensor<5xi32>) -> tensor<4x16x8xf32>
  %dw = moe.grouped_outer %dh, %xs offsets %offsets
      : (tensor<?x16xbf16>, tensor<?x8xbf16>, tensor<5xi32>) -> tensor<4x16x8xf32>
  // CHECK: moe.grouped_outer %{{.*}}, %{{.*}} offsets %{{.*}} {tf32} :
  %tf32 = moe.grouped_outer %f, %f offsets %offsets {tf32}
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<5xi32>) -> tensor<4x8x8xf32>
  return
}

// CHECK-LABEL: func @activate
func.func @activate(%gate: tensor<?x16xf32>, %up: tensor<?x16xf32>) {
  // CHECK: moe.activate %{{.*}}, %{{.*}} : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  %h = moe.activate %gate, %up
      : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%g: f32, %u: f32):
    %product = arith.mulf %g, %u : f32
    moe.yield %product
  }
  // Comparisons and selections are elementwise as well.
  // CHECK: moe.activate %{{.*}} : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  %abs = moe.activate %up : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%u: f32):
    %zero = arith.constant 0.0 : f32
    %below = arith.cmpf olt, %u, %zero : f32
    %negated = arith.negf %u : f32
    %result = arith.select %below, %negated, %u : f32
    moe.yield %result
  }
  return
}

// CHECK-LABEL: func @combine
func.func @combine(%ys: tensor<?x8xf32>, %positions: tensor<?x2xi32>,
                   %indices: tensor<?x2xi32>, %weights: tensor<?x2xf32>,
                   %x: tensor<?x8xbf16>, %i: tensor<i32>) {
  // CHECK: moe.combine %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {experts = 4 : i64, unweighted}
  %plain = moe.combine %ys, %positions, %indices, %weights
      {experts = 4 : i64, unweighted}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>)
      -> tensor<?x8xf32>
  // CHECK: moe.combine %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} x %{{.*}} {experts = 4 : i64, identity_nulls, pass_through}
  %y = moe.combine %ys, %positions, %indices, %weights x %x
      {experts = 4 : i64, identity_nulls, pass_through}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>,
         tensor<?x8xbf16>) -> tensor<?x8xbf16>
  // CHECK: moe.combine %{{.*}} x %{{.*}} member %{{.*}} {experts = 4 : i64, pass_through}
  %part = moe.combine %ys, %positions, %indices, %weights x %x member %i
      {experts = 4 : i64, pass_through}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>,
         tensor<?x8xbf16>, tensor<i32>) -> tensor<?x8xf32>
  // CHECK: moe.combine %{{.*}}, %{{.*}}, %{{.*}} {experts = 4 : i64, unweighted} :
  %sum = moe.combine %ys, %positions, %indices {experts = 4 : i64, unweighted}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func @rms_norm
func.func @rms_norm(%x: tensor<?x8xf32>, %scale: tensor<8xf32>, %b: tensor<3x8xbf16>) {
  // CHECK: moe.rms_norm %{{.*}} scale %{{.*}} {eps = 9.9999999999999995E-7 : f64}
  %normal = moe.rms_norm %x scale %scale {eps = 1.0e-06 : f64}
      : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  // CHECK: moe.rms_norm %{{.*}} {eps = 5.000000e-01 : f64, factor = 2.500000e-01 : f64} : (tensor<3x8xbf16>, tensor<8xf32>) -> tensor<3x8xf32>
  %narrow = moe.rms_norm %b scale %scale {eps = 0.5 : f64, factor = 0.25 : f64}
      : (tensor<3x8xbf16>, tensor<8xf32>) -> tensor<3x8xf32>
  return
}

// CHECK-LABEL: func @mix
func.func @mix(%routed: tensor<?x8xf32>, %shared: tensor<?x8xf32>,
               %logits: tensor<?x1xf32>, %two: tensor<?x2xf32>,
               %bias: tensor<8xf32>) {
  // CHECK: moe.mix %{{.*}} none : (tensor<?x8xf32>) -> tensor<?x8xf16>
  %rounded = moe.mix %routed none : (tensor<?x8xf32>) -> tensor<?x8xf16>
  // CHECK: moe.mix %{{.*}}, %{{.*}} none
  %sum = moe.mix %routed, %shared none
      : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xbf16>
  // CHECK: moe.mix %{{.*}}, %{{.*}} bias %{{.*}} logits %{{.*}} sigmoid {shared_scale = 5.000000e-01 : f64}
  %y = moe.mix %routed, %shared bias %bias logits %logits sigmoid {shared_scale = 5.0e-01 : f64}
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>, tensor<?x1xf32>)
      -> tensor<?x8xbf16>
  // CHECK: moe.mix %{{.*}} bias %{{.*}} none : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %moved = moe.mix %routed bias %bias none
      : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  // CHECK: moe.mix %{{.*}}, %{{.*}} logits %{{.*}} softmax2
  %soft = moe.mix %routed, %shared logits %two softmax2
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return
}

//===----------------------------------------------------------------------===//
// Losses, statistics and balance
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func @statistics
func.func @statistics(%logits: tensor<?x4xf32>, %indices: tensor<?x2xi32>,
    %weights: tensor<?x2xf32>, %counts: tensor<4xi32>, %bias: tensor<4xf32>,
    %loads: tensor<4xi64>) {
  // CHECK: moe.loss router_z %{{.*}}, %{{.*}} {coefficient = 1.000000e-03 : f64}
  %loss = moe.loss router_z %logits, %indices {coefficient = 1.000000e-03 : f64}
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<f32>
  // CHECK: moe.loss load_balance_hf
  %hf = moe.loss load_balance_hf %logits, %indices {coefficient = 0.0 : f64}
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<f32>
  // CHECK: moe.loss load_balance_switch
  %switch = moe.loss load_balance_switch %logits, %indices {coefficient = 1.0 : f64}
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<f32>
  // CHECK: moe.loss importance
  %importance = moe.loss importance %logits, %indices {coefficient = 1.0 : f64}
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<f32>
  // CHECK: moe.imbalance %{{.*}} : (tensor<4xi32>) -> tensor<f32>
  %imbalance = moe.imbalance %counts : (tensor<4xi32>) -> tensor<f32>
  // CHECK: moe.rebalance %{{.*}}, %{{.*}} {rate = 1.000000e-03 : f64}
  %new_bias, %new_loads = moe.rebalance %bias, %loads {rate = 1.000000e-03 : f64}
      : (tensor<4xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xi64>)
  // CHECK: moe.clock : () -> tensor<1xi64>
  // CHECK: moe.clock %{{.*}} after %{{.*}}, %{{.*}} : (tensor<1xi64>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<2xi64>
  %start = moe.clock : () -> tensor<1xi64>
  %times = moe.clock %start after %indices, %weights
      : (tensor<1xi64>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<2xi64>
  return
}

//===----------------------------------------------------------------------===//
// Averaging
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func @quantize
func.func @quantize(%values: tensor<65xf32>) {
  // CHECK: moe.quantize %{{.*}} <kind = mxfp4, block = 32>
  %data, %scales, %status = moe.quantize %values <kind = mxfp4, block = 32>
      : (tensor<65xf32>) -> (tensor<33xi8>, tensor<3xi8>, tensor<i32>)
  // CHECK: moe.quantize %{{.*}} <kind = fp8_e4m3, block = 64>
  %0:3 = moe.quantize %values <kind = fp8_e4m3, block = 64>
      : (tensor<65xf32>) -> (tensor<65xi8>, tensor<2xf32>, tensor<i32>)
  // 33 bytes can have either length.
  // CHECK: moe.dequantize %{{.*}}, %{{.*}} <kind = mxfp4, block = 32> : (tensor<33xi8>, tensor<3xi8>) -> tensor<65xf32>
  %odd = moe.dequantize %data, %scales <kind = mxfp4, block = 32>
      : (tensor<33xi8>, tensor<3xi8>) -> tensor<65xf32>
  // CHECK: moe.dequantize %{{.*}}, %{{.*}} <kind = mxfp4, block = 32> : (tensor<33xi8>, tensor<3xi8>) -> tensor<66xf32>
  %even = moe.dequantize %data, %scales <kind = mxfp4, block = 32>
      : (tensor<33xi8>, tensor<3xi8>) -> tensor<66xf32>
  return
}

// CHECK-LABEL: func @dequantize
func.func @dequantize(%data: tensor<?xi8>, %scales: tensor<?xf32>) {
  // CHECK: moe.dequantize %{{.*}}, %{{.*}} <kind = int8, block = 64>
  %values = moe.dequantize %data, %scales <kind = int8, block = 64>
      : (tensor<?xi8>, tensor<?xf32>) -> tensor<?xf32>
  return
}

// CHECK-LABEL: func @sums
func.func @sums(%sum: tensor<4xi64>, %values: tensor<4xi32>, %scalar: tensor<f32>,
                %sets: tensor<?x?xf32>) {
  // CHECK: moe.accumulate %{{.*}}, %{{.*}} : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
  %result = moe.accumulate %sum, %values
      : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
  // CHECK: moe.accumulate %{{.*}}, %{{.*}} : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %0 = moe.accumulate %scalar, %scalar : (tensor<f32>, tensor<f32>) -> tensor<f32>
  // CHECK: moe.average %{{.*}} : (tensor<?x?xf32>) -> (tensor<?xf32>, tensor<i32>)
  %mean, %status = moe.average %sets : (tensor<?x?xf32>) -> (tensor<?xf32>, tensor<i32>)
  return
}

// Nothing at all is a size like any other: no tokens, no values.
// CHECK-LABEL: func @empty
func.func @empty(%logits: tensor<0x4xf32>, %v: tensor<0xf32>) {
  // CHECK: moe.select
  %i, %w = moe.select %logits <experts = 4, top_k = 2>
      : (tensor<0x4xf32>) -> (tensor<0x2xi32>, tensor<0x2xf32>)
  // CHECK: moe.group
  %0:4 = moe.group %i, %w {experts = 4 : i64}
      : (tensor<0x2xi32>, tensor<0x2xf32>)
      -> (tensor<0xi32>, tensor<5xi32>, tensor<0x2xi32>, tensor<4xi32>)
  // CHECK: moe.quantize
  %1:3 = moe.quantize %v <kind = int8, block = 64>
      : (tensor<0xf32>) -> (tensor<0xi8>, tensor<0xf32>, tensor<i32>)
  return
}

// CHECK-LABEL: func @decode
func.func @decode(%d: tensor<2x5x8xi8>, %s: tensor<2x3x3xf32>, %one: tensor<1x1xf32>,
                  %z: tensor<2x3x3xi8>, %x: tensor<5x32xi8>, %e: tensor<5x2xi8>,
                  %f: tensor<5x4xi8>, %g: tensor<f32>, %h: tensor<5x8xi8>,
                  %any: tensor<?x?xi8>, %anys: tensor<?x?xf32>,
                  %data: tensor<4x16x32xi8>, %scales: tensor<4x16x2xf32>,
                  %zeros: tensor<4x16x2xi8>) {
  // CHECK: moe.decode %{{.*}}, %{{.*}} zeros %{{.*}} <kind = int4, inputs = 32> :
  %w = moe.decode %data, %scales zeros %zeros <kind = int4, inputs = 32>
      : (tensor<4x16x32xi8>, tensor<4x16x2xf32>, tensor<4x16x2xi8>)
      -> tensor<4x16x64xf32>
  // CHECK: moe.decode %{{.*}}, %{{.*}} <kind = fp8_e4m3, outputs = 2, inputs = 3>
  %0 = moe.decode %d, %s <kind = fp8_e4m3, outputs = 2, inputs = 3>
      : (tensor<2x5x8xi8>, tensor<2x3x3xf32>) -> tensor<2x5x8xf32>
  // One scale for the whole matrix.
  // CHECK: moe.decode %{{.*}}, %{{.*}} <kind = int8, outputs = 0>
  %1 = moe.decode %h, %one <kind = int8, outputs = 0>
      : (tensor<5x8xi8>, tensor<1x1xf32>) -> tensor<5x8xf32>
  // CHECK: moe.decode %{{.*}}, %{{.*}} zeros %{{.*}} <kind = int4, outputs = 2, inputs = 6>
  %2 = moe.decode %d, %s zeros %z <kind = int4, outputs = 2, inputs = 6>
      : (tensor<2x5x8xi8>, tensor<2x3x3xf32>, tensor<2x3x3xi8>) -> tensor<2x5x16xf32>
  // CHECK: moe.decode %{{.*}}, %{{.*}} <kind = mxfp4, inputs = 32>
  %3 = moe.decode %x, %e <kind = mxfp4, inputs = 32>
      : (tensor<5x32xi8>, tensor<5x2xi8>) -> tensor<5x64xf32>
  // CHECK: moe.decode %{{.*}}, %{{.*}} global %{{.*}} <kind = nvfp4, inputs = 16>
  %4 = moe.decode %x, %f global %g <kind = nvfp4, inputs = 16>
      : (tensor<5x32xi8>, tensor<5x4xi8>, tensor<f32>) -> tensor<5x64xf32>
  // CHECK: moe.decode %{{.*}} : (tensor<?x?xi8>, tensor<?x?xf32>) -> tensor<?x?xf32>
  %5 = moe.decode %any, %anys <kind = int8>
      : (tensor<?x?xi8>, tensor<?x?xf32>) -> tensor<?x?xf32>
  return
}

// CHECK-LABEL: func @average_group
func.func @average_group(%values: tensor<?xf32>, %count: tensor<i64>, %member: tensor<i32>,
                         %slices: tensor<?xf32>, %sent: tensor<?xf32>, %given: tensor<?xf32>) {
  // CHECK: moe.resize %{{.*}} {rows = "4*ceil(n/4)"} : (tensor<?xf32>) -> (tensor<?xf16>, tensor<i32>)
  %result, %status = moe.resize %values {rows = "4*ceil(n/4)"}
      : (tensor<?xf32>) -> (tensor<?xf16>, tensor<i32>)
  // CHECK: moe.require %{{.*}} : (tensor<i32>) -> ()
  moe.require %status : (tensor<i32>) -> ()
  // CHECK: moe.slice_mean %{{.*}}, %{{.*}} {members = 2 : i64} : (tensor<?xf32>, tensor<i64>) -> tensor<?xf32>
  %mean = moe.slice_mean %slices, %count {members = 2 : i64}
      : (tensor<?xf32>, tensor<i64>) -> tensor<?xf32>
  // CHECK: moe.residual %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} :
  %error = moe.residual %values, %sent, %mean, %given, %count, %member
      : (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>,
         tensor<i64>, tensor<i32>) -> tensor<?xf32>
  return
}
