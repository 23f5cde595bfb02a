//===- Val.h - SSA values with operators ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_VAL_H
#define MOE_LIB_KERNELS_VAL_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

#include <limits>

namespace moe {

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double notANumber = std::numeric_limits<double>::quiet_NaN();

class Emitter;

/// An SSA value with operators: floats, integers, indices, and vectors of them.
/// A number on the right takes the type of the left.
struct Val {
  mlir::Value value;
  Emitter *e = nullptr;

  operator mlir::Value() const { return value; }
  mlir::Type type() const { return value.getType(); }
  Val like(double number) const;
};

/// Whether it is a float or a vector of them.
bool isFloat(Val a);

inline llvm::SmallVector<mlir::Value> values(llvm::ArrayRef<Val> vals) {
  return llvm::SmallVector<mlir::Value>(vals.begin(), vals.end());
}

Val operator+(Val a, Val b);
Val operator-(Val a, Val b);
Val operator*(Val a, Val b);
Val operator/(Val a, Val b); // integers: unsigned
Val operator%(Val a, Val b); // unsigned
Val operator&(Val a, Val b);
Val operator|(Val a, Val b);
Val operator^(Val a, Val b);
Val operator<<(Val a, Val b);
Val operator>>(Val a, Val b); // logical
Val operator<(Val a, Val b);  // integers: signed; floats: ordered
Val operator<=(Val a, Val b);
Val operator>(Val a, Val b);
Val operator>=(Val a, Val b);
Val operator==(Val a, Val b);
Val operator!=(Val a, Val b);

#define MOE_WITH_NUMBER(OP)                                                    \
  inline Val operator OP(Val a, double b) { return a OP a.like(b); }
MOE_WITH_NUMBER(+)
MOE_WITH_NUMBER(-)
MOE_WITH_NUMBER(*)
MOE_WITH_NUMBER(/)
MOE_WITH_NUMBER(%)
MOE_WITH_NUMBER(&)
MOE_WITH_NUMBER(<<)
MOE_WITH_NUMBER(>>)
MOE_WITH_NUMBER(<)
MOE_WITH_NUMBER(<=)
MOE_WITH_NUMBER(>)
MOE_WITH_NUMBER(>=)
MOE_WITH_NUMBER(==)
MOE_WITH_NUMBER(!=)
#undef MOE_WITH_NUMBER

} // namespace moe

#endif // MOE_LIB_KERNELS_VAL_H
