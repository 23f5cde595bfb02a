//===- Arguments.h - Arguments of a kernel from a command line --*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_TOOL_ARGUMENTS_H
#define MOE_LIB_SIM_TOOL_ARGUMENTS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moe::sim {

/// A number, a buffer on the device, or a tensor map of a buffer before it.
struct Argument {
  enum Kind { Number, Buffer, Map } kind = Number;
  std::string type;        // i8, i32, i64, f16, bf16 or f32
  std::vector<char> bytes; // of a number; what a buffer starts with
  bool written = true;     // false for a buffer that starts with nothing
  int64_t count = 0;       // elements of a buffer
  unsigned long long address = 0;

  // Of a map: the buffer's number among all arguments, extents and box from the
  // innermost, and bytes of the swizzle.
  unsigned of = 0;
  std::vector<int64_t> extents, box;
  int64_t swizzle = 0;
};

/// `TYPE=VALUE`, `TYPExCOUNT=iota|zero|ones|none`, or
/// `map=NUMBER:EXTENTS:BOX:SWIZZLE`, as in `map=0:64x32:64x8:128`.
llvm::Expected<Argument> parseArgument(llvm::StringRef text);

/// A comma between the elements, as their type prints them.
void print(llvm::raw_ostream &out, const Argument &argument,
           llvm::ArrayRef<char> bytes);

/// As in 2x3; at most `most` numbers of at least 1.
llvm::Expected<std::vector<int64_t>> parseExtents(llvm::StringRef text,
                                                  size_t most);

unsigned bytesOfType(llvm::StringRef type);

} // namespace moe::sim

#endif // MOE_LIB_SIM_TOOL_ARGUMENTS_H
