//===- Ring.h - Stages of a block's memory that go round --------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Some warps fill stages and others use them. For each stage one mbarrier says
// that it is full, and another that it is empty.
//
// A wait tells even rounds from odd ones and nothing more, so that nobody may
// wait for a round before the one that precedes it is over. Where two take
// stages in turns, each waits for its turn first: two more mbarriers.
//
// Blocks of a cluster that fill each other's stages have a ring each, at the
// same place of their memory. A stage is empty when no block of the cluster
// uses it any more, which each is told by all of them.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_RING_H
#define MOE_LIB_KERNELS_RING_H

#include "Emitter.h"

namespace moe {

class Ring {
public:
  /// `barriers` is room for `bytes(stages)` in the block's memory, where 8
  /// bytes begin: a pointer of LLVM.
  Ring(Emitter &e, mlir::Value barriers, int64_t stages, int64_t blocks = 1)
      : e(e), barriers(barriers), stages(stages), blocks(blocks) {}

  static int64_t bytes(int64_t stages) { return (2 * stages + 2) * 8; }

  /// By one thread, before all threads of the block meet, or of the cluster:
  /// how many arrivals make a stage full, and how many of each block make it
  /// empty, or pass on the turn.
  void initialize(int64_t toFill, int64_t toEmpty);

  /// Where a warp is: the number of the stage, and how often it has been round,
  /// even or odd; i32.
  struct Place {
    Val stage, round;
  };
  Place begin();
  Place next(Place place);
  /// After so many stages that are for others.
  Place skip(Place place, int64_t count);
  Val previousStage(Val stage);

  mlir::Value full(Val stage) { return barrier(stage); }
  void waitForFull(Place place);
  void waitForEmpty(Place place);
  /// One arrival, of which `bytes` more are to be copied in. By one thread.
  void expect(Val stage, int64_t bytes);
  /// One arrival, when the thread's copies of `cp.async` so far have arrived.
  void fillWhenCopied(Val stage);
  /// One arrival at each block, by as many threads of a warp as there are.
  void release(Val stage, Val block);
  /// Of the first (0) or the second (1), i32. Who has waited for an odd number
  /// of turns waits for an even one next; that of the first has begun.
  void waitForTurn(Val who, Val number);
  /// One arrival, by one thread, for the turn of `who`.
  void passTurn(Val who);

private:
  Emitter &e;
  mlir::Value barriers;
  int64_t stages, blocks;

  mlir::Value barrier(Val number);
  void wait(mlir::Value barrier, Val parity);
  void waitForCluster(mlir::Value barrier, Val parity);
};

} // namespace moe

#endif // MOE_LIB_KERNELS_RING_H
