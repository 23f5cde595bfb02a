// Every diagnostic of the verifiers, under the number of its constraint in
// docs/Spec.md.

// RUN: moe-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// [O1] Shapes
//===----------------------------------------------------------------------===//

// Both sides are named, the first one where it is defined.
// expected-note @below {{'x' has D = 8}}
func.func @size(%x: tensor<?x8xf32>, %w: tensor<4x9xf32>) {
  // expected-error @below {{'moe.router' op expected 'weight' of shape [N, D] with D = 8, found 'tensor<4x9xf32>'}}
  %0 = moe.router %x, %w : (tensor<?x8xf32>, tensor<4x9xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @size_of_attribute(%logits: tensor<?x5xf32>) {
  // expected-error @below {{expected 'input' of shape [T, N] with N = 4, found 'tensor<?x5xf32>'}}
  %0:2 = moe.select %logits <experts = 3, top_k = 2, null_experts = 1>
      : (tensor<?x5xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

func.func @number(%r: tensor<?x8xf32>, %l: tensor<?x2xf32>) {
  // expected-error @below {{expected 'logits' of shape [T, 1], found 'tensor<?x2xf32>'}}
  %0 = moe.mix %r, %r logits %l sigmoid
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @rank(%x: tensor<f32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{expected 'x' of shape [T, D], found 'tensor<f32>'}}
  %0 = moe.router %x, %w : (tensor<f32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @encoding(%v: tensor<?x4xf32, "sparse">) {
  // expected-error @below {{expected 'values' without an encoding, found 'tensor<?x4xf32, "sparse">'}}
  %0 = moe.check_finite %v : (tensor<?x4xf32, "sparse">) -> tensor<i32>
  return
}

// -----

// A dimension of 0 does not make the others right.
func.func @elements(%v: tensor<4611686018427387903x2x0xf32>) {
  // expected-error @below {{expected 'sum' of fewer than 2^62 elements, found}}
  %0 = moe.accumulate %v, %v
      : (tensor<4611686018427387903x2x0xf32>, tensor<4611686018427387903x2x0xf32>)
      -> tensor<4611686018427387903x2x0xf32>
  return
}

// -----

// [O1]
func.func @op(%v: tensor<?x4xf32>) {
  // expected-error @below {{expected 'status' of shape [], found 'tensor<1xi32>'}}
  %0 = moe.check_finite %v : (tensor<?x4xf32>) -> tensor<1xi32>
  return
}

// -----

// [O1]
func.func @op(%i: tensor<3x2xi32>, %w: tensor<3x2xf32>) {
  // expected-error @below {{expected 'rows' of shape [T*K] with T*K = 6, found 'tensor<5xi32>'}}
  %0:4 = moe.group %i, %w {experts = 4 : i64} : (tensor<3x2xi32>, tensor<3x2xf32>)
      -> (tensor<5xi32>, tensor<5xi32>, tensor<3x2xi32>, tensor<4xi32>)
  return
}

// -----

// [O1]
func.func @op(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{expected 'offsets' of shape [E+1] with E+1 = 5, found 'tensor<4xi32>'}}
  %0:4 = moe.group %i, %w {experts = 4 : i64} : (tensor<?x2xi32>, tensor<?x2xf32>)
      -> (tensor<?xi32>, tensor<4xi32>, tensor<?x2xi32>, tensor<4xi32>)
  return
}

// -----

// [O1]
func.func @op(%x: tensor<?x8xf32>, %r: tensor<?xi32>, %w: tensor<?x3xf32>) {
  // expected-error @below {{expected 'weights' of shape [T, K] with K = 2, found 'tensor<?x3xf32>'}}
  %0 = moe.dispatch %x, %r weights %w {slots = 2 : i64}
      : (tensor<?x8xf32>, tensor<?xi32>, tensor<?x3xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O1]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>, %o: tensor<5xi32>) {
  // expected-error @below {{expected 'weights #0' of shape [E, O, M], found 'tensor<4x8xf32>'}}
  %0 = moe.grouped_matmul %x, %w offsets %o
      : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<5xi32>) -> tensor<?x4xf32>
  return
}

// -----

// [O1]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x6x8xf32>) {
  // expected-error @below {{expected 'weights #0' of shape [O, M], found 'tensor<4x6x8xf32>'}}
  %0 = moe.grouped_matmul %x, %w : (tensor<?x8xf32>, tensor<4x6x8xf32>) -> tensor<?x6xf32>
  return
}

// -----

// [O1]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x6x8xf32>, %o: tensor<4xi32>) {
  // expected-error @below {{expected 'offsets' of shape [E+1] with E+1 = 5, found 'tensor<4xi32>'}}
  %0 = moe.grouped_matmul %x, %w offsets %o
      : (tensor<?x8xf32>, tensor<4x6x8xf32>, tensor<4xi32>) -> tensor<?x6xf32>
  return
}

// -----

// [O1]
// expected-note @below {{'weights #0' has O = 6}}
func.func @op(%x: tensor<?x8xf32>, %w: tensor<6x8xf32>, %b: tensor<5xf32>) {
  // expected-error @below {{expected 'biases #0' of shape [O] with O = 6, found 'tensor<5xf32>'}}
  %0 = moe.grouped_matmul %x, %w bias %b
      : (tensor<?x8xf32>, tensor<6x8xf32>, tensor<5xf32>) -> tensor<?x6xf32>
  return
}

// -----

// [O1]
// expected-note @below {{'gather' has R = 6}}
func.func @op(%x: tensor<3x8xf32>, %w: tensor<4x6x8xf32>, %g: tensor<6xi32>, %o: tensor<5xi32>) {
  // expected-error @below {{expected 'ys' of shape [R, O] with R = 6, found 'tensor<3x6xf32>'}}
  %0 = moe.grouped_matmul %x, %w offsets %o gather %g {slots = 2 : i64}
      : (tensor<3x8xf32>, tensor<4x6x8xf32>, tensor<5xi32>, tensor<6xi32>) -> tensor<3x6xf32>
  return
}

// -----

// [O1]
// expected-note @below {{'inputs #0' has I = 8}}
func.func @op(%a: tensor<?x8xf32>, %b: tensor<?x9xf32>) {
  // expected-error @below {{expected 'inputs #1' of shape [R, I] with I = 8, found 'tensor<?x9xf32>'}}
  %0 = moe.activate %a, %b : (tensor<?x8xf32>, tensor<?x9xf32>) -> tensor<?x8xf32> {
  ^bb0(%g: f32, %u: f32):
    moe.yield %u
  }
  return
}

// -----

// [O1]
// expected-note @below {{'positions' has K = 2}}
func.func @op(%ys: tensor<?x8xf32>, %p: tensor<?x2xi32>, %i: tensor<?x3xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{expected 'indices' of shape [T, K] with K = 2, found 'tensor<?x3xi32>'}}
  %0 = moe.combine %ys, %p, %i, %w {experts = 4 : i64}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x3xi32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O1]
func.func @op(%l: tensor<?x4xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{expected 'loss' of shape [], found 'tensor<1xf32>'}}
  %0 = moe.loss router_z %l, %i {coefficient = 1.0 : f64}
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<1xf32>
  return
}

// -----

// [O1]
func.func @op(%c: tensor<2x4xi32>) {
  // expected-error @below {{expected 'counts' of shape [N], found 'tensor<2x4xi32>'}}
  %0 = moe.imbalance %c : (tensor<2x4xi32>) -> tensor<f32>
  return
}

// -----

// [O1]
// expected-note @below {{'bias' has N = 4}}
func.func @op(%b: tensor<4xf32>, %l: tensor<5xi64>) {
  // expected-error @below {{expected 'loads' of shape [N] with N = 4, found 'tensor<5xi64>'}}
  %0:2 = moe.rebalance %b, %l {rate = 0.1 : f64}
      : (tensor<4xf32>, tensor<5xi64>) -> (tensor<4xf32>, tensor<4xi64>)
  return
}

// -----

// [O1]
func.func @op() {
  // expected-error @below {{expected 'times' of shape [1], found 'tensor<3xi64>'}}
  %0 = moe.clock : () -> tensor<3xi64>
  return
}

// -----

// [O1]
func.func @op(%earlier: tensor<?xi64>) {
  // expected-error @below {{expected 'earlier' of a static shape [n], found 'tensor<?xi64>'}}
  %0 = moe.clock %earlier : (tensor<?xi64>) -> tensor<3xi64>
  return
}

// -----

// [O1]
func.func @op(%v: tensor<65xf32>) {
  // expected-error @below {{expected 'data' of shape [ceil(n/2)] with ceil(n/2) = 33, found 'tensor<32xi8>'}}
  %0:3 = moe.quantize %v <kind = mxfp4, block = 32>
      : (tensor<65xf32>) -> (tensor<32xi8>, tensor<3xi8>, tensor<i32>)
  return
}

// -----

// [O1]
func.func @op(%v: tensor<65xf32>) {
  // expected-error @below {{expected 'status' of shape [], found 'tensor<2xi32>'}}
  %0:3 = moe.quantize %v <kind = int8, block = 64>
      : (tensor<65xf32>) -> (tensor<65xi8>, tensor<2xf32>, tensor<2xi32>)
  return
}

// -----

// [O1]: the number of blocks follows from the number of packed bytes.
func.func @op(%d: tensor<33xi8>, %s: tensor<2xi8>) {
  // expected-error @below {{expected 'scales' of shape [ceil(n/block)] with ceil(n/block) = 3, found 'tensor<2xi8>'}}
  %0 = moe.dequantize %d, %s <kind = mxfp4, block = 32>
      : (tensor<33xi8>, tensor<2xi8>) -> tensor<?xf32>
  return
}

// -----

// [O1]
// expected-note @below {{'sum' has d1 = 4}}
func.func @op(%a: tensor<2x4xf32>, %b: tensor<2x5xf32>) {
  // expected-error @below {{expected 'values' of shape [d0, d1] with d1 = 4, found 'tensor<2x5xf32>'}}
  %0 = moe.accumulate %a, %b : (tensor<2x4xf32>, tensor<2x5xf32>) -> tensor<2x4xf32>
  return
}

// -----

// [O1]
// expected-note @below {{'sets' has n = 5}}
func.func @op(%s: tensor<2x5xf32>) {
  // expected-error @below {{expected 'mean' of shape [n] with n = 5, found 'tensor<4xf32>'}}
  %0:2 = moe.average %s : (tensor<2x5xf32>) -> (tensor<4xf32>, tensor<i32>)
  return
}

// -----

//===----------------------------------------------------------------------===//
// [O2] Elementwise regions
//===----------------------------------------------------------------------===//

// [O2]: two blocks.
func.func @region(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected region 'score' of one block, found 2}}
  "moe.select"(%x) <{operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0>,
      router = #moe.router<experts = 8, top_k = 1, score = function>}> ({
  ^bb0(%v: f32):
    moe.yield %v
  ^bb1:
    moe.yield %v
  }) : (tensor<?x8xf32>) -> (tensor<?x1xi32>, tensor<?x1xf32>)
  return
}

// -----

// [O2]: the wrong number of arguments.
func.func @region(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected region 'body' with 1 argument of type f32, found ('f32', 'f32')}}
  %0 = moe.activate %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%v: f32, %w: f32):
    moe.yield %v
  }
  return
}

// -----

// [O2]: arguments of another type.
func.func @region(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected region 'body' with 1 argument of type f32, found ('f64')}}
  %0 = moe.activate %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%v: f64):
    %t = arith.truncf %v : f64 to f32
    moe.yield %t
  }
  return
}

// -----

// [O2]: the terminator of something else.
func.func @region(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected region 'body' to end in 'moe.yield', found 'llvm.unreachable'}}
  %0 = moe.activate %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%v: f32):
    llvm.unreachable
  }
  return
}

// -----

// [O2]: a side effect.
func.func @region(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected elementwise operations on scalars in region 'body', found 'vector.print'}}
  %0 = moe.activate %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%v: f32):
    // expected-note @below {{which is here}}
    vector.print %v : f32
    moe.yield %v
  }
  return
}

// -----

// [O2]: a nested region.
func.func @region(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected elementwise operations on scalars in region 'body', found 'scf.if'}}
  %0 = moe.activate %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%v: f32):
    %c = arith.constant true
    // expected-note @below {{which is here}}
    %s = scf.if %c -> f32 {
      scf.yield %v : f32
    } else {
      scf.yield %v : f32
    }
    moe.yield %s
  }
  return
}

// -----

// [O2]: vectors.
func.func @region(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected elementwise operations on scalars in region 'body', found 'arith.constant'}}
  %0 = moe.activate %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%v: f32):
    // expected-note @below {{which is here}}
    %c = arith.constant dense<0.0> : vector<4xf32>
    moe.yield %v
  }
  return
}

// -----

// [O2]: the epilogue of a product.
func.func @region(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected region 'epilogue' with 1 argument of type f32, found ()}}
  %0 = moe.grouped_matmul %x, %x : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x?xf32> {
    %c = arith.constant 0.0 : f32
    moe.yield %c
  }
  return
}

// -----

// [O2]: a value from outside.
func.func @region(%x: tensor<?x8xf32>) {
  %c = arith.constant 2.0 : f32
  // expected-note @below {{required by region isolation constraints}}
  %0 = moe.activate %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%v: f32):
    // expected-error @below {{using value defined outside the region}}
    %s = arith.mulf %v, %c : f32
    moe.yield %s
  }
  return
}

// -----

// [O2]: no block at all.
func.func @region(%x: tensor<?x8xf32>) {
  // expected-error @below {{region #0 ('body') failed to verify constraint: region with 1 blocks}}
  %0 = moe.activate %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  }
  return
}

// -----

// [O2]: a block without an end.
func.func @region(%x: tensor<?x8xf32>) {
  // expected-error @below {{empty block: expect at least a terminator}}
  %0 = "moe.activate"(%x) ({
  ^bb0(%v: f32):
  }) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O2]: a yield elsewhere.
func.func @yield(%v: f32) {
  // expected-error @below {{expects parent op to be one of 'moe.select, moe.grouped_matmul, moe.feed_forward, moe.activate'}}
  moe.yield %v
}

// -----

//===----------------------------------------------------------------------===//
// [O3] to [O10] Attributes
//===----------------------------------------------------------------------===//

// [O3]
// expected-error @below {{expected 'experts' from 1 to 2147483647, found 0}}
func.func private @attribute() attributes {a = #moe.router<experts = 0, top_k = 1>}

// -----

// [O3]
// expected-error @below {{expected 'experts' from 1 to 2147483647, found -9223372036854775808}}
func.func private @attribute() attributes {a = #moe.router<experts = -9223372036854775808, top_k = 1>}

// -----

// [O3]
// expected-error @below {{expected 'null_experts' from 0 to 0, found 1}}
func.func private @attribute() attributes {a = #moe.router<experts = 2147483647, top_k = 1, null_experts = 1>}

// -----

// [O3]
// expected-error @below {{expected 'top_k' from 1 to 5, found 6}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 6, null_experts = 1>}

// -----

// [O4]
// expected-error @below {{expected 'eps' to be a finite number, found NaN}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, eps = 0x7FF8000000000000>}

// -----

// [O4]
// expected-error @below {{expected 'scale' to be a finite number, found +Inf}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, scale = 0x7FF0000000000000>}

// -----

// [O4]
// expected-error @below {{expected 'lambda' to be a finite number, found -Inf}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, lambda = 0xFFF0000000000000>}

// -----

// [O4]
// expected-error @below {{expected 'factor' to be a finite number from 0, found -1}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, factor = -1.0>}

// -----

// [O3]
// expected-error @below {{expected 'count' from 1 to 2147483647, found 0}}
func.func private @attribute() attributes {a = #moe.groups<count = 0, keep = 1>}

// -----

// [O5]
// expected-error @below {{expected 'keep' from 1 to 2, found 3}}
func.func private @attribute() attributes {a = #moe.groups<count = 2, keep = 3>}

// -----

// [O5]
// expected-error @below {{expected a number of groups that divides 4, found 3}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, groups = <count = 3, keep = 1>>}

// -----

// [O5]
// expected-error @below {{expected the kept groups to hold at least 3 experts, found 2}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 3, groups = <count = 2, keep = 1>>}

// -----

// [O5]
// expected-error @below {{expected groups of at least 2 for sum_top2, found 1}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, groups = <count = 4, keep = 2>>}

// -----

// [O6]
// expected-error @below {{expected strategy learned or similarity with groups}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, strategy = random, groups = <count = 2, keep = 1>>}

// -----

// [O6]
// expected-error @below {{expected score_on = all with groups, found selected}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, score_on = selected, groups = <count = 2, keep = 1>>}

// -----

// [O6]
// expected-error @below {{expected no groups with balancing = round_robin}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, balancing = round_robin, groups = <count = 2, keep = 1>>}

// -----

// [O7]
// expected-error @below {{expected default score, score_on and renormalize with strategy = hash}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, strategy = hash, renormalize = add>}

// -----

// [O7]
// expected-error @below {{expected default score, score_on and renormalize with strategy = sparsemixer}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, strategy = sparsemixer, score = function>}

// -----

// [O7]
// expected-error @below {{expected default balancing, null_experts and always_on with strategy = table}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, strategy = table, balancing = dynamic>}

// -----

// [O7]
// expected-error @below {{expected default balancing, null_experts and always_on with strategy = random}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, strategy = random, null_experts = 1>}

// -----

// [O7]
// expected-error @below {{expected default balancing, null_experts and always_on with strategy = sparsemixer}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, strategy = sparsemixer, always_on = 1>}

// -----

// [O23]
// expected-error @below {{expected top_k = 2 with strategy = sparsemixer, found 3}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 3, strategy = sparsemixer>}

// -----

// [O24]
// expected-error @below {{expected balancing = token_choice and no null_experts with always_on}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, always_on = 1, balancing = dynamic>}

// -----

// [O24]
// expected-error @below {{expected balancing = token_choice and no null_experts with always_on}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, always_on = 1, null_experts = 1>}

// -----

// [O3]
// expected-error @below {{expected 'always_on' from 0 to 3, found 4}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 1, always_on = 4>}

// -----

// [O3]
// expected-error @below {{expected 'top_k' from 1 to 2, found 3}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 3, always_on = 2>}

// -----

// [O4]
// expected-error @below {{expected 'p' to be a finite number above 0, found 0}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, p = 0.0>}

// -----

// [O4]
// expected-error @below {{expected 'threshold' to be a finite number from 0, found -1}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, threshold = -1.0>}

// -----

// [O5]
// expected-error @below {{expected a number of groups that divides 3, found 2}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, always_on = 1, groups = <count = 2, keep = 2, reduce = max>>}

// -----

// [O13]
func.func @op(%l: tensor<?x4xf32>, %i: tensor<?xi64>) {
  // expected-error @below {{expected 'table' with strategy = table and balancing = token_choice}}
  %0:2 = moe.select %l ids %i <experts = 4, top_k = 2, strategy = table>
      : (tensor<?x4xf32>, tensor<?xi64>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O13]
func.func @op(%l: tensor<?x4xf32>, %t: tensor<9x2xi32>) {
  // expected-error @below {{expected no 'table' with strategy = learned and balancing = token_choice}}
  %0:2 = moe.select %l table %t <experts = 4, top_k = 2>
      : (tensor<?x4xf32>, tensor<9x2xi32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O1]
func.func @op(%l: tensor<?x4xf32>, %i: tensor<?xi64>, %t: tensor<9x3xi32>) {
  // expected-error @below {{expected 'table' of shape [V, K] with K = 2, found 'tensor<9x3xi32>'}}
  %0:2 = moe.select %l ids %i table %t <experts = 4, top_k = 2, strategy = table>
      : (tensor<?x4xf32>, tensor<?xi64>, tensor<9x3xi32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O1]
func.func @op(%l: tensor<?x4xf32>, %b: tensor<4xf32>) {
  // expected-error @below {{expected 'bias' of shape [N-S] with N-S = 3, found 'tensor<4xf32>'}}
  %0:2 = moe.select %l bias %b <experts = 4, top_k = 2, always_on = 1>
      : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x3xi32>, tensor<?x3xf32>)
  return
}

// -----

// [O1]
func.func @op(%x: tensor<?x4xf32>, %s: tensor<5xf32>) {
  // expected-note @above {{'x' has H = 4}}
  // expected-error @below {{expected 'scale' of shape [H] with H = 4, found 'tensor<5xf32>'}}
  %0 = moe.add_scaled %x, %x, %s
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<5xf32>) -> tensor<?x4xf32>
  return
}

// -----

// [O25]
func.func @op(%l: tensor<?x4xf32>, %i: tensor<?x0xi32>) {
  // expected-error @below {{expected 'indices' of at least 1 column, found 0}}
  %0 = moe.check_finite %l indices %i : (tensor<?x4xf32>, tensor<?x0xi32>) -> tensor<i32>
  return
}

// -----

// [O26]
func.func @op(%x: tensor<?x8xf32>, %s: tensor<8xf32>) {
  // expected-error @below {{expected 'eps' to be a finite number above 0, found 0}}
  %0 = moe.rms_norm %x scale %s {eps = 0.0 : f64} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O4]
func.func @op(%x: tensor<?x8xf32>, %s: tensor<8xf32>) {
  // expected-error @below {{expected 'factor' to be a finite number, found +Inf}}
  %0 = moe.rms_norm %x scale %s {eps = 1.0 : f64, factor = 0x7FF0000000000000 : f64} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O1]
func.func @op(%x: tensor<?x8xf32>, %s: tensor<4xf32>) {
  // expected-note @above {{'x' has M = 8}}
  // expected-error @below {{expected 'scale' of shape [M] with M = 8, found 'tensor<4xf32>'}}
  %0 = moe.rms_norm %x scale %s {eps = 1.0 : f64} : (tensor<?x8xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O8]
// expected-error @below {{expected default score_on, renormalize and null_experts with balancing = expert_choice}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, balancing = expert_choice, score_on = selected>}

// -----

// [O8]
// expected-error @below {{expected no null_experts with balancing = round_robin, found 2}}
func.func private @attribute() attributes {a = #moe.router<experts = 4, top_k = 2, null_experts = 2, balancing = round_robin>}

// -----

// [O3]
// expected-error @below {{expected 'tokens' from 0 to 2147483647, found -1}}
func.func private @attribute() attributes {a = #moe.capacity<tokens = -1>}

// -----

// [O4]
// expected-error @below {{expected 'factor' to be a finite number from 0, found -0.5}}
func.func private @attribute() attributes {a = #moe.capacity<factor = -0.5>}

// -----

// [O9]
// expected-error @below {{expected one of 'tokens' and 'factor', found both}}
func.func private @attribute() attributes {a = #moe.capacity<tokens = 1, factor = 1.0>}

// -----

// [O9]
// expected-error @below {{expected one of 'tokens' and 'factor', found neither}}
func.func private @attribute() attributes {a = #moe.capacity<priority = probability>}

// -----

// [O3]
// expected-error @below {{expected 'block' from 1 to 1048576, found 0}}
func.func private @attribute() attributes {a = #moe.quant<kind = int8, block = 0>}

// -----

// [O10]
// expected-error @below {{expected blocks of 32 with mxfp4, found 64}}
func.func private @attribute() attributes {a = #moe.quant<kind = mxfp4, block = 64>}

// -----

//===----------------------------------------------------------------------===//
// [O3], [O4] Numbers of operations
//===----------------------------------------------------------------------===//

// [O4]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{expected 'softcap' to be a finite number from 0, found -1}}
  %0 = moe.router %x, %w {softcap = -1.0 : f64}
      : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

// [O4]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{expected 'temperature' to be a finite number above 0, found 0}}
  %0 = moe.router %x, %w {cosine, temperature = 0.0 : f64}
      : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

// [O3]
func.func @op(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{expected 'experts' from 1 to 2147483647, found -1}}
  %0:4 = moe.group %i, %w {experts = -1 : i64} : (tensor<?x2xi32>, tensor<?x2xf32>)
      -> (tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>, tensor<?xi32>)
  return
}

// -----

// [O3]
func.func @op(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{expected 'null_experts' from 0 to 2147483643, found -1}}
  %0:4 = moe.group %i, %w {experts = 4 : i64, null_experts = -1 : i64} : (tensor<?x2xi32>, tensor<?x2xf32>)
      -> (tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>, tensor<?xi32>)
  return
}

// -----

// [O3]
func.func @op(%x: tensor<?x8xf32>, %r: tensor<?xi32>) {
  // expected-error @below {{expected 'slots' from 1 to 2147483647, found 0}}
  %0 = moe.dispatch %x, %r {slots = 0 : i64} : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  return
}

// -----

// [O3]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{expected 'slots' from 1 to 2147483647, found -1}}
  %0 = moe.grouped_matmul %x, %w {slots = -1 : i64}
      : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

// [O3]
func.func @op(%ys: tensor<?x8xf32>, %p: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{expected 'experts' from 1 to 2147483647, found 0}}
  %0 = moe.combine %ys, %p, %p, %w {experts = 0 : i64}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O4]
func.func @op(%l: tensor<?x4xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{expected 'coefficient' to be a finite number from 0, found -1}}
  %0 = moe.loss router_z %l, %i {coefficient = -1.0 : f64}
      : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<f32>
  return
}

// -----

// [O4]
func.func @op(%b: tensor<4xf32>, %l: tensor<4xi64>) {
  // expected-error @below {{expected 'rate' to be a finite number, found NaN}}
  %0:2 = moe.rebalance %b, %l {rate = 0x7FF8000000000000 : f64}
      : (tensor<4xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xi64>)
  return
}

// -----

//===----------------------------------------------------------------------===//
// [O11] to [O14] Router, select
//===----------------------------------------------------------------------===//

// [O11]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{expected 'round' to be f32, bf16 or f16, found 'f64'}}
  %0 = moe.router %x, %w {round = f64}
      : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

// [O12]
func.func @op(%l: tensor<?x4xbf16>) {
  // expected-error @below {{expected logits of f32, found 'bf16'}}
  %0:2 = moe.select %l <experts = 4, top_k = 2>
      : (tensor<?x4xbf16>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O13]
func.func @op(%l: tensor<?x4xf32>, %b: tensor<4xf32>) {
  // expected-error @below {{expected no 'bias' with strategy = random and balancing = token_choice}}
  %0:2 = moe.select %l bias %b <experts = 4, top_k = 2, strategy = random>
      : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O13]
func.func @op(%l: tensor<?x4xf32>, %b: tensor<4xf32>) {
  // expected-error @below {{expected no 'scale' with strategy = random and balancing = token_choice}}
  %0:2 = moe.select %l scale %b <experts = 4, top_k = 2, strategy = random>
      : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O13]
func.func @op(%l: tensor<?x4xf32>) {
  // expected-error @below {{expected 'ids' with strategy = hash and balancing = token_choice}}
  %0:2 = moe.select %l <experts = 4, top_k = 2, strategy = hash>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O13]
func.func @op(%l: tensor<?x4xf32>, %i: tensor<?xi64>) {
  // expected-error @below {{expected no 'ids' with strategy = learned and balancing = token_choice}}
  %0:2 = moe.select %l ids %i <experts = 4, top_k = 2>
      : (tensor<?x4xf32>, tensor<?xi64>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O13]
func.func @op(%l: tensor<?x4xf32>) {
  // expected-error @below {{expected 'loads' with strategy = learned and balancing = load_aware}}
  %0:2 = moe.select %l <experts = 4, top_k = 2, balancing = load_aware>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O13]
func.func @op(%l: tensor<?x4xf32>, %i: tensor<4xi64>) {
  // expected-error @below {{expected no 'loads' with strategy = learned and balancing = dynamic}}
  %0:2 = moe.select %l loads %i <experts = 4, top_k = 2, balancing = dynamic>
      : (tensor<?x4xf32>, tensor<4xi64>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O14]
func.func @op(%l: tensor<?x4xf32>) {
  // expected-error @below {{expected a region 'score' with score = function}}
  %0:2 = moe.select %l <experts = 4, top_k = 2, score = function>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O14]
func.func @op(%l: tensor<?x4xf32>) {
  // expected-error @below {{expected no region 'score' with score = softmax}}
  %0:2 = moe.select %l <experts = 4, top_k = 2>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  ^bb0(%v: f32):
    moe.yield %v
  }
  return
}

// -----

//===----------------------------------------------------------------------===//
// [O15] to [O19] Experts
//===----------------------------------------------------------------------===//

// [O15]
func.func @op(%x: tensor<?x8xbf16>, %r: tensor<?xi32>) {
  // expected-error @below {{expected 'xs' of 'bf16', the element type of 'x', found 'f32'}}
  %0 = moe.dispatch %x, %r {slots = 1 : i64} : (tensor<?x8xbf16>, tensor<?xi32>) -> tensor<?x8xf32>
  return
}

// -----

// [O15]
func.func @op(%x: tensor<?x8xbf16>, %r: tensor<?xi32>, %w: tensor<?x1xf32>) {
  // expected-error @below {{expected 'xs' of 'f32', as products with weights are, found 'bf16'}}
  %0 = moe.dispatch %x, %r weights %w {slots = 1 : i64}
      : (tensor<?x8xbf16>, tensor<?xi32>, tensor<?x1xf32>) -> tensor<?x8xbf16>
  return
}

// -----

// [O16]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<6x8xf32>, %rows: tensor<?xi32>) {
  // expected-error @below {{expected 'offsets' where there is 'gather'}}
  %0 = moe.grouped_matmul %x, %w gather %rows {slots = 2 : i64}
      : (tensor<?x8xf32>, tensor<6x8xf32>, tensor<?xi32>) -> tensor<?x6xf32>
  return
}

// -----

// [O38]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<6x8xf32>) {
  // expected-error @below {{expected rows as fp8_e4m3, found int8}}
  %0 = moe.grouped_matmul %x as <kind = int8, block = 4>, %w
      : (tensor<?x8xf32>, tensor<6x8xf32>) -> tensor<?x6xf32>
  return
}

// -----

// [O16]
func.func @op(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected at least 1 weight, found 0}}
  %0 = "moe.grouped_matmul"(%x) <{operandSegmentSizes = array<i32: 1, 0, 0, 0, 0>}> ({
  }) : (tensor<?x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

// [O16]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>, %b: tensor<4xf32>) {
  // expected-error @below {{expected 0 or 1 biases, found 2}}
  %0 = moe.grouped_matmul %x, %w bias %b, %b
      : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// [O16]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{expected 1 weight without an epilogue, found 2}}
  %0 = moe.grouped_matmul %x, %w, %w
      : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

// [O16]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>, %v: tensor<4x8xbf16>) {
  // expected-error @below {{expected 'weights #1' of 'f32' like the first, found 'bf16'}}
  %0 = moe.grouped_matmul %x, %w, %v
      : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4x8xbf16>) -> tensor<?x4xf32> {
  ^bb0(%g: f32, %u: f32):
    moe.yield %g
  }
  return
}

// -----

// [O17]
func.func @op() {
  // expected-error @below {{expected 1 or 2 inputs, found 0}}
  %0 = "moe.activate"() ({
    %c = arith.constant 0.0 : f32
    moe.yield %c
  }) : () -> tensor<?x8xf32>
  return
}

// -----

// [O18]
func.func @op(%ys: tensor<?x8xf32>, %p: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{expected 'x' with 'pass_through'}}
  %0 = moe.combine %ys, %p, %p, %w {experts = 4 : i64, pass_through}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O18]
func.func @op(%ys: tensor<?x8xf32>, %p: tensor<?x2xi32>, %w: tensor<?x2xf32>, %i: tensor<i32>) {
  // expected-error @below {{expected 'x' with 'member'}}
  %0 = moe.combine %ys, %p, %p, %w member %i {experts = 4 : i64}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<i32>)
      -> tensor<?x8xf32>
  return
}

// -----

// [O18]
func.func @op(%ys: tensor<?x8xf32>, %p: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{expected no 'unweighted' with 'identity_nulls'}}
  %0 = moe.combine %ys, %p, %p, %w x %ys {experts = 4 : i64, identity_nulls, unweighted}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x8xf32>)
      -> tensor<?x8xf32>
  return
}

// -----

// [O19]
func.func @op(%r: tensor<?x8xf32>, %l: tensor<?x1xf32>) {
  // expected-error @below {{expected 'shared' with gate sigmoid}}
  %0 = moe.mix %r logits %l sigmoid : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O19]
func.func @op(%r: tensor<?x8xf32>, %l: tensor<?x1xf32>) {
  // expected-error @below {{expected 'logits' with gate softmax2}}
  %0 = moe.mix %r, %r softmax2 : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O19]
func.func @op(%r: tensor<?x8xf32>, %l: tensor<?x1xf32>) {
  // expected-error @below {{expected no 'logits' with gate none}}
  %0 = moe.mix %r logits %l none : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O4]
func.func @op(%r: tensor<?x8xf32>) {
  // expected-error @below {{expected 'shared_scale' to be a finite number, found +Inf}}
  %0 = moe.mix %r, %r none {shared_scale = 0x7FF0000000000000 : f64}
      : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O27]
func.func @op(%r: tensor<?x8xf32>) {
  // expected-error @below {{expected 'shared' with 'shared_scale'}}
  %0 = moe.mix %r none {shared_scale = 2.0 : f64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O1]
func.func @op(%r: tensor<?x8xf32>, %b: tensor<7xf32>) {
  // expected-note @above {{'routed' has D = 8}}
  // expected-error @below {{expected 'bias' of shape [D] with D = 8, found 'tensor<7xf32>'}}
  %0 = moe.mix %r bias %b none : (tensor<?x8xf32>, tensor<7xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O26]
func.func @op(%x: tensor<?x8xf32>, %s: tensor<8xf32>) {
  // expected-error @below {{expected 'eps' to be a finite number above 0, found 0}}
  %0 = moe.rms_norm %x scale %s {eps = 0.0 : f64} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O1]
func.func @op(%x: tensor<?x8xf32>, %s: tensor<4xf32>) {
  // expected-note @above {{'x' has M = 8}}
  // expected-error @below {{expected 'scale' of shape [M] with M = 8, found 'tensor<4xf32>'}}
  %0 = moe.rms_norm %x scale %s {eps = 1.0 : f64} : (tensor<?x8xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// [O20] to [O22] Averaging
//===----------------------------------------------------------------------===//

// [O20]
func.func @op(%v: tensor<64xf32>) {
  // expected-error @below {{expected scales of i8 with kind = mxfp4, found 'f32'}}
  %0:3 = moe.quantize %v <kind = mxfp4, block = 32>
      : (tensor<64xf32>) -> (tensor<32xi8>, tensor<2xf32>, tensor<i32>)
  return
}

// -----

// [O20]
func.func @op(%d: tensor<64xi8>, %s: tensor<1xi8>) {
  // expected-error @below {{expected scales of f32 with kind = int8, found 'i8'}}
  %0 = moe.dequantize %d, %s <kind = int8, block = 64>
      : (tensor<64xi8>, tensor<1xi8>) -> tensor<64xf32>
  return
}

// -----

// [O21]
func.func @op(%a: tensor<4xf32>, %b: tensor<4xi32>) {
  // expected-error @below {{expected 'sum' and 'values' of f32 and f32 or of i64 and i32, found 'f32' and 'i32'}}
  %0 = moe.accumulate %a, %b : (tensor<4xf32>, tensor<4xi32>) -> tensor<4xf32>
  return
}

// -----

// [O21]
func.func @op(%a: tensor<4xi64>, %b: tensor<4xi32>) {
  // expected-error @below {{expected 'result' of 'i64', the element type of 'sum', found 'f32'}}
  %0 = moe.accumulate %a, %b : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xf32>
  return
}

// -----

// [O22]
func.func @op(%s: tensor<0x4xf32>) {
  // expected-error @below {{expected at least 1 set, found 'tensor<0x4xf32>'}}
  %0:2 = moe.average %s : (tensor<0x4xf32>) -> (tensor<4xf32>, tensor<i32>)
  return
}

// -----

// [O28]
// expected-error @below {{expected a kind other than none}}
func.func private @op() attributes {f = #moe.format<kind = none>}

// -----

// [O28]
// expected-error @below {{expected outputs = 1 and inputs = 32 with mxfp4, found 1 and 0}}
func.func private @op() attributes {f = #moe.format<kind = mxfp4>}

// -----

// [O28]
// expected-error @below {{expected outputs = 1 and inputs = 16 with nvfp4, found 2 and 16}}
func.func private @op() attributes {f = #moe.format<kind = nvfp4, outputs = 2, inputs = 16>}

// -----

// [O28]
// expected-error @below {{expected an even number of 'inputs' with int4, found 7}}
func.func private @op() attributes {f = #moe.format<kind = int4, inputs = 7>}

// -----

// [O28]
// expected-error @below {{expected 'outputs' from 0 to 2147483647, found -1}}
func.func private @op() attributes {f = #moe.format<kind = int8, outputs = -1>}

// -----

// [O28]
// expected-error @below {{expected 'inputs' from 0 to 2147483647, found -1}}
func.func private @op() attributes {f = #moe.format<kind = int8, inputs = -1>}

// -----

// [O29]
func.func @op(%d: tensor<4x8xi8>, %s: tensor<4x1xi8>) {
  // expected-error @below {{expected scales of f32 with kind = int8, found 'i8'}}
  %0 = moe.decode %d, %s <kind = int8> : (tensor<4x8xi8>, tensor<4x1xi8>) -> tensor<4x8xf32>
  return
}

// -----

// [O29]
func.func @op(%d: tensor<4x16xi8>, %s: tensor<4x1xf32>) {
  // expected-error @below {{expected scales of i8 with kind = mxfp4, found 'f32'}}
  %0 = moe.decode %d, %s <kind = mxfp4, inputs = 32>
      : (tensor<4x16xi8>, tensor<4x1xf32>) -> tensor<4x32xf32>
  return
}

// -----

// [O29]
func.func @op(%d: tensor<4x8xi8>, %s: tensor<4x1xf32>, %z: tensor<4x1xi8>) {
  // expected-error @below {{expected no 'zeros' with kind = int8}}
  %0 = moe.decode %d, %s zeros %z <kind = int8>
      : (tensor<4x8xi8>, tensor<4x1xf32>, tensor<4x1xi8>) -> tensor<4x8xf32>
  return
}

// -----

// [O29]
func.func @op(%d: tensor<4x8xi8>, %s: tensor<4x1xi8>) {
  // expected-error @below {{expected 'global' with kind = nvfp4}}
  %0 = moe.decode %d, %s <kind = nvfp4, inputs = 16>
      : (tensor<4x8xi8>, tensor<4x1xi8>) -> tensor<4x16xf32>
  return
}

// -----

// [O29]
func.func @op(%d: tensor<4x8xi8>, %s: tensor<4x1xf32>, %g: tensor<f32>) {
  // expected-error @below {{expected no 'global' with kind = int8}}
  %0 = moe.decode %d, %s global %g <kind = int8>
      : (tensor<4x8xi8>, tensor<4x1xf32>, tensor<f32>) -> tensor<4x8xf32>
  return
}

// -----

// [O30]
func.func @op(%d: tensor<4x4xi8>, %s: tensor<4x1xf32>) {
  // expected-error @below {{expected a multiple of 2 inputs with kind = int4, found 7}}
  %0 = moe.decode %d, %s <kind = int4> : (tensor<4x4xi8>, tensor<4x1xf32>) -> tensor<4x7xf32>
  return
}

// -----

// [O30]
func.func @op(%d: tensor<4x24xi8>, %s: tensor<4x2xi8>) {
  // expected-error @below {{expected a multiple of 32 inputs with kind = mxfp4, found 48}}
  %0 = moe.decode %d, %s <kind = mxfp4, inputs = 32>
      : (tensor<4x24xi8>, tensor<4x2xi8>) -> tensor<4x48xf32>
  return
}

// -----

// [O1]: two values share a byte.
func.func @op(%d: tensor<2x4x8xi8>, %s: tensor<2x4x1xf32>) {
  // expected-error @below {{expected 'data' of shape [E, O, M/2] with M/2 = 4}}
  %0 = moe.decode %d, %s <kind = int4>
      : (tensor<2x4x8xi8>, tensor<2x4x1xf32>) -> tensor<2x4x8xf32>
  return
}

// -----

// [O1]: the last blocks may be shorter.
func.func @op(%d: tensor<5x7xi8>, %s: tensor<2x2xf32>) {
  // expected-error @below {{expected 'scales' of shape [ceil(O/outputs), ceil(M/inputs)] with ceil(O/outputs) = 3, found 'tensor<2x2xf32>'}}
  %0 = moe.decode %d, %s <kind = int8, outputs = 2, inputs = 4>
      : (tensor<5x7xi8>, tensor<2x2xf32>) -> tensor<5x7xf32>
  return
}

// -----

// [O1]
func.func @op(%d: tensor<5x7xi8>, %s: tensor<5x1xf32>) {
  // expected-error @below {{expected 'values' of shape [O, M], found 'tensor<35xf32>'}}
  %0 = moe.decode %d, %s <kind = int8> : (tensor<5x7xi8>, tensor<5x1xf32>) -> tensor<35xf32>
  return
}

// -----

func.func @ff_no_up(%x: tensor<?x8xf32>, %d: tensor<8x16xf32>) {
  // expected-error @below {{expected at least 1 of 'ups', found 0}}
  %0 = "moe.feed_forward"(%x, %d) <{hidden = f32, operandSegmentSizes = array<i32: 1, 0, 0, 1, 0, 0, 0, 0>}> ({
  }) : (tensor<?x8xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @ff_biases(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %b: tensor<16xf32>, %d: tensor<8x16xf32>) {
  // expected-error @below {{expected 0 or 1 of 'up_biases', found 2}}
  %0 = moe.feed_forward %x up %w bias %b, %b down %d {hidden = f32}
      : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16xf32>, tensor<16xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @ff_epilogue(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %d: tensor<8x16xf32>) {
  // expected-error @below {{expected 1 of 'ups' without an epilogue, found 2}}
  %0 = moe.feed_forward %x up %w, %w down %d {hidden = f32}
      : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @ff_hidden(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %d: tensor<8x16xf32>) {
  // expected-error @below {{expected 'hidden' of f32 or bf16, found 'f16'}}
  %0 = moe.feed_forward %x up %w down %d {hidden = f16}
      : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @ff_slots(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %d: tensor<8x16xf32>) {
  // expected-error @below {{expected 'slots' from 1 to 2147483647, found 0}}
  %0 = moe.feed_forward %x up %w down %d {hidden = f32, slots = 0 : i64}
      : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @ff_types(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %v: tensor<16x8xbf16>, %d: tensor<8x16xf32>) {
  // expected-error @below {{expected 'ups #1' of 'f32' like the first, found 'bf16'}}
  %0 = moe.feed_forward %x up %w, %v down %d {hidden = f32}
      : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xbf16>, tensor<8x16xf32>) -> tensor<?x8xf32> {
  ^bb0(%g: f32, %u: f32):
    moe.yield %g
  }
  return
}

// -----

// expected-note @below {{'ups #0' has I = 16}}
func.func @ff_inner(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %d: tensor<8x15xf32>) {
  // expected-error @below {{expected 'down' of shape [O, I] with I = 16, found 'tensor<8x15xf32>'}}
  %0 = moe.feed_forward %x up %w down %d {hidden = f32}
      : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<8x15xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @ff_weights(%x: tensor<?x8xf32>, %w: tensor<4x16x8xf32>, %d: tensor<4x8x16xf32>, %o: tensor<5xi32>, %r: tensor<?xi32>, %p: tensor<?x3xf32>) {
  // expected-error @below {{expected 'weights' of shape [T, K] with K = 2, found 'tensor<?x3xf32>'}}
  %0 = moe.feed_forward %x up %w down %d offsets %o rows %r weights %p {hidden = f32, slots = 2 : i64}
      : (tensor<?x8xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>, tensor<5xi32>, tensor<?xi32>, tensor<?x3xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O31]
func.func @ff_rows(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %d: tensor<8x16xf32>, %p: tensor<?x1xf32>) {
  // expected-error @below {{expected 'rows' where there are 'weights'}}
  %0 = moe.feed_forward %x up %w down %d weights %p {hidden = f32}
      : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<8x16xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O31]
func.func @ff_offsets(%x: tensor<?x8xf32>, %w: tensor<4x16x8xf32>, %d: tensor<4x8x16xf32>, %o: tensor<5xi32>) {
  // expected-error @below {{expected both of 'offsets' and 'rows' or neither}}
  %0 = "moe.feed_forward"(%x, %w, %d, %o) <{hidden = f32, operandSegmentSizes = array<i32: 1, 1, 0, 1, 0, 1, 0, 0>}> ({})
      : (tensor<?x8xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>, tensor<5xi32>) -> tensor<?x8xf32>
  return
}

// -----

// [O18]
func.func @combine_weights(%ys: tensor<?x8xf32>, %p: tensor<?x2xi32>) {
  // expected-error @below {{expected 'weights' without 'unweighted'}}
  %0 = moe.combine %ys, %p, %p {experts = 4 : i64}
      : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<?x8xf32>
  return
}

// -----

// [O35]
func.func @group_weights(%i: tensor<?x2xi32>) {
  // expected-error @below {{expected 'weights' with a capacity of priority = probability}}
  %0:4 = moe.group %i {experts = 4 : i64, capacity = #moe.capacity<tokens = 3, priority = probability>}
      : (tensor<?x2xi32>) -> (tensor<?xi32>, tensor<5xi32>, tensor<?x2xi32>, tensor<4xi32>)
  return
}

// -----

// [O32]
func.func @place(%i: tensor<?x2xi32>) {
  // expected-error @below {{expected 'places' of shape [E, m], with an expert and a place, found 'tensor<2xi32>'}}
  %0 = moe.place %i {places = dense<[0, 1]> : tensor<2xi32>, total = 2 : i64} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  return
}

// -----

// [O32]
func.func @place(%i: tensor<?x2xi32>) {
  // expected-error @below {{expected 'places' of shape [E, m], with an expert and a place, found 'tensor<0x2xi32>'}}
  %0 = moe.place %i {places = dense<> : tensor<0x2xi32>, total = 2 : i64} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  return
}

// -----

// [O32]
func.func @place(%i: tensor<?x2xi32>) {
  // expected-error @below {{expected expert 1 to have a place from 0 to 1, found 2}}
  %0 = moe.place %i {places = dense<[[0], [2]]> : tensor<2x1xi32>, total = 2 : i64} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  return
}

// -----

// [O32]
func.func @place(%i: tensor<?x2xi32>) {
  // expected-error @below {{expected expert 1 to have a place from 0 to 1, found -1}}
  %0 = moe.place %i {places = dense<[[0], [-1]]> : tensor<2x1xi32>, total = 2 : i64} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  return
}

// -----

// [O32]
func.func @place(%i: tensor<?x2xi32>) {
  // expected-error @below {{expected the places of expert 0 to come before -1, found 1 after it}}
  %0 = moe.place %i {places = dense<[[0, -1, 1]]> : tensor<1x3xi32>, total = 2 : i64} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  return
}

// -----

// [O32]
func.func @place(%i: tensor<?x2xi32>) {
  // expected-error @below {{expected one expert in each place, found experts 0 and 1 in place 1}}
  %0 = moe.place %i {places = dense<[[0, 1], [2, 1]]> : tensor<2x2xi32>, total = 3 : i64} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  return
}

// -----

// [O32]
func.func @place(%i: tensor<?x2xi32>) {
  // expected-error @below {{expected 'total' from 1 to 2147483647, found 0}}
  %0 = moe.place %i {places = dense<[[0]]> : tensor<1x1xi32>, total = 0 : i64} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  return
}

// -----

// [O34]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected counts that 3 members have equal shares of, found 8}}
  %0 = moe.arrivals %c {members = 3 : i64} : (tensor<8xi32>) -> tensor<8x1xi32>
  return
}

// -----

// [O34]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected 'members' from 1 to 2147483647, found 0}}
  %0 = moe.arrivals %c {members = 0 : i64} : (tensor<8xi32>) -> tensor<8x1xi32>
  return
}

// -----

// [O1]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected 'local' of shape [R, 1], found 'tensor<8x2xi32>'}}
  %0 = moe.arrivals %c {members = 2 : i64} : (tensor<8xi32>) -> tensor<8x2xi32>
  return
}

// -----

// [O33]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected a size such as "R" or "8*R" in 'rows' with a result of 'tensor<?x1xi32>'}}
  %0 = moe.arrivals %c {members = 2 : i64} : (tensor<8xi32>) -> tensor<?x1xi32>
  return
}

// -----

// [O33]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected a size such as "R" or "8*R" in 'rows' with a result of 'tensor<?x1xi32>', found "8 R"}}
  %0 = moe.arrivals %c {members = 2 : i64, rows = "8 R"} : (tensor<8xi32>) -> tensor<?x1xi32>
  return
}

// -----

// [O33]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected no 'rows' with a result of 'tensor<8x1xi32>', found "8*R"}}
  %0 = moe.arrivals %c {members = 2 : i64, rows = "8*R"} : (tensor<8xi32>) -> tensor<8x1xi32>
  return
}

// -----

// [O33]
func.func @row_numbers() {
  // expected-error @below {{expected a size such as "P" in 'first', found "P 1"}}
  %0 = moe.row_numbers {first = "P 1", rows = "T"} : () -> tensor<?xi64>
  return
}

// -----

// [O33]
func.func @row_numbers() {
  // expected-error @below {{expected a size such as "R" or "8*R" in 'rows' with a result of 'tensor<?xi64>'}}
  %0 = moe.row_numbers {first = "P"} : () -> tensor<?xi64>
  return
}

// -----

// [O1]
func.func @row_numbers() {
  // expected-error @below {{expected 'numbers' of shape [R], found 'tensor<4x1xi64>'}}
  %0 = moe.row_numbers : () -> tensor<4x1xi64>
  return
}

// -----

// [O33]
func.func @take_rows(%x: tensor<?x2xi32>) {
  // expected-error @below {{expected a size such as "P" in 'first', found "7"}}
  %0 = moe.take_rows %x {first = "7", rows = "T"} : (tensor<?x2xi32>) -> tensor<?x2xi32>
  return
}

// -----

// [O33]
func.func @take_rows(%x: tensor<?x2xi32>) {
  // expected-error @below {{expected a result of 'i32', found 'f32'}}
  %0 = moe.take_rows %x {first = "P", rows = "T"} : (tensor<?x2xi32>) -> tensor<?x2xf32>
  return
}

// -----

// [O1]
// expected-note @below {{'x' has K = 2}}
func.func @take_rows(%x: tensor<?x2xi32>) {
  // expected-error @below {{expected 'y' of shape [T, K] with K = 2, found 'tensor<?x3xi32>'}}
  %0 = moe.take_rows %x {first = "P", rows = "T"} : (tensor<?x2xi32>) -> tensor<?x3xi32>
  return
}

// -----

// [O1]
// expected-note @below {{'indices' has K = 2}}
func.func @keep_placed(%i: tensor<?x2xi32>, %p: tensor<?x3xi32>) {
  // expected-error @below {{expected 'positions' of shape [T, K] with K = 2, found 'tensor<?x3xi32>'}}
  %0 = moe.keep_placed %i, %p : (tensor<?x2xi32>, tensor<?x3xi32>) -> tensor<?x2xi32>
  return
}

// -----

// [O37]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected 'places', 'size' and 'rows' together, found some of them}}
  %0 = moe.arrivals %c {members = 2 : i64, rows = "8*R", size = "C0"} : (tensor<8xi32>) -> tensor<?x1xi32>
  return
}

// -----

// [O37]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected 'places', 'size' and 'rows' together, found some of them}}
  %0 = moe.arrivals %c places 0 to 2 {members = 2 : i64, rows = "8*R"} : (tensor<8xi32>) -> tensor<?x1xi32>
  return
}

// -----

// [O37]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected some places of 4, found 2 to 2}}
  %0 = moe.arrivals %c places 2 to 2 {members = 2 : i64, rows = "8*R", size = "C0"} : (tensor<8xi32>) -> tensor<?x1xi32>
  return
}

// -----

// [O37]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected some places of 4, found 2 to 5}}
  %0 = moe.arrivals %c places 2 to 5 {members = 2 : i64, rows = "8*R", size = "C0"} : (tensor<8xi32>) -> tensor<?x1xi32>
  return
}

// -----

// [O37]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected a name of its own such as "C0" in 'size', found '2*C'}}
  %0 = moe.arrivals %c places 0 to 2 {members = 2 : i64, rows = "8*R", size = "2*C"} : (tensor<8xi32>) -> tensor<?x1xi32>
  return
}

// -----

// [O37]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected a name of its own such as "C0" in 'size', found 'R'}}
  %0 = moe.arrivals %c places 0 to 2 {members = 2 : i64, rows = "8*R", size = "R"} : (tensor<8xi32>) -> tensor<?x1xi32>
  return
}

// -----

// [O37]
func.func @arrivals(%c: tensor<8xi32>) {
  // expected-error @below {{expected 'rows' such as "8*R", found 'ceil(R/8)'}}
  %0 = moe.arrivals %c places 0 to 2 {members = 2 : i64, rows = "ceil(R/8)", size = "C0"} : (tensor<8xi32>) -> tensor<?x1xi32>
  return
}

// -----

// [O34]
func.func @keep_local(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>, %m: tensor<i32>) {
  // expected-error @below {{expected experts that 3 members have equal shares of, found 4}}
  %0:2 = moe.keep_local %i, %w, %m {experts = 4 : i64, members = 3 : i64}
      : (tensor<?x2xi32>, tensor<?x2xf32>, tensor<i32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O34]
func.func @keep_local(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>, %m: tensor<i32>) {
  // expected-error @below {{expected 'experts' from 1 to 2147483647, found 0}}
  %0:2 = moe.keep_local %i, %w, %m {experts = 0 : i64, members = 1 : i64}
      : (tensor<?x2xi32>, tensor<?x2xf32>, tensor<i32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O34]
func.func @keep_local(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>, %m: tensor<i32>) {
  // expected-error @below {{expected 'members' from 1 to 2147483647, found 0}}
  %0:2 = moe.keep_local %i, %w, %m {experts = 4 : i64, members = 0 : i64}
      : (tensor<?x2xi32>, tensor<?x2xf32>, tensor<i32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// [O34]
func.func @keep_local(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>, %m: tensor<1xi32>) {
  // expected-error @below {{expected 'member' of shape [], found 'tensor<1xi32>'}}
  %0:2 = moe.keep_local %i, %w, %m {experts = 4 : i64, members = 2 : i64}
      : (tensor<?x2xi32>, tensor<?x2xf32>, tensor<1xi32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

func.func @group_sizes(%o: tensor<5xi32>) {
  // expected-error @below {{expected one offset more than sizes, found 5 and 5}}
  %0 = moe.group_sizes %o : (tensor<5xi32>) -> tensor<5xi32>
  return
}

// -----

// [O36]
func.func @pack(%x: tensor<?x6xf32>) {
  // expected-error @below {{expected a format with scales of f32, found mxfp4}}
  %0 = moe.pack_rows %x as <kind = mxfp4, block = 32> : (tensor<?x6xf32>) -> tensor<?x10xi8>
  return
}

// -----

// [O36]
func.func @pack(%x: tensor<?x6xf32>) {
  // expected-error @below {{expected 'packed' of bf16 without a format, found 'i8'}}
  %0 = moe.pack_rows %x : (tensor<?x6xf32>) -> tensor<?x6xi8>
  return
}

// -----

// [O36]
func.func @unpack(%x: tensor<?x6xbf16>) {
  // expected-error @below {{expected 'packed' of i8 with a format, found 'bf16'}}
  %0 = moe.unpack_rows %x as <kind = int8, block = 4> : (tensor<?x6xbf16>) -> tensor<?x6xf32>
  return
}

// -----

// [O36]
func.func @pack(%x: tensor<?x6xf32>) {
  // expected-error @below {{expected 'packed' of shape [R, W] with W = 14, found 'tensor<?x10xi8>'}}
  %0 = moe.pack_rows %x as <kind = int8, block = 4> : (tensor<?x6xf32>) -> tensor<?x10xi8>
  return
}

// -----

// [O15]
func.func @weighted_bytes(%x: tensor<?x6xi8>, %r: tensor<?xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{expected 'x' of values with weights, found packed rows}}
  %0 = moe.dispatch %x, %r weights %w {slots = 2 : i64}
      : (tensor<?x6xi8>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x6xf32>
  return
}

// -----

// [O33]
func.func @resize_rows(%v: tensor<?xf32>) {
  // expected-error @below {{expected a size such as "R" or "8*R" in 'rows' with a result of 'tensor<?xf32>', found "4*ceil(n/"}}
  %0:2 = moe.resize %v {rows = "4*ceil(n/"} : (tensor<?xf32>) -> (tensor<?xf32>, tensor<i32>)
  return
}

// -----

// [O34]
func.func @slice_mean_members(%v: tensor<5xf32>, %n: tensor<i64>) {
  // expected-error @below {{expected 'slices' that 2 members have equal shares of, found 5}}
  %0 = moe.slice_mean %v, %n {members = 2 : i64} : (tensor<5xf32>, tensor<i64>) -> tensor<2xf32>
  return
}

// -----

// [O34]
func.func @slice_mean_no_members(%v: tensor<5xf32>, %n: tensor<i64>) {
  // expected-error @below {{expected 'members' from 1 to 2147483647, found 0}}
  %0 = moe.slice_mean %v, %n {members = 0 : i64} : (tensor<5xf32>, tensor<i64>) -> tensor<5xf32>
  return
}

// -----

// [O1]
func.func @residual_sizes(%v: tensor<4xf32>, %w: tensor<6xf32>, %m: tensor<2xf32>, %n: tensor<i64>, %i: tensor<i32>) {
  // expected-error @below {{expected 'given' of shape [m*s] with m*s = 4, found 'tensor<6xf32>'}}
  // expected-note @above {{'values' has m*s = 4}}
  %0 = moe.residual %v, %v, %m, %w, %n, %i : (tensor<4xf32>, tensor<4xf32>, tensor<2xf32>, tensor<6xf32>, tensor<i64>, tensor<i32>) -> tensor<4xf32>
  return
}

// -----

// [O1]
func.func @require_one(%s: tensor<2xi32>) {
  // expected-error @below {{expected 'status' of shape [], found 'tensor<2xi32>'}}
  moe.require %s : (tensor<2xi32>) -> ()
  return
}

// -----

// [O10]
func.func @int4_block(%v: tensor<64xf32>) {
  // expected-error @below {{expected blocks of an even size with int4, found 31}}
  %0:3 = moe.quantize %v <kind = int4, block = 31> : (tensor<64xf32>) -> (tensor<32xi8>, tensor<3xf32>, tensor<i32>)
  return
}

// -----

// [O1]
// expected-note @below {{'xs' has M = 8}}
func.func @op(%x: tensor<?x8xf32>, %w: tensor<4x6x8xf32>, %o: tensor<5xi32>) {
  // expected-error @below {{expected 'weights #0' of shape [E, M, O] with M = 8, found 'tensor<4x6x8xf32>'}}
  %0 = moe.grouped_matmul %x, %w offsets %o {transposed}
      : (tensor<?x8xf32>, tensor<4x6x8xf32>, tensor<5xi32>) -> tensor<?x8xf32>
  return
}

// -----

// [O1]
// expected-note @below {{'weights #0' has O = 6}}
func.func @op(%x: tensor<?x8xf32>, %w: tensor<8x6xf32>) {
  // expected-error @below {{expected 'ys' of shape [R, O] with O = 6, found 'tensor<?x8xf32>'}}
  %0 = moe.grouped_matmul %x, %w {transposed} : (tensor<?x8xf32>, tensor<8x6xf32>) -> tensor<?x8xf32>
  return
}

// -----

// [O39]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<6x8xbf16>) {
  // expected-error @below {{expected f32 with 'tf32', found 'bf16'}}
  %0 = moe.grouped_matmul %x, %w {tf32} : (tensor<?x8xf32>, tensor<6x8xbf16>) -> tensor<?x6xf32>
  return
}

// -----

// [O39]
func.func @op(%x: tensor<?x8xf16>, %y: tensor<?x6xf32>, %o: tensor<5xi32>) {
  // expected-error @below {{expected f32 with 'tf32', found 'f16'}}
  %0 = moe.grouped_outer %x, %y offsets %o {tf32}
      : (tensor<?x8xf16>, tensor<?x6xf32>, tensor<5xi32>) -> tensor<4x8x6xf32>
  return
}

// -----

// [O1]
// expected-note @below {{'xs' has R = 3}}
func.func @op(%x: tensor<3x8xf32>, %y: tensor<4x6xf32>, %o: tensor<5xi32>) {
  // expected-error @below {{expected 'ys' of shape [R, B] with R = 3, found 'tensor<4x6xf32>'}}
  %0 = moe.grouped_outer %x, %y offsets %o
      : (tensor<3x8xf32>, tensor<4x6xf32>, tensor<5xi32>) -> tensor<4x8x6xf32>
  return
}

// -----

// [O1]
// expected-note @below {{'xs' has A = 8}}
func.func @op(%x: tensor<?x8xf32>, %y: tensor<?x6xf32>, %o: tensor<5xi32>) {
  // expected-error @below {{expected 'sums' of shape [E, A, B] with A = 8, found 'tensor<4x6x8xf32>'}}
  %0 = moe.grouped_outer %x, %y offsets %o
      : (tensor<?x8xf32>, tensor<?x6xf32>, tensor<5xi32>) -> tensor<4x6x8xf32>
  return
}

// -----

// [O1]
func.func @op(%x: tensor<?x8xf32>, %y: tensor<?x6xf32>, %o: tensor<4xi32>) {
  // expected-error @below {{expected 'offsets' of shape [E+1] with E+1 = 5, found 'tensor<4xi32>'}}
  %0 = moe.grouped_outer %x, %y offsets %o
      : (tensor<?x8xf32>, tensor<?x6xf32>, tensor<4xi32>) -> tensor<4x8x6xf32>
  return
}

// -----

// [O38]
func.func @op(%x: tensor<?x8xf32>, %w: tensor<8x6xf32>) {
  // expected-error @below {{expected no format with 'transposed'}}
  %0 = moe.grouped_matmul %x as <kind = fp8_e4m3, block = 4>, %w {transposed}
      : (tensor<?x8xf32>, tensor<8x6xf32>) -> tensor<?x6xf32>
  return
}
