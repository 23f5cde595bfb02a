//===- PlacementOps.td - Where rows go, and as what --------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_PLACEMENT_OPS
#define MOE_DIALECT_MOE_PLACEMENT_OPS

include "moe/Dialect/MoE/OpBase.td"

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

#endif // MOE_DIALECT_MOE_PLACEMENT_OPS
