//===- Extent.cpp - Sizes known when code is made or when it runs ---------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Kernels/Extent.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace moe;

Extent Extent::dividedBy(int64_t number) const {
  if (isConstant())
    return constant((factor + number - 1) / number);
  if (multiplier % number == 0)
    return {factor, divisor, size, multiplier / number};
  if (number % multiplier == 0)
    return {factor, divisor * (number / multiplier), size};
  // That is no extent: one that is never less.
  return {factor, divisor, size, multiplier / number + 1};
}

std::string Extent::str() const {
  if (isConstant())
    return std::to_string(factor);
  std::string text = size;
  if (factor != 1)
    text = std::to_string(factor) + "*" + text;
  if (divisor != 1)
    text = "ceil(" + text + "/" + std::to_string(divisor) + ")";
  if (multiplier != 1)
    text = std::to_string(multiplier) + "*" + text;
  return text;
}

std::optional<Extent> Extent::parse(std::string_view text) {
  Extent extent;
  llvm::StringRef rest(text);
  if (rest.contains("*ceil(") &&
      (rest.consumeInteger(10, extent.multiplier) || !rest.consume_front("*")))
    return std::nullopt;
  bool divided = rest.consume_front("ceil(");
  if (divided && !rest.consume_back(")"))
    return std::nullopt;
  if (rest.contains('*') &&
      (rest.consumeInteger(10, extent.factor) || !rest.consume_front("*")))
    return std::nullopt;
  auto [name, divisor] = rest.split('/');
  if (rest.contains('/') != divided ||
      (divided && divisor.getAsInteger(10, extent.divisor)))
    return std::nullopt;
  bool isIdentifier =
      !name.empty() && llvm::isAlpha(name.front()) &&
      llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
  if (!isIdentifier || extent.factor <= 0 || extent.divisor <= 0 ||
      extent.multiplier <= 0)
    return std::nullopt;
  extent.size = name.str();
  if (extent.divisor != 1 || extent.multiplier == 1)
    return extent;
  // Nothing is rounded up.
  if (llvm::MulOverflow(extent.factor, extent.multiplier, extent.factor))
    return std::nullopt;
  extent.multiplier = 1;
  return extent;
}
