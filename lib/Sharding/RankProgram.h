//===- RankProgram.h - A function becomes that of one rank ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// In four steps, each of which leaves a program that can be looked at: what
// chooses for all tokens sees those of all ranks (Choice.cpp), experts and
// their rows go where they belong (Exchange.cpp), products are split and their
// parts added up (Parts.cpp), and what else looks at all tokens gets those of
// all ranks (Tokens.cpp).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SHARDING_RANKPROGRAM_H
#define MOE_LIB_SHARDING_RANKPROGRAM_H

#include "Weights.h"

#include "moe/Dialect/Coll/Coll.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/DenseSet.h"

namespace moe {

class RankProgram {
public:
  RankProgram(mlir::func::FuncOp func, const Parallel &parallel)
      : func(func), parallel(parallel), weights(func),
        b(func.getLoc(), func.getContext()) {}

  /// Whether the function has tokens at all.
  bool hasTokens();
  mlir::LogicalResult run();

private:
  mlir::func::FuncOp func;
  const Parallel &parallel;
  Weights weights;
  mlir::ImplicitLocOpBuilder b;
  /// Values that are one of tp terms, and the type of their sum.
  llvm::MapVector<mlir::Value, mlir::Type> parts;
  llvm::DenseMap<mlir::Value, mlir::Value> sums;
  /// Rows of all ranks, by those of this rank.
  llvm::DenseMap<mlir::Value, mlir::Value> ofAllTokens;

  //--- Choice.cpp -----------------------------------------------------------
  void chooseTogether();
  void choose(SelectOp select);
  void chooseForAll(SelectOp select, mlir::Value input);
  void limit(GroupOp group);
  mlir::Value gatherTokens(mlir::Value rows, llvm::StringRef name);
  mlir::Value ownTokens(mlir::Value all);
  mlir::Value numberTokens(bool all);

  //--- Exchange.cpp ---------------------------------------------------------
  /// The axis that experts are spread over, if any.
  std::optional<Axis> expertAxis() const;
  void spreadExperts();
  void exchangeRows(GroupOp group);
  void keepLocal(GroupOp group);
  GroupOp placeExperts(GroupOp group);
  mlir::RankedTensorType wireType(mlir::RankedTensorType type);
  QuantAttr wireFormat();
  mlir::Value pack(mlir::Value rows, mlir::Value counts);
  mlir::Value unpack(mlir::Value packed, mlir::Value counts, mlir::Type type);
  mlir::Value packDispatched(DispatchOp dispatch, mlir::Value sizes);

  //--- Parts.cpp ------------------------------------------------------------
  mlir::LogicalResult splitProducts();
  mlir::LogicalResult splitProduct(GroupedMatmulOp op, int64_t dim);
  mlir::LogicalResult splitExperts(GroupedMatmulOp op);
  /// Sums parts up before anything that is not linear in them.
  void addParts();
  void finishResult(mlir::OpOperand &operand);
  bool passOn(mlir::Operation *op);
  bool passOn(MixOp op);
  mlir::Value sum(mlir::Value part);
  mlir::Value round(mlir::Value value, mlir::Type type);

  //--- Tokens.cpp -----------------------------------------------------------
  /// Axes, of more than one member, whose ranks have other tokens in the
  /// program; over tp they are put together first.
  llvm::SmallVector<Axis> tokenAxes() const;
  void gatherSequence();
  static bool isOutputOfTokens(mlir::DictionaryAttr attrs);
  void seeAllTokens();
  void gatherWeights();
  void nameSizes();

  /// Names of axes, as `coll` operations have them.
  mlir::ArrayAttr axes(llvm::ArrayRef<Axis> list);
  /// The size of the rows that the program works on: "S" where they are
  /// gathered over tp.
  llvm::StringRef rowsName() const {
    return parallel.sequenceParallel && parallel.tp > 1 ? "S" : "T";
  }
  mlir::StringAttr times(int64_t number, llvm::StringRef size);
};

} // namespace moe

#endif // MOE_LIB_SHARDING_RANKPROGRAM_H
