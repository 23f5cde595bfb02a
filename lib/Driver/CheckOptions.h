//===- CheckOptions.h - What options say together ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_CHECKOPTIONS_H
#define MOE_LIB_DRIVER_CHECKOPTIONS_H

#include "moe/Driver/Driver.h"

namespace moe {

/// Options that mean something by being there.
struct GivenOptions {
  bool phase = false, plan = false;
  std::string tokens; // as text, since --devices changes what it may be
};

/// Fails where options exclude each other, and sets those that follow from
/// others, once all are read.
llvm::Error checkOptions(CompileOptions &options, GivenOptions given);

llvm::StringRef emitName(Emit emit);
llvm::Error setGpuArchs(CompileOptions &options, llvm::StringRef value);

} // namespace moe

#endif // MOE_LIB_DRIVER_CHECKOPTIONS_H
