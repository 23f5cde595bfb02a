//===- Row.h - The values of a row, a vector of them at a time ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One text for the machine and for the reference, which takes values one by
// one:
//
//   Row row(l, columns);
//   row.forEach([&](Row::Part c) {
//     row.store(row.load(x, {t, c.first}, c) * scale, y, {t, c.first}, c);
//   });
//
// Lanes of a GPU that share the item at hand take the values by turns.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ROW_H
#define MOE_LIB_KERNELS_ROW_H

#include "Lowering.h"

namespace moe {

/// Values from `first` on; of a vector's lanes only `valid` are in the row.
struct RowPart {
  Val first;
  int64_t valid;
};

class Row {
public:
  Row(Lowering &l, int64_t count);
  /// In parts of `lanes`, a power of two.
  Row(Emitter &e, int64_t count, int64_t lanes)
      : e(e), count(count), lanes(lanes) {}

  Emitter &e;
  const int64_t count, lanes;

  using Part = RowPart;

  void forEach(llvm::function_ref<void(Part)> body) const;
  Emitter::Vals carry(
      llvm::ArrayRef<Val> initial,
      llvm::function_ref<Emitter::Vals(Part, llvm::ArrayRef<Val>)> body) const;
  /// All values of the row in one: lane by lane from `initial`, and then the
  /// lanes by halves. The order is the same wherever the row is.
  Val fold(Val initial, llvm::function_ref<Val(Part)> value,
           llvm::function_ref<Val(Val, Val)> both) const;
  Val sum(mlir::Type type, llvm::function_ref<Val(Part)> value) const;
  /// The lanes in one, by halves; each value stands for several vectors.
  Emitter::Vals reduce(Emitter::Vals values,
                       llvm::function_ref<Emitter::Vals(llvm::ArrayRef<Val>,
                                                        llvm::ArrayRef<Val>)>
                           both) const;
  /// Whether it holds of every value.
  Val all(llvm::function_ref<Val(Part)> holds) const;

  Val load(mlir::Value buffer, llvm::ArrayRef<Val> at, Part part) const;
  void store(Val value, mlir::Value buffer, llvm::ArrayRef<Val> at,
             Part part) const;
  /// Places past the row become `other`.
  Val inside(Part part, Val value, Val other) const;
  /// What a part is made of: `type` itself, or vectors of it.
  mlir::Type typeOf(mlir::Type type) const;
  Val fill(Val scalar) const;
  Val constant(mlir::Type type, double number) const {
    return e.constant(typeOf(type), number);
  }
  /// The place of each value in the row.
  Val places(Part part, mlir::Type type) const;
};

} // namespace moe

#endif // MOE_LIB_KERNELS_ROW_H
