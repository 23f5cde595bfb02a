//===- MoEAttrs.td - Attributes of the moe dialect ---------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_ATTRS
#define MOE_DIALECT_MOE_ATTRS

include "moe/Dialect/MoE/MoEBase.td"
include "mlir/IR/AttrTypeBase.td"

class MoE_Attr<string name, string attrMnemonic> : AttrDef<MoE_Dialect, name> {
  let mnemonic = attrMnemonic;
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

// Printed as the shortest decimal that reads back as the same double.
class MoE_F64<string value> : AttrOrTypeParameter<"::llvm::APFloat", "f64"> {
  let comparator = "$_lhs.bitwiseIsEqual($_rhs)";
  let parser = "::moe::parseDouble($_parser)";
  let printer = "::moe::printDouble($_printer, $_self)";
  let defaultValue = "::llvm::APFloat(" # value # ")";
}
class MoE_Default<string type, string value>
    : DefaultValuedParameter<type, value>;

def MoE_GroupsAttr : MoE_Attr<"Groups", "groups"> {
  let summary = "experts chosen by group first";
  let description = [{
    The columns of the logits form `count` groups of neighbours. Only the `keep`
    with the largest scores, made by `reduce`, can be chosen from; the others'
    values become `fill`. Spec 3.4.

    ```mlir
    #moe.groups<count = 8, keep = 4, reduce = max, fill = zero>
    ```
  }];
  let parameters = (ins
    "int64_t":$count,
    "int64_t":$keep,
    MoE_Default<"GroupReduceKind", "GroupReduceKind::sum_top2">:$reduce,
    MoE_Default<"GroupFillKind", "GroupFillKind::neg_inf">:$fill);
}

def MoE_RouterAttr : MoE_Attr<"Router", "router"> {
  let summary = "how experts are chosen and weighed";
  let description = [{
    Every choice of section 3 of docs/Spec.md that is not a tensor. `experts`
    counts those with weights; `null_experts` follow them in the logits. The last
    `always_on` of the experts are given to every token.

    ```mlir
    #moe.router<experts = 256, top_k = 8, score = function, renormalize = add,
                eps = 1.0e-20, scale = 2.5, groups = <count = 8, keep = 4>>
    ```
  }];
  let parameters = (ins
    "int64_t":$experts,
    "int64_t":$top_k,
    MoE_Default<"int64_t", "0">:$null_experts,
    MoE_Default<"StrategyKind", "StrategyKind::learned">:$strategy,
    MoE_Default<"BalancingKind", "BalancingKind::token_choice">:$balancing,
    MoE_Default<"ScoreKind", "ScoreKind::softmax">:$score,
    MoE_Default<"ScoreOnKind", "ScoreOnKind::all">:$score_on,
    MoE_Default<"RenormalizeKind", "RenormalizeKind::none">:$renormalize,
    MoE_F64<"0.0">:$eps,
    MoE_F64<"1.0">:$p,
    MoE_F64<"1.0">:$scale,
    MoE_F64<"0.01">:$threshold,
    MoE_Default<"int64_t", "0">:$always_on,
    MoE_F64<"1.0">:$lambda,
    MoE_F64<"1.0">:$factor,
    MoE_Default<"uint64_t", "0">:$seed,
    OptionalParameter<"GroupsAttr">:$groups);
  let extraClassDeclaration = [{
    /// Columns of the logits.
    int64_t getNumLogits() const { return getExperts() + getNullExperts(); }
    /// Those of them that are chosen among.
    int64_t getNumChoices() const { return getNumLogits() - getAlwaysOn(); }
    /// Slots of a token.
    int64_t getNumSlots() const {
      return isExpertChoice() ? getExperts() : getTopK() + getAlwaysOn();
    }
    bool isExpertChoice() const {
      return getBalancing() == BalancingKind::expert_choice;
    }
    /// Whether the largest scores are chosen.
    bool isLearned() const {
      return getStrategy() == StrategyKind::learned ||
             getStrategy() == StrategyKind::similarity;
    }
    /// Whether there are logits at all.
    bool hasLogits() const {
      return isLearned() || getStrategy() == StrategyKind::table ||
             getStrategy() == StrategyKind::sparsemixer;
    }
  }];
}

def MoE_CapacityAttr : MoE_Attr<"Capacity", "capacity"> {
  let summary = "places per expert";
  let description = [{
    Either a number of `tokens`, or `factor`: `ceil(factor * T * k / E)`. Those
    who keep a place are the first in `token_order`, those of the largest weight,
    or the first in `choice_order`: first choices before second ones. Spec 4.

    ```mlir
    #moe.capacity<factor = 1.25, priority = probability>
    ```
  }];
  let parameters = (ins
    MoE_Default<"int64_t", "0">:$tokens,
    MoE_F64<"0.0">:$factor,
    MoE_Default<"PriorityKind", "PriorityKind::token_order">:$priority);
}

def MoE_QuantAttr : MoE_Attr<"Quant", "quant"> {
  let summary = "a blockwise format";
  let description = [{
    How values become bytes, and how many share a scale. Spec 7.

    ```mlir
    #moe.quant<kind = fp8_e4m3, block = 64>
    ```
  }];
  let parameters = (ins "QuantKind":$kind, "int64_t":$block);
  let extraClassDeclaration = [{
    /// Of a row of so many values with its scales, which are f32.
    int64_t getRowBytes(int64_t values) const;
  }];
}

def MoE_FormatAttr : MoE_Attr<"Format", "format"> {
  let summary = "a format of weights";
  let description = [{
    What the data of a weight are, and how many `outputs` and `inputs` share a
    scale; 0 is all of them. Spec 5.1.

    ```mlir
    #moe.format<kind = fp8_e4m3, outputs = 128, inputs = 128>
    ```
  }];
  let parameters = (ins
    "WeightFormatKind":$kind,
    MoE_Default<"int64_t", "1">:$outputs,
    MoE_Default<"int64_t", "0">:$inputs);
  let extraClassDeclaration = [{
    /// Values that share a byte.
    int64_t getValuesPerByte() const;
    /// Whether scales are floats of 8 bits themselves.
    bool hasSmallScales() const;
    /// What the number of inputs is a multiple of.
    int64_t getInputUnit() const;
  }];
}

#endif // MOE_DIALECT_MOE_ATTRS
