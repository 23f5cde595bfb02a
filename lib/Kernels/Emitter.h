//===- Emitter.h - Loops written as they are read -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lowerings write their loops in C++ that looks like the loops themselves:
//
//   e.loop(zero, tokens, [&](Val t) {
//     e.store(e.load(x, {t, c}) * scale, y, {t, c});
//   });
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_EMITTER_H
#define MOE_LIB_KERNELS_EMITTER_H

#include "Val.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace moe {

class Emitter : public mlir::ImplicitLocOpBuilder {
public:
  using Vals = llvm::SmallVector<Val, 2>;
  using Body = llvm::function_ref<void(Val)>;

  /// `real` is the type in which floats are computed.
  Emitter(mlir::Location loc, mlir::MLIRContext *context, mlir::FloatType real,
          bool sequential)
      : ImplicitLocOpBuilder(loc, context), real(real), sequential(sequential) {
  }

  mlir::FloatType real;
  /// Whether `parallel` is an ordinary loop.
  const bool sequential;
  /// Of what vectors that are loaded and stored are at multiples, in bytes, in
  /// buffers whose rows are; 0: of their elements. For a GPU, where buffers
  /// begin at 16.
  int64_t vectorAlignment = 0;

  Val val(mlir::Value value) { return {value, this}; }
  Val constant(mlir::Type type, double number);
  Val bits(mlir::Type type, uint64_t value);
  Val index(int64_t number);
  Val real_(double number) { return constant(real, number); }

  /// Floats narrower than `real` arrive as `real`; what leaves becomes what the
  /// buffer holds.
  Val load(mlir::Value buffer, llvm::ArrayRef<Val> at);
  void store(Val value, mlir::Value buffer, llvm::ArrayRef<Val> at);
  /// Between any two of index, integers (signed) and floats; a vector's
  /// elements to the type.
  Val cast(Val value, mlir::Type type);
  /// From an integer to a wider one or to index, unsigned.
  Val extend(Val value, mlir::Type type);
  Val asIndex(Val value) { return cast(value, getIndexType()); }
  Val asI32(Val value) { return cast(value, getI32Type()); }
  Val bitcast(Val value, mlir::Type type);

  /// `count` of the row's next elements, floats widened to `real`; lanes past
  /// `valid` (if it is less than `count`) are zero and not touched.
  Val loadVector(mlir::Value buffer, llvm::ArrayRef<Val> at, int64_t count,
                 int64_t valid);
  void storeVector(Val value, mlir::Value buffer, llvm::ArrayRef<Val> at,
                   int64_t valid);
  Val broadcast(Val scalar, int64_t count);
  /// One number, or a vector of `valid` or more if `model` is one.
  Val loadLike(Val model, mlir::Value buffer, llvm::ArrayRef<Val> at,
               int64_t valid);
  void storeLike(Val value, mlir::Value buffer, llvm::ArrayRef<Val> at,
                 int64_t valid);
  /// The scalar, or a vector of it if `model` is one.
  Val like(Val model, Val scalar);
  /// The first of a, the first of b, the second of a and so on.
  Val interleave(Val a, Val b);
  /// The sums of the lanes of each vector, as many as the lanes of one or
  /// fewer, a power of two of them. Each is made by halves: the same tree
  /// whatever the vectors beside it and whatever the machine.
  Val addLanes(llvm::ArrayRef<Val> vectors);
  /// Lanes of one vector and another after it.
  Val pickLanes(Val a, Val b, llvm::ArrayRef<int64_t> lanes);
  Val extract(Val vector, int64_t lane);
  /// The same bits as a vector of another length.
  Val regroup(Val vector, mlir::VectorType type);
  Val numbers(llvm::ArrayRef<float> values);
  Val numbers(llvm::ArrayRef<int32_t> values);
  /// Elements of one table of 32 i16 or of two; other bits of an index than
  /// those that it takes mean nothing. AVX-512.
  Val lookUp(llvm::ArrayRef<Val> tables, Val indices);
  /// A vector of scalars.
  Val gather(llvm::ArrayRef<Val> scalars);
  /// As they are in memory, whatever `real` is.
  Val loadRaw(mlir::Value buffer, llvm::ArrayRef<Val> at, int64_t count,
              int64_t valid);
  /// Asks for the line of memory at an index, without reading it.
  void prefetch(mlir::Value buffer, llvm::ArrayRef<Val> at);
  /// Memory of the thread's own, until the end of the parallel body at hand.
  mlir::Value local(mlir::Type element, llvm::ArrayRef<int64_t> shape);
  /// sums + a * b: of bf16 pairs if a and b are twice as long as the sums.
  Val multiplyAdd(Val a, Val b, Val sums);

  void loop(Val begin, Val end, Body body, int64_t step = 1);
  void loop(Val end, Body body) { loop(index(0), end, body); }
  /// A loop that carries values; `body` returns the next ones.
  Vals carry(Val begin, Val end, llvm::ArrayRef<Val> initial,
             llvm::function_ref<Vals(Val, llvm::ArrayRef<Val>)> body,
             int64_t step = 1);
  /// `initial` and then `body(i)` added for each i, in order.
  Val sum(Val end, Val initial, llvm::function_ref<Val(Val)> body);
  /// Iterations may run at the same time and in any order.
  void parallel(Val end, Body body);

  /// A kernel for a GPU: `body` for every thread of every block. `shared` is
  /// the block's memory, bytes of which nothing is known at first. Of blocks in
  /// clusters, those of one have numbers that follow each other.
  void launch(
      Val blocks, int64_t threads, int64_t sharedBytes,
      llvm::function_ref<void(Val block, Val thread, mlir::Value shared)> body,
      int64_t blocksInCluster = 1);
  /// A part of the block's memory, which begins at a multiple of 16 bytes.
  mlir::Value shared(mlir::Value memory, Val begin, mlir::Type element,
                     llvm::ArrayRef<int64_t> shape);
  mlir::Value shared(mlir::Value memory, int64_t begin, mlir::Type element,
                     llvm::ArrayRef<int64_t> shape) {
    return shared(memory, index(begin), element, shape);
  }
  /// All threads of the block meet, and see what the others have written.
  void barrier();
  /// The same of the blocks of a cluster.
  void clusterBarrier();

  static constexpr int64_t lanesOfWarp = 32;
  /// Where the lanes of a warp share an item, the lane at hand. Rows of the
  /// item are then theirs by turns; sums and the like are known to all.
  Val lane;
  /// A kernel for a GPU: `body` for every item, each of which a warp shares.
  void warps(Val end, Body body);
  /// In a kernel: what `body` does is shared by the lanes of each warp.
  void shareLanes(Val thread, llvm::function_ref<void()> body);
  /// A loop whose iterations such lanes take by turns.
  void byTurns(Val begin, Val end, Body body, int64_t step = 1);
  void byTurns(Val end, Body body) { byTurns(index(0), end, body); }
  /// `body(i)` for each i in one, in an order that is fixed.
  Val foldByTurns(Val begin, Val end, Val initial,
                  llvm::function_ref<Val(Val)> body,
                  llvm::function_ref<Val(Val, Val)> both);
  Val sumByTurns(Val end, Val zero, llvm::function_ref<Val(Val)> body);
  /// Of lanes that share an item, one does it.
  void once(llvm::function_ref<void()> body);
  /// Lanes that share an item see what the others have written.
  void meet();
  /// Each value of lanes that share an item in one, by halves. `both` must not
  /// care which comes first.
  Vals foldLanes(
      Vals values,
      llvm::function_ref<Vals(llvm::ArrayRef<Val>, llvm::ArrayRef<Val>)> both);
  /// How many lanes of a warp the condition holds of, and how many of those are
  /// before the lane at hand.
  struct LaneCount {
    Val all, before;
  };
  LaneCount countLanes(Val condition);
  /// The sums of i32 up to each lane, its own value included; and over all.
  struct LaneSum {
    Val upTo, all;
  };
  LaneSum sumLanes(Val value);

  void when(Val condition, llvm::function_ref<void()> then);
  Val choose(Val condition, llvm::function_ref<Val()> then,
             llvm::function_ref<Val()> otherwise);
  Val select(Val condition, Val then, Val otherwise);

  Val exp(Val a);
  Val log(Val a);
  Val sqrt(Val a);
  Val tanh(Val a);
  Val abs(Val a);
  Val ceil(Val a);
  Val roundEven(Val a);
  Val fma(Val a, Val b, Val c);
  Val pow(Val a, Val b);
  Val max(Val a, Val b); // floats: NaN if either is; integers: signed
  Val min(Val a, Val b);
  Val isFinite(Val a);

  /// The elementwise function in `region`, computed in the type of `arguments`;
  /// in f32 if it has values of any other type.
  Val inlineRegion(mlir::Region &region, llvm::ArrayRef<Val> arguments);
};

} // namespace moe

#endif // MOE_LIB_KERNELS_EMITTER_H
