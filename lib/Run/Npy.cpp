//===- Npy.cpp - NumPy files ----------------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A header is a Python dictionary with three known keys; its reader accepts
// exactly that.
//
//===----------------------------------------------------------------------===//

#include "Npy.h"

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace moe::run {

namespace {
struct Descr {
  const char *text;
  DType dtype;
};
} // namespace

/// The first of each type is the one that is written.
static constexpr Descr descrs[] = {
    {"<f4", DType::f32},  {"<f8", DType::f64},  {"<V2", DType::bf16},
    {"|V2", DType::bf16}, {"<u2", DType::bf16}, {"<f2", DType::f16},
    {"|i1", DType::i8},   {"|u1", DType::u8},   {"<i4", DType::i32},
    {"<i8", DType::i64},
};

static constexpr char magic[] = "\x93NUMPY";

namespace {
class HeaderParser {
public:
  HeaderParser(std::string_view text, const std::string &path)
      : rest(text), path(path) {}

  /// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
  void parse(Array &array) {
    int seen = 0;
    expect('{');
    while (!eat('}')) {
      std::string key = quoted();
      expect(':');
      if (key == "descr") {
        array.dtype = dtype(quoted());
        seen |= 1;
      } else if (key == "fortran_order") {
        if (word() != "False")
          fail("expected C order");
        seen |= 2;
      } else if (key == "shape") {
        array.shape = tuple();
        seen |= 4;
      } else {
        fail("unknown key '" + key + "'");
      }
      if (!eat(',')) {
        expect('}');
        break;
      }
    }
    if (seen != 7)
      fail("expected 'descr', 'fortran_order' and 'shape'");
  }

private:
  [[noreturn]] void fail(const std::string &reason) const {
    throw RunError(path + ": error: " + reason);
  }
  void skipSpace() {
    while (!rest.empty() && (rest[0] == ' ' || rest[0] == '\n'))
      rest.remove_prefix(1);
  }
  bool eat(char c) {
    skipSpace();
    if (rest.empty() || rest[0] != c)
      return false;
    rest.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!eat(c))
      fail(std::string("malformed header: expected '") + c + "'");
  }
  std::string quoted() {
    skipSpace();
    char quote = rest.empty() ? 0 : rest[0];
    size_t end = quote == '\'' || quote == '"' ? rest.find(quote, 1)
                                               : std::string_view::npos;
    if (end == rest.npos)
      fail("malformed header: expected text");
    std::string text(rest.substr(1, end - 1));
    rest.remove_prefix(end + 1);
    return text;
  }
  std::string word() {
    skipSpace();
    std::string text;
    while (!rest.empty() && std::isalnum(static_cast<unsigned char>(rest[0]))) {
      text += rest[0];
      rest.remove_prefix(1);
    }
    return text;
  }
  std::vector<int64_t> tuple() {
    std::vector<int64_t> sizes;
    expect('(');
    while (!eat(')')) {
      std::string digits = word();
      if (digits.empty() || digits.size() > 18 ||
          digits.find_first_not_of("0123456789") != digits.npos)
        fail("malformed header: expected a size");
      sizes.push_back(std::stoll(digits));
      if (sizes.size() > 32)
        fail("more than 32 sizes");
      if (!eat(',')) {
        expect(')');
        break;
      }
    }
    return sizes;
  }
  DType dtype(const std::string &text) const {
    for (const Descr &descr : descrs)
      if (text == descr.text)
        return descr.dtype;
    fail("expected one of <f4 <f8 <f2 <V2 |i1 |u1 <i4 <i8, found '" + text +
         "'");
  }

  std::string_view rest;
  const std::string &path;
};
} // namespace

Array readNpy(const std::string &path) {
  auto fail = [&](const std::string &reason) {
    throw RunError(path + ": error: " + reason);
  };
  std::ifstream file(path, std::ios::binary);
  if (!file)
    fail(std::strerror(errno));
  char head[12] = {};
  file.read(head, 8);
  if (!file || std::memcmp(head, magic, 6) != 0)
    fail("not an .npy file");
  int lengthBytes = head[6] == 1 ? 2 : 4;
  if (head[6] < 1 || head[6] > 3)
    fail("unknown .npy version");
  file.read(head + 8, lengthBytes);
  size_t length = 0;
  for (int i = lengthBytes; i-- > 0;)
    length = length << 8 | static_cast<unsigned char>(head[8 + i]);
  if (!file || length > 65536)
    fail("malformed header");
  std::string text(length, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(length)))
    fail("the file ends within its header");
  Array parsed;
  HeaderParser(text, path).parse(parsed);
  // The size of the file first: a header may promise anything.
  std::optional<int64_t> size = runtime::byteCount(
      parsed.shape.data(), parsed.shape.size(), parsed.dtype);
  auto begin = file.tellg();
  file.seekg(0, std::ios::end);
  if (!size || file.tellg() - begin != *size)
    fail("expected " + (size ? std::to_string(*size) : "fewer") +
         " bytes for shape " + runtime::describe(parsed.shape) + ", found " +
         std::to_string(file.tellg() - begin));
  file.seekg(begin);
  Array array(parsed.dtype, parsed.shape);
  if (!file.read(array.data.data(), *size))
    fail("cannot be read");
  return array;
}

void writeNpy(const std::string &path, const Array &array) {
  std::string header = "{'descr': '";
  for (const Descr &descr : descrs)
    if (descr.dtype == array.dtype) {
      header += descr.text;
      break;
    }
  header += "', 'fortran_order': False, 'shape': (";
  for (int64_t size : array.shape)
    header += std::to_string(size) + ",";
  header += "), }";
  header.resize((header.size() + 10 + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file.write(magic, 6);
  const char version[] = {1, 0, static_cast<char>(header.size()),
                          static_cast<char>(header.size() >> 8)};
  file.write(version, sizeof version);
  file << header;
  file.write(array.data.data(),
             static_cast<std::streamsize>(array.data.size()));
  file.close();
  if (!file) {
    std::string reason = std::strerror(errno);
    std::remove(path.c_str());
    throw RunError(path + ": error: cannot be written: " + reason);
  }
}

} // namespace moe::run
