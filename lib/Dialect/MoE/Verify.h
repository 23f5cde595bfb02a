//===- Verify.h - What the verifiers of the moe dialect share ---*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DIALECT_MOE_VERIFY_H
#define MOE_LIB_DIALECT_MOE_VERIFY_H

#include "moe/Dialect/MoE/MoE.h"

#include "llvm/ADT/StringMap.h"

namespace moe {

/// Sizes in a spec and its attributes are 31-bit.
constexpr int64_t kMaxSize = (int64_t(1) << 31) - 1;

/// The named dimensions of one operation [O1]: `x [T, D]` and `weight [N, D]`
/// agree when each name stands for one size wherever that is static. A name
/// that is a number stands for itself.
class Dims {
public:
  explicit Dims(mlir::Operation *op) : op(op) {}

  /// Says what a name stands for, where operands do not.
  void set(llvm::StringRef name, int64_t size);
  void set(llvm::StringRef name, std::optional<int64_t> size);

  /// What a name is known to stand for.
  std::optional<int64_t> get(llvm::StringRef name) const;

  /// Checks one operand or result; an absent one is right.
  mlir::LogicalResult check(const llvm::Twine &what, mlir::Value value,
                            llvm::ArrayRef<llvm::StringRef> names);

private:
  struct Known {
    int64_t size;
    /// Where the size was first seen; null if it follows from others.
    mlir::Value value;
    std::string what;
  };
  mlir::Operation *op;
  llvm::StringMap<Known> known;
};

/// The product of two sizes, if both are known and it is a number.
std::optional<int64_t> product(std::optional<int64_t> a,
                               std::optional<int64_t> b);
std::optional<int64_t> ceilDiv(std::optional<int64_t> a, int64_t b);

/// [O33]: the attribute `name` says how many rows `result` has, exactly where
/// its type does not.
mlir::LogicalResult verifyExtent(mlir::Operation *op, llvm::StringRef name,
                                 std::optional<llvm::StringRef> text,
                                 mlir::Value result);

/// [O2]: `region` is one block that computes an f32 of `numArguments` f32.
mlir::LogicalResult verifyElementwise(mlir::Operation *op, llvm::StringRef name,
                                      mlir::Region &region,
                                      unsigned numArguments);

/// The argument that an elementwise region returns unchanged, if it does.
mlir::BlockArgument getReturnedArgument(mlir::Region &region);

/// [O3]: `value` is between `low` and `high`.
mlir::LogicalResult
verifyRange(llvm::function_ref<mlir::InFlightDiagnostic()> emitError,
            llvm::StringRef name, int64_t value, int64_t low,
            int64_t high = kMaxSize);

/// What a number may be, besides finite [O4].
enum class Sign { Any, NotNegative, Positive };
mlir::LogicalResult
verifyNumber(llvm::function_ref<mlir::InFlightDiagnostic()> emitError,
             llvm::StringRef name, const llvm::APFloat &value,
             Sign sign = Sign::Any);

} // namespace moe

#endif // MOE_LIB_DIALECT_MOE_VERIFY_H
