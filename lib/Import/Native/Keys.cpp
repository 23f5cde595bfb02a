//===- Keys.cpp - Questions about the keys --------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Keys.h"
#include "Formula/Formulas.h"
#include "Text/Reporter.h"

#include "moe/Import/Import.h"

#include <algorithm>

using namespace moe;

const Key *moe::findKey(std::string_view path) {
  for (const Key &key : keyTable())
    if (key.path == path)
      return &key;
  return nullptr;
}

static bool isInside(std::string_view path, std::string_view group) {
  return group.empty() ||
         (path.size() > group.size() && path[group.size()] == '.' &&
          path.substr(0, group.size()) == group);
}

bool moe::isGroup(std::string_view path) {
  return std::any_of(keyTable().begin(), keyTable().end(),
                     [&](const Key &key) { return isInside(key.path, path); });
}

std::vector<std::string_view> moe::namesIn(std::string_view group) {
  std::vector<std::string_view> names;
  for (const Key &key : keyTable()) {
    if (!isInside(key.path, group))
      continue;
    std::string_view name =
        key.path.substr(group.empty() ? 0 : group.size() + 1);
    name = name.substr(0, name.find('.'));
    if (names.empty() || names.back() != name)
      names.push_back(name);
  }
  return names;
}

std::string moe::pairText(const Pair &pair) {
  return "[" + std::to_string(pair[0]) + ", " + std::to_string(pair[1]) + "]";
}

std::string moe::listsText(const Lists &lists) {
  std::string text;
  for (const std::vector<int64_t> &list : lists) {
    std::string numbers;
    for (int64_t number : list)
      numbers += (numbers.empty() ? "" : ", ") + std::to_string(number);
    text += (text.empty() ? "[" : ", [") + numbers + "]";
  }
  return "[" + text + "]";
}

std::string moe::expectation(const Key &key) {
  switch (key.type) {
  case KeyType::integer:
    if (key.minInteger == key.maxInteger)
      return std::to_string(key.minInteger);
    if (key.maxInteger == key.minInteger + 1)
      return std::to_string(key.minInteger) + " or " +
             std::to_string(key.maxInteger);
    return "an integer from " + std::to_string(key.minInteger) + " to " +
           std::to_string(key.maxInteger);
  case KeyType::pair:
    return "a list of two integers from " + std::to_string(key.minInteger) +
           " to " + std::to_string(key.maxInteger);
  case KeyType::number:
    if (key.minNumber == 0.0)
      return key.aboveMin ? "a number above 0" : "a number from 0 on";
    return "a number";
  case KeyType::flag:
    return "true or false";
  case KeyType::choice:
    return quotedList(key.values);
  case KeyType::text:
    return "a string of at most " + std::to_string(key.maxInteger) + " bytes";
  case KeyType::activation:
    return "the name of an activation or a formula in quotes";
  case KeyType::score:
    return "the name of a score or a formula in quotes";
  case KeyType::renormalize:
    return "true, false or an object";
  case KeyType::functions:
    return "a list with any of " + quotedList(key.values);
  case KeyType::texts:
    return "a string of at most " + std::to_string(key.maxInteger) +
           " bytes or a list of 1 to 64 of them";
  case KeyType::tensors:
    return "an object of sources by weight";
  case KeyType::lists:
    return "a list of lists of integers from " +
           std::to_string(key.minInteger) + " to " +
           std::to_string(key.maxInteger);
  }
  return "";
}

std::vector<std::string> moe::specKeys() {
  std::vector<std::string> paths;
  for (const Key &key : keyTable())
    paths.emplace_back(key.path);
  return paths;
}

std::vector<std::string> moe::specKeyValues(std::string_view path) {
  const Key *key = findKey(path);
  if (!key || (key->type != KeyType::choice && key->type != KeyType::functions))
    return {};
  return {key->values.begin(), key->values.end()};
}

Pair moe::defaultBlock(WeightKind kind) {
  switch (kind) {
  case WeightKind::mxfp4:
    return {1, 32};
  case WeightKind::nvfp4:
    return {1, 16};
  default:
    return {1, 0};
  }
}

void moe::resolveDefaults(Spec &spec) {
  RouterSpec &router = spec.router;
  if (router.projection.hidden == 0)
    router.projection.hidden = spec.hidden;
  bool recurrent = router.projection.form == ProjectionForm::recurrent;
  if (router.projection.activation.text.empty())
    router.projection.activation =
        namedActivation(recurrent ? "gelu" : "relu", /*glu=*/false);
  if (spec.experts.activation.text.empty())
    spec.experts.activation =
        namedActivation("silu", spec.experts.form == ExpertForm::glu);
  if (spec.shared.activation.text.empty())
    spec.shared.activation = spec.experts.activation;
  // [S6] Its state is the bias.
  if (router.balancing == Balancing::dynamic)
    router.selectionBias = true;
  // [S16]
  AveragingSpec &averaging = spec.averaging;
  if (averaging.block == 0)
    averaging.block = averaging.compression == Compression::mxfp4 ? 32 : 64;
  for (QuantizationSpec *quantization :
       {&spec.experts.quantization, &spec.shared.quantization})
    if (!quantization->block)
      quantization->block = defaultBlock(quantization->kind);
  ParallelSpec &parallel = spec.parallel;
  int64_t devices =
      parallel.expertsOn == ExpertsOn::tp ? parallel.tp : parallel.ep;
  if (!parallel.expertsPerDevice && parallel.placement.empty() && devices > 0 &&
      router.experts % devices == 0)
    parallel.expertsPerDevice = router.experts / devices;
}
