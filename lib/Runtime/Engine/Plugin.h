//===- Plugin.h - Engines that are libraries --------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// libmoe_engine_NAME.so in a folder of MOE_ENGINE_PATH, or beside this library.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_PLUGIN_H
#define MOE_LIB_RUNTIME_ENGINE_PLUGIN_H

#include "moe/Runtime/Engine.h"

#include <string>

namespace moe::runtime {

/// Loads the engine and joins. Fails with MOE_NOT_FOUND for a name that no
/// engine has, MOE_UNAVAILABLE for an engine that is not there or too old.
moe_engine openPlugin(const std::string &name,
                      const moe_engine_options &options);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_ENGINE_PLUGIN_H
