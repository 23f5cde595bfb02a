//===- Coll.h - The coll dialect --------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_COLL_COLL_H
#define MOE_DIALECT_COLL_COLL_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <optional>

namespace moe::coll {

/// On the module: the size of each axis, `{dp = 1, ep = 2, tp = 2}`.
inline constexpr llvm::StringLiteral kGrid = "coll.grid";

/// The names of axes in the order of the grid; bit i of a mask is axis i.
inline constexpr llvm::StringLiteral kAxes[] = {"dp", "ep", "tp"};

/// What other ranks see of a rank: operations that write it keep their order.
struct ExchangeResource : mlir::SideEffects::Resource::Base<ExchangeResource> {
  llvm::StringRef getName() final { return "exchange"; }
};

/// dp = 1, ep = 2, tp = 4, added up.
int32_t getMask(mlir::ArrayAttr axes);

/// How many members a group over `axes` has, if a module around says.
std::optional<int64_t> getGroupSize(mlir::Operation *op, mlir::ArrayAttr axes);

} // namespace moe::coll

#include "moe/Dialect/Coll/CollDialect.h.inc"
#include "moe/Dialect/Coll/CollEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "moe/Dialect/Coll/CollAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "moe/Dialect/Coll/CollTypes.h.inc"
#define GET_OP_CLASSES
#include "moe/Dialect/Coll/CollOps.h.inc"

#endif // MOE_DIALECT_COLL_COLL_H
