//===- RoutingOps.td - What experts tokens go to -----------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_ROUTING_OPS
#define MOE_DIALECT_MOE_ROUTING_OPS

include "moe/Dialect/MoE/OpBase.td"

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

#endif // MOE_DIALECT_MOE_ROUTING_OPS
