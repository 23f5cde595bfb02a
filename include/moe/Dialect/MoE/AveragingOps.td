//===- AveragingOps.td - Averages of weights ---------------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_AVERAGING_OPS
#define MOE_DIALECT_MOE_AVERAGING_OPS

include "moe/Dialect/MoE/OpBase.td"

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

#endif // MOE_DIALECT_MOE_AVERAGING_OPS
