//===- Keys.h - The keys of the native form ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One table says which keys there are, what each takes and which field of Spec
// it fills. Reading, printing and the schema's test go by it, so none of them
// can know a key that another does not.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_NATIVE_KEYS_H
#define MOE_LIB_IMPORT_NATIVE_KEYS_H

#include "moe/Import/Spec.h"

#include <array>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace moe {

/// A field's value, whatever its type; an enum is the index of its name.
/// Nothing: an optional field without a value.
using Pair = std::array<int64_t, 2>;
using Lists = std::vector<std::vector<int64_t>>;
using Scalar = std::variant<std::monostate, bool, int64_t, double, std::string,
                            Pair, std::vector<std::string>, Lists>;

enum class KeyType {
  integer,     // minInteger to maxInteger
  pair,        // a list of two integers, each as above
  number,      // finite, and within the bounds
  flag,        // true or false
  choice,      // one of `values`
  text,        // at most maxInteger bytes
  activation,  // a name or a formula of g, and u
  score,       // a name or a formula of x
  renormalize, // false, true or the object of the keys below it
  functions,   // a list of `values`
  texts,       // a text of at most maxInteger bytes, or a list of them
  tensors,     // an object of sources by weight
  lists,       // a list of lists of integers, each as above
};

struct Key {
  /// Names of nested objects and the key, joined by dots.
  std::string_view path;
  KeyType type;
  bool required = false;
  int64_t minInteger = 0;
  int64_t maxInteger = 0;
  double minNumber = 0.0;
  bool aboveMin = false; // the minimum itself is not allowed
  std::vector<std::string_view> values = {};
  void (*set)(Spec &, const Scalar &) = nullptr;
  Scalar (*get)(const Spec &) = nullptr;
};

/// In the order in which they are printed.
const std::vector<Key> &keyTable();

const Key *findKey(std::string_view path);

/// Whether there are keys in an object of this path.
bool isGroup(std::string_view path);

/// The names in the object of this path; "" is the whole document.
std::vector<std::string_view> namesIn(std::string_view group);

/// `[1, 32]`.
std::string pairText(const Pair &pair);

/// `[[0, 1], [2]]`.
std::string listsText(const Lists &lists);

/// What the key takes: `an integer from 1 to 2147483647`.
std::string expectation(const Key &key);

/// The block of a kind of weights that is given none, and the only one that
/// [S24] allows for some kinds.
Pair defaultBlock(WeightKind kind);

/// Fills what depends on other keys and was not given. A Spec built in code may
/// leave it open too.
void resolveDefaults(Spec &spec);

} // namespace moe

#endif // MOE_LIB_IMPORT_NATIVE_KEYS_H
