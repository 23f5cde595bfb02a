// Functions on tensors become entries on two pointers, with loops over buffers.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{vector-width=8},canonicalize,cse)' | FileCheck %s --check-prefixes=CHECK,CPU
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{reference=true},canonicalize,cse)' | FileCheck %s --check-prefixes=CHECK,REF

module attributes {moe.name = "layer"} {

// The entry says what the manifest will say: each buffer in order, the sizes,
// the bytes of workspace and where it comes from. The sums of the reference are
// in f64 and need room: 2*T rows of 5 times 8 bytes.

// CHECK-LABEL: func.func @layer_product_entry(
// CHECK-SAME: %[[SIZES:.*]]: !llvm.ptr, %[[BUFFERS:.*]]: !llvm.ptr) attributes {moe.arguments = [
// CHECK-SAME: {moe.name = "x", moe.role = "input", moe.shape = ["T", "12"], moe.sizes = ["T"], moe.type = f32},
// CHECK-SAME: {moe.name = "rows", moe.role = "input", moe.shape = ["2*T"], moe.sizes = ["2*T"], moe.type = i32},
// CHECK-SAME: {moe.name = "offsets", moe.role = "input", moe.shape = ["4"], moe.type = i32},
// CHECK-SAME: {moe.name = "w", moe.role = "weight", moe.shape = ["3", "5", "12"], moe.type = bf16},
// CHECK-SAME: {moe.name = "y", moe.role = "output", moe.shape = ["2*T", "5"], moe.sizes = ["2*T"], moe.type = f32}],
// CHECK-SAME: moe.function = "product", moe.sizes = ["T"],
// CPU-SAME: moe.workspace = {constant = 0 : i64, per = {}}
// REF-SAME: moe.workspace = {constant = 128 : i64, per = {T = 80 : i64}}
// CHECK: llvm.load %[[SIZES]] : !llvm.ptr -> i64

// The reference: one expert, row and output after the other, sums in f64.
// REF-NOT: scf.parallel
// REF-NOT: vector
// REF: scf.for
// REF: scf.for
// REF: scf.for
// REF: scf.for {{.*}} -> (f64)
// REF: arith.mulf {{.*}} : f64
// REF: arith.addf {{.*}} : f64
// REF: arith.truncf {{.*}} : f64 to f32

// The machine: parallel over experts and outputs, eight lanes at once, the last
// four of the twelve columns behind a mask.
// CPU: scf.parallel
// CPU: scf.for
// CPU: scf.for
// CPU: vector.load {{.*}} vector<8xf32>
// CPU: vector.load {{.*}} vector<8xbf16>
// CPU: math.fma {{.*}} : vector<8xf32>
// CPU: vector.maskedload {{.*}} vector<8xi1>
// CPU-NOT: f64
// CHECK: return
func.func @product(
    %x: tensor<?x12xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %rows: tensor<?xi32> {moe.name = "rows", moe.role = "input", moe.sizes = ["2*T"]},
    %offsets: tensor<4xi32> {moe.name = "offsets", moe.role = "input"},
    %w: tensor<3x5x12xbf16> {moe.name = "w", moe.role = "weight"})
    -> (tensor<?x5xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["2*T"]}) {
  %y = moe.grouped_matmul %x, %w offsets %offsets gather %rows {slots = 2 : i64}
      : (tensor<?x12xf32>, tensor<3x5x12xbf16>, tensor<4xi32>, tensor<?xi32>)
      -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

// State is one buffer, read and written; the new values are kept aside until
// everything that reads the old ones has run, and then copied back.

// CHECK-LABEL: func.func @layer_step_entry(
// CHECK-SAME: [{moe.initial = "weight", moe.name = "bias", moe.role = "state", moe.shape = ["4"], moe.type = f32}, {moe.name = "loads", moe.role = "state", moe.shape = ["4"], moe.type = i64}],
// CHECK-SAME: moe.function = "step", moe.sizes = [],
// CPU-SAME: moe.workspace = {constant = 304 : i64, per = {}}
// REF-SAME: moe.workspace = {constant = 320 : i64, per = {}}
// CHECK: %[[BIAS:.*]] = builtin.unrealized_conversion_cast {{.*}} to memref<4xf32>
// CHECK: %[[LOADS:.*]] = builtin.unrealized_conversion_cast {{.*}} to memref<4xi64>
// CPU: %[[B:.*]] = memref.view {{.*}} to memref<4xf32>
// REF: %[[B:.*]] = memref.view {{.*}} to memref<4xf64>
// CHECK: %[[L:.*]] = memref.view {{.*}} to memref<4xi64>
// CHECK: memref.store {{.*}}, %[[B]][
// CHECK: memref.load %[[B]][
// CHECK: memref.store {{.*}}, %[[BIAS]][
// CHECK: memref.load %[[L]][
// CHECK: memref.store {{.*}}, %[[LOADS]][
// CHECK: return
func.func @step(
    %bias: tensor<4xf32> {moe.name = "bias", moe.role = "state", moe.initial = "weight"},
    %loads: tensor<4xi64> {moe.name = "loads", moe.role = "state"})
    -> (tensor<4xf32> {moe.name = "bias", moe.role = "state"},
        tensor<4xi64> {moe.name = "loads", moe.role = "state"}) {
  %b, %l = moe.rebalance %bias, %loads {rate = 0.5 : f64}
      : (tensor<4xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xi64>)
  return %b, %l : tensor<4xf32>, tensor<4xi64>
}

// An output may be what state was, and state what other state was: outputs are
// copied first, and both states are aside before either is written.

// CHECK-LABEL: func.func @layer_exchange_entry(
// CHECK: %[[A:.*]] = builtin.unrealized_conversion_cast {{.*}} to memref<4xf32>
// CHECK: %[[B:.*]] = builtin.unrealized_conversion_cast {{.*}} to memref<4xf32>
// CHECK: %[[OLD:.*]] = builtin.unrealized_conversion_cast {{.*}} to memref<4xf32>
// CHECK: %[[B_ASIDE:.*]] = memref.view
// CHECK: memref.load %[[B]][
// CHECK: memref.store {{.*}}, %[[B_ASIDE]][
// CHECK: %[[A_ASIDE:.*]] = memref.view
// CHECK: memref.load %[[A]][
// CHECK: memref.store {{.*}}, %[[A_ASIDE]][
// CHECK: memref.load %[[B_ASIDE]][
// CHECK: memref.store {{.*}}, %[[A]][
// CHECK: memref.load %[[A_ASIDE]][
// CHECK: memref.store {{.*}}, %[[B]][
// CHECK: memref.load %[[A_ASIDE]][
// CHECK: memref.store {{.*}}, %[[OLD]][
// CHECK: return
func.func @exchange(
    %a: tensor<4xf32> {moe.name = "a", moe.role = "state"},
    %b: tensor<4xf32> {moe.name = "b", moe.role = "state"})
    -> (tensor<4xf32> {moe.name = "a", moe.role = "state"},
        tensor<4xf32> {moe.name = "b", moe.role = "state"},
        tensor<4xf32> {moe.name = "old", moe.role = "output"}) {
  return %b, %a, %a : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// Everything between arguments and results is in the workspace: f32 rows of 8
// for each of 3*T slots. A buffer has 128 bytes of room for its alignment.

// CHECK-LABEL: func.func @layer_between_entry(
// CPU-SAME: moe.workspace = {constant = 128 : i64, per = {T = 96 : i64}}
// CPU: memref.view {{.*}} to memref<?x8xf32>
func.func @between(
    %x: tensor<?x8xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %rows: tensor<?xi32> {moe.name = "rows", moe.role = "input", moe.sizes = ["3*T"]})
    -> (tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["3*T"]}) {
  %xs = moe.dispatch %x, %rows {slots = 3 : i64}
      : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %h = moe.activate %xs : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%a: f32):
    %t = math.exp %a : f32
    moe.yield %t
  }
  return %h : tensor<?x8xf32>
}

// An argument that is returned is copied; a result that is returned twice is
// computed once.

// CHECK-LABEL: func.func @layer_returned_entry(
// CPU-COUNT-1: math.exp
// CPU-NOT: math.exp
// CHECK: return
func.func @returned(
    %x: tensor<?x8xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?x8xf32> {moe.name = "same", moe.role = "output", moe.sizes = ["T"]},
        tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]},
        tensor<?x8xf32> {moe.name = "z", moe.role = "plan", moe.sizes = ["T"]}) {
  %y = moe.activate %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%a: f32):
    %t = math.exp %a : f32
    moe.yield %t
  }
  return %x, %y, %y : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}

// A number of blocks is a size divided and rounded up.

// CHECK-LABEL: func.func @layer_quantize_entry(
// CHECK-SAME: moe.name = "scales", moe.role = "output", moe.shape = ["ceil(n/64)"]
// CHECK-SAME: moe.sizes = ["n"]
func.func @quantize(
    %values: tensor<?xf32> {moe.name = "values", moe.role = "input", moe.sizes = ["n"]})
    -> (tensor<?xi8> {moe.name = "data", moe.role = "output", moe.sizes = ["n"]},
        tensor<?xf32> {moe.name = "scales", moe.role = "output", moe.sizes = ["ceil(n/64)"]},
        tensor<i32> {moe.name = "status", moe.role = "plan"}) {
  %data, %scales, %status = moe.quantize %values <kind = int8, block = 64>
      : (tensor<?xf32>) -> (tensor<?xi8>, tensor<?xf32>, tensor<i32>)
  return %data, %scales, %status : tensor<?xi8>, tensor<?xf32>, tensor<i32>
}

// A slice is a view: both weights are read where the caller has them, and only
// one that leaves is copied, aside first if it is of state.

// CHECK-LABEL: func.func @layer_slices_entry(
// CPU-SAME: moe.workspace = {constant = 280 : i64, per = {}}
// CHECK: %[[GU:.*]] = builtin.unrealized_conversion_cast {{.*}} to memref<3x10x8xbf16>
// CHECK: %[[S:.*]] = builtin.unrealized_conversion_cast {{.*}} to memref<4xf32>
// CHECK: %[[G:.*]] = memref.subview %[[GU]][0, 0, 0] [3, 5, 8] [1, 2, 1] : memref<3x10x8xbf16> to memref<3x5x8xbf16, strided<[80, 16, 1]>>
// CHECK: %[[U:.*]] = memref.subview %[[GU]][0, 1, 0] [3, 5, 8] [1, 2, 1] : memref<3x10x8xbf16> to memref<3x5x8xbf16, strided<[80, 16, 1], offset: 8>>
// CHECK: %[[PART:.*]] = memref.subview %[[S]][1] [2] [2] : memref<4xf32> to memref<2xf32, strided<[2], offset: 1>>
// CPU: vector.load %[[G]][
// CPU: vector.load %[[U]][
// CHECK: %[[ASIDE:.*]] = memref.view {{.*}} to memref<2xf32>
// CHECK: memref.load %[[PART]][
// CHECK: memref.store {{.*}}, %[[ASIDE]][
// CHECK: memref.store {{.*}}, %[[S]][
// CHECK: memref.load %[[ASIDE]][
// CHECK: return
func.func @slices(
    %x: tensor<?x8xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %offsets: tensor<4xi32> {moe.name = "offsets", moe.role = "input"},
    %both: tensor<3x10x8xbf16> {moe.name = "w", moe.role = "weight"},
    %s: tensor<4xf32> {moe.name = "s", moe.role = "state"},
    %t: tensor<4xf32> {moe.name = "t", moe.role = "input"})
    -> (tensor<?x5xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]},
        tensor<4xf32> {moe.name = "s", moe.role = "state"},
        tensor<2xf32> {moe.name = "part", moe.role = "output"}) {
  %g = tensor.extract_slice %both[0, 0, 0] [3, 5, 8] [1, 2, 1]
      : tensor<3x10x8xbf16> to tensor<3x5x8xbf16>
  %u = tensor.extract_slice %both[0, 1, 0] [3, 5, 8] [1, 2, 1]
      : tensor<3x10x8xbf16> to tensor<3x5x8xbf16>
  %part = tensor.extract_slice %s[1] [2] [2] : tensor<4xf32> to tensor<2xf32>
  %y = moe.grouped_matmul %x, %g, %u offsets %offsets
      : (tensor<?x8xf32>, tensor<3x5x8xbf16>, tensor<3x5x8xbf16>, tensor<4xi32>)
      -> tensor<?x5xf32> {
  ^bb0(%a: f32, %b: f32):
    %product = arith.mulf %a, %b : f32
    moe.yield %product
  }
  return %y, %t, %part : tensor<?x5xf32>, tensor<4xf32>, tensor<2xf32>
}

// A formula is computed in the type of the lowering if that is all there is to
// it; constants of any type may be in it, and what goes through other types is
// computed as it stands.

// CHECK-LABEL: func.func @layer_types_entry(
// CPU: arith.mulf {{.*}} : f32
// REF: arith.mulf {{.*}} : f64
// CPU: math.exp {{.*}} : f64
// REF: arith.truncf {{.*}} : f64 to f32
// REF: arith.extf {{.*}} : f32 to f64
// REF: math.exp {{.*}} : f64
// CHECK: arith.truncf {{.*}} : f64 to f32
// CHECK: arith.bitcast {{.*}} : f32 to i32
// CHECK: arith.addi {{.*}} : i32
// CHECK: return
func.func @types(
    %x: tensor<?x8xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?x8xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %f = moe.activate %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%a: f32):
    %true = arith.constant true
    %half = arith.constant 0.5 : f32
    %b = arith.mulf %a, %half : f32
    %above = arith.cmpf ogt, %a, %b : f32
    %both = arith.xori %above, %true : i1
    %c = arith.select %both, %a, %b : f32
    moe.yield %c
  }
  %d = moe.activate %f : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%a: f32):
    %wide = arith.extf %a : f32 to f64
    %e = math.exp %wide : f64
    %narrow = arith.truncf %e : f64 to f32
    moe.yield %narrow
  }
  %i = moe.activate %d : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%a: f32):
    %one = arith.constant 1 : i32
    %bits = arith.bitcast %a : f32 to i32
    %next = arith.addi %bits, %one : i32
    %b = arith.bitcast %next : i32 to f32
    moe.yield %b
  }
  return %i : tensor<?x8xf32>
}

// Sums are of any rank.

// CHECK-LABEL: func.func @layer_ranks_entry(
// CHECK: memref.load {{.*}}[] : memref<f32>
// CHECK: memref.load {{.*}} : memref<?x3x4xf32>
// CHECK: return
func.func @ranks(
    %scalar: tensor<f32> {moe.name = "scalar", moe.role = "input"},
    %cube: tensor<?x3x4xf32> {moe.name = "cube", moe.role = "input", moe.sizes = ["n"]})
    -> (tensor<f32> {moe.name = "s", moe.role = "output"},
        tensor<?x3x4xf32> {moe.name = "c", moe.role = "output", moe.sizes = ["n"]}) {
  %s = moe.accumulate %scalar, %scalar : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %c = moe.accumulate %cube, %cube
      : (tensor<?x3x4xf32>, tensor<?x3x4xf32>) -> tensor<?x3x4xf32>
  return %s, %c : tensor<f32>, tensor<?x3x4xf32>
}

// What is dequantised need not leave the function: its number is that of the
// bytes, or for mxfp4 twice that.

// CHECK-LABEL: func.func @layer_inside_entry(
// CPU-SAME: moe.workspace = {constant = 256 : i64, per = {n = 8 : i64}}
func.func @inside(
    %sum: tensor<?xf32> {moe.name = "sum", moe.role = "input", moe.sizes = ["n"]},
    %data: tensor<?xi8> {moe.name = "data", moe.role = "input", moe.sizes = ["n"]},
    %scales: tensor<?xf32> {moe.name = "scales", moe.role = "input", moe.sizes = ["ceil(n/64)"]},
    %bytes: tensor<?xi8> {moe.name = "bytes", moe.role = "input", moe.sizes = ["ceil(n/2)"]},
    %exponents: tensor<?xi8> {moe.name = "e", moe.role = "input", moe.sizes = ["ceil(n/32)"]})
    -> (tensor<?xf32> {moe.name = "x", moe.role = "output", moe.sizes = ["n"]},
        tensor<?xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["n"]}) {
  %v = moe.dequantize %data, %scales <kind = int8, block = 64>
      : (tensor<?xi8>, tensor<?xf32>) -> tensor<?xf32>
  %x = moe.accumulate %sum, %v : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %w = moe.dequantize %bytes, %exponents <kind = mxfp4, block = 32>
      : (tensor<?xi8>, tensor<?xi8>) -> tensor<?xf32>
  %y = moe.accumulate %sum, %w : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %x, %y : tensor<?xf32>, tensor<?xf32>
}

// A row of the table is read only for an id that has one.

// CHECK-LABEL: func.func @layer_table_entry(
// CHECK: memref.load {{.*}} : memref<?xi64>
// CHECK: arith.cmpi slt, {{.*}} : i64
// CHECK: scf.if
// CHECK: memref.load {{.*}} : memref<9x2xi32>
// CHECK: } else {
// CHECK: return
func.func @table(
    %logits: tensor<?x4xf32> {moe.name = "logits", moe.role = "input", moe.sizes = ["T"]},
    %ids: tensor<?xi64> {moe.name = "ids", moe.role = "input", moe.sizes = ["T"]},
    %table: tensor<9x2xi32> {moe.name = "table", moe.role = "weight"})
    -> (tensor<?x2xi32> {moe.name = "indices", moe.role = "output", moe.sizes = ["T"]},
        tensor<?x2xf32> {moe.name = "weights", moe.role = "output", moe.sizes = ["T"]}) {
  %indices, %weights = moe.select %logits ids %ids table %table
      <experts = 4, top_k = 2, strategy = table>
      : (tensor<?x4xf32>, tensor<?xi64>, tensor<9x2xi32>)
      -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return %indices, %weights : tensor<?x2xi32>, tensor<?x2xf32>
}

// What has no body is left alone.
// CHECK: func.func private @elsewhere(tensor<4xf32>)
func.func private @elsewhere(tensor<4xf32>)

// Weights of few bits are decoded as they are read, and nothing holds them: two
// values come out of every byte, and what a block gives is multiplied by its
// scale.

// CHECK-LABEL: func.func @layer_few_bits_entry(
// CHECK-SAME: moe.workspace = {constant = {{0|128}} : i64,
// REF: arith.shrui
// REF: arith.sitofp {{.*}} : i64 to f64
// REF: arith.subf {{.*}} : f64
// CPU: scf.for {{.*}} step %c32
// CPU: vector.broadcast {{.*}} : f32 to vector<8xf32>
// CPU: vector.load {{.*}} vector<4xi8>
// CPU: vector.interleave {{.*}} : vector<4xi8> -> vector<8xi8>
// CPU: arith.sitofp {{.*}} : vector<8xi32> to vector<8xf32>
// CPU: math.fma
// CHECK: return
func.func @few_bits(
    %x: tensor<?x64xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<5x32xi8> {moe.name = "w.weight", moe.role = "weight", moe.unsigned},
    %s: tensor<5x2xf32> {moe.name = "w.scales", moe.role = "weight"})
    -> (tensor<?x5xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %w = moe.decode %d, %s <kind = int4, inputs = 32>
      : (tensor<5x32xi8>, tensor<5x2xf32>) -> tensor<5x64xf32>
  %y = moe.grouped_matmul %x, %w : (tensor<?x64xf32>, tensor<5x64xf32>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

// Where something else reads the values, or weights differ in format, they are
// computed first: 2 matrices of 2x16 numbers.

// CHECK-LABEL: func.func @layer_two_formats_entry(
// CPU-SAME: moe.workspace = {constant = 512 : i64,
// CPU: memref.get_global @moe_table.e4m3
// CPU: memref.store
// CPU: math.fma
// CHECK: return
func.func @two_formats(
    %x: tensor<?x16xf32> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %d: tensor<2x16xi8> {moe.name = "d", moe.role = "input"},
    %s: tensor<2x1xf32> {moe.name = "s", moe.role = "input"})
    -> (tensor<?x2xf32> {moe.name = "y", moe.role = "output", moe.sizes = ["T"]}) {
  %v = moe.decode %d, %s <kind = fp8_e4m3> : (tensor<2x16xi8>, tensor<2x1xf32>) -> tensor<2x16xf32>
  %w = moe.decode %d, %s <kind = int8> : (tensor<2x16xi8>, tensor<2x1xf32>) -> tensor<2x16xf32>
  %y = moe.grouped_matmul %x, %v, %w
      : (tensor<?x16xf32>, tensor<2x16xf32>, tensor<2x16xf32>) -> tensor<?x2xf32> {
  ^bb0(%a: f32, %b: f32):
    %sum = arith.addf %a, %b : f32
    moe.yield %sum
  }
  return %y : tensor<?x2xf32>
}

}
