//===- ManifestReader.h - Parts of the manifest's reader --------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What the files that read a manifest share.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_MANIFESTREADER_H
#define MOE_LIB_RUNTIME_MANIFESTREADER_H

#include "JsonNode.h"
#include "Manifest.h"

namespace moe::runtime {

DType readDType(const JsonNode &node);
/// The functions table; needs the tables of weights and state.
void readFunctions(const JsonNode &list, Manifest &manifest);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_MANIFESTREADER_H
