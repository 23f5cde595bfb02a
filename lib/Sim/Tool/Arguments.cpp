//===- Arguments.cpp - Arguments of a kernel from a command line ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"

#include <cstring>
#include <optional>

using namespace llvm;
using namespace moe::sim;

template <typename... Parts> static Error error(const Parts &...parts) {
  std::string text;
  raw_string_ostream out(text);
  (out << ... << parts);
  return createStringError(text);
}

unsigned moe::sim::bytesOfType(StringRef type) {
  return StringSwitch<unsigned>(type)
      .Case("i8", 1)
      .Cases({"f16", "bf16"}, 2)
      .Cases({"i32", "f32"}, 4)
      .Case("i64", 8)
      .Default(0);
}

static const fltSemantics &semanticsOf(StringRef type) {
  return type == "f16"    ? APFloat::IEEEhalf()
         : type == "bf16" ? APFloat::BFloat()
                          : APFloat::IEEEsingle();
}

/// Appends the value as that type.
static void append(std::vector<char> &bytes, StringRef type, double value) {
  uint64_t bits;
  if (type.starts_with("i")) {
    bits = uint64_t(int64_t(value));
  } else {
    APFloat number(value);
    bool loses;
    number.convert(semanticsOf(type), APFloat::rmNearestTiesToEven, &loses);
    bits = number.bitcastToAPInt().getZExtValue();
  }
  char raw[8];
  support::endian::write64le(raw, bits);
  bytes.insert(bytes.end(), raw, raw + bytesOfType(type));
}

Expected<std::vector<int64_t>> moe::sim::parseExtents(StringRef text,
                                                      size_t most) {
  SmallVector<StringRef> parts;
  text.split(parts, 'x');
  std::vector<int64_t> extents;
  for (StringRef part : parts) {
    int64_t extent;
    if (part.getAsInteger(10, extent) || extent < 1)
      return error("'", text, "', expected numbers as in 64x2");
    extents.push_back(extent);
  }
  if (extents.size() > most)
    return error("'", text, "' has ", extents.size(), " numbers, expected ",
                 most, " at most");
  return extents;
}

static Expected<Argument> parseBuffer(StringRef type, StringRef count,
                                      StringRef fill) {
  Argument argument;
  argument.kind = Argument::Buffer;
  argument.type = type.str();
  if (count.getAsInteger(10, argument.count) || argument.count < 1 ||
      argument.count > (1 << 28))
    return error("a buffer of '", count, "' elements");
  auto value = [&](int64_t i) -> std::optional<double> {
    if (fill == "iota") // which f16 and bf16 hold exactly
      return double(bytesOfType(type) < 4 ? i % 128 : i);
    return StringSwitch<std::optional<double>>(fill)
        .Case("zero", 0)
        .Case("ones", 1)
        .Case("none", 0)
        .Default(std::nullopt);
  };
  if (!value(0))
    return error("a buffer of '", fill, "', expected iota, zero, ones or none");
  for (int64_t i = 0; i < argument.count; ++i)
    append(argument.bytes, type, *value(i));
  argument.written = fill != "none";
  return argument;
}

static Expected<Argument> parseMap(StringRef text) {
  SmallVector<StringRef> parts;
  text.split(parts, ':');
  Argument argument;
  argument.kind = Argument::Map;
  argument.type = "map";
  if (parts.size() != 4 || parts[0].getAsInteger(10, argument.of) ||
      parts[3].getAsInteger(10, argument.swizzle))
    return error(
        "map '", text,
        "', expected BUFFER:EXTENTS:BOX:SWIZZLE as in 0:64x32:64x8:128");
  auto extents = parseExtents(parts[1], 5);
  if (!extents)
    return extents.takeError();
  auto box = parseExtents(parts[2], 5);
  if (!box)
    return box.takeError();
  argument.extents = *extents;
  argument.box = *box;
  if (extents->size() != box->size())
    return error("map '", text, "' has a box of other dimensions");
  return argument;
}

Expected<Argument> moe::sim::parseArgument(StringRef text) {
  auto [what, value] = text.split('=');
  if (what == "map")
    return parseMap(value);
  auto [type, count] = what.split('x');
  if (!bytesOfType(type))
    return error("argument '", text,
                 "', expected i8, i32, i64, f16, bf16, f32 or map");
  if (!count.empty())
    return parseBuffer(type, count, value);
  double number;
  if (value.getAsDouble(number))
    return error("argument '", text, "', expected ", type, "=NUMBER");
  Argument argument;
  argument.kind = Argument::Number;
  argument.type = type.str();
  append(argument.bytes, type, number);
  return argument;
}

void moe::sim::print(raw_ostream &out, const Argument &argument,
                     ArrayRef<char> bytes) {
  unsigned size = bytesOfType(argument.type);
  for (size_t at = 0; at + size <= bytes.size(); at += size) {
    uint64_t bits = 0;
    std::memcpy(&bits, bytes.data() + at, size);
    out << (at ? "," : "");
    if (argument.type[0] == 'i') {
      out << int64_t(bits << (64 - 8 * size)) / (int64_t(1) << (64 - 8 * size));
      continue;
    }
    APFloat number(semanticsOf(argument.type), APInt(8 * size, bits));
    bool loses;
    number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
    out << format("%g", number.convertToDouble());
  }
  out << "\n";
}
