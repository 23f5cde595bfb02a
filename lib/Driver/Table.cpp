//===- Table.cpp - Numbers that people read -------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Table.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

std::string moe::print(const Table &table) {
  std::vector<size_t> widths;
  for (const auto &row : table) {
    widths.resize(std::max(widths.size(), row.size()));
    for (auto [width, cell] : zip(widths, row))
      width = std::max(width, cell.size());
  }
  std::string text;
  for (const auto &row : table) {
    std::string line;
    for (auto [width, cell] : zip(widths, row))
      line += cell + std::string(width - cell.size() + 2, ' ');
    text += StringRef(line).rtrim().str() + "\n";
  }
  return text;
}

/// Each of `units` is `step` of the one before.
static std::string scaled(double value, ArrayRef<StringRef> units,
                          double step = 1000) {
  while (units.size() > 1 && value >= step - 0.5) {
    value /= step;
    units = units.drop_front();
  }
  int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::string format = "{0:F" + std::to_string(digits) + "} {1}";
  return formatv(false, format.c_str(), value, units.front()).str();
}

std::string moe::time(double seconds) {
  return scaled(seconds * 1e9, {"ns", "us", "ms", "s"});
}

std::string moe::bytes(double bytes) {
  return scaled(bytes, {"B", "kB", "MB", "GB", "TB"});
}

std::string moe::binaryBytes(double bytes) {
  return scaled(bytes, {"B", "KiB", "MiB", "GiB", "TiB"}, 1024);
}

std::string moe::operations(double operations) {
  return scaled(operations * 1e-3,
                {"kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"});
}
