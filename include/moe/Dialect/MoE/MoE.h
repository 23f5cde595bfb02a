//===- MoE.h - The moe dialect ----------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_MOE_H
#define MOE_DIALECT_MOE_MOE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace moe {
/// Parameters of attributes that are doubles: any finite decimal.
mlir::FailureOr<llvm::APFloat> parseDouble(mlir::AsmParser &parser);
void printDouble(mlir::AsmPrinter &printer, const llvm::APFloat &value);
} // namespace moe

#include "moe/Dialect/MoE/MoEDialect.h.inc"
#include "moe/Dialect/MoE/MoEEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "moe/Dialect/MoE/MoEAttrs.h.inc"
#define GET_OP_CLASSES
#include "moe/Dialect/MoE/MoEOps.h.inc"

#endif // MOE_DIALECT_MOE_MOE_H
