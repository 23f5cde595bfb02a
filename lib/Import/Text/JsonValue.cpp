//===- JsonValue.cpp - Values of JSON -------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Json.h"

#include <cmath>

using namespace moe;
using json::Member;
using json::Value;

const Value *Value::find(std::string_view key) const {
  for (const Member &member : members)
    if (member.key == key)
      return &member.value;
  return nullptr;
}

Value json::emptyValue(Value::Kind kind, size_t at) {
  Value value;
  value.kind = kind;
  value.begin = value.end = at;
  return value;
}

Value json::numberValue(double number, size_t at) {
  Value value = emptyValue(Value::Kind::number, at);
  // -0 would not survive being written as an integer and read again.
  value.number = number + 0.0;
  // 64.0 is the integer 64, as JSON Schema has it. Beyond 2^53 a double no
  // longer says which integer was written.
  if (std::trunc(number) == number && std::fabs(number) <= 9007199254740992.0)
    value.integer = static_cast<int64_t>(number);
  return value;
}

Value json::flagValue(bool flag, size_t at) {
  Value value = emptyValue(Value::Kind::boolean, at);
  value.boolean = flag;
  return value;
}

Value json::textValue(std::string_view text, size_t at) {
  Value value = emptyValue(Value::Kind::string, at);
  value.string = text;
  return value;
}
