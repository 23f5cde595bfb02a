//===- Families.cpp - The families of models that are known ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Families.h"

#include "moe/Import/Import.h"

#include <algorithm>

using namespace moe;

const std::vector<FamilyFile> &moe::familyFiles() {
  static const std::vector<FamilyFile> files = {
#include "Families.inc"
  };
  return files;
}

std::vector<std::string_view> moe::wordsOf(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t end; (end = text.find(' ')) != std::string_view::npos;
       text.remove_prefix(end + 1))
    words.push_back(text.substr(0, end));
  return words;
}

static const FamilyFile *findFamily(std::string_view FamilyFile::*words,
                                    std::string_view name) {
  for (const FamilyFile &file : familyFiles()) {
    std::vector<std::string_view> known = wordsOf(file.*words);
    if (std::find(known.begin(), known.end(), name) != known.end())
      return &file;
  }
  return nullptr;
}

const FamilyFile *moe::findFamilyOfModelType(std::string_view modelType) {
  return findFamily(&FamilyFile::modelTypes, modelType);
}

const FamilyFile *moe::findFamilyOfArchitecture(std::string_view architecture) {
  return findFamily(&FamilyFile::architectures, architecture);
}

std::vector<Family> moe::families() {
  std::vector<Family> result;
  for (const FamilyFile &file : familyFiles()) {
    Family family{std::string(file.name), {}, {}};
    for (std::string_view word : wordsOf(file.modelTypes))
      family.modelTypes.emplace_back(word);
    for (std::string_view word : wordsOf(file.architectures))
      family.architectures.emplace_back(word);
    result.push_back(std::move(family));
  }
  return result;
}
