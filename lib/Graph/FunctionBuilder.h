//===- FunctionBuilder.h - A function that grows its own signature --------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_GRAPH_FUNCTIONBUILDER_H
#define MOE_LIB_GRAPH_FUNCTIONBUILDER_H

#include "moe/Dialect/MoE/MoE.h"
#include "moe/Graph/Graph.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace moe {

/// Builds one function. Arguments and results are declared where the code that
/// uses or makes them stands, so that a feature of the spec is one place here.
class FunctionBuilder : public mlir::ImplicitLocOpBuilder {
public:
  FunctionBuilder(mlir::ModuleOp module, llvm::StringRef name);

  /// A dynamic dimension; its size is named in the order of `sizes`.
  static constexpr int64_t dynamic = mlir::ShapedType::kDynamic;

  mlir::RankedTensorType tensor(llvm::ArrayRef<int64_t> shape, mlir::Type type);
  mlir::RankedTensorType f32(llvm::ArrayRef<int64_t> shape);
  mlir::RankedTensorType i32(llvm::ArrayRef<int64_t> shape);
  mlir::RankedTensorType i64(llvm::ArrayRef<int64_t> shape);

  mlir::Value argument(llvm::StringRef name, llvm::StringRef role,
                       mlir::RankedTensorType type,
                       llvm::ArrayRef<std::string> sizes = {},
                       bool isUnsigned = false);
  /// A part of a weight that is stored in few bits, for products over `fanIn`.
  mlir::Value encoded(llvm::StringRef name, mlir::RankedTensorType type,
                      int64_t fanIn, bool isUnsigned);
  /// State that starts as zeros, or as a copy of the weight of its name.
  mlir::Value state(llvm::StringRef name, mlir::RankedTensorType type,
                    bool fromWeight = false);
  void result(llvm::StringRef name, llvm::StringRef role, mlir::Value value,
              llvm::ArrayRef<std::string> sizes = {}, bool isUnsigned = false);

  /// Fills `region` with a formula over its block's arguments.
  void formula(mlir::Region &region, const Expression &expression,
               unsigned variables);

  /// Writes the return and the signature.
  void finish();

private:
  mlir::func::FuncOp func;
  llvm::SmallVector<mlir::DictionaryAttr> argumentAttrs, resultAttrs;
  llvm::SmallVector<mlir::Value> results;

  mlir::DictionaryAttr describe(llvm::StringRef name, llvm::StringRef role,
                                llvm::ArrayRef<std::string> sizes,
                                llvm::StringRef flag = "");
};

/// The forward function of a spec.
void buildForward(const Spec &spec, mlir::ModuleOp module);

/// `average_group`, over the ranks of a spec's grid.
void buildAverageGroup(const Spec &spec, mlir::ModuleOp module);

} // namespace moe

#endif // MOE_LIB_GRAPH_FUNCTIONBUILDER_H
