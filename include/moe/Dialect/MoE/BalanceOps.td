//===- BalanceOps.td - Losses, statistics and balance ------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_BALANCE_OPS
#define MOE_DIALECT_MOE_BALANCE_OPS

include "moe/Dialect/MoE/OpBase.td"

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

#endif // MOE_DIALECT_MOE_BALANCE_OPS
