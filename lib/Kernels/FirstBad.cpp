//===- FirstBad.cpp - The first of many that is bad -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Row.h"

#include <limits>

using namespace mlir;
using namespace moe;

/// Threads of a block of a GPU, and items that each of them looks at.
static constexpr int64_t threads = 256, itemsPerThread = 16;

/// Looks at items in chunks, backwards, so that the first has the last word.
static Val inChunks(Lowering &l, const Extent &count, int64_t chunk,
                    llvm::function_ref<Val(Val)> isBad) {
  Emitter &e = l.e;
  Type i32 = e.getI32Type();
  chunk = llvm::alignTo(chunk, count.multiplier);
  Extent chunks = count.dividedBy(chunk);
  Value found = l.scratch(i32, {chunks});
  Val none = e.constant(i32, 0);
  auto first = [&](Val begin, Val end, llvm::function_ref<Val(Val)> at) {
    return e.carry(begin, end, none, [&](Val i, ArrayRef<Val> known) {
      Val item = at(begin + end - i - e.index(1));
      return Emitter::Vals{e.select(item != 0, item, known[0])};
    })[0];
  };
  e.parallel(l.size(chunks), [&](Val c) {
    Val begin = c * double(chunk);
    Val end = e.min(begin + double(chunk), l.size(count));
    e.store(
        first(begin, end,
              [&](Val i) { return e.select(isBad(i), e.asI32(i + 1), none); }),
        found, {c});
  });
  return first(e.index(0), l.size(chunks),
               [&](Val c) { return e.load(found, {c}); });
}

/// The least value of a block's threads, which its first thread has.
static Val leastOfBlock(Emitter &e, Val value, Val thread, Value memory) {
  Value shared = e.shared(memory, 0, e.getI32Type(), {threads});
  e.store(value, shared, {thread});
  for (int64_t half = threads / 2; half >= 1; half /= 2) {
    e.barrier();
    e.when(thread < double(half), [&] {
      Val other = e.load(shared, {thread + double(half)});
      e.store(e.min(e.load(shared, {thread}), other), shared, {thread});
    });
  }
  return e.load(shared, {thread});
}

/// Blocks look at items side by side, and one block at what they have found.
static Val inBlocks(Lowering &l, const Extent &items, int64_t columns,
                    llvm::function_ref<Val(Val)> isBad) {
  Emitter &e = l.e;
  Type i32 = e.getI32Type();
  Val most = e.constant(i32, std::numeric_limits<int32_t>::max());
  int64_t perBlock = llvm::alignTo(threads * itemsPerThread, items.multiplier);
  Extent blocks = items.dividedBy(perBlock);
  Value found = l.scratch(i32, {blocks});
  Value least = l.scratch(i32, {Extent::constant(1)});
  /// What is least of every `threads`-th from the thread's own on.
  auto strided = [&](Val begin, Val end, llvm::function_ref<Val(Val)> at) {
    return e.carry(
        begin, end, most,
        [&](Val i, ArrayRef<Val> known) {
          return Emitter::Vals{e.min(known[0], at(i))};
        },
        threads)[0];
  };
  e.launch(l.size(blocks), threads, 4 * threads,
           [&](Val block, Val thread, Value memory) {
             Val begin = block * double(perBlock);
             Val end = e.min(begin + double(perBlock), l.size(items));
             Val mine = strided(begin + thread, end, [&](Val i) {
               Val number = e.asI32(i / double(columns) + 1);
               return e.select(isBad(i), number, most);
             });
             Val all = leastOfBlock(e, mine, thread, memory);
             e.when(thread == 0, [&] { e.store(all, found, {block}); });
           });
  e.launch(
      e.index(1), threads, 4 * threads, [&](Val, Val thread, Value memory) {
        Val mine = strided(thread, l.size(blocks),
                           [&](Val i) { return e.load(found, {i}); });
        Val all = leastOfBlock(e, mine, thread, memory);
        e.when(thread == 0, [&] {
          e.store(e.select(all == most, all.like(0), all), least, {e.index(0)});
        });
      });
  return e.load(least, {e.index(0)});
}

Val moe::emitFirstBad(Lowering &l, const Extent &count, int64_t chunk,
                      llvm::function_ref<Val(Val)> isBad) {
  return l.gpu ? inBlocks(l, count, 1, isBad)
               : inChunks(l, count, chunk, isBad);
}

Val moe::emitFirstNotFinite(Lowering &l, Value matrix, const Extent &rows,
                            int64_t columns) {
  Emitter &e = l.e;
  if (l.gpu)
    return inBlocks(l, rows.times(columns), columns, [&](Val i) {
      Val value = e.load(matrix, {i / double(columns), i % double(columns)});
      return e.isFinite(value) == 0;
    });
  Row row(l, columns);
  return inChunks(l, rows, 64, [&](Val r) {
    return row.all([&](RowPart c) {
      return e.isFinite(row.load(matrix, {r, c.first}, c));
    }) == 0;
  });
}
