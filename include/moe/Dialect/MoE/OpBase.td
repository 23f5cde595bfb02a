//===- OpBase.td - What operations have in common ----------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_OP_BASE
#define MOE_DIALECT_MOE_OP_BASE

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

#endif // MOE_DIALECT_MOE_OP_BASE
