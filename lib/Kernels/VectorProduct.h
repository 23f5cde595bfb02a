//===- VectorProduct.h - Products in tiles of dot products ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_VECTORPRODUCT_H
#define MOE_LIB_KERNELS_VECTORPRODUCT_H

#include "Product.h"

#include "moe/Schedule/Blocks.h"

namespace moe {

/// The loops of one task of a product.
class VectorProduct {
public:
  VectorProduct(Lowering &l, const Product &product);

  /// Room for what a task keeps; at the start of its body.
  void allocate();
  /// An expert, and outputs from one on.
  struct Position {
    Val expert, out;
  };
  /// All sums of some rows of an expert and some outputs; `after` are the
  /// weights that are read then.
  void run(Val expert, Val rowBegin, Val rowEnd, Val outBegin, Val outEnd,
           Position after);
  /// All outputs of the rows of each expert, on all threads.
  void runExperts(llvm::function_ref<std::pair<Val, Val>(Val expert)> rows);
  /// All outputs of some rows with one weight for all, on all threads.
  void runDense(Val rowBegin, Val rowEnd);

  /// Outputs that make a task which is worth its while.
  int64_t outputsOfTask() const { return blocks.taskOutputs; }

private:
  Lowering &l;
  Emitter &e;
  const Product &product;
  llvm::SmallVector<Weight, 2> weights;
  bool pairs;          // whether values are multiplied as pairs of bf16
  bool isScaledInTile; // whether the sums of parts of the depth have scales
  int64_t step;        // values in a vector
  bool hasCodes;       // whether weights are stored in few bits
  Blocks blocks;

  llvm::SmallVector<mlir::Value, 2> sums; // [rowBlock, outBlock]
  mlir::Value panel; // decoded weights of a tile; null if there is no need
  struct Strips {
    mlir::Value values, scales; // scales may be null
  };
  llvm::SmallVector<Strips, 2> strips; // of packed weights; or else empty

  struct Place {
    Val expert, rowBegin, rowEnd, outBegin, outEnd;
    Position after;
  };
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

  /// A strip, from somewhere in the depth on.
  struct StripPart {
    Strips strips;
    Val expert, strip, begin;
  };
  /// Some outputs of a part of a strip, and the rows that are multiplied.
  struct StripTile {
    const Weight *weight;
    StripPart part, next; // next: what is read after all tiles of this part
    bool fromPanel;       // where this part has been decoded
    bool isUsual;         // whether keys can be made of its scales
    mlir::Value sums;
    Val first, end;
    Val rowBegin, rowEnd;
    Val asks;              // whether tiles ask for `next`; null: they do
    Val firstAsked, asked; // lines of `next` at each turn
  };

  mlir::Type computed() const; // what values are multiplied as
  bool isHeldAs(mlir::Type element) const;
  Emitter::Vals zeros(int64_t count);
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
  void clearSums(const Place &place);
  int64_t stripRows() const;
  /// Whether two values of an output that lie together become two numbers.
  bool hasHalves() const {
    return !pairs && weights.front().holds(e.getBF16Type());
  }
  int64_t inStep(const StripTile &tile) const;
  int64_t inTurn(const StripTile &tile) const;
  Emitter::Vals stripWeights(const StripTile &tile, Val c, int64_t vector);
  Val stripPairs(Val source, Val c);
  Emitter::Vals stripRow(const StripTile &tile, Val source, Val c);
  StripPart toAsk(const StripTile &tile, Val count);
  void askForStrip(const StripTile &tile, Val c);
  void stripTile(const Place &place, const StripTile &tile, Val row,
                 int64_t rows, int64_t vectors);
  void stripTiles(const Place &place, StripTile tile,
                  llvm::ArrayRef<int64_t> heights, int64_t vectors);
  int64_t stripVectors() const;
  void narrowTiles(const Place &place, const StripTile &tile);
  void plainStrip(const Place &place, const StripTile &tile);
  Strips stripsOf(Val number);
  void stripRowsAndOutputs(const Place &place);
  Val stripWords(const StripTile &tile, Val c, Val first);
  Val scaleBytes(const StripTile &tile, Val c, Val first);
  Emitter::Vals keysOfTurn(const StripTile &tile, Val c, int64_t vectors);
  Emitter::Vals codedStep(const StripTile &tile, llvm::ArrayRef<Val> sources,
                          Val c, llvm::ArrayRef<Val> keys,
                          llvm::ArrayRef<Val> sums);
  Val areUsual(const StripTile &tile);
  void decodeStrip(const StripTile &tile);
  void codedTiles(const Place &place, const StripTile &tile);
  void codedStrip(const Place &place, StripTile tile);
  void rowsAndOutputs(const Place &place);
  void finish(const Place &place);
  void
  eachTask(Val parts,
           llvm::function_ref<void(Val part, Val outBegin, Val outEnd)> body);
  Position following(Val expert, Val outEnd);
};

} // namespace moe

#endif // MOE_LIB_KERNELS_VECTORPRODUCT_H
