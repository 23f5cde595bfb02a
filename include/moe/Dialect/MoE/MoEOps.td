//===- MoEOps.td - Operations of the moe dialect -----------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_OPS
#define MOE_DIALECT_MOE_OPS

include "moe/Dialect/MoE/MoEAttrs.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class MoE_Op<string mnemonic, list<Trait> traits = []>
    : Op<MoE_Dialect, mnemonic, !listconcat([Pure], traits)> {
  let hasVerifier = 1;
}

// Storage types of activations and weights; what is computed in between is f32.
def MoE_Data : RankedTensorOf<[F32, BF16, F16]>;
def MoE_F32 : RankedTensorOf<[F32]>;
/// Rows as they are, or packed to be sent.
def MoE_Rows : RankedTensorOf<[F32, BF16, F16, I8]>;
def MoE_I32 : RankedTensorOf<[I32]>;
def MoE_I64 : RankedTensorOf<[I64]>;

def MoE_YieldOp : Op<MoE_Dialect, "yield", [Pure, Terminator,
    ParentOneOf<["SelectOp", "GroupedMatmulOp", "FeedForwardOp",
                  "ActivateOp"]>]> {
  let summary = "the result of an elementwise region";
  let description = [{
    Ends the region of `select`, `grouped_matmul`, `feed_forward` and `activate`. Such a region
    computes one f32 from f32 arguments with elementwise operations on scalars,
    and sees nothing outside itself, so that a lowering may repeat it at any
    vector width.

    ```mlir
    moe.yield %score
    ```
  }];
  let arguments = (ins F32:$value);
  let assemblyFormat = "$value attr-dict";
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

def MoE_RouterOp : MoE_Op<"router"> {
  let summary = "logits of tokens over experts";
  let description = [{
    `x` times `weight` transposed, plus `bias`; with `cosine`, the cosine of each
    row of `x` and of `weight`, over `temperature` (which nothing else reads).
    Then `softcap * tanh(logits / softcap)` unless `softcap` is 0, then rounding
    to `round`. Spec 3.1.

    ```mlir
    %logits = moe.router %x, %weight bias %bias {round = bf16, softcap = 3.0e+01 : f64}
        : (tensor<?x8xbf16>, tensor<4x8xbf16>, tensor<4xf32>) -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins MoE_Data:$x, MoE_Data:$weight, Optional<MoE_F32>:$bias,
      DefaultValuedAttr<F64Attr, "0.0">:$softcap,
      DefaultValuedAttr<F64Attr, "1.0">:$temperature,
      UnitAttr:$cosine, OptionalAttr<TypeAttr>:$round);
  let results = (outs MoE_F32:$logits);
  let assemblyFormat = [{
    $x `,` $weight (`bias` $bias^)? attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_AddScaledOp : MoE_Op<"add_scaled"> {
  let summary = "rows plus other rows times a factor per column";
  let description = [{
    `x[t, h] + y[t, h] * scale[h]`: how a router that is `recurrent` takes in the
    state of the layer before. Spec 3.1.

    ```mlir
    %z = moe.add_scaled %x, %y, %scale
        : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins MoE_F32:$x, MoE_F32:$y, MoE_F32:$scale);
  let results = (outs MoE_F32:$z);
  let assemblyFormat = [{
    $x `,` $y `,` $scale attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_SelectOp : MoE_Op<"select", [AttrSizedOperandSegments, IsolatedFromAbove]> {
  let summary = "experts and weights of each token";
  let description = [{
    Chooses `K` experts for each token and weighs them, as `router` says. Spec
    3.2 to 3.8. `input` is the logits for strategies that learn; others read
    only its number of rows. `bias` moves the choice and not the weight, `scale`
    is a factor per expert, `ids` are what `hash` hashes and rows of `table`,
    and `loads` the slots each expert was given so far. Where tokens are some of
    a larger batch, `ids` are also their numbers in it, for `random` and
    `round_robin`, which count them. The region is the score
    of a logit, where the router has `score = function`. A token with a logit
    that is not finite, or whose id or row of the table is out of range, gets
    indices -1 and weights 0.

    ```
      logits [T, N]           top_k = 2       indices [T, K]   weights [T, K]
      0.1 2.0 0.3 1.0   t=0   ----------->    1  3             0.59  0.22
      3.0 0.2 0.1 2.5   t=1                   0  3             0.58  0.35
      nan 0.0 1.0 1.0   t=2                  -1 -1             0     0
    ```

    ```mlir
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
    ```
  }];
  let arguments = (ins
      RankedTensorOf<[F32, BF16, F16, I64]>:$input, Optional<MoE_F32>:$bias,
      Optional<MoE_F32>:$expert_scale, Optional<MoE_I64>:$token_ids,
      Optional<MoE_I32>:$table, Optional<MoE_I64>:$loads,
      MoE_RouterAttr:$router);
  let regions = (region AnyRegion:$score);
  let results = (outs MoE_I32:$indices, MoE_F32:$weights);
  let assemblyFormat = [{
    $input (`bias` $bias^)? (`scale` $expert_scale^)? (`ids` $token_ids^)?
    (`table` $table^)? (`loads` $loads^)? $router attr-dict `:` functional-type(operands, results)
    ($score^)?
  }];
  let hasRegionVerifier = 1;
}

def MoE_CheckFiniteOp : MoE_Op<"check_finite"> {
  let summary = "which row first holds a value that is not finite";
  let description = [{
    0 if every value is finite, else 1 + the first row that holds one which is
    not. With `indices`, where every value is finite, -1 - the first row whose
    first index is -1.

    ```mlir
    %status = moe.check_finite %logits indices %indices
        : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<i32>
    ```
  }];
  let arguments = (ins MoE_F32:$values, Optional<MoE_I32>:$indices);
  let results = (outs MoE_I32:$status);
  let assemblyFormat = [{
    $values (`indices` $indices^)? attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_GroupOp : MoE_Op<"group"> {
  let summary = "slots sorted by expert";
  let description = [{
    Orders the slots, `t * K + j`, by expert, and by slot within one. Spec 4.
    `rows` has room for every slot and ends in -1; expert `e` has the rows from
    `offsets[e]` to `offsets[e + 1]`; `positions` is the inverse of `rows`, -1
    for slots without a row: none chosen, a null expert, or no place left under
    `capacity`. `counts` are before capacity and include null experts. Only a
    capacity of `priority = probability` reads `weights`.

    ```
      indices [T, K]          rows [T*K]             positions [T, K]
      1  3   slots 0 1        2 | 0 | | 1 3 | -1 -1     1  2
      0  3         2 3        ^   ^ ^ ^     ^           0  3
     -1 -1         4 5        |   | | |     |          -1 -1
                     offsets  0   1 2 2     4        counts  1 1 0 2
    ```

    ```mlir
    %rows, %offsets, %positions, %counts = moe.group %indices, %weights
        {experts = 4 : i64, capacity = #moe.capacity<factor = 1.25>}
        : (tensor<?x2xi32>, tensor<?x2xf32>)
        -> (tensor<?xi32>, tensor<5xi32>, tensor<?x2xi32>, tensor<4xi32>)
    ```
  }];
  let arguments = (ins MoE_I32:$indices, Optional<MoE_F32>:$weights,
      I64Attr:$experts, DefaultValuedAttr<I64Attr, "0">:$null_experts,
      OptionalAttr<MoE_CapacityAttr>:$capacity);
  let results = (outs MoE_I32:$rows, MoE_I32:$offsets, MoE_I32:$positions,
      MoE_I32:$counts);
  let assemblyFormat = [{
    $indices (`,` $weights^)? attr-dict `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Placement
//===----------------------------------------------------------------------===//

def MoE_PlaceOp : MoE_Op<"place"> {
  let summary = "the places of the experts of each slot";
  let description = [{
    Experts to places, which `total` counts over all ranks. Row `e` of `places`
    has the places of expert `e`, and after them -1; where it has several, token
    t takes number t mod how many there are. The index of a null expert, E + z,
    becomes `total + z`, and -1 stays -1.

    ```
      places       indices [T, K]     slots [T, K]
      e=0   0  3   0  1     t=0       0  1
      e=1   1 -1   0  2     t=1       3  2        null experts: E = 3, total = 4
      e=2   2 -1   3 -1     t=2       4 -1
    ```

    ```mlir
    %slots = moe.place %indices {places = dense<[[0, 3], [1, -1], [2, -1]]>
        : tensor<3x2xi32>, total = 4 : i64} : (tensor<?x2xi32>) -> tensor<?x2xi32>
    ```
  }];
  let arguments = (ins MoE_I32:$indices, I32ElementsAttr:$places, I64Attr:$total);
  let results = (outs MoE_I32:$slots);
  let assemblyFormat = "$indices attr-dict `:` functional-type(operands, results)";
}

def MoE_ArrivalsOp : MoE_Op<"arrivals"> {
  let summary = "the place of each row that came from others";
  let description = [{
    `counts` are the rows that came from each of `members`, by place: p numbers
    for each of them. Rows lie in this order; row r of the result is the place of
    row r, from 0 to p - 1, and -1 past those that came. `rows` says how many the
    result has, where its type does not.

    With `places`, the rows are those of some places alone, and `size` becomes
    the name of their number: the result has as many, and so have tensors further
    on that say so. `rows` then bounds those of all places together.

    ```
      counts [n*p]         local [R, 1]
      2  1 | 0  3          0  0  1 | 1  1  1 | -1 -1       n = 2, p = 2
                           1 | 1  1  1                     places 1 to 2, C = 4
    ```

    ```mlir
    %local = moe.arrivals %arrived {members = 2 : i64, rows = "8*R"}
        : (tensor<8xi32>) -> tensor<?x1xi32>
    %chunk = moe.arrivals %arrived places 0 to 2 {members = 2 : i64, rows = "8*R", size = "C0"}
        : (tensor<8xi32>) -> tensor<?x1xi32>
    ```
  }];
  let arguments = (ins MoE_I32:$counts, I64Attr:$members,
      OptionalAttr<StrAttr>:$rows, OptionalAttr<I64Attr>:$first,
      OptionalAttr<I64Attr>:$end, OptionalAttr<StrAttr>:$size);
  let results = (outs MoE_I32:$local);
  let assemblyFormat = [{
    $counts (`places` $first^ `to` $end)? attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_GroupSizesOp : MoE_Op<"group_sizes"> {
  let summary = "how many rows each group has";
  let description = [{
    The differences of offsets that follow each other. Unlike the counts of
    `group` they are after a capacity, and null experts are not among them.

    ```mlir
    %sizes = moe.group_sizes %offsets : (tensor<5xi32>) -> tensor<4xi32>
    ```
  }];
  let arguments = (ins MoE_I32:$offsets);
  let results = (outs MoE_I32:$sizes);
  let assemblyFormat = "$offsets attr-dict `:` functional-type(operands, results)";
}

def MoE_RowNumbersOp : MoE_Op<"row_numbers"> {
  let summary = "numbers of rows that follow each other";
  let description = [{
    `first`, `first + 1` and so on, as many as `rows`. Both are sizes of the
    function; without `first` they begin at 0. Where the tokens of a batch are
    apart, these are the numbers of those that a rank has.

    ```
      P = 3, T = 2    numbers  3 4
    ```

    ```mlir
    %numbers = moe.row_numbers {first = "P", rows = "T"} : () -> tensor<?xi64>
    ```
  }];
  let arguments = (ins OptionalAttr<StrAttr>:$first, OptionalAttr<StrAttr>:$rows);
  let results = (outs MoE_I64:$numbers);
  let assemblyFormat = "attr-dict `:` functional-type(operands, results)";
}

def MoE_TakeRowsOp : MoE_Op<"take_rows"> {
  let summary = "rows that follow each other, out of more";
  let description = [{
    Rows `first` to `first + rows` of `x`. Both are sizes of the function, and
    `x` has as many rows at least. So a rank finds its own tokens among those of
    all ranks.

    ```
      x [N, K]       y [T, K]
      0 1
      2 0
      1 3            1 3        P = 2, T = 2
      3 2    --->    3 2
      0 2
    ```

    ```mlir
    %y = moe.take_rows %x {first = "P", rows = "T"} : (tensor<?x2xi32>) -> tensor<?x2xi32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[I32, F32]>:$x, StrAttr:$first,
      OptionalAttr<StrAttr>:$rows);
  let results = (outs RankedTensorOf<[I32, F32]>:$y);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}

def MoE_KeepPlacedOp : MoE_Op<"keep_placed"> {
  let summary = "slots that have a row";
  let description = [{
    Indices of slots whose position is not -1; the others become -1. After a
    `group` with a capacity, what is left of its slots.

    ```
      indices [T, K]   positions        kept
      1  3             1  2             1  3
      0  3             0 -1             0 -1      expert 3 was full
    ```

    ```mlir
    %kept = moe.keep_placed %indices, %positions
        : (tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<?x2xi32>
    ```
  }];
  let arguments = (ins MoE_I32:$indices, MoE_I32:$positions);
  let results = (outs MoE_I32:$kept);
  let assemblyFormat = "$indices `,` $positions attr-dict `:` functional-type(operands, results)";
}

def MoE_KeepLocalOp : MoE_Op<"keep_local"> {
  let summary = "slots of the experts that one member has";
  let description = [{
    Of `experts`, each of `members` has an equal share, in order. Indices of
    `member`'s experts count from its first one, and those of null experts, which
    member 0 has, from its last one on; any other slot becomes -1 with weight 0.

    ```
      indices [T, K]   weights        local          kept
      0  3             0.6  0.4       -1  1          0    0.4      E = 4, n = 2,
      2  1             0.7  0.3        0 -1          0.7  0        member = 1
    ```

    ```mlir
    %local, %kept = moe.keep_local %indices, %weights, %member
        {experts = 4 : i64, members = 2 : i64}
        : (tensor<?x2xi32>, tensor<?x2xf32>, tensor<i32>)
        -> (tensor<?x2xi32>, tensor<?x2xf32>)
    ```
  }];
  let arguments = (ins MoE_I32:$indices, MoE_F32:$weights, MoE_I32:$member,
      I64Attr:$experts, I64Attr:$members);
  let results = (outs MoE_I32:$local, MoE_F32:$kept);
  let assemblyFormat = [{
    $indices `,` $weights `,` $member attr-dict `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Rows on their way
//===----------------------------------------------------------------------===//

def MoE_PackRowsOp : MoE_Op<"pack_rows"> {
  let summary = "rows in fewer bytes";
  let description = [{
    Each row on its own: rounded to bf16, or to a format of blocks along the row,
    the last possibly shorter. Then a row of bytes is the data of its values and
    after them the f32 scales of its blocks, in the byte order of the machine.
    A block with a value that is not finite becomes NaN. With `counts` only so
    many rows count as they are in all; what is past them is unspecified.

    ```
      row [H]        |  v0 v1 v2 v3  |  v4 v5  |            H = 6, block = 4
      packed [H + 4 * ceil(H / block)]
                     |  d0 d1 d2 d3     d4 d5  |  s0 (4 bytes)  |  s1 (4 bytes)  |
    ```

    ```mlir
    %packed = moe.pack_rows %rows counts %sizes as <kind = int8, block = 4>
        : (tensor<?x6xf32>, tensor<4xi32>) -> tensor<?x14xi8>
    ```
  }];
  let arguments = (ins MoE_Data:$rows, Optional<MoE_I32>:$counts,
      OptionalAttr<MoE_QuantAttr>:$format);
  let results = (outs RankedTensorOf<[BF16, I8]>:$packed);
  let assemblyFormat = [{
    $rows (`counts` $counts^)? (`as` $format^)? attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_UnpackRowsOp : MoE_Op<"unpack_rows"> {
  let summary = "the values of packed rows";
  let description = [{
    Each value times the scale of its block, rounded to the type of the result.
    With `counts` only so many rows count as they are in all.

    ```mlir
    %rows = moe.unpack_rows %packed counts %sizes as <kind = int8, block = 4>
        : (tensor<?x14xi8>, tensor<4xi32>) -> tensor<?x6xf32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[BF16, I8]>:$packed, Optional<MoE_I32>:$counts,
      OptionalAttr<MoE_QuantAttr>:$format);
  let results = (outs MoE_Data:$rows);
  let assemblyFormat = [{
    $packed (`counts` $counts^)? (`as` $format^)? attr-dict `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

def MoE_DispatchOp : MoE_Op<"dispatch"> {
  let summary = "rows of tokens in the order of experts";
  let description = [{
    Row `r` of the result is row `rows[r] / slots` of `x`, times the weight of
    the slot where `weights` are given; such products are f32. Rows whose slot is
    -1 are unspecified.

    ```
      x [T, M]    rows [R]        xs [R, M]
      a  t=0      2 0 1 3 -1 -1   b     slot 2, of token 1
      b  t=1      --------------> a     slot 0
      c  t=2        slots = 2     a     slot 1
                                  b     slot 3
                                  ?
                                  ?
    ```

    ```mlir
    %xs = moe.dispatch %x, %rows weights %weights {slots = 2 : i64}
        : (tensor<?x8xbf16>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins MoE_Rows:$x, MoE_I32:$rows, Optional<MoE_F32>:$weights,
      I64Attr:$slots);
  let results = (outs MoE_Rows:$xs);
  let assemblyFormat = [{
    $x `,` $rows (`weights` $weights^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizeMethod = 1;
}

def MoE_DecodeOp : MoE_Op<"decode", [AttrSizedOperandSegments]> {
  let summary = "the values of a weight that is stored in few bits";
  let description = [{
    Each value of `data` times the scale of its block, less the block's zero
    before that where `zeros` are given, and times the matrix's `global` scale.
    Spec 5.1. No memory is set aside for the result where only products read it:
    they decode what they read.

    ```
      data [O, M]    scales [O/2, M/2]    values [O, M]
      1 2 | 3 4      0.5 | 2              0.5  1   | 6   8
      5 6 | 7 8                           2.5  3   | 14  16
      ---------      -------              -----------------
      1 1 | 2 2      1   | 0.25           1    1   | 0.5 0.5
      1 1 | 2 2                           1    1   | 0.5 0.5
    ```

    ```mlir
    %w = moe.decode %data, %scales zeros %zeros <kind = int4, inputs = 32>
        : (tensor<4x16x32xi8>, tensor<4x16x2xf32>, tensor<4x16x2xi8>)
        -> tensor<4x16x64xf32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[I8]>:$data,
      RankedTensorOf<[F32, I8]>:$scales, Optional<RankedTensorOf<[I8]>>:$zeros,
      Optional<MoE_F32>:$global_scale, MoE_FormatAttr:$format);
  let results = (outs MoE_F32:$values);
  let assemblyFormat = [{
    $data `,` $scales (`zeros` $zeros^)? (`global` $global_scale^)? $format
    attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_GroupedMatmulOp : MoE_Op<"grouped_matmul",
    [AttrSizedOperandSegments, IsolatedFromAbove]> {
  let summary = "each row times the weight of its group";
  let description = [{
    Rows `offsets[e]` to `offsets[e + 1]` of `xs` times `weight[e]` transposed,
    plus `bias[e]`, accumulated in f32; without `offsets`, all rows times one
    matrix. With `gather`, row `r` of the product is of row `gather[r] / slots`
    of `xs`. With several weights, or to save a pass over memory, the region
    computes the result from the accumulated values. Rows past the last offset
    are unspecified. With a format, rows are first rounded to it, each in blocks
    along the row as `pack_rows` does. Spec 5.1. `transposed` weights are
    [E, M, O] or [M, O], and used as they are: what a gradient needs to go back
    through a product. With `tf32` values of f32 may be rounded to tf32 before
    they are multiplied.

    ```
       xs [R, M]   offsets    weights [E, O, M]      ys [R, O]
       b           0 --.
                   1 --+----  x  W[0]' + bias[0]     b W0'
       a           1 --+----  x  W[1]' + bias[1]     a W1'
                   2 --+----  x  W[2]'               (no rows)
       a           2 --+----  x  W[3]' + bias[3]     a W3'
       b             --'                             b W3'
       ?           4                                 ?
    ```

    ```mlir
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
    ```
    ```mlir
    %y = moe.grouped_matmul %x as <kind = fp8_e4m3, block = 4>, %w
        : (tensor<?x8xf32>, tensor<6x8xf32>) -> tensor<?x6xf32>
    ```
  }];
  let arguments = (ins MoE_Data:$xs, OptionalAttr<MoE_QuantAttr>:$format,
      Variadic<MoE_Data>:$weights,
      Variadic<MoE_F32>:$biases, Optional<MoE_I32>:$offsets,
      Optional<MoE_I32>:$gather, DefaultValuedAttr<I64Attr, "1">:$slots,
      UnitAttr:$transposed, UnitAttr:$tf32);
  let regions = (region AnyRegion:$epilogue);
  let results = (outs MoE_Data:$ys);
  let assemblyFormat = [{
    $xs (`as` $format^)? `,` $weights (`bias` $biases^)? (`offsets` $offsets^)?
    (`gather` $gather^)?
    attr-dict `:` functional-type(operands, results) ($epilogue^)?
  }];
  let hasRegionVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def MoE_GroupedOuterOp : MoE_Op<"grouped_outer"> {
  let summary = "sums over the rows of each group of their outer products";
  let description = [{
    `xs` transposed times `ys`, for the rows `offsets[e]` to `offsets[e + 1]` of
    each group alone, accumulated in f32: the gradient of the weights of a
    `grouped_matmul`, from that of its results and from its rows. A group without
    rows gives zeros. Rows past the last offset are not read. With `tf32` values
    of f32 may be rounded to tf32 before they are multiplied.

    ```
       xs [R, A]   ys [R, B]   offsets      sums [E, A, B]
       a           p           0 --.
                               1 --+----    a' p
       b           q           1 --+----    b' q + c' s
       c           s           3 --+----    0
       ?           ?           3
    ```

    ```mlir
    %dw = moe.grouped_outer %dh, %xs offsets %offsets
        : (tensor<?x16xbf16>, tensor<?x8xbf16>, tensor<5xi32>) -> tensor<4x16x8xf32>
    ```
  }];
  let arguments = (ins MoE_Data:$xs, MoE_Data:$ys, MoE_I32:$offsets,
      UnitAttr:$tf32);
  let results = (outs MoE_Data:$sums);
  let assemblyFormat = [{
    $xs `,` $ys `offsets` $offsets attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_FeedForwardOp : MoE_Op<"feed_forward",
    [AttrSizedOperandSegments, IsolatedFromAbove]> {
  let summary = "both products of experts, and the weighted sum of their results";
  let description = [{
    What `grouped_matmul` with the `ups` and the region, `grouped_matmul` with
    `down`, and `combine` compute one after the other, without keeping the
    results of all rows: `y[t]` is the sum of `weights[t, j]` times what the
    expert of row `r` makes of row `t` of `xs`, over the slots `t * slots + j`
    that `rows` holds, in order of the experts and in f32. `rows` and `offsets`
    are those of one `group`; without `weights` each of them is 1. Without `rows`
    there is one expert for all rows, and nothing is weighted. What lies between the products is kept as `hidden`.

    ```mlir
    %y = moe.feed_forward %x up %gate, %up down %down
        offsets %offsets rows %rows weights %weights {hidden = bf16, slots = 2 : i64}
        : (tensor<?x8xbf16>, tensor<4x16x8xbf16>, tensor<4x16x8xbf16>,
           tensor<4x8x16xbf16>, tensor<5xi32>, tensor<?xi32>, tensor<?x2xf32>)
        -> tensor<?x8xf32> {
    ^bb0(%g: f32, %u: f32):
      %product = arith.mulf %g, %u : f32
      moe.yield %product
    }
    ```
  }];
  let arguments = (ins MoE_Data:$xs, Variadic<MoE_Data>:$ups,
      Variadic<MoE_F32>:$up_biases, MoE_Data:$down, Optional<MoE_F32>:$down_bias,
      Optional<MoE_I32>:$offsets, Optional<MoE_I32>:$rows,
      Optional<MoE_F32>:$weights, TypeAttr:$hidden,
      DefaultValuedAttr<I64Attr, "1">:$slots);
  let regions = (region AnyRegion:$epilogue);
  let results = (outs MoE_Data:$y);
  let assemblyFormat = [{
    $xs `up` $ups (`bias` $up_biases^)? `down` $down (`bias` $down_bias^)?
    (`offsets` $offsets^ `rows` $rows)? (`weights` $weights^)? attr-dict `:`
    functional-type(operands, results) ($epilogue^)?
  }];
  let hasRegionVerifier = 1;
}

def MoE_ActivateOp : MoE_Op<"activate", [IsolatedFromAbove]> {
  let summary = "an elementwise function of one or two tensors";
  let description = [{
    The region, for each element.

    ```mlir
    %h = moe.activate %gate, %up
        : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
    ^bb0(%g: f32, %u: f32):
      %product = arith.mulf %g, %u : f32
      moe.yield %product
    }
    ```
  }];
  let arguments = (ins Variadic<MoE_F32>:$inputs);
  let regions = (region SizedRegion<1>:$body);
  let results = (outs MoE_F32:$result);
  let assemblyFormat = [{
    $inputs attr-dict `:` functional-type(operands, results) $body
  }];
  let hasRegionVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def MoE_CombineOp : MoE_Op<"combine", [AttrSizedOperandSegments]> {
  let summary = "weighted sum of a token's expert results";
  let description = [{
    Row `t` of the result is the sum over its slots, in order and in f32, of
    the weight times row `positions[t, j]` of `ys`. Slots without a row add
    nothing, except that `identity_nulls` adds weight times row `t` of `x` where
    the index is that of a null expert, and `pass_through` where it is that of
    an expert which had no place left. Where the results of several ranks are
    yet to be added up, `member` is the number of this one, and `x` is added by
    number 0. `unweighted` leaves out the weights, which were on the input or
    are yet to come, and need not be given. Spec 5.

    ```
      ys [R, M]   positions   weights        y [T, M]
      p  r=0       1  2       0.6  0.2       0.6 q + 0.2 r
      q  r=1       0  3       0.6  0.4       0.6 p + 0.4 s
      r  r=2      -1 -1       0    0         0
      s  r=3
    ```

    ```mlir
    %y = moe.combine %ys, %positions, %indices, %weights x %x
        {experts = 4 : i64, identity_nulls, pass_through}
        : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xf32>,
           tensor<?x8xbf16>) -> tensor<?x8xbf16>
    ```
  }];
  let arguments = (ins RankedTensorOf<[F32, BF16]>:$ys, MoE_I32:$positions, MoE_I32:$indices,
      Optional<MoE_F32>:$weights, Optional<MoE_Data>:$x, Optional<MoE_I32>:$member,
      I64Attr:$experts, UnitAttr:$unweighted, UnitAttr:$identity_nulls,
      UnitAttr:$pass_through);
  let results = (outs MoE_Data:$y);
  let assemblyFormat = [{
    $ys `,` $positions `,` $indices (`,` $weights^)? (`x` $x^)?
    (`member` $member^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizeMethod = 1;
}

def MoE_RMSNormOp : MoE_Op<"rms_norm"> {
  let summary = "rows over their root mean square";
  let description = [{
    Each row `v` becomes `v * factor / sqrt(mean(v * v) + eps)`, times `scale`.
    The mean is in f64. Spec 3.1 and 5.

    ```mlir
    %normal = moe.rms_norm %x scale %scale {eps = 1.0e-06 : f64}
        : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins MoE_Data:$x, MoE_F32:$scale, F64Attr:$eps,
      DefaultValuedAttr<F64Attr, "1.0">:$factor);
  let results = (outs MoE_F32:$y);
  let assemblyFormat = [{
    $x `scale` $scale attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_MixOp : MoE_Op<"mix", [AttrSizedOperandSegments]> {
  let summary = "routed and shared results together";
  let description = [{
    `routed + shared` (`none`), `routed + sigmoid(logits) * shared` (`sigmoid`)
    or the softmax of two logits as factors of both (`softmax2`), in f32, then
    rounding to the type of the result. Before that, `bias` is added to each row
    of `routed`, and `shared` is multiplied by `shared_scale`. Spec 5.

    ```mlir
    %y = moe.mix %routed, %shared bias %bias logits %logits sigmoid {shared_scale = 5.0e-01 : f64}
        : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>, tensor<?x1xf32>)
        -> tensor<?x8xbf16>
    ```
  }];
  let arguments = (ins MoE_Data:$routed, Optional<MoE_Data>:$shared,
      Optional<MoE_F32>:$bias, Optional<MoE_F32>:$logits,
      EnumAttr<MoE_Dialect, MoE_GateEnum, "gate">:$gate,
      DefaultValuedAttr<F64Attr, "1.0">:$shared_scale);
  let results = (outs MoE_Data:$y);
  let assemblyFormat = [{
    $routed (`,` $shared^)? (`bias` $bias^)? (`logits` $logits^)? $gate attr-dict
    `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Losses, statistics and balance
//===----------------------------------------------------------------------===//

def MoE_LossOp : MoE_Op<"loss"> {
  let summary = "an auxiliary loss of the router";
  let description = [{
    One of the losses of spec 6, times `coefficient`.

    ```mlir
    %loss = moe.loss router_z %logits, %indices {coefficient = 1.000000e-03 : f64}
        : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<f32>
    ```
  }];
  let arguments = (ins MoE_F32:$logits, MoE_I32:$indices,
      EnumAttr<MoE_Dialect, MoE_LossEnum, "loss_kind">:$kind,
      F64Attr:$coefficient);
  let results = (outs MoE_F32:$loss);
  let assemblyFormat = [{
    $kind $logits `,` $indices attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_ImbalanceOp : MoE_Op<"imbalance"> {
  let summary = "standard deviation over mean of counts";
  let description = [{
    The population standard deviation of `counts` over their mean; 0 if all
    are 0.

    ```mlir
    %imbalance = moe.imbalance %counts : (tensor<4xi32>) -> tensor<f32>
    ```
  }];
  let arguments = (ins MoE_I32:$counts);
  let results = (outs MoE_F32:$imbalance);
  let assemblyFormat = "$counts attr-dict `:` functional-type(operands, results)";
}

def MoE_RebalanceOp : MoE_Op<"rebalance"> {
  let summary = "selection bias moved towards equal load";
  let description = [{
    Adds `rate * sign(mean(loads) - loads[e])` to each `bias[e]` and sets the
    loads to zero. Spec 3.6, `dynamic`.

    ```mlir
    %new_bias, %new_loads = moe.rebalance %bias, %loads {rate = 1.000000e-03 : f64}
        : (tensor<4xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xi64>)
    ```
  }];
  let arguments = (ins MoE_F32:$bias, MoE_I64:$loads, F64Attr:$rate);
  let results = (outs MoE_F32:$new_bias, MoE_I64:$new_loads);
  let assemblyFormat = [{
    $bias `,` $loads attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_ClockOp
    : Op<MoE_Dialect, "clock", [AttrSizedOperandSegments]> {
  let summary = "earlier times, and the time now";
  let description = [{
    Nanoseconds of a monotonic clock, appended to the times taken before. `after`
    is not read: it says what must have been computed. Not pure, so that two
    readings stay two.

    ```mlir
    %start = moe.clock : () -> tensor<1xi64>
    %times = moe.clock %start after %indices, %weights
        : (tensor<1xi64>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<2xi64>
    ```
  }];
  let arguments = (ins Optional<MoE_I64>:$earlier, Variadic<AnyRankedTensor>:$after);
  let results = (outs MoE_I64:$times);
  let assemblyFormat = [{
    ($earlier^)? (`after` $after^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Averaging
//===----------------------------------------------------------------------===//

def MoE_QuantizeOp : MoE_Op<"quantize"> {
  let summary = "values to a blockwise format";
  let description = [{
    Rounds each block of consecutive values, the last possibly shorter, to bytes
    that share a scale. Spec 7. `status` is 0, or 1 + the first value that is
    not finite.

    ```
      values [n]       |  v0 v1 v2 v3  |  v4 v5 |         n = 6, block = 4
      data   [n]       |  d0 d1 d2 d3  |  d4 d5 |         i8 or fp8 bits
      scales [ceil]    |      s0       |   s1   |         f32

      data   [ceil(n/2)] of mxfp4: each byte has two values, the even one low
             | v1:v0 | v3:v2 | ...       scales: one e8m0 byte per 32 values
    ```

    ```mlir
    %data, %scales, %status = moe.quantize %values <kind = mxfp4, block = 32>
        : (tensor<65xf32>) -> (tensor<33xi8>, tensor<3xi8>, tensor<i32>)
    ```
  }];
  let arguments = (ins MoE_F32:$values, MoE_QuantAttr:$format);
  let results = (outs RankedTensorOf<[I8]>:$data, RankedTensorOf<[F32, I8]>:$scales,
      MoE_I32:$status);
  let assemblyFormat = [{
    $values $format attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_DequantizeOp : MoE_Op<"dequantize"> {
  let summary = "values of a blockwise format";
  let description = [{
    Each value times the scale of its block. The result of `mxfp4` has one or
    two values for the last byte.

    ```mlir
    %values = moe.dequantize %data, %scales <kind = int8, block = 64>
        : (tensor<?xi8>, tensor<?xf32>) -> tensor<?xf32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[I8]>:$data, RankedTensorOf<[F32, I8]>:$scales,
      MoE_QuantAttr:$format);
  let results = (outs MoE_F32:$values);
  let assemblyFormat = [{
    $data `,` $scales $format attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_AccumulateOp : MoE_Op<"accumulate"> {
  let summary = "elementwise sum into the type of the first";
  let description = [{
    `sum + values`, elementwise, in the type of `sum`.

    ```mlir
    %result = moe.accumulate %sum, %values
        : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
    ```
  }];
  let arguments = (ins RankedTensorOf<[F32, I64]>:$sum,
      RankedTensorOf<[F32, I32]>:$values);
  let results = (outs RankedTensorOf<[F32, I64]>:$result);
  let assemblyFormat = "$sum `,` $values attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def MoE_AverageOp : MoE_Op<"average"> {
  let summary = "mean of sets of values";
  let description = [{
    The sum of the sets in order, in f64, over their number. `status` is 0, or
    1 + the first element that is not finite.

    ```mlir
    %mean, %status = moe.average %sets : (tensor<?x?xf32>) -> (tensor<?xf32>, tensor<i32>)
    ```
  }];
  let arguments = (ins MoE_F32:$sets);
  let results = (outs MoE_F32:$mean, MoE_I32:$status);
  let assemblyFormat = "$sets attr-dict `:` functional-type(operands, results)";
}

def MoE_ResizeOp : MoE_Op<"resize"> {
  let summary = "the first values, and zeros after the last";
  let description = [{
    As many of `values` as the result has room for, rounded to its element type,
    and zeros where there are fewer. `rows` says how many the result has, where
    its type does not. `status` is 0, or 1 + the first value that is not finite
    in the result.

    ```
      values [n]           result           rows = "4*ceil(n/4)", n = 6
      a b c d e f          a b c d e f 0 0
    ```

    ```mlir
    %result, %status = moe.resize %values {rows = "4*ceil(n/4)"}
        : (tensor<?xf32>) -> (tensor<?xf16>, tensor<i32>)
    ```
  }];
  let arguments = (ins MoE_Data:$values, OptionalAttr<StrAttr>:$rows);
  let results = (outs MoE_Data:$result, MoE_I32:$status);
  let assemblyFormat = "$values attr-dict `:` functional-type(operands, results)";
}

def MoE_SliceMeanOp : MoE_Op<"slice_mean"> {
  let summary = "mean of slices that lie one after the other";
  let description = [{
    The elementwise sum of as many equal `slices` as there are `members`, in
    their order, in f64, over `count`, or over 1 if that is less.

    ```
      slices [members*s]     count     mean [s]
      1 2 | 5 6              2         3 4           members = 2
    ```

    ```mlir
    %mean = moe.slice_mean %slices, %count {members = 2 : i64}
        : (tensor<?xf32>, tensor<i64>) -> tensor<?xf32>
    ```
  }];
  let arguments = (ins MoE_F32:$slices, MoE_I64:$count, I64Attr:$members);
  let results = (outs MoE_F32:$mean);
  let assemblyFormat = [{
    $slices `,` $count attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_ResidualOp : MoE_Op<"residual"> {
  let summary = "what rounding has taken from a mean";
  let description = [{
    `values` less what was `sent` of them, and in the slice of `member`, who
    rounded the `mean` of it before all were `given` that, `count` times what
    was taken there. Added to the values of the next mean it is made up for.

    ```
      values [m*s]  sent [m*s]  mean [s]  given [m*s]  error [m*s]
      1.2 2.1       1 2         1.7       2 3          .2  .1 + 2 * (1.7 - 3)
                                          m = 2, count = 2, member = 1
    ```

    ```mlir
    %error = moe.residual %values, %sent, %mean, %given, %count, %member
        : (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>,
           tensor<i64>, tensor<i32>) -> tensor<?xf32>
    ```
  }];
  let arguments = (ins MoE_F32:$values, MoE_F32:$sent, MoE_F32:$mean,
      MoE_F32:$given, MoE_I64:$count, MoE_I32:$member);
  let results = (outs MoE_F32:$error);
  let assemblyFormat = [{
    $values `,` $sent `,` $mean `,` $given `,` $count `,` $member attr-dict
    `:` functional-type(operands, results)
  }];
}

def MoE_RequireOp : Op<MoE_Dialect, "require", [MemoryEffects<[MemWrite]>]> {
  let summary = "ends the function where a status is not 0";
  let description = [{
    What follows is done only where `status` is 0. Otherwise `status` is the
    only result that the caller gets, if it is one. Where others wait in
    exchanges that follow, all ranks must have the same status.

    ```mlir
    moe.require %status : (tensor<i32>) -> ()
    ```
  }];
  let arguments = (ins MoE_I32:$status);
  let assemblyFormat = "$status attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // MOE_DIALECT_MOE_OPS
