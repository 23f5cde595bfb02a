//===- WgmmaKernel.h - A kernel that multiplies by warpgroups ---*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The first warpgroup of a block fills stages of its memory: TMA copies the
// weights, its threads the rows from where the gather says. The others multiply
// what is there with wgmma, each 64 lines of its first operand.
//
// Blocks of a cluster take rows of the same expert and the same outputs. Each
// copies a part of the weights to all of them, and takes part to the end of the
// tile even where the expert has no rows left for it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_WGMMAKERNEL_H
#define MOE_LIB_KERNELS_WGMMAKERNEL_H

#include "Ring.h"
#include "TileWalk.h"
#include "WarpSums.h"
#include "WgmmaProduct.h"

#include <optional>

namespace moe {

namespace wgmma {
inline constexpr int64_t groupThreads = 128, warpThreads = 32;
/// Of the depth, what a stage has: a line of it is as long as the swizzle.
inline constexpr int64_t lineBytes = 128;
/// Of an instruction, and of what repeats in the swizzle.
inline constexpr int64_t mmaLines = 64, mmaBytes = 32, swizzleLines = 8;
inline constexpr int64_t swizzleBytes = swizzleLines * lineBytes;
} // namespace wgmma

/// Emits a kernel for one shape of tiles.
class WgmmaKernel {
public:
  WgmmaKernel(Lowering &l, const Product &product, const WgmmaShape &shape);

private:
  Emitter &e;
  const Product &product;
  const WgmmaShape shape;
  const TileWalk walk;
  mlir::Type element; // of the rows in memory
  const int64_t stageDepth, steps;
  const WarpSums ofWarp;
  llvm::SmallVector<mlir::Value, 2> maps; // of the weights
  // In the kernel:
  Val cluster, clusters;      // that take tiles; a block alone is one
  Val blockInCluster, thread; // the thread of its warpgroup
  mlir::Value shared, memory; // the block's memory, and a pointer to the stages
  Val skipped;                // bytes before them
  mlir::Value rows;           // [stages, rows, stageDepth]
  std::optional<Ring> ring;

  int64_t rowBytes() const { return shape.rows * wgmma::lineBytes; }
  int64_t weightBytes() const { return shape.outputs * wgmma::lineBytes; }
  int64_t weightsBegin(size_t weight) const {
    return shape.stages * (rowBytes() + int64_t(weight) * weightBytes());
  }
  int64_t stagesEnd() const { return weightsBegin(maps.size()); }
  int64_t warps() const {
    return shape.consumers * wgmma::groupThreads / wgmma::warpThreads;
  }
  /// That read a stage.
  int64_t readers() const {
    return shape.alternates ? warps() / shape.consumers : warps();
  }
  int64_t sharedBytes() const {
    return wgmma::swizzleBytes + stagesEnd() + Ring::bytes(shape.stages) +
           warps() * ofWarp.bytes();
  }

  void launch(Lowering &l);
  void run(Val block, Val thread, mlir::Value shared);
  void layOut();
  WalkedTile ownPart(WalkedTile ofCluster);
  mlir::Value at(Val bytes);

  struct Copy {
    Val source, line, place;
    Val isInside;
  };
  void produce();
  llvm::SmallVector<Copy> planCopies(const WalkedTile &tile);
  void copyRows(llvm::ArrayRef<Copy> copies, Val step, Val stage);
  void copyWeights(const WalkedTile &tile, Val step, Val stage);

  void consume(Val consumer);
  /// Of the first operand, where a warpgroup begins.
  Val firstLine(Val consumer) {
    return shape.alternates ? e.index(0) : consumer * double(wgmma::mmaLines);
  }
  mlir::Value descriptor(Val bytes);
  Emitter::Vals takeStep(Val consumer, Ring::Place place, Emitter::Vals sums,
                         bool isFirst);
  Emitter::Vals takeTile(Val consumer, llvm::ArrayRef<Val> at);
  void multiply(Val consumer, Val stage, llvm::MutableArrayRef<Val> sums,
                bool isFirst);
  mlir::Value multiplyAdd(mlir::Value a, mlir::Value b, mlir::Value sums,
                          bool adds);
  void release(Val stage);
  mlir::Type sumsType() const;
  Ring::Place begin(Val consumer);
  void finish(const WalkedTile &tile, Val consumer, llvm::ArrayRef<Val> sums);
  int64_t columns() const { return shape.swaps ? shape.rows : shape.outputs; }

  // Of codes, WgmmaScales.cpp:
  llvm::SmallVector<Val> planScales(const WalkedTile &tile, Val consumer);
  Emitter::Vals scales(const WalkedTile &tile, llvm::ArrayRef<Val> rows,
                       Val step);
  Emitter::Vals takeScaledStep(const WalkedTile &tile, Val consumer,
                               llvm::ArrayRef<Val> rows, Val step,
                               Ring::Place place, Emitter::Vals sums);
  Emitter::Vals takeScaledTile(const WalkedTile &tile, Val consumer,
                               llvm::ArrayRef<Val> at);
};

} // namespace moe

#endif // MOE_LIB_KERNELS_WGMMAKERNEL_H
