//===- RowProduct.h - Products of weights in rows -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ROWPRODUCT_H
#define MOE_LIB_KERNELS_ROWPRODUCT_H

#include "VectorProduct.h"

namespace moe {

/// Tiles whose lanes are places of the depth.
class RowProduct : public VectorProduct {
public:
  RowProduct(Lowering &l, const Product &product);

private:
  /// `count` vectors of sums in a tile, and what they read.
  struct Tile {
    const Weight &weight;
    bool fromPanel;
    Val expert;
    llvm::SmallVector<Val> sources; // rows of x
    llvm::SmallVector<Val> outs;
    Val begin; // of the chunk
    /// From where on, and for how many outputs, this tile asks for what will be
    /// read after it.
    const Weight *nextWeight = nullptr;
    llvm::SmallVector<Val, 3> next;
    int64_t asked = 0;
  };

  void allocatePanel() override;
  void sumBlock(const Place &place) override;
  Val scaled(const Weight &weight, Val sums,
             llvm::ArrayRef<Val> at) const override;

  Val loadWeight(const Tile &tile, int64_t out, Val c, int64_t valid, Val key);
  Emitter::Vals keysAt(const Tile &tile, Val c);
  void prefetch(const Tile &tile, int64_t out, Val c);
  Emitter::Vals span(const Tile &tile, Val begin, int64_t count,
                     llvm::ArrayRef<Val> keys, Emitter::Vals sums);
  Emitter::Vals scaledBlocks(const Tile &tile, int64_t count);
  Emitter::Vals tileSums(const Tile &tile, int64_t count);
  void decodePanel(const Tile &tile, int64_t count);
  void rowTile(const Place &place, Tile tile, size_t weight, Val row,
               int64_t rows, int64_t count);
  Tile makeTile(const Place &place, size_t weight, Val out, int64_t outs,
                Val begin);
  void eachTile(const Place &place,
                llvm::function_ref<void(Val out, int64_t outs)> body);
  void eachChunk(llvm::function_ref<void(Val begin, int64_t count)> body);
  void setNext(const Place &place, Tile &tile, size_t weight, int64_t count);
  int64_t outputsThatFit(int64_t rows) const;
  int64_t mostOfFewRows() const;
  Tile partOf(const Tile &tile, Val first, int64_t outs);
  void fewRows(const Place &place);
  void manyRows(const Place &place, size_t weight, Val out, int64_t outs,
                Val begin, int64_t count);

  bool isScaledInTile; // whether the sums of parts of the depth have scales
  int64_t step;        // values in a vector
  mlir::Value panel;   // decoded weights of a tile; null if there is no need
};

} // namespace moe

#endif // MOE_LIB_KERNELS_ROWPRODUCT_H
