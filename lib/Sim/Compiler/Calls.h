//===- Calls.h - Calls of the simulator -------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_COMPILER_CALLS_H
#define MOE_LIB_SIM_COMPILER_CALLS_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

namespace moe::sim {

/// Makes calls of the simulator's functions, and remembers which there are, and
/// the places in the source that they name.
class Calls {
public:
  explicit Calls(mlir::ModuleOp host);

  /// From here on in front of that operation.
  void setPlace(mlir::Operation *op);
  mlir::ImplicitLocOpBuilder &builder() { return b; }

  mlir::Value constant(int64_t value, unsigned bits = 32);
  /// A value as so many bits of an integer: extended as unsigned, or the bits
  /// of a float.
  mlir::Value bits(mlir::Value value, unsigned width);
  /// Back from such bits to a type.
  mlir::Value fromBits(mlir::Value value, mlir::Type type);
  /// The number of the operation's place in the source.
  mlir::Value site();

  /// The result is null for a call of nothing.
  mlir::Value call(llvm::StringRef name, mlir::Type result,
                   mlir::ValueRange operands);
  void call(llvm::StringRef name, mlir::ValueRange operands) {
    call(name, mlir::Type(), operands);
  }

  /// Memory of the function for operands and results of calls, at an offset;
  /// what is in it lasts until the next call.
  mlir::Value scratch(int64_t offset);
  static constexpr int64_t scratchBytes = 4096;

  /// A constant array of words.
  mlir::Value words(llvm::ArrayRef<uint32_t> values);

  const llvm::MapVector<mlir::StringAttr, mlir::LLVM::GlobalOp> &slots() const {
    return slotOf;
  }
  llvm::ArrayRef<std::string> sites() const { return siteTexts; }

  mlir::Type i1() { return b.getI1Type(); }
  mlir::Type i32() { return b.getI32Type(); }
  mlir::Type i64() { return b.getI64Type(); }
  mlir::LLVM::LLVMPointerType pointer() {
    return mlir::LLVM::LLVMPointerType::get(b.getContext());
  }

private:
  mlir::LLVM::LLVMFuncOp trampoline(llvm::StringRef name,
                                    mlir::LLVM::LLVMFunctionType type);

  mlir::ModuleOp host;
  mlir::ImplicitLocOpBuilder b;
  mlir::Operation *place = nullptr;
  llvm::StringMap<mlir::LLVM::LLVMFuncOp> functionOf;
  llvm::MapVector<mlir::StringAttr, mlir::LLVM::GlobalOp> slotOf;
  llvm::StringMap<int64_t> siteOf;
  std::vector<std::string> siteTexts;
  llvm::DenseMap<mlir::Operation *, mlir::Value> scratchOf;
  int64_t constants = 0;
};

/// Each makes calls of an operation, if it is one that it knows, and erases it.
/// False if it is not; what an operation has that cannot be simulated is an
/// error at it.
using Rewrite = llvm::FailureOr<bool>;
Rewrite rewriteSynchronization(mlir::Operation *op, Calls &calls);
Rewrite rewriteCopies(mlir::Operation *op, Calls &calls);
Rewrite rewriteMatrices(mlir::Operation *op, Calls &calls);
Rewrite rewriteOther(mlir::Operation *op, Calls &calls);
/// f16 and bf16 by arithmetic that every host has.
Rewrite rewriteNumbers(mlir::Operation *op, Calls &calls);
/// Adds the checks of a load, store or the like.
mlir::LogicalResult checkAccess(mlir::Operation *op, Calls &calls);

/// Where in the source an operation is, and what it is called.
std::string describe(mlir::Operation *op);

/// The operation's value becomes this one.
inline Rewrite replace(mlir::Operation *op, mlir::ValueRange values = {}) {
  op->replaceAllUsesWith(values);
  op->erase();
  return true;
}

/// Puts the operation, without results, under a condition that may be null.
void putUnder(mlir::Value condition, mlir::Operation *op);

} // namespace moe::sim

#endif // MOE_LIB_SIM_COMPILER_CALLS_H
