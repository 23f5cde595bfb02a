//===- StripProduct.h - Products of packed weights ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_STRIPPRODUCT_H
#define MOE_LIB_KERNELS_STRIPPRODUCT_H

#include "VectorProduct.h"

namespace moe {

/// Tiles whose lanes are outputs, of weights that are alike.
class StripProduct : public VectorProduct {
public:
  StripProduct(Lowering &l, const Product &product);

  /// Rows that one tile takes for half as many outputs: the time goes to
  /// weights that come from memory, and each is read once.
  static constexpr int64_t wideRows = 12;

private:
  struct Strips {
    mlir::Value values, scales; // scales may be null
  };
  /// A strip, from somewhere in the depth on.
  struct Part {
    Strips strips;
    Val expert, strip, begin;
  };
  /// Some outputs of a part of a strip, and the rows that are multiplied.
  struct Tile {
    Part part, next; // next: what is read after all tiles of this part
    bool fromPanel;  // where this part has been decoded
    bool isUsual;    // whether keys can be made of its scales
    mlir::Value sums;
    Val first, end;
    Val rowBegin, rowEnd;
    Val asks;              // whether tiles ask for `next`; null: they do
    Val firstAsked, asked; // lines of `next` at each turn
  };

  int64_t mostRows() const override;
  void allocatePanel() override;
  void sumBlock(const Place &place) override;
  Val scaled(const Weight &weight, Val sums,
             llvm::ArrayRef<Val> at) const override;

  const Weight &weight() const { return weights.front(); }
  Strips stripsOf(Val number);
  /// Whether two values of an output that lie together become two numbers.
  bool hasHalves() const { return !pairs && weight().holds(e.getBF16Type()); }
  int64_t inStep(const Tile &tile) const;
  int64_t inTurn(const Tile &tile) const;
  Emitter::Vals plainValues(const Tile &tile, Val c, int64_t vector);
  Val pairOf(Val source, Val c);
  Emitter::Vals rowValues(const Tile &tile, Val source, Val c);
  Part toAsk(const Tile &tile, Val count);
  void askAhead(const Tile &tile, Val c);
  void addTile(const Place &place, const Tile &tile, Val row, int64_t rows,
               int64_t vectors);
  void addTiles(const Place &place, Tile tile, llvm::ArrayRef<int64_t> heights,
                int64_t vectors);
  int64_t mostVectors() const;
  void narrowTiles(const Place &place, const Tile &tile);
  void plainTiles(const Place &place, const Tile &tile);
  Val wordsAt(const Tile &tile, Val c, Val first);
  Val scaleBytes(const Tile &tile, Val c, Val first);
  Emitter::Vals keysOfTurn(const Tile &tile, Val c, int64_t vectors);
  Emitter::Vals codedStep(const Tile &tile, llvm::ArrayRef<Val> sources, Val c,
                          llvm::ArrayRef<Val> keys, llvm::ArrayRef<Val> sums);
  Val areUsual(const Tile &tile);
  void decodePart(const Tile &tile);
  void codedTiles(const Place &place, const Tile &tile);
  void codedPart(const Place &place, Tile tile);

  bool hasCodes; // whether weights are stored in few bits
  llvm::SmallVector<Strips, 2> strips;
  mlir::Value panel; // a decoded part of a strip; null if there is no need
};

} // namespace moe

#endif // MOE_LIB_KERNELS_STRIPPRODUCT_H
