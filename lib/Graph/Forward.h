//===- Forward.h - The parts of the forward function ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_GRAPH_FORWARD_H
#define MOE_LIB_GRAPH_FORWARD_H

#include "FunctionBuilder.h"

namespace moe {

/// The number of tokens, which a call decides.
inline constexpr int64_t T = FunctionBuilder::dynamic;

/// What the parts of the forward function share: the spec and its weights.
class ForwardBuilder : public FunctionBuilder {
public:
  ForwardBuilder(const Spec &spec, mlir::ModuleOp module)
      : FunctionBuilder(module, "forward"), spec(spec), router(spec.router) {}

  const Spec &spec;
  const RouterSpec &router;

  /// Places that each token has in the plan.
  int64_t numSlots() const {
    return router.balancing == Balancing::expert_choice
               ? router.experts
               : router.topK + router.alwaysOn;
  }

  mlir::Type type(DType dtype);
  /// A projection matrix, in the type that the spec gives to weights.
  mlir::Value weight(llvm::StringRef name, llvm::ArrayRef<int64_t> shape);
  /// A bias or scale, always f32.
  mlir::Value parameter(llvm::StringRef name, llvm::ArrayRef<int64_t> shape);
  /// The RMS norm of the rows of `input`, times the parameter `scale`.
  mlir::Value norm(mlir::Value input, llvm::StringRef scale, double eps,
                   double factor = 1.0);
};

struct ForwardInputs {
  mlir::Value x;
  mlir::Value tokenIds, routerState; // null where the router takes none
};

struct Routing {
  mlir::Value logits, nextState, loads; // null where the router has none
  SelectOp select;
  GroupOp group;
};

Routing buildRouting(ForwardBuilder &b, const ForwardInputs &inputs);

/// Dispatch, experts and combination, what is shared and what is added.
mlir::Value buildExperts(ForwardBuilder &b, mlir::Value x, Routing routing);

} // namespace moe

#endif // MOE_LIB_GRAPH_FORWARD_H
