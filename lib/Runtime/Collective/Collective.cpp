//===- Collective.cpp - What does not change from call to call ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Tables of names, in the order of the enums, and what makes sense.
//
//===----------------------------------------------------------------------===//

#include "Collective.h"
#include "../Status.h"

#include <iterator>

namespace moe::runtime {

static constexpr const char *kinds[] = {
    "all_reduce",   "reduce_scatter", "all_gather", "broadcast", "all_to_all",
    "all_to_all_v", "send",           "recv",       "barrier"};
static constexpr const char *patterns[] = {"all_to_all", "point_to_point",
                                           "hierarchical", "ring"};
static constexpr const char *modes[] = {"exact", "padded"};
static constexpr const char *reductions[] = {"none", "sum", "max", "min"};
static constexpr const char *elements[] = {"f32", "f64", "bf16", "f16",
                                           "i32", "i64", "byte"};
static constexpr const char *axisNames[] = {"dp", "ep", "tp"};

template <typename Enum, size_t size>
static std::optional<Enum> find(const char *const (&names)[size],
                                std::string_view name) {
  for (size_t i = 0; i < size; ++i)
    if (names[i] == name)
      return static_cast<Enum>(i);
  return std::nullopt;
}

const char *name(CollectiveKind kind) {
  return kinds[static_cast<size_t>(kind)];
}
const char *name(Pattern pattern) {
  return patterns[static_cast<size_t>(pattern)];
}
const char *name(Mode mode) { return modes[static_cast<size_t>(mode)]; }
const char *name(Whole whole) {
  return whole == Whole::send ? "send" : "receive";
}
const char *name(moe_reduction reduce) { return reductions[reduce]; }
const char *name(moe_element dtype) { return elements[dtype]; }

std::optional<CollectiveKind> collectiveKindNamed(std::string_view name) {
  return find<CollectiveKind>(kinds, name);
}
std::optional<Pattern> patternNamed(std::string_view name) {
  return find<Pattern>(patterns, name);
}
std::optional<Mode> modeNamed(std::string_view name) {
  return find<Mode>(modes, name);
}
std::optional<moe_reduction> reductionNamed(std::string_view name) {
  return find<moe_reduction>(reductions, name);
}
std::optional<moe_element> elementNamed(std::string_view name) {
  return find<moe_element>(elements, name);
}
std::optional<int32_t> axisNamed(std::string_view name) {
  std::optional<int32_t> index = find<int32_t>(axisNames, name);
  return index ? std::optional<int32_t>(1 << *index) : std::nullopt;
}

std::string describeAxes(int32_t axes) {
  std::string out;
  for (size_t i = 0; i < std::size(axisNames); ++i)
    if (axes >> i & 1)
      out += (out.empty() ? "" : ", ") + std::string(axisNames[i]);
  return out.empty() ? "all ranks" : out;
}

int64_t bytes(moe_element dtype) {
  switch (dtype) {
  case MOE_F64:
  case MOE_I64:
    return 8;
  case MOE_F32:
  case MOE_I32:
    return 4;
  case MOE_BF16:
  case MOE_F16:
    return 2;
  case MOE_BYTE:
    break;
  }
  return 1;
}

void check(const Collective &collective, size_t number, int32_t members) {
  auto require = [&](bool holds, const auto &...found) {
    if (!holds)
      fail(MOE_INVALID_ARGUMENT, "collective ", number, " '", collective.name,
           "': ", found...);
  };
  auto requireMember = [&](const char *role, int32_t member) {
    require(member >= 0 && member < members, role, ' ', member,
            " is not one of ", members, " members");
  };
  require(collective.row >= 1 && collective.row <= INT32_MAX, "found a row of ",
          collective.row, " elements, expected 1 to ", INT32_MAX);
  require(collective.places >= 1, "found ", collective.places,
          " places, expected at least 1");
  require(collective.bound >= 0, "found the bound ", collective.bound,
          ", expected none below 0");
  if (collective.isChunk()) {
    require(collective.kind == CollectiveKind::allToAllV &&
                collective.pattern == Pattern::allToAll,
            "found a chunk of ", name(collective.kind), " in the pattern ",
            name(collective.pattern),
            ", expected one of all_to_all_v in all_to_all");
    require(0 <= collective.first && collective.first < collective.end &&
                collective.end <= collective.places,
            "found a chunk from ", collective.first, " to ", collective.end,
            ", expected one of ", collective.places, " places");
  }
  switch (collective.kind) {
  case CollectiveKind::allReduce:
    require(collective.reduce != MOE_REDUCE_NONE, "it reduces by nothing");
    [[fallthrough]];
  case CollectiveKind::reduceScatter:
    // By nothing it brings the parts of all members.
    if (collective.reduce == MOE_REDUCE_NONE)
      return;
    require(collective.dtype != MOE_BYTE, "bytes cannot be added");
    return;
  case CollectiveKind::broadcast:
    return requireMember("the root", collective.root);
  case CollectiveKind::send:
  case CollectiveKind::recv:
    return requireMember("the peer", collective.peer);
  default:
    return;
  }
}

} // namespace moe::runtime
