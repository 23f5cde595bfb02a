//===- Table.h - Numbers that people read -----------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_TABLE_H
#define MOE_LIB_DRIVER_TABLE_H

#include <string>
#include <vector>

namespace moe {

/// Rows of cells.
using Table = std::vector<std::vector<std::string>>;

/// In columns, two spaces apart.
std::string print(const Table &table);

// Three digits and a unit: `1.44 ms`.
std::string time(double seconds);
std::string bytes(double bytes);       // 1.44 MB
std::string binaryBytes(double bytes); // 1.37 MiB
std::string operations(double operations);

} // namespace moe

#endif // MOE_LIB_DRIVER_TABLE_H
