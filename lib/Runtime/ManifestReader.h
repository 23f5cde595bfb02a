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
/// Index of what the text is among `names`.
size_t readOneOf(const JsonNode &node, const std::vector<const char *> &names);
/// A number, or one of a size of the function.
Dim readDim(const JsonNode &node, const Function &function);
Grid readGrid(const JsonNode &node);
/// A set of axes; `least` of them at least.
int32_t readAxes(const JsonNode &list, size_t least);
/// How the weight, whose shape is that of a slice, is split.
Shard readShard(const JsonNode &node, const Weight &weight, const Grid &grid);
/// Sums, collectives and whose tokens there are.
void readRanks(const JsonNode &node, const Grid &grid, Function &function);
/// The functions table; needs the tables of weights and state.
void readFunctions(const JsonNode &list, Manifest &manifest);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_MANIFESTREADER_H
