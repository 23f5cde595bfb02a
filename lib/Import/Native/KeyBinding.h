//===- KeyBinding.h - Keys bound to fields of Spec --------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the table of keys is written with: each function makes a key of one
// type, and `members` lead to its field.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_NATIVE_KEYBINDING_H
#define MOE_LIB_IMPORT_NATIVE_KEYBINDING_H

#include "Keys.h"

#include <limits>
#include <type_traits>

namespace moe::keys {

constexpr int64_t maxSize = std::numeric_limits<int32_t>::max();

/// Reads and writes the field at the end of a chain of members.
template <auto... members> struct Field {
  template <typename S> static auto &of(S &spec) {
    return (spec.*....*members);
  }
  using Type = std::remove_reference_t<decltype(of(std::declval<Spec &>()))>;

  template <typename T> static Scalar toScalar(const T &value) {
    if constexpr (std::is_same_v<T, bool>)
      return value;
    else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>)
      return static_cast<int64_t>(value);
    else if constexpr (std::is_same_v<T, Expression>)
      return value.text;
    else
      return value;
  }
  template <typename T> static void fromScalar(const Scalar &scalar, T &value) {
    if constexpr (std::is_same_v<T, bool>)
      // A bool can also be written as a choice of two names.
      value = std::holds_alternative<bool>(scalar)
                  ? std::get<bool>(scalar)
                  : std::get<int64_t>(scalar) != 0;
    else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>)
      value = static_cast<T>(std::get<int64_t>(scalar));
    else if constexpr (std::is_same_v<T, Expression>)
      value.text = std::get<std::string>(scalar);
    else
      value = std::get<T>(scalar);
  }

  template <typename T> static Scalar toScalar(const std::optional<T> &value) {
    return value ? toScalar(*value) : Scalar();
  }
  template <typename T>
  static void fromScalar(const Scalar &scalar, std::optional<T> &value) {
    value.emplace();
    fromScalar(scalar, *value);
  }

  static Scalar get(const Spec &spec) { return toScalar(of(spec)); }
  static void set(Spec &spec, const Scalar &scalar) {
    fromScalar(scalar, of(spec));
  }
};

template <auto... members> Key bind(std::string_view path, KeyType type) {
  Key key{path, type};
  key.set = &Field<members...>::set;
  key.get = &Field<members...>::get;
  return key;
}

template <auto... members>
Key integer(std::string_view path, int64_t min, int64_t max = maxSize) {
  Key key = bind<members...>(path, KeyType::integer);
  key.minInteger = min;
  key.maxInteger = max;
  return key;
}

template <auto... members> Key size(std::string_view path) {
  return integer<members...>(path, 1);
}

template <auto... members> Key pair(std::string_view path) {
  Key key = integer<members...>(path, 0);
  key.type = KeyType::pair;
  return key;
}

/// Left out while it is empty.
template <auto... members> Key lists(std::string_view path) {
  Key key = integer<members...>(path, 0);
  key.type = KeyType::lists;
  key.get = [](const Spec &spec) -> Scalar {
    const Lists &lists = Field<members...>::of(spec);
    return lists.empty() ? Scalar() : Scalar(lists);
  };
  return key;
}

template <auto... members> Key required(std::string_view path) {
  Key key = size<members...>(path);
  key.required = true;
  return key;
}

template <auto... members>
Key number(std::string_view path,
           double min = -std::numeric_limits<double>::infinity(),
           bool aboveMin = false) {
  Key key = bind<members...>(path, KeyType::number);
  key.minNumber = min;
  key.aboveMin = aboveMin;
  return key;
}

template <auto... members> Key positive(std::string_view path) {
  return number<members...>(path, 0.0, /*aboveMin=*/true);
}

template <auto... members> Key notNegative(std::string_view path) {
  return number<members...>(path, 0.0);
}

template <auto... members> Key flag(std::string_view path) {
  return bind<members...>(path, KeyType::flag);
}

template <auto... members>
Key choice(std::string_view path, std::vector<std::string_view> values) {
  Key key = bind<members...>(path, KeyType::choice);
  key.values = std::move(values);
  return key;
}

template <auto... members> Key text(std::string_view path, int64_t maxBytes) {
  Key key = bind<members...>(path, KeyType::text);
  key.maxInteger = maxBytes;
  return key;
}

template <auto... members> Key texts(std::string_view path) {
  Key key = bind<members...>(path, KeyType::texts);
  key.maxInteger = 4096;
  return key;
}

/// A list that is left out while it is empty.
template <auto... members> Key optionalTexts(std::string_view path) {
  Key key = texts<members...>(path);
  key.get = [](const Spec &spec) -> Scalar {
    const std::vector<std::string> &list = Field<members...>::of(spec);
    return list.empty() ? Scalar() : Scalar(list);
  };
  return key;
}

} // namespace moe::keys

#endif // MOE_LIB_IMPORT_NATIVE_KEYBINDING_H
