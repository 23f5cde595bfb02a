//===- MoEBase.td - The moe dialect and its enums ----------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_BASE
#define MOE_DIALECT_MOE_BASE

include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def MoE_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::moe";
  let summary = "Mixture-of-Experts layers as values";
  let description = [{
    Routing, dispatch, expert compute and averaging on tensors. Rows are tokens:
    `T` tokens, `k` choices each, `E` experts. Shapes never depend on data: a
    tensor of routed rows has room for every slot, and `offsets` says how much
    of it counts. docs/Spec.md defines what each operation computes.
  }];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = "void registerAttributes();";
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

// Enumerators are in the order of the enums in Import/Spec.h.
class MoE_Enum<string name, string summary, list<string> cases>
    : I32EnumAttr<name, summary,
                  !foreach(i, !range(!size(cases)), I32EnumAttrCase<cases[i], i>)> {
  let cppNamespace = "::moe";
  let genSpecializedAttr = 0;
}

def MoE_StrategyEnum : MoE_Enum<"StrategyKind", "how experts are chosen",
    ["learned", "hash", "random", "load_based", "similarity", "table",
     "sparsemixer"]>;
def MoE_BalancingEnum : MoE_Enum<"BalancingKind", "how load is balanced",
    ["token_choice", "expert_choice", "dynamic", "round_robin", "load_aware"]>;
def MoE_ScoreEnum : MoE_Enum<"ScoreKind", "how logits become scores",
    ["softmax", "function"]>;
def MoE_ScoreOnEnum : MoE_Enum<"ScoreOnKind", "which logits are scored",
    ["all", "selected"]>;
def MoE_RenormalizeEnum : MoE_Enum<"RenormalizeKind", "how weights are normalised",
    ["none", "add", "clamp"]>;
def MoE_GroupReduceEnum : MoE_Enum<"GroupReduceKind", "score of a group of experts",
    ["max", "sum_top2"]>;
def MoE_GroupFillEnum : MoE_Enum<"GroupFillKind", "value of masked experts",
    ["zero", "neg_inf"]>;
def MoE_NullEnum : MoE_Enum<"NullExpertKind", "what a null expert returns",
    ["identity", "skip"]>;
def MoE_PriorityEnum : MoE_Enum<"PriorityKind", "who keeps a place",
    ["token_order", "probability", "choice_order"]>;
def MoE_GateEnum : MoE_Enum<"GateKind", "how a shared expert is mixed in",
    ["none", "sigmoid", "softmax2"]>;
def MoE_LossEnum : MoE_Enum<"LossKind", "auxiliary losses",
    ["load_balance_hf", "load_balance_switch", "importance", "router_z"]>;
def MoE_QuantEnum : MoE_Enum<"QuantKind", "blockwise formats",
    ["int8", "fp8_e4m3", "fp8_e5m2", "mxfp4", "int4"]>;
def MoE_WeightEnum : MoE_Enum<"WeightFormatKind", "formats of weights",
    ["none", "fp8_e4m3", "int8", "int4", "mxfp4", "nvfp4"]>;

#endif // MOE_DIALECT_MOE_BASE
