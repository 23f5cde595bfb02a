//===- VectorProduct.h - Products of vectors, on all threads --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_VECTORPRODUCT_H
#define MOE_LIB_KERNELS_VECTORPRODUCT_H

#include "Product.h"

#include "moe/Schedule/Blocks.h"

#include <memory>

namespace moe {

/// The loops of one task of a product, around blocks of rows and outputs. How a
/// block is summed depends on how the weights lie in memory.
class VectorProduct {
public:
  static std::unique_ptr<VectorProduct> make(Lowering &l,
                                             const Product &product);
  virtual ~VectorProduct() = default;

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

protected:
  VectorProduct(Lowering &l, const Product &product);

  struct Place {
    Val expert, rowBegin, rowEnd, outBegin, outEnd;
    Position after;
  };
  /// How many rows a block has sums of.
  virtual int64_t mostRows() const { return blocks.rowBlock; }
  /// Room for decoded weights, if there is need of it.
  virtual void allocatePanel() = 0;
  /// All rows and outputs of a block; where it goes through the depth in parts,
  /// added to what is there.
  virtual void sumBlock(const Place &place) = 0;
  /// Sums of what is multiplied as sums of what it stands for, from an output
  /// on.
  virtual Val scaled(const Weight &weight, Val sums,
                     llvm::ArrayRef<Val> at) const = 0;

  mlir::Type computed() const; // what values are multiplied as
  bool isHeldAs(mlir::Type element) const;
  Emitter::Vals zeros(int64_t count);

  Lowering &l;
  Emitter &e;
  const Product &product;
  llvm::SmallVector<Weight, 2> weights;
  bool pairs; // whether values are multiplied as pairs of bf16
  ProductShape shape;
  Blocks blocks;
  llvm::SmallVector<mlir::Value, 2> sums; // [mostRows, outBlock]

private:
  void clearSums(const Place &place);
  void finish(const Place &place);
  void
  eachTask(Val parts,
           llvm::function_ref<void(Val part, Val outBegin, Val outEnd)> body);
  Position following(Val expert, Val outEnd);
};

} // namespace moe

#endif // MOE_LIB_KERNELS_VECTORPRODUCT_H
