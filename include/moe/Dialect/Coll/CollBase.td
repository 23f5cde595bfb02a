//===- CollBase.td - The coll dialect and its enums --------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_COLL_BASE
#define MOE_DIALECT_COLL_BASE

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Coll_Dialect : Dialect {
  let name = "coll";
  let cppNamespace = "::moe::coll";
  let summary = "Exchanges between ranks";
  let description = [{
    A module has the program of one rank, and all ranks run it. They form a grid
    of the axes dp, ep and tp, whose sizes `coll.grid` on the module says; tp
    runs fastest. The group of a rank over some axes are the ranks that differ
    from it in these alone; its members are numbered in the order of the ranks.

    ```
      coll.grid = {dp = 1, ep = 2, tp = 2}      groups over
                                                ep          tp          ep, tp
      rank        0    1    2    3
      (ep, tp)    0,0  0,1  1,0  1,1            {0 2}       {0 1}       {0 1 2 3}
                                                {1 3}       {2 3}
    ```

    Tensors are rows along their first dimension. Members may have different
    numbers of them; where no operand of an operation has the number of rows of
    its result, `rows` says it, such as "8*R". All members of a group run the
    same operations over it in the same order, so each of them writes a resource
    and none is removed or moved past another. `name` is for messages and
    records. docs/decisions/0008-sharding.md says more.

    What `start_all_to_all_v` starts, `wait` ends: what lies between them is
    computed while rows travel.

    In the drawings, each line is what one member has, its rows from left to
    right.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

class Coll_Enum<string name, string summary, list<string> cases>
    : I32EnumAttr<name, summary,
                  !foreach(i, !range(!size(cases)), I32EnumAttrCase<cases[i], i>)> {
  let cppNamespace = "::moe::coll";
  let genSpecializedAttr = 0;
}

def Coll_ReduceEnum : Coll_Enum<"ReduceKind", "what becomes of several values",
    ["sum", "max", "min"]>;
// As parallel.exchange of the spec.
def Coll_PatternEnum : Coll_Enum<"PatternKind", "the way that rows take",
    ["all_to_all", "point_to_point", "hierarchical", "ring"]>;
def Coll_ModeEnum : Coll_Enum<"ModeKind", "how many rows are sent",
    ["exact", "padded"]>;

def Coll_WholeEnum : Coll_Enum<"WholeKind", "which side has the rows of all places",
    ["send", "receive"]>;

def Coll_ReduceAttr : EnumAttr<Coll_Dialect, Coll_ReduceEnum, "reduce">;
def Coll_PatternAttr : EnumAttr<Coll_Dialect, Coll_PatternEnum, "pattern">;
def Coll_ModeAttr : EnumAttr<Coll_Dialect, Coll_ModeEnum, "mode">;
def Coll_WholeAttr : EnumAttr<Coll_Dialect, Coll_WholeEnum, "whole">;

def Coll_Pending : TypeDef<Coll_Dialect, "Pending"> {
  let mnemonic = "pending";
  let summary = "an exchange that was started, to be waited for once";
}

#endif // MOE_DIALECT_COLL_BASE
