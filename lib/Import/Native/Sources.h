//===- Sources.h - Where files have weights ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_NATIVE_SOURCES_H
#define MOE_LIB_IMPORT_NATIVE_SOURCES_H

#include "Text/Json.h"

#include "moe/Import/Spec.h"

namespace moe {

class Locations;
class Reporter;

/// Reads `weights.tensors`, an object. Section 9 of docs/Spec.md.
void readWeightTensors(const json::Value &object, std::string_view text,
                       std::vector<WeightSources> &tensors,
                       Locations &locations, Reporter &reporter);

/// The object again, at the depth at which it stands in a printed spec.
std::string printWeightTensors(const std::vector<WeightSources> &tensors);

/// Checks that the layer has the weights which `weights.tensors` names.
void validateWeightTensors(const Spec &spec, const Locations &locations,
                           Reporter &reporter);

/// A JSON string. What is beyond ASCII stays as it is: it is UTF-8 already.
std::string jsonString(std::string_view text);

} // namespace moe

#endif // MOE_LIB_IMPORT_NATIVE_SOURCES_H
