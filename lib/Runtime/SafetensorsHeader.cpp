//===- SafetensorsHeader.cpp - Checks weight files ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A header is read as a stream of events, straight into entries: what has
// another structure is refused at its first wrong token, and memory stays in
// proportion to the header.
//
//===----------------------------------------------------------------------===//

#include "Json.h"
#include "Safetensors.h"
#include "Status.h"

#include <algorithm>
#include <cstring>

namespace moe::runtime {

namespace {
struct FileType {
  const char *name;
  int64_t bits;
};
} // namespace

/// Every type of the format. Only some of them can be weights here, but a file
/// may hold others beside those.
static constexpr FileType fileTypes[] = {
    {"BOOL", 8},    {"U8", 8},   {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8},
    {"F8_E8M0", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16},    {"BF16", 16},
    {"I32", 32},    {"U32", 32}, {"F32", 32}, {"F64", 64},    {"I64", 64},
    {"U64", 64},    {"C64", 64}, {"F4", 4},   {"F6_E2M3", 6}, {"F6_E3M2", 6},
};

namespace {
/// The events of nlohmann's parser. Levels: 1 the file, 2 a tensor or the
/// metadata, 3 one of the tensor's lists.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
public:
  HeaderReader(SafetensorsHeader &header, const std::string &label)
      : header(header), label(label) {}

  bool start_object(size_t) override {
    if (level == 1) {
      seen = 0;
      metadataKeys.clear();
      inMetadata = tensorName == "__metadata__";
      if (inMetadata) {
        if (hasMetadata)
          failHere("appears twice");
        hasMetadata = true;
      } else {
        auto [place, fresh] = header.try_emplace(tensorName);
        if (!fresh)
          failHere("appears twice");
        entry = &place->second;
      }
    } else if (level != 0) {
      failHere("expected no object here");
    }
    ++level;
    return true;
  }

  bool end_object() override {
    if (--level == 1 && !inMetadata && seen != 7)
      failHere("expected 'dtype', 'shape' and 'data_offsets'");
    return true;
  }

  bool key(string_t &name) override {
    if (level == 1) {
      tensorName = name;
      return true;
    }
    if (inMetadata) {
      if (std::find(metadataKeys.begin(), metadataKeys.end(), name) !=
              metadataKeys.end() ||
          metadataKeys.size() == 1024)
        failHere("expected at most 1024 different keys");
      metadataKeys.push_back(name);
      return true;
    }
    field = name == "dtype" ? 1 : name == "shape" ? 2 : 4;
    if (field == 4 && name != "data_offsets")
      failHere("expected no key '" + name + "'");
    if (seen & field)
      failHere("key '" + name + "' appears twice");
    seen |= field;
    return true;
  }

  bool string(string_t &value) override {
    if (level == 2 && inMetadata)
      return true;
    if (level != 2 || field != 1)
      failHere("expected no text here");
    entry->dtype = value;
    return true;
  }

  bool start_array(size_t) override {
    if (level != 2 || inMetadata || field == 1)
      failHere("expected no list here");
    offsets = 0;
    ++level;
    return true;
  }

  bool end_array() override {
    if (--level == 2 && field == 4 && offsets != 2)
      failHere("expected two offsets");
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (level != 3)
      failHere("expected no number here");
    if (value > uint64_t(INT64_MAX))
      failHere("expected smaller numbers");
    if (field == 2) {
      if (entry->shape.size() == 64)
        failHere("expected at most 64 sizes");
      entry->shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (offsets == 2)
      failHere("expected two offsets");
    (offsets++ ? entry->end : entry->begin) = value;
    return true;
  }

  bool number_integer(number_integer_t) override { return refuse(); }
  bool number_float(number_float_t, const string_t &) override {
    return refuse();
  }
  bool null() override { return refuse(); }
  bool boolean(bool) override { return refuse(); }
  bool binary(binary_t &) override { return refuse(); }
  bool parse_error(size_t, const std::string &,
                   const nlohmann::json::exception &error) override {
    fail(MOE_BAD_FILE, label, ": error: header: ", jsonReason(error.what()));
  }

  /// The name of the tensor in hand, at the end the last one.
  [[noreturn]] void failHere(const std::string &reason) const {
    fail(MOE_BAD_FILE, label,
         ": error: ", level ? "'" + tensorName + "': " : "header: ", reason);
  }

private:
  [[noreturn]] bool refuse() const {
    failHere("expected non-negative integers and text only");
  }

  SafetensorsHeader &header;
  const std::string &label;
  SafetensorsEntry *entry = nullptr;
  std::string tensorName;
  std::vector<std::string> metadataKeys;
  int level = 0, seen = 0, field = 0, offsets = 0;
  bool inMetadata = false, hasMetadata = false;
};
} // namespace

/// Type and byte count of one entry.
static void checkEntry(const std::string &name, const SafetensorsEntry &entry,
                       uint64_t dataBytes, const std::string &label) {
  auto refuse = [&](const auto &...reason) {
    fail(MOE_BAD_FILE, label, ": error: '", name, "': ", reason...);
  };
  const FileType *type =
      std::find_if(std::begin(fileTypes), std::end(fileTypes),
                   [&](const FileType &t) { return entry.dtype == t.name; });
  if (type == std::end(fileTypes))
    refuse("expected a known element type, found '", entry.dtype, "'");
  if (entry.begin > entry.end || entry.end > dataBytes)
    refuse("expected offsets within ", dataBytes, " bytes of data, found [",
           entry.begin, ", ", entry.end, "]");
  std::optional<int64_t> bits =
      byteCount(entry.shape.data(), entry.shape.size(), DType::u8);
  if (bits)
    bits = multiply(*bits, type->bits);
  if (!bits || *bits % 8)
    refuse("the size of ", describe(entry.shape), ' ', entry.dtype,
           bits ? " is not whole bytes" : " overflows");
  if (static_cast<uint64_t>(*bits / 8) != entry.end - entry.begin)
    refuse("expected ", *bits / 8, " bytes for ", describe(entry.shape), ' ',
           entry.dtype, ", found ", entry.end - entry.begin);
}

/// Tensors follow one another without overlap, gap or remainder.
static void checkLayout(const SafetensorsHeader &header, uint64_t dataBytes,
                        const std::string &label) {
  std::vector<const SafetensorsHeader::value_type *> order;
  for (const auto &item : header)
    order.push_back(&item);
  std::sort(order.begin(), order.end(), [](const auto *a, const auto *b) {
    return std::make_pair(a->second.begin, a->second.end) <
           std::make_pair(b->second.begin, b->second.end);
  });
  uint64_t end = 0;
  const std::string *before = nullptr;
  for (const auto *item : order) {
    if (item->second.begin < end)
      fail(MOE_BAD_FILE, label, ": error: '", *before, "' and '", item->first,
           "' overlap");
    if (item->second.begin > end)
      fail(MOE_BAD_FILE, label, ": error: ", item->second.begin - end,
           " bytes before '", item->first, "' belong to no tensor");
    end = item->second.end;
    before = &item->first;
  }
  if (end != dataBytes)
    fail(MOE_BAD_FILE, label, ": error: expected ", end,
         " bytes of data, found ", dataBytes);
}

SafetensorsHeader parseSafetensorsHeader(std::string_view text,
                                         uint64_t dataBytes,
                                         const std::string &label) {
  SafetensorsHeader header;
  HeaderReader reader(header, label);
  if (text.empty() || text[0] != '{')
    reader.failHere("expected it to start with '{'");
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  for (const auto &[name, entry] : header)
    checkEntry(name, entry, dataBytes, label);
  checkLayout(header, dataBytes, label);
  return header;
}

SafetensorsHeader readSafetensorsHeader(const ByteSource &source,
                                        const std::string &label) {
  uint8_t prefix[8];
  if (source.size() < sizeof prefix)
    fail(MOE_BAD_FILE, label, ": error: expected at least 8 bytes, found ",
         source.size());
  source.read(0, prefix, sizeof prefix);
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i)
    length = length << 8 | prefix[i];
  if (length > maxSafetensorsHeader)
    fail(MOE_BAD_FILE, label, ": error: expected a header of at most ",
         maxSafetensorsHeader, " bytes, found ", length);
  uint64_t rest = source.size() - sizeof prefix;
  if (length > rest)
    fail(MOE_BAD_FILE, label, ": error: the header has ", length,
         " bytes, but the file only ", rest);
  std::string text(static_cast<size_t>(length), '\0');
  source.read(sizeof prefix, text.data(), text.size());
  SafetensorsHeader header = parseSafetensorsHeader(text, rest - length, label);
  for (auto &item : header) {
    item.second.begin += sizeof prefix + length;
    item.second.end += sizeof prefix + length;
  }
  return header;
}

} // namespace moe::runtime
