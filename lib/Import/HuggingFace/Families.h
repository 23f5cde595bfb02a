//===- Families.h - The families of models that are known -------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_FAMILIES_H
#define MOE_LIB_IMPORT_HUGGINGFACE_FAMILIES_H

#include <string_view>
#include <vector>

namespace moe {

/// One of families/*.json, which are part of the program.
struct FamilyFile {
  std::string_view name;
  std::string_view modelTypes;    // one behind the other, each with a space
  std::string_view architectures; // the same
  std::string_view text;
};

const std::vector<FamilyFile> &familyFiles();

const FamilyFile *findFamilyOfModelType(std::string_view modelType);
const FamilyFile *findFamilyOfArchitecture(std::string_view architecture);

/// The words of `modelTypes` or `architectures`.
std::vector<std::string_view> wordsOf(std::string_view text);

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_FAMILIES_H
