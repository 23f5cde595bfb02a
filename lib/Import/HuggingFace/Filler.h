//===- Filler.h - A family's template, filled -------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Puts the values of a configuration into the holes of a template. A value
// keeps its position, so that what is said about it later points to it; what
// the template itself says stands where the family is named.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_FILLER_H
#define MOE_LIB_IMPORT_HUGGINGFACE_FILLER_H

#include "Configuration.h"
#include "Hole.h"
#include "Text/Reporter.h"

#include <set>

namespace moe {

class Filler {
public:
  Filler(const Configuration &config, Reporter &reporter)
      : config(config), reporter(reporter) {}

  /// From here on a list with an entry for each of `count` layers, or of those
  /// and `extra` that follow, stands for its entry of `layer`.
  void setLayer(int64_t layer, int64_t count, int64_t extra);

  /// What stands in a hole once it is filled.
  struct Filling {
    json::Value value;
    size_t key = 0;   // where the text names it
    std::string name; // its keys; empty for what the template says
  };

  /// Fills what is not an object. Nothing: it is left out, or an error was
  /// reported. `anyKind` takes lists and texts as they are.
  std::optional<Filling> fill(const json::Value &form, bool anyKind = false);

  /// Fills a template, which is the object `path` of the native form.
  json::Value fillTree(const json::Value &form, const std::string &path);

  /// The entry of the layer if the value is a list with one for each.
  const json::Value *entryOfLayer(const json::Value &value) const;

  /// Whether no hole in `form` lacks a key that it needs.
  bool isPresent(const json::Value &form) const;

  void wrongType(const json::Value &value, const std::string &name,
                 const std::string &expected);

  const Configuration &config;
  Reporter &reporter;
  /// For the paths of the native form the keys that they came from.
  Names names;
  /// Keys of which it has been said that they are missing or wrong.
  std::set<std::string> reportedKeys;

private:
  std::optional<json::Value> fillNode(const json::Value &form,
                                      const std::string &path, size_t &key);
  std::optional<Filling> fillHole(const Hole &hole, bool anyKind);
  std::optional<Filling> compute(const Hole::Alternative &alternative);
  std::optional<Filling> scalar(ConfigKey key, const std::string &name);
  std::optional<Filling> fillText(const HoledText &text);
  /// Reports, once, the first key that it needs and that is not there.
  void missing(const Hole::Alternative &alternative);
  json::Value placed(const json::Value &form) const;

  int64_t layer = -1, count = 0, extra = 0;
};

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_FILLER_H
