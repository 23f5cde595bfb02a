//===- CollOps.td - Operations of the coll dialect ---------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_COLL_OPS
#define MOE_DIALECT_COLL_OPS

include "moe/Dialect/Coll/CollBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Coll_Exchange : Resource<"::moe::coll::ExchangeResource">;

class Coll_Op<string mnemonic, list<Trait> traits> : Op<Coll_Dialect, mnemonic, traits> {
  let hasVerifier = 1;
  dag axes = (ins StrArrayAttr:$axes);
  dag common = (ins StrArrayAttr:$axes, DefaultValuedStrAttr<StrAttr, "">:$name);
}
class Coll_ExchangeOp<string mnemonic>
    : Coll_Op<mnemonic, [MemoryEffects<[MemWrite<Coll_Exchange>]>]>;

// What can be moved, and what can be computed with.
def Coll_Data : RankedTensorOf<[F32, BF16, F16, I8, I32, I64]>;
def Coll_Number : RankedTensorOf<[F32, BF16, F16, I32, I64]>;
def Coll_I32 : RankedTensorOf<[I32]>;

def Coll_AllReduceOp : Coll_ExchangeOp<"all_reduce"> {
  let summary = "the sum, largest or least over the members, on each";
  let description = [{
    Elementwise over `x` of all members, which is of the same shape on each. Sums
    of f32, bf16 and f16 are in f32, in the order of the members, and rounded
    once: every member has the same bits.

    ```
      member    x           y
      0         1  2        6  8        sum over [tp], tp = 2
      1         5  6        6  8
    ```

    ```mlir
    %y = coll.all_reduce sum %x over [tp] {name = "parts of the sum"}
        : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = !con((ins Coll_ReduceAttr:$reduce, Coll_Number:$x), common);
  let results = (outs Coll_Number:$y);
  let assemblyFormat = [{
    $reduce $x `over` custom<Axes>($axes) attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def Coll_ReduceScatterOp : Coll_ExchangeOp<"reduce_scatter"> {
  let summary = "each member's rows of the sum, largest or least";
  let description = [{
    What `all_reduce` gives, of which each member keeps its own rows: those after
    the rows of the members before it. `rows` says how many its own are; those of
    all members are the rows of `x`.

    ```
      member    x             y
      0         1  2  3       6           rows = "T", T = 1
      1         5  6  7       8  10       rows = "T", T = 2
    ```

    ```mlir
    %y = coll.reduce_scatter sum %x over [tp] {rows = "T"}
        : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = !con((ins Coll_ReduceAttr:$reduce, Coll_Number:$x,
      OptionalAttr<StrAttr>:$rows), common);
  let results = (outs Coll_Number:$y);
  let assemblyFormat = [{
    $reduce $x `over` custom<Axes>($axes) attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def Coll_AllGatherOp : Coll_ExchangeOp<"all_gather"> {
  let summary = "the rows of all members, on each";
  let description = [{
    One member's rows after the other's. `rows` says how many there are.

    ```
      member    x           y
      0         a           a  b  c       rows = "S", S = 3
      1         b  c        a  b  c
    ```

    ```mlir
    %y = coll.all_gather %x over [ep, tp] {rows = "S"}
        : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
    ```
  }];
  let arguments = !con((ins Coll_Data:$x, OptionalAttr<StrAttr>:$rows), common);
  let results = (outs Coll_Data:$y);
  let assemblyFormat = [{
    $x `over` custom<Axes>($axes) attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Coll_BroadcastOp : Coll_ExchangeOp<"broadcast"> {
  let summary = "what one member has, on each";
  let description = [{
    The `x` of member `root`, of the same shape on all.

    ```
      member    x           y
      0         a  b        c  d        root = 1
      1         c  d        c  d
    ```

    ```mlir
    %y = coll.broadcast %x over [dp] {root = 1 : i64}
        : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = !con((ins Coll_Data:$x, I64Attr:$root), common);
  let results = (outs Coll_Data:$y);
  let assemblyFormat = [{
    $x `over` custom<Axes>($axes) attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def Coll_AllToAllOp : Coll_ExchangeOp<"all_to_all"> {
  let summary = "a block of rows from each member to each";
  let description = [{
    `x` is as many equal blocks of rows as there are members. Block j goes to
    member j, and the result has the blocks in the order of those who sent them.

    ```
      member    x                 y
      0         a  b | c  d       a  b | e  f
      1         e  f | g  h       c  d | g  h
    ```

    ```mlir
    %arrived = coll.all_to_all %counts over [ep] {name = "counts"}
        : (tensor<8xi32>) -> tensor<8xi32>
    ```
  }];
  let arguments = !con((ins Coll_Data:$x), common);
  let results = (outs Coll_Data:$y);
  let assemblyFormat = [{
    $x `over` custom<Axes>($axes) attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Coll_AllToAllVOp : Coll_ExchangeOp<"all_to_all_v"> {
  let summary = "some rows from each member to each";
  let description = [{
    The rows of `x` lie by the member that they go to, those of the result by the
    member that sent them. `send` and `receive` count them: p numbers for each
    member, of which the sum is what goes there or comes from there. `receive` is
    what `all_to_all` makes of `send`. `bound` is the room of the result; rows
    past those that arrived are unspecified, as are those of `x` that `send` does
    not count.

    `pattern` is the way that rows take: all at once, in a round for each pair,
    first within a node and then between nodes, or from neighbour to neighbour.
    With `mode padded` all pairs exchange equally many rows, `pair`, so that
    nobody has to know the counts in advance.

    ```
      member    x               send     y               receive      p = 1, bound = 4
      0         a  b  c  ?      1  2     a  d  e  ?      1  2
      1         d  e  f  ?      2  1     b  c  f  ?      2  1
    ```

    ```mlir
    %xs = coll.all_to_all_v %sent, %counts, %arrived over [ep] pattern ring mode padded
        {bound = "8*R", name = "rows to experts", pair = "8*R"}
        : (tensor<?x8xbf16>, tensor<8xi32>, tensor<8xi32>) -> tensor<?x8xbf16>
    ```
  }];
  let arguments = !con((ins Coll_Data:$x, Coll_I32:$send, Coll_I32:$receive,
      DefaultValuedAttr<Coll_PatternAttr, "::moe::coll::PatternKind::all_to_all">:$pattern,
      DefaultValuedAttr<Coll_ModeAttr, "::moe::coll::ModeKind::exact">:$mode,
      OptionalAttr<StrAttr>:$bound, OptionalAttr<StrAttr>:$pair), common);
  let results = (outs Coll_Data:$y);
  let assemblyFormat = [{
    $x `,` $send `,` $receive `over` custom<Axes>($axes) (`pattern` $pattern^)?
    (`mode` $mode^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def Coll_StartAllToAllVOp : Coll_ExchangeOp<"start_all_to_all_v"> {
  let summary = "starts to send some of the rows of an all_to_all_v";
  let description = [{
    Starts what `all_to_all_v` does with the rows of some places of each member,
    the *chunk* from `first` to before `end`. `send` and `receive` count rows as
    there, of all places. One side is *whole*: there the rows of the chunk lie
    among those of all places, as `send` or `receive` count them; on the other
    side are those of the chunk alone, by member.

    The result is taken by one `coll.wait`, which has the rows that come. What
    lies between the two is computed while rows travel; operands stay as they
    are until then. Rows go directly, in the pattern all_to_all.

    ```
      places 0 to 1 of send, n = 2, p = 2
      member    x                send           coll.wait    receive
      0         a  b | c  d  e   1 1 | 2 1      a  f         1 1 | 1 0
      1         f | g  h         1 0 | 2 0      c  d  g  h   2 1 | 2 0
    ```

    ```mlir
    %0 = coll.start_all_to_all_v %sent, %counts, %arrived places 0 to 2 of send
        over [ep] {name = "rows to experts, 1 of 2"}
        : (tensor<?x8xbf16>, tensor<8xi32>, tensor<8xi32>) -> !coll.pending
    ```
  }];
  let arguments = !con((ins Coll_Data:$x, Coll_I32:$send, Coll_I32:$receive,
      I64Attr:$first, I64Attr:$end, Coll_WholeAttr:$whole,
      DefaultValuedAttr<Coll_ModeAttr, "::moe::coll::ModeKind::exact">:$mode,
      OptionalAttr<StrAttr>:$pair), common);
  let results = (outs Coll_Pending:$pending);
  let assemblyFormat = [{
    $x `,` $send `,` $receive `places` $first `to` $end `of` $whole `over`
    custom<Axes>($axes) (`mode` $mode^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Coll_WaitOp : Coll_ExchangeOp<"wait"> {
  let summary = "the rows of exchanges that were started";
  let description = [{
    Returns when the rows of all `pending` are there. If those who send are
    whole, it is the one chunk that is waited for. If those who receive are, it
    is all chunks, in the order of their places, and the result is what
    `all_to_all_v` would give. `rows` is the room of the result.

    ```mlir
    %xs = coll.wait %0 {rows = "C0"} : (!coll.pending) -> tensor<?x8xbf16>
    %back = coll.wait %1, %2 {rows = "8*T"}
        : (!coll.pending, !coll.pending) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins Variadic<Coll_Pending>:$pending, OptionalAttr<StrAttr>:$rows);
  let results = (outs Coll_Data:$y);
  let assemblyFormat = "$pending attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizeMethod = 1;
}

def Coll_SendOp : Coll_ExchangeOp<"send"> {
  let summary = "rows to one member";
  let description = [{
    Gives `x` to member `to`, which takes it with `coll.recv`.

    ```
      member    x         coll.recv
      0         a  b                    to = 1
      1                   a  b          from = 0
    ```

    ```mlir
    coll.send %x over [ep] {to = 1 : i64} : (tensor<?x8xf32>) -> ()
    ```
  }];
  let arguments = !con((ins Coll_Data:$x, I64Attr:$to), common);
  let assemblyFormat = [{
    $x `over` custom<Axes>($axes) attr-dict `:` functional-type(operands, results)
  }];
}

def Coll_RecvOp : Coll_ExchangeOp<"recv"> {
  let summary = "rows from one member";
  let description = [{
    What member `from` gives with `coll.send`, as many rows as there are.

    ```
      member    coll.send   y
      0         a  b                    to = 1
      1                     a  b        from = 0, rows = "R", R = 2
    ```

    ```mlir
    %y = coll.recv over [ep] {from = 0 : i64, rows = "R"} : () -> tensor<?x8xf32>
    ```
  }];
  let arguments = !con((ins I64Attr:$from, OptionalAttr<StrAttr>:$rows), common);
  let results = (outs Coll_Data:$y);
  let assemblyFormat = [{
    `over` custom<Axes>($axes) attr-dict `:` functional-type(operands, results)
  }];
}

def Coll_BarrierOp : Coll_ExchangeOp<"barrier"> {
  let summary = "waits until all members are here";
  let description = [{
    ```mlir
    coll.barrier over [dp, ep, tp] {name = "before the step"}
    ```
  }];
  let arguments = common;
  let assemblyFormat = "`over` custom<Axes>($axes) attr-dict";
  let hasCanonicalizeMethod = 1;
}

def Coll_IndexOp : Coll_Op<"index", [Pure]> {
  let summary = "the number of this rank among the members";
  let description = [{
    ```
      member    index
      0         0
      1         1
    ```

    ```mlir
    %i = coll.index over [tp] : () -> tensor<i32>
    ```
  }];
  let arguments = axes;
  let results = (outs Coll_I32:$index);
  let assemblyFormat = [{
    `over` custom<Axes>($axes) attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

#endif // MOE_DIALECT_COLL_OPS
