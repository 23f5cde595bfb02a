//===- BlocksText.cpp - Blocks as text and back ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/Blocks.h"

#include <charconv>
#include <utility>

using namespace moe;

static constexpr std::pair<std::string_view, int64_t Blocks::*> keys[] = {
    {"rows", &Blocks::rowBlock},
    {"outs", &Blocks::outBlock},
    {"depth", &Blocks::depthChunk},
    {"task", &Blocks::taskOutputs}};

/// Large enough for any layer, and products of a few of them fit.
static constexpr int64_t maxSize = 1 << 20;

static std::optional<int64_t> parseSize(std::string_view text) {
  int64_t size = 0;
  const char *begin = text.data(), *end = begin + text.size();
  auto [rest, error] = std::from_chars(begin, end, size);
  if (error != std::errc() || rest != end || size < 1 || size > maxSize)
    return std::nullopt;
  return size;
}

static bool setSize(Blocks &blocks, std::string_view name,
                    std::string_view value, bool (&seen)[std::size(keys)]) {
  for (size_t i = 0; i < std::size(keys); ++i) {
    if (keys[i].first != name || std::exchange(seen[i], true))
      continue;
    std::optional<int64_t> size = parseSize(value);
    if (size)
      blocks.*keys[i].second = *size;
    return size.has_value();
  }
  return false;
}

std::optional<Blocks> moe::parseBlocks(std::string_view text, Blocks defaults) {
  Blocks blocks = defaults;
  bool seen[std::size(keys)] = {};
  for (bool more = true; more;) {
    std::string_view item = text.substr(0, text.find(','));
    more = item.size() < text.size();
    text.remove_prefix(item.size() + more);
    size_t equals = item.find('=');
    if (equals == item.npos ||
        !setSize(blocks, item.substr(0, equals), item.substr(equals + 1), seen))
      return std::nullopt;
  }
  bool taskGiven = seen[3];
  if (!taskGiven)
    blocks.taskOutputs = (blocks.taskOutputs + blocks.outBlock - 1) /
                         blocks.outBlock * blocks.outBlock;
  if (blocks.rowBlock % blocks.tileRows ||
      blocks.outBlock % blocks.tileOutputs ||
      blocks.taskOutputs % blocks.outBlock)
    return std::nullopt;
  return blocks;
}

std::string moe::printBlocks(const Blocks &blocks) {
  std::string text;
  for (auto &[name, member] : keys)
    text += (text.empty() ? "" : ",") + std::string(name) + "=" +
            std::to_string(blocks.*member);
  return text;
}
