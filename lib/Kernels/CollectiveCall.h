//===- CollectiveCall.h - A call of the runtime between ranks ---*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What does not change from call to call becomes an entry of the manifest; the
// call has its number. Everything after a call is in an `scf.if`, so that no
// failure is computed with.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_COLLECTIVECALL_H
#define MOE_LIB_KERNELS_COLLECTIVECALL_H

#include "Lowering.h"

#include "moe/Kernels/Entry.h"

namespace moe {

/// One exchange. Buffers that it does not have are null.
struct CollectiveCall {
  /// With the attributes that all collectives have.
  template <typename Op> explicit CollectiveCall(Op op) {
    setKind(op.getContext(), Op::getOperationName());
    about.set(entryAttr::kAxes, op.getAxes());
    if (!op.getName().empty())
      about.set(entryAttr::kName, op.getNameAttr());
  }

  /// As the operation's attributes, and what its tensors say.
  mlir::NamedAttrList about;
  mlir::Value send, receive;
  Val rows;
  mlir::Value sendCounts, receiveCounts;

  /// The operation that the manifest names, if it is another one.
  void setKind(mlir::MLIRContext *context, llvm::StringRef operation);
  /// Room for a result that `text` or its type says the rows of.
  mlir::Value result(Lowering &l, mlir::Value y,
                     std::optional<llvm::StringRef> text);
  /// Adds what the manifest says of it. Returns its number.
  Val enter(Lowering &l);
  void call(Lowering &l);
};

/// Calls the runtime, and puts what is lowered from now on under its success.
void callForStatus(Lowering &l, llvm::StringRef function,
                   mlir::ValueRange operands);

/// What `x` holds, in rows without gaps of what tensors of its type are kept
/// in: an argument need not be either.
mlir::Value toSend(Lowering &l, mlir::Value x);

/// How many rows a tensor has; one without a dimension has one.
Val rowsOf(Lowering &l, mlir::Value tensor);

} // namespace moe

#endif // MOE_LIB_KERNELS_COLLECTIVECALL_H
