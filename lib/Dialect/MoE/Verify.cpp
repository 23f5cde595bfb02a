//===- Verify.cpp - What the verifiers of the moe dialect share -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "moe/Kernels/Extent.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moe;

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

void Dims::set(StringRef name, int64_t size) {
  known.insert({name, Known{size, Value(), std::string()}});
}

void Dims::set(StringRef name, std::optional<int64_t> size) {
  if (size)
    set(name, *size);
}

std::optional<int64_t> Dims::get(StringRef name) const {
  auto it = known.find(name);
  if (it == known.end())
    return std::nullopt;
  return it->second.size;
}

/// Whether the static dimensions multiply to less than 2^62, so that counting
/// elements never overflows.
static bool isCountable(RankedTensorType type) {
  int64_t count = 1;
  for (int64_t size : type.getShape()) {
    // A zero further on does not help whoever multiplies from the front.
    if (ShapedType::isDynamic(size) || size == 0)
      continue;
    if (llvm::MulOverflow(count, size, count) || count >> 62)
      return false;
  }
  return true;
}

LogicalResult Dims::check(const Twine &what, Value value,
                          ArrayRef<StringRef> names) {
  if (!value)
    return success();
  auto type = cast<RankedTensorType>(value.getType());
  // Nothing here would honour an encoding, so none may be lost silently.
  if (type.getEncoding())
    return op->emitOpError()
           << "expected '" << what << "' without an encoding, found " << type;
  if (!isCountable(type))
    return op->emitOpError() << "expected '" << what
                             << "' of fewer than 2^62 elements, found " << type;

  std::string shape = "[" + llvm::join(names, ", ") + "]";
  if (type.getRank() != static_cast<int64_t>(names.size()))
    return op->emitOpError() << "expected '" << what << "' of shape " << shape
                             << ", found " << type;

  for (auto [name, size] : llvm::zip_equal(names, type.getShape())) {
    if (ShapedType::isDynamic(size))
      continue;
    int64_t number;
    if (!name.getAsInteger(10, number))
      set(name, number);
    auto [it, isNew] = known.insert({name, Known{size, value, what.str()}});
    const Known &first = it->second;
    if (isNew || first.size == size)
      continue;
    InFlightDiagnostic diag = op->emitOpError();
    diag << "expected '" << what << "' of shape " << shape;
    if (name.getAsInteger(10, number))
      diag << " with " << name << " = " << first.size;
    diag << ", found " << type;
    if (first.value)
      diag.attachNote(first.value.getLoc())
          << "'" << first.what << "' has " << name << " = " << first.size;
    return diag;
  }
  return success();
}

std::optional<int64_t> moe::product(std::optional<int64_t> a,
                                    std::optional<int64_t> b) {
  int64_t result;
  if (!a || !b || llvm::MulOverflow(*a, *b, result))
    return std::nullopt;
  return result;
}

std::optional<int64_t> moe::ceilDiv(std::optional<int64_t> a, int64_t b) {
  if (!a)
    return std::nullopt;
  return *a / b + (*a % b != 0);
}

LogicalResult moe::verifyExtent(Operation *op, StringRef name,
                                std::optional<StringRef> text, Value result) {
  auto type = cast<RankedTensorType>(result.getType());
  bool varies = type.getRank() != 0 && type.isDynamicDim(0);
  if (!varies && text)
    return op->emitOpError() << "expected no '" << name << "' with a result of "
                             << type << ", found \"" << *text << "\"";
  if (!varies || (text && Extent::parse(*text)))
    return success();
  InFlightDiagnostic diag = op->emitOpError();
  diag << "expected a size such as \"R\" or \"8*R\" in '" << name
       << "' with a result of " << type;
  if (text)
    diag << ", found \"" << *text << "\"";
  return diag;
}

//===----------------------------------------------------------------------===//
// Elementwise regions
//===----------------------------------------------------------------------===//

LogicalResult moe::verifyElementwise(Operation *op, StringRef name,
                                     Region &region, unsigned numArguments) {
  if (!region.hasOneBlock())
    return op->emitOpError()
           << "expected region '" << name << "' of one block, found "
           << region.getBlocks().size();
  Block &block = region.front();
  if (block.getNumArguments() != numArguments ||
      !llvm::all_of(block.getArgumentTypes(), llvm::IsaPred<Float32Type>)) {
    InFlightDiagnostic diag = op->emitOpError();
    diag << "expected region '" << name << "' with " << numArguments
         << (numArguments == 1 ? " argument" : " arguments")
         << " of type f32, found (" << block.getArgumentTypes() << ")";
    return diag;
  }
  for (Operation &inner : block.without_terminator()) {
    // What a lowering can repeat per element, on vectors of any width.
    if (!isMemoryEffectFree(&inner) || inner.getNumRegions() != 0 ||
        !(OpTrait::hasElementwiseMappableTraits(&inner) ||
          inner.hasTrait<OpTrait::ConstantLike>()) ||
        !llvm::all_of(inner.getResultTypes(),
                      [](Type type) { return type.isIntOrFloat(); })) {
      InFlightDiagnostic diag = op->emitOpError();
      diag << "expected elementwise operations on scalars in region '" << name
           << "', found '" << inner.getName() << "'";
      diag.attachNote(inner.getLoc()) << "which is here";
      return diag;
    }
  }
  Operation *last = block.empty() ? nullptr : &block.back();
  if (!isa_and_nonnull<YieldOp>(last)) {
    InFlightDiagnostic diag = op->emitOpError();
    diag << "expected region '" << name << "' to end in 'moe.yield'";
    if (last)
      diag << ", found '" << last->getName() << "'";
    return diag;
  }
  return success();
}

BlockArgument moe::getReturnedArgument(Region &region) {
  if (!region.hasOneBlock() || region.front().empty())
    return nullptr;
  auto yield = dyn_cast<YieldOp>(region.front().back());
  auto argument =
      yield ? dyn_cast<BlockArgument>(yield.getValue()) : BlockArgument();
  return argument && argument.getOwner() == &region.front() ? argument
                                                            : nullptr;
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

LogicalResult moe::verifyRange(function_ref<InFlightDiagnostic()> emitError,
                               StringRef name, int64_t value, int64_t low,
                               int64_t high) {
  if (low <= value && value <= high)
    return success();
  return emitError() << "expected '" << name << "' from " << low << " to "
                     << high << ", found " << value;
}

LogicalResult moe::verifyNumber(function_ref<InFlightDiagnostic()> emitError,
                                StringRef name, const APFloat &value,
                                Sign sign) {
  StringRef kind = sign == Sign::Positive      ? "a finite number above 0"
                   : sign == Sign::NotNegative ? "a finite number from 0"
                                               : "a finite number";
  bool isRight = &value.getSemantics() == &APFloat::IEEEdouble() &&
                 value.isFinite() &&
                 (sign == Sign::Any || value.isZero() || !value.isNegative()) &&
                 (sign != Sign::Positive || !value.isZero());
  if (isRight)
    return success();
  SmallString<32> text;
  value.toString(text);
  return emitError() << "expected '" << name << "' to be " << kind << ", found "
                     << text;
}
