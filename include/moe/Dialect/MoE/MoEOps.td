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
def MoE_I32 : RankedTensorOf<[I32]>;
def MoE_I64 : RankedTensorOf<[I64]>;

def MoE_YieldOp : Op<MoE_Dialect, "yield", [Pure, Terminator]> {
  let summary = "the result of an elementwise region";
  let arguments = (ins F32:$value);
  let assemblyFormat = "$value attr-dict";
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

def MoE_RouterOp : MoE_Op<"router"> {
  let summary = "logits of tokens over experts";
  let arguments = (ins MoE_Data:$x, MoE_Data:$weight, Optional<MoE_F32>:$bias,
      DefaultValuedAttr<F64Attr, "0.0">:$softcap,
      DefaultValuedAttr<F64Attr, "1.0">:$temperature,
      UnitAttr:$cosine, OptionalAttr<TypeAttr>:$round);
  let results = (outs MoE_F32:$logits);
  let assemblyFormat = [{
    $x `,` $weight (`bias` $bias^)? attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_SelectOp : MoE_Op<"select", [AttrSizedOperandSegments]> {
  let summary = "experts and weights of each token";
  let arguments = (ins
      RankedTensorOf<[F32, BF16, F16]>:$input, Optional<MoE_F32>:$bias,
      Optional<MoE_F32>:$expert_scale, Optional<MoE_I64>:$token_ids,
      Optional<MoE_I64>:$loads, MoE_RouterAttr:$router);
  let regions = (region AnyRegion:$score);
  let results = (outs MoE_I32:$indices, MoE_F32:$weights);
  let assemblyFormat = [{
    $input (`bias` $bias^)? (`scale` $expert_scale^)? (`ids` $token_ids^)?
    (`loads` $loads^)? $router attr-dict `:` functional-type(operands, results)
    ($score^)?
  }];
}

def MoE_CheckFiniteOp : MoE_Op<"check_finite"> {
  let summary = "which row first holds a value that is not finite";
  let arguments = (ins MoE_F32:$values);
  let results = (outs MoE_I32:$status);
  let assemblyFormat = "$values attr-dict `:` functional-type(operands, results)";
}

def MoE_GroupOp : MoE_Op<"group"> {
  let summary = "slots sorted by expert";
  let arguments = (ins MoE_I32:$indices, MoE_F32:$weights, I64Attr:$experts,
      DefaultValuedAttr<I64Attr, "0">:$null_experts,
      OptionalAttr<MoE_CapacityAttr>:$capacity);
  let results = (outs MoE_I32:$rows, MoE_I32:$offsets, MoE_I32:$positions,
      MoE_I32:$counts);
  let assemblyFormat = [{
    $indices `,` $weights attr-dict `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

def MoE_DispatchOp : MoE_Op<"dispatch"> {
  let summary = "rows of tokens in the order of experts";
  let arguments = (ins MoE_Data:$x, MoE_I32:$rows, Optional<MoE_F32>:$weights,
      I64Attr:$slots);
  let results = (outs MoE_Data:$xs);
  let assemblyFormat = [{
    $x `,` $rows (`weights` $weights^)? attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_GroupedMatmulOp : MoE_Op<"grouped_matmul", [AttrSizedOperandSegments]> {
  let summary = "each row times the weight of its group";
  let arguments = (ins MoE_Data:$xs, Variadic<MoE_Data>:$weights,
      Variadic<MoE_F32>:$biases, Optional<MoE_I32>:$offsets,
      Optional<MoE_I32>:$gather, DefaultValuedAttr<I64Attr, "1">:$slots);
  let regions = (region AnyRegion:$epilogue);
  let results = (outs MoE_F32:$ys);
  let assemblyFormat = [{
    $xs `,` $weights (`bias` $biases^)? (`offsets` $offsets^)? (`gather` $gather^)?
    attr-dict `:` functional-type(operands, results) ($epilogue^)?
  }];
}

def MoE_ActivateOp : MoE_Op<"activate"> {
  let summary = "an elementwise function of one or two tensors";
  let arguments = (ins Variadic<MoE_F32>:$inputs);
  let regions = (region SizedRegion<1>:$body);
  let results = (outs MoE_F32:$result);
  let assemblyFormat = [{
    $inputs attr-dict `:` functional-type(operands, results) $body
  }];
}

def MoE_CombineOp : MoE_Op<"combine"> {
  let summary = "weighted sum of a token's expert results";
  let arguments = (ins MoE_F32:$ys, MoE_I32:$positions, MoE_I32:$indices,
      MoE_F32:$weights, Optional<MoE_Data>:$x, I64Attr:$experts,
      UnitAttr:$unweighted, UnitAttr:$identity_nulls, UnitAttr:$pass_through);
  let results = (outs MoE_Data:$y);
  let assemblyFormat = [{
    $ys `,` $positions `,` $indices `,` $weights (`x` $x^)? attr-dict `:`
    functional-type(operands, results)
  }];
}

def MoE_MixOp : MoE_Op<"mix", [AttrSizedOperandSegments]> {
  let summary = "routed and shared results together";
  let arguments = (ins MoE_F32:$routed, Optional<MoE_F32>:$shared,
      Optional<MoE_F32>:$logits,
      EnumAttr<MoE_Dialect, MoE_GateEnum, "gate">:$gate);
  let results = (outs MoE_Data:$y);
  let assemblyFormat = [{
    $routed (`,` $shared^)? (`logits` $logits^)? $gate attr-dict `:`
    functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Losses, statistics and balance
//===----------------------------------------------------------------------===//

def MoE_LossOp : MoE_Op<"loss"> {
  let summary = "an auxiliary loss of the router";
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
  let arguments = (ins MoE_I32:$counts);
  let results = (outs MoE_F32:$imbalance);
  let assemblyFormat = "$counts attr-dict `:` functional-type(operands, results)";
}

def MoE_RebalanceOp : MoE_Op<"rebalance"> {
  let summary = "selection bias moved towards equal load";
  let arguments = (ins MoE_F32:$bias, MoE_I64:$loads, F64Attr:$rate);
  let results = (outs MoE_F32:$new_bias, MoE_I64:$new_loads);
  let assemblyFormat = [{
    $bias `,` $loads attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_ClockOp : Op<MoE_Dialect, "clock", []> {
  let summary = "the time when its operands were ready";
  let arguments = (ins Variadic<AnyRankedTensor>:$after);
  let results = (outs MoE_I64:$time);
  let assemblyFormat = [{
    (`after` $after^)? attr-dict `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Averaging
//===----------------------------------------------------------------------===//

def MoE_QuantizeOp : MoE_Op<"quantize"> {
  let summary = "values to a blockwise format";
  let arguments = (ins MoE_F32:$values, MoE_QuantAttr:$format);
  let results = (outs RankedTensorOf<[I8]>:$data, RankedTensorOf<[F32, I8]>:$scales,
      MoE_I32:$status);
  let assemblyFormat = [{
    $values $format attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_DequantizeOp : MoE_Op<"dequantize"> {
  let summary = "values of a blockwise format";
  let arguments = (ins RankedTensorOf<[I8]>:$data, RankedTensorOf<[F32, I8]>:$scales,
      MoE_QuantAttr:$format);
  let results = (outs MoE_F32:$values);
  let assemblyFormat = [{
    $data `,` $scales $format attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_AccumulateOp : MoE_Op<"accumulate"> {
  let summary = "elementwise sum into the type of the first";
  let arguments = (ins RankedTensorOf<[F32, I64]>:$sum,
      RankedTensorOf<[F32, I32]>:$values);
  let results = (outs RankedTensorOf<[F32, I64]>:$result);
  let assemblyFormat = "$sum `,` $values attr-dict `:` functional-type(operands, results)";
}

def MoE_AverageOp : MoE_Op<"average"> {
  let summary = "mean of sets of values";
  let arguments = (ins MoE_F32:$sets);
  let results = (outs MoE_F32:$mean, MoE_I32:$status);
  let assemblyFormat = "$sets attr-dict `:` functional-type(operands, results)";
}

#endif // MOE_DIALECT_MOE_OPS
