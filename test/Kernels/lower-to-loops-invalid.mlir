// What cannot be lowered is named, at its place.

// RUN: moe-opt %s --moe-lower-to-loops --split-input-file --verify-diagnostics

func.func @foreign(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{'math.exp' op cannot be lowered to loops; expected an operation of the moe or coll dialect}}
  %y = math.exp %x : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// expected-error @below {{expected a size such as "T" or "2*T" in 'moe.sizes' for each dynamic dimension of 'tensor<?xf32>'}}
func.func @no_sizes(%x: tensor<?xf32>) {
  return
}

// -----

// expected-error @below {{expected a size such as "T" or "2*T" in 'moe.sizes' for each dynamic dimension of 'tensor<?x?xf32>'}}
func.func @too_few_sizes(%x: tensor<?x?xf32> {moe.sizes = ["T"]}) {
  return
}

// -----

// expected-error @below {{expected a size such as "T" or "2*T" in 'moe.sizes' for each dynamic dimension of 'tensor<?xf32>'}}
func.func @no_size(%x: tensor<?xf32> {moe.sizes = ["T*2"]}) {
  return
}

// -----

// expected-error @below {{expected a size such as "T" or "2*T" in 'moe.sizes' for each dynamic dimension of 'tensor<?xf32>'}}
func.func @number_as_size(%x: tensor<?xf32> {moe.sizes = [4]}) {
  return
}

// -----

// expected-error @below {{expected a size such as "T" or "2*T" in 'moe.sizes' for each dynamic dimension of 'tensor<?xf32>'}}
func.func @result_without_size(%x: tensor<?xf32> {moe.sizes = ["T"]}) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}

// -----

// expected-error @below {{expected tensors at the boundary, but found 'f32'}}
func.func @scalar(%x: f32) {
  return
}

// -----

// expected-error @below {{expected tensors at the boundary, but found 'tensor<*xf32>'}}
func.func @unranked(%x: tensor<*xf32>) {
  return
}

// -----

// expected-error @below {{expected a function of one block}}
func.func @blocks(%x: tensor<4xf32>) -> tensor<4xf32> {
  cf.br ^next
^next:
  return %x : tensor<4xf32>
}

// -----

// expected-error @below {{result 0 is state that no argument of type 'tensor<4xf32>' holds}}
func.func @state_from_nowhere(%x: tensor<4xf32> {moe.name = "x"})
    -> (tensor<4xf32> {moe.name = "y", moe.role = "state"}) {
  return %x : tensor<4xf32>
}

// -----

// A workspace has room for rows of a known width.
func.func @width(%x: tensor<?x?xf32> {moe.sizes = ["T", "D"]})
    -> (tensor<?x?xf32> {moe.sizes = ["T", "D"]}) {
  // expected-error @below {{'moe.activate' op expected static sizes after the first to lower it to loops, found 'tensor<?x?xf32>'}}
  %y = moe.activate %x : (tensor<?x?xf32>) -> tensor<?x?xf32> {
  ^bb0(%a: f32):
    %t = math.tanh %a : f32
    moe.yield %t
  }
  return %y : tensor<?x?xf32>
}

// -----

func.func @experts(%x: tensor<?x4xf32> {moe.sizes = ["T"]},
                   %w: tensor<?x4xf32> {moe.sizes = ["E"]})
    -> (tensor<?x8xf32> {moe.sizes = ["T"]}) {
  // expected-error @below {{'moe.router' op expected static sizes of weights and of what is counted per expert to lower it to loops, found 'tensor<?x4xf32>'}}
  %y = moe.router %x, %w : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @counts(%c: tensor<?xi32> {moe.sizes = ["E"]}) -> tensor<f32> {
  // expected-error @below {{'moe.imbalance' op expected static sizes of weights and of what is counted per expert to lower it to loops, found 'tensor<?xi32>'}}
  %i = moe.imbalance %c : (tensor<?xi32>) -> tensor<f32>
  return %i : tensor<f32>
}

// -----

// Sizes of different names are different sizes.
func.func @names(%x: tensor<?x4xf32> {moe.sizes = ["T"]},
                 %y: tensor<?x4xf32> {moe.sizes = ["S"]})
    -> (tensor<?x4xf32> {moe.sizes = ["T"]}) {
  // expected-error @below {{'moe.mix' op cannot be lowered: expected T rows, found S}}
  %z = moe.mix %x, %y none : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %z : tensor<?x4xf32>
}

// -----

func.func @slots(%x: tensor<?x4xf32> {moe.sizes = ["T"]},
                 %rows: tensor<?xi32> {moe.sizes = ["T"]})
    -> (tensor<?x4xf32> {moe.sizes = ["T"]}) {
  // expected-error @below {{'moe.dispatch' op cannot be lowered: expected 2*T rows, found T}}
  %xs = moe.dispatch %x, %rows {slots = 2 : i64}
      : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return %xs : tensor<?x4xf32>
}

// -----

// A caller's buffer is as large as its sizes say.
func.func @boundary(%x: tensor<?x4xf32> {moe.sizes = ["T"]})
    -> (tensor<?x4xf32> {moe.sizes = ["2*T"]}) {
  // expected-error @below {{a result of T rows leaves the function as one of 2*T}}
  %y = moe.activate %x : (tensor<?x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    %t = math.tanh %a : f32
    moe.yield %t
  }
  return %y : tensor<?x4xf32>
}

// -----

func.func @narrowed(%x: tensor<?x4xf32> {moe.sizes = ["T"]}) -> tensor<4x4xf32> {
  // expected-error @below {{expected a result of T rows, found 4}}
  %y = moe.activate %x : (tensor<?x4xf32>) -> tensor<4x4xf32> {
  ^bb0(%a: f32):
    %t = math.tanh %a : f32
    moe.yield %t
  }
  return %y : tensor<4x4xf32>
}

// -----

// expected-error @below {{a tensor of T rows is returned as one of 2*T}}
func.func @passed(%x: tensor<?x4xf32> {moe.sizes = ["T"]})
    -> (tensor<?x4xf32> {moe.sizes = ["2*T"]}) {
  return %x : tensor<?x4xf32>
}

// -----

func.func @huge(%x: tensor<?x1xf32> {moe.sizes = ["T"]}, %w: tensor<1x2147483647x1xf32>,
                %v: tensor<1x1x2147483647xf32>, %o: tensor<2xi32>,
                %rows: tensor<?xi32> {moe.sizes = ["2147483647*T"]})
    -> (tensor<?x1xf32> {moe.sizes = ["2147483647*T"]}) {
  // expected-error @below {{the workspace is larger than memory can be}}
  %h = moe.grouped_matmul %x, %w offsets %o gather %rows {slots = 2147483647 : i64}
      : (tensor<?x1xf32>, tensor<1x2147483647x1xf32>, tensor<2xi32>, tensor<?xi32>)
      -> tensor<?x2147483647xf32>
  %y = moe.grouped_matmul %h, %v offsets %o
      : (tensor<?x2147483647xf32>, tensor<1x1x2147483647xf32>, tensor<2xi32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

func.func @state_of_other_tokens(%x: tensor<?x4xf32> {moe.sizes = ["T"]}, %y: tensor<?x4xf32> {moe.sizes = ["n"]}, %s: tensor<4xf32>)
    -> (tensor<?x4xf32> {moe.sizes = ["T"]}) {
  // expected-error @below {{cannot be lowered: expected T rows, found n}}
  %z = moe.add_scaled %x, %y, %s : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %z : tensor<?x4xf32>
}

// -----

// A slice is a view of memory that is there, at a place that is known.
func.func @slice_of_many(%x: tensor<?x4xf32> {moe.sizes = ["T"]}) -> tensor<2x4xf32> {
  // expected-error @below {{'tensor.extract_slice' op cannot be lowered to a view; expected constant offsets, sizes and strides in a tensor of static shape and of the same rank}}
  %y = tensor.extract_slice %x[0, 0] [2, 4] [1, 1] : tensor<?x4xf32> to tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

func.func @slice_of_lower_rank(%x: tensor<3x4xf32>) -> tensor<4xf32> {
  // expected-error @below {{'tensor.extract_slice' op cannot be lowered to a view}}
  %y = tensor.extract_slice %x[1, 0] [1, 4] [1, 1] : tensor<3x4xf32> to tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @slice_backwards(%x: tensor<3x4xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{'tensor.extract_slice' op cannot be lowered to a view}}
  %y = tensor.extract_slice %x[2, 0] [2, 4] [-1, 1] : tensor<3x4xf32> to tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

// So far apart that their distance is no number.
func.func @slice_far_apart(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  // expected-error @below {{'tensor.extract_slice' op cannot be lowered to a view}}
  %y = tensor.extract_slice %x[0, 0] [3, 4] [9223372036854775807, 1]
      : tensor<3x4xf32> to tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// Biases may have gaps, but not weights.
func.func @slice_of_columns(%x: tensor<?x4xf32> {moe.sizes = ["T"]}, %w: tensor<3x8xf32>,
                            %b: tensor<6xf32>)
    -> (tensor<?x3xf32> {moe.sizes = ["T"]}, tensor<?x3xf32> {moe.sizes = ["T"]}) {
  %bias = tensor.extract_slice %b[1] [3] [2] : tensor<6xf32> to tensor<3xf32>
  %half = tensor.extract_slice %w[0, 0] [3, 4] [1, 1] : tensor<3x8xf32> to tensor<3x4xf32>
  %y = moe.grouped_matmul %x, %half bias %bias
      : (tensor<?x4xf32>, tensor<3x4xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  %odd = tensor.extract_slice %w[0, 1] [3, 4] [1, 2] : tensor<3x8xf32> to tensor<3x4xf32>
  // expected-error @below {{'moe.grouped_matmul' op expected rows without gaps to lower it to loops, found a slice of stride 2 along the last dimension}}
  %z = moe.grouped_matmul %x, %odd : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y, %z : tensor<?x3xf32>, tensor<?x3xf32>
}

// -----

// All members have as many rows, so "T" of each cannot be halves.
module attributes {coll.grid = {ep = 2}} {
func.func @blocks_of_rows(%x: tensor<?x4xf32> {moe.sizes = ["T"]})
    -> (tensor<?x4xf32> {moe.sizes = ["T"]}) {
  // expected-error @below {{expected rows in 2 equal blocks, found T}}
  %y = coll.all_to_all %x over [ep] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
}

// -----

func.func @gathered_elsewhere(%x: tensor<?x4xf32> {moe.sizes = ["T"]})
    -> (tensor<?x4xf32> {moe.sizes = ["S"]}) {
  // expected-error @below {{a result of R rows leaves the function as one of S}}
  %y = coll.all_gather %x over [ep] {rows = "R"} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @received_width() -> (tensor<?x?xf32> {moe.sizes = ["R", "D"]}) {
  // expected-error @below {{expected static sizes after the first to lower it to loops, found 'tensor<?x?xf32>'}}
  %y = coll.recv over [ep] {from = 0 : i64, rows = "R"} : () -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

func.func @constants() -> tensor<2xi32> {
  // expected-error @below {{cannot be lowered to loops; expected a tensor of one value}}
  %c = arith.constant dense<[1, 2]> : tensor<2xi32>
  return %c : tensor<2xi32>
}

// -----

func.func @no_tensor() {
  // expected-error @below {{cannot be lowered to loops; expected a tensor of one value}}
  %c = arith.constant 1 : i32
  return
}
