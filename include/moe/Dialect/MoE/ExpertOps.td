//===- ExpertOps.td - What experts make of rows ------------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_EXPERT_OPS
#define MOE_DIALECT_MOE_EXPERT_OPS

include "moe/Dialect/MoE/OpBase.td"

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

#endif // MOE_DIALECT_MOE_EXPERT_OPS
