//===- CollDialect.cpp - Registration of the coll dialect, and the grid ---===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/Coll/Coll.h"

#include "moe/Support/Suggest.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;
using namespace moe::coll;

#include "moe/Dialect/Coll/CollDialect.cpp.inc"
#include "moe/Dialect/Coll/CollEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "moe/Dialect/Coll/CollAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "moe/Dialect/Coll/CollTypes.cpp.inc"

void CollDialect::initialize() {
  registerAttributes();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "moe/Dialect/Coll/CollOps.cpp.inc"
      >();
}

void CollDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "moe/Dialect/Coll/CollAttrs.cpp.inc"
      >();
}

void CollDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "moe/Dialect/Coll/CollTypes.cpp.inc"
      >();
}

Operation *CollDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

//===----------------------------------------------------------------------===//
// The grid
//===----------------------------------------------------------------------===//

LogicalResult CollDialect::verifyOperationAttribute(Operation *op,
                                                    NamedAttribute attribute) {
  if (attribute.getName() != kGrid)
    return op->emitError("unknown attribute '")
           << attribute.getName().getValue() << "'; expected '" << kGrid << "'";
  if (!isa<ModuleOp>(op))
    return op->emitError("expected '") << kGrid << "' on a module";
  auto grid = dyn_cast<DictionaryAttr>(attribute.getValue());
  if (!grid || grid.empty())
    return op->emitError("expected '")
           << kGrid << "' to be as {dp = 1, ep = 2, tp = 2}, found "
           << attribute.getValue();
  int64_t ranks = 1;
  constexpr int64_t most = (int64_t(1) << 31) - 1;
  for (NamedAttribute axis : grid) {
    StringRef name = axis.getName();
    if (!llvm::is_contained(kAxes, name))
      return op->emitError("unknown axis '")
             << name << "' in '" << kGrid << "'; expected dp, ep or tp"
             << didYouMean(name, {std::begin(kAxes), std::end(kAxes)});
    auto size = dyn_cast<IntegerAttr>(axis.getValue());
    if (!size || !size.getType().isSignlessInteger(64) || size.getInt() < 1 ||
        size.getInt() > most)
      return op->emitError("expected axis '")
             << name << "' of '" << kGrid
             << "' to have a size from 1 to 2^31 - 1, found "
             << axis.getValue();
    ranks *= size.getInt();
    if (ranks > most)
      return op->emitError("expected '")
             << kGrid << "' of at most 2^31 - 1 ranks, found " << grid;
  }
  return success();
}

/// The grid of the closest module that has one.
static DictionaryAttr findGrid(Operation *op) {
  for (; op; op = op->getParentOp())
    if (auto grid = op->getAttrOfType<DictionaryAttr>(kGrid))
      return grid;
  return {};
}

int32_t coll::getMask(ArrayAttr axes) {
  int32_t mask = 0;
  for (auto axis : axes.getAsValueRange<StringAttr>())
    mask |= 1 << (llvm::find(kAxes, axis) - std::begin(kAxes));
  return mask;
}

std::optional<int64_t> coll::getGroupSize(Operation *op, ArrayAttr axes) {
  DictionaryAttr grid = findGrid(op);
  if (!grid)
    return std::nullopt;
  int64_t size = 1;
  for (auto axis : axes.getAsValueRange<StringAttr>()) {
    auto extent = grid.getAs<IntegerAttr>(axis);
    if (!extent)
      return std::nullopt;
    size *= extent.getInt();
  }
  return size;
}
