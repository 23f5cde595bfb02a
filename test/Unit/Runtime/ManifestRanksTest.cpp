//===- ManifestRanksTest.cpp - Malformed manifests for several ranks ------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Each edit breaks one rule of docs/Manifest.md about grids, slices, sums and
// collectives; the message says which.
//
//===----------------------------------------------------------------------===//

#include "Together.h"

using namespace moe::test;
using nlohmann::json;

namespace {
struct Corruption {
  const char *name;
  std::function<void(json &)> edit;
  const char *message;
};

json &up(json &m) { return m["weights"][0]; }
json &split(json &m) { return up(m)["shard"]["split"][0]; }
json &forward(json &m) { return m["functions"][0]; }
json &collective(json &m, int number) {
  return forward(m)["collectives"][number];
}

/// Gives `up` experts along ep: 4 places of 8 rows.
void experts(json &m, const json &lists) {
  up(m)["shard"]["split"] = {{{"dim", 0}, {"axis", "ep"}, {"experts", lists}}};
}

/// Makes the first collective one of another kind.
void kind(json &m, const char *kind, const json &rest = json::object()) {
  collective(m, 0) = {
      {"kind", kind}, {"axes", {"tp"}}, {"dtype", "f32"}, {"row", 4}};
  collective(m, 0).update(rest);
}

const Corruption corruptions[] = {
    {"UnknownAxisOfGrid", [](json &m) { m["grid"]["pp"] = 2; },
     "grid.pp: there is no such axis, expected dp, ep or tp"},
    {"TooManyRanks", [](json &m) { m["grid"] = {{"dp", 65536}, {"ep", 2}}; },
     "grid: expected at most 65536 ranks, found 131072"},
    {"HugeAxis", [](json &m) { m["grid"]["dp"] = 65537; },
     "grid.dp: expected an integer from 1 to 65536, found 65537"},
    {"NoWhole", [](json &m) { up(m)["shard"].erase("whole"); },
     "weights[0].shard: expected a key 'whole', found none"},
    {"NoSplit", [](json &m) { up(m)["shard"].erase("split"); },
     "weights[0].shard: expected a key 'split', found none"},
    {"WholeOfOtherRank", [](json &m) { up(m)["shard"]["whole"] = {8}; },
     "weights[0].shard.whole: expected 2 dimensions, as the slice has, found "
     "1"},
    {"HugeWhole",
     [](json &m) { up(m)["shard"]["whole"] = {8, int64_t(1) << 31}; },
     "weights[0].shard.whole[1]: expected an integer from 0 to 2147483647"},
    {"WholeOverflows",
     [](json &m) {
       up(m)["shape"] = {4, 4, 4};
       up(m)["shard"]["whole"] = {INT32_MAX, INT32_MAX, 4};
     },
     "weights[0].shard.whole: the tensor's size in bytes overflows"},
    {"SliceOfOtherShape", [](json &m) { up(m)["shape"] = {4, 5}; },
     "weights[0].shard: splits [8, 4] into [4, 4], but the slice is [4, 5]"},
    {"UnknownAxisOfSplit", [](json &m) { split(m)["axis"] = "pp"; },
     "weights[0].shard.split[0].axis: expected one of dp ep tp, found \"pp\""},
    {"NoSuchDimension", [](json &m) { split(m)["dim"] = 2; },
     "weights[0].shard.split[0].dim: expected an integer from 0 to 1, found 2"},
    {"SplitScalar",
     [](json &m) { up(m)["shape"] = up(m)["shard"]["whole"] = json::array(); },
     "weights[0].shard.split[0]: a scalar has no dimension to split"},
    {"NotDivisible", [](json &m) { up(m)["shard"]["whole"] = {6, 4}; },
     "weights[0].shard.split[0]: dimension 0 has 6 entries, expected a "
     "multiple of 4: 2 parts for 2 members"},
    {"NoParts", [](json &m) { split(m)["parts"] = 0; },
     "weights[0].shard.split[0].parts: expected an integer from 1 to 1024"},
    {"AxisTwice",
     [](json &m) {
       up(m)["shape"] = {4, 2};
       up(m)["shard"]["split"].push_back({{"dim", 1}, {"axis", "tp"}});
     },
     "weights[0].shard.split[1].axis: the axis splits this weight twice"},
    {"FourSplits",
     [](json &m) {
       for (int i = 0; i < 3; ++i)
         up(m)["shard"]["split"].push_back(split(m));
     },
     "weights[0].shard.split: expected at most 3 entries, found 4"},
    {"ExpertsOfAnotherDimension",
     [](json &m) {
       experts(m, {{0, 1}, {2, 3}});
       split(m)["dim"] = 1;
     },
     "split[0].experts: only dimension 0 counts experts"},
    {"ExpertsInParts",
     [](json &m) {
       experts(m, {{0, 1, 2, 3}, {4, 5, 6, 7}});
       split(m)["parts"] = 1;
     },
     "split[0].parts: 'experts' excludes 'parts'"},
    {"ExpertsOfOneMember",
     [](json &m) { experts(m, {{0, 1, 2, 3, 4, 5, 6, 7}}); },
     "split[0].experts: expected a list for each of 2 members, found 1"},
    {"ExpertsOfSeveralLengths",
     [](json &m) { experts(m, {{0, 1, 2, 3, 4}, {5, 6, 7}}); },
     "split[0].experts[1]: expected 5 places, as the first member has, found "
     "3"},
    {"NoSuchExpert", [](json &m) { experts(m, {{0, 1, 2, 8}, {4, 5, 6, 7}}); },
     "split[0].experts[0][3]: expected an integer from -1 to 7, found 8"},
    {"ExpertNowhere",
     [](json &m) { experts(m, {{0, 1, 2, -1}, {4, 5, 6, 7}}); },
     "split[0].experts: no member has expert 3"},
    {"LastExpertNowhere",
     [](json &m) { experts(m, {{0, 1, 2, 3}, {4, 5, 6, 6}}); },
     "split[0].experts: no member has expert 7"},
    {"OnlyFirstOfUnknown",
     [](json &m) { up(m)["shard"]["only_first"] = "rank"; },
     "weights[0].shard.only_first: expected one of dp ep tp, found \"rank\""},
    {"OnlyFirstOfASplit", [](json &m) { up(m)["shard"]["only_first"] = "tp"; },
     "weights[0].shard.only_first: the axis splits this weight"},
    {"SourcesOfTheWholeOverflow",
     [](json &m) {
       up(m)["dtype"] = "u8";
       up(m)["shape"] = {1 << 29, 1 << 19};
       up(m)["shard"] = {{"whole", {1 << 30, 1 << 19}},
                         {"split", {{{"dim", 0}, {"axis", "ep"}}}}};
       up(m)["sources"] = {"a"};
     },
     "weights[0].shape: the sizes of its sources overflow"},
    {"SumOfUnknownSize", [](json &m) { forward(m)["sums"]["R"]["of"] = "n"; },
     "functions[0].sums.R.of: there is no size 'n'"},
    {"UnknownSum",
     [](json &m) { forward(m)["sums"]["Q"] = forward(m)["sums"]["R"]; },
     "functions[0].sums.Q: there is no size 'Q'"},
    {"SumOfItself", [](json &m) { forward(m)["sums"]["R"]["of"] = "R"; },
     "functions[0].sums: the size 'R' is a sum of itself"},
    {"SumsInACircle",
     [](json &m) {
       forward(m)["sizes"].push_back("S");
       forward(m)["sums"] = {{"R", {{"of", "S"}, {"axes", {"ep"}}}},
                             {"S", {{"of", "R"}, {"axes", {"tp"}}}}};
     },
     "functions[0].sums: the size 'R' is a sum of itself"},
    {"SumsOfTwoSizes",
     [](json &m) {
       forward(m)["sizes"] = {"T", "R", "S", "U"};
       forward(m)["sums"]["S"] = {{"of", "U"}, {"axes", {"ep"}}};
     },
     "functions[0].sums: expected sums of one size, found 'T' and 'U'"},
    {"BeforeAlongOthers",
     [](json &m) { forward(m)["sums"]["R"]["before"] = {"tp"}; },
     "functions[0].sums.R.before: expected axes of the sum, ep, found an "
     "array"},
    {"BeforeAlongNothing",
     [](json &m) { forward(m)["sums"]["R"]["before"] = json::array(); },
     "functions[0].sums.R.before: expected at least one axis, found none"},
    {"SumOverNothing",
     [](json &m) { forward(m)["sums"]["R"]["axes"] = json::array(); },
     "functions[0].sums.R.axes: expected at least one axis, found none"},
    {"AxesOutOfOrder",
     [](json &m) { forward(m)["tokens_over"] = {"ep", "dp"}; },
     "functions[0].tokens_over: expected axes in the order dp ep tp, each "
     "once"},
    {"AxisAgain", [](json &m) { forward(m)["tokens_over"] = {"ep", "ep"}; },
     "functions[0].tokens_over: expected axes in the order dp ep tp, each "
     "once"},
    {"TokensOverUnknown", [](json &m) { forward(m)["tokens_over"] = {"x"}; },
     "functions[0].tokens_over[0]: expected one of dp ep tp, found \"x\""},
    {"UnknownCollective", [](json &m) { kind(m, "all_reduces"); },
     "functions[0].collectives[0].kind: expected one of all_reduce "
     "reduce_scatter all_gather broadcast all_to_all all_to_all_v send recv "
     "barrier, found \"all_reduces\""},
    {"UnknownOfDevice",
     [](json &m) {
       forward(m)["device_collectives"] = {{{"kind", "all_reduces"}}};
     },
     "functions[0].device_collectives[0].kind: expected one of all_reduce "
     "reduce_scatter all_gather broadcast all_to_all all_to_all_v send recv "
     "barrier, found \"all_reduces\""},
    {"CollectiveOverNothing",
     [](json &m) { collective(m, 0)["axes"] = json::array(); },
     "functions[0].collectives[0].axes: expected at least one axis"},
    {"CollectiveWithoutType", [](json &m) { collective(m, 0).erase("dtype"); },
     "functions[0].collectives[0]: expected a key 'dtype', found none"},
    {"CollectiveOfUnknownType",
     [](json &m) { collective(m, 0)["dtype"] = "i1"; },
     "functions[0].collectives[0].dtype: expected one of f32"},
    {"EmptyRow", [](json &m) { collective(m, 0)["row"] = 0; },
     "functions[0].collectives[0].row: expected an integer from 1"},
    {"SumOfBytes", [](json &m) { collective(m, 0)["dtype"] = "u8"; },
     "functions[0].collectives[0].dtype: expected one of f32 f64 bf16 f16 i32 "
     "i64, found \"u8\""},
    {"NoReduction", [](json &m) { collective(m, 0).erase("reduce"); },
     "functions[0].collectives[0]: expected a key 'reduce', found none"},
    {"UnknownReduction", [](json &m) { collective(m, 0)["reduce"] = "avg"; },
     "collectives[0].reduce: expected one of sum max min, found \"avg\""},
    {"EvenSum", [](json &m) { collective(m, 0)["even"] = true; },
     "collectives[0]: expected no key 'even', found one"},
    {"PackedSum", [](json &m) { collective(m, 0)["packed"] = true; },
     "collectives[0]: expected no key 'packed', found one"},
    {"GatherWithReduction",
     [](json &m) { kind(m, "all_gather", {{"reduce", "sum"}}); },
     "collectives[0]: expected no key 'reduce', found one"},
    {"BarrierWithRow",
     [](json &m) {
       collective(m, 0) = {{"kind", "barrier"}, {"axes", {"tp"}}, {"row", 4}};
     },
     "collectives[0]: expected no key 'row', found one"},
    {"NoRoot", [](json &m) { kind(m, "broadcast"); },
     "collectives[0]: expected a key 'root', found none"},
    {"NoSuchRoot", [](json &m) { kind(m, "broadcast", {{"root", 2}}); },
     "collectives[0].root: expected an integer from 0 to 1, found 2"},
    {"NoSuchPeer", [](json &m) { kind(m, "send", {{"peer", -1}}); },
     "collectives[0].peer: expected an integer from 0 to 1, found -1"},
    {"PeerOfReduction", [](json &m) { collective(m, 0)["peer"] = 0; },
     "collectives[0]: expected no key 'peer', found one"},
    {"UnknownPattern",
     [](json &m) { kind(m, "all_to_all_v", {{"pattern", "star"}}); },
     "collectives[0].pattern: expected one of all_to_all point_to_point "
     "hierarchical ring, found \"star\""},
    {"UnknownMode",
     [](json &m) { kind(m, "all_to_all_v", {{"mode", "fast"}}); },
     "collectives[0].mode: expected one of exact padded, found \"fast\""},
    {"PaddedByThoseBefore",
     [](json &m) {
       forward(m)["sums"]["R"]["before"] = {"ep"};
       kind(m, "all_to_all_v", {{"mode", "padded"}, {"bound", "2*R"}});
       collective(m, 0)["axes"] = {"ep"};
     },
     "collectives[0].bound: expected a number, or one times a sum over ep, "},
    {"NoPlaces", [](json &m) { kind(m, "all_to_all_v", {{"places", 0}}); },
     "collectives[0].places: expected an integer from 1"},
    {"PaddedWithoutBound",
     [](json &m) { kind(m, "all_to_all_v", {{"mode", "padded"}}); },
     "collectives[0]: expected a key 'bound', found none"},
    {"ChunkOfSum", [](json &m) { collective(m, 0)["chunk"] = {0, 1}; },
     "collectives[0]: expected no key 'chunk', found one"},
    {"ChunkOfOnePlace",
     [](json &m) { kind(m, "all_to_all_v", {{"chunk", {0}}}); },
     "collectives[0].chunk: expected two places, found an array"},
    {"ChunkOfNoPlaces",
     [](json &m) {
       kind(m, "all_to_all_v", {{"places", 4}, {"chunk", {2, 2}}});
     },
     "collectives[0].chunk[1]: expected an integer from 3 to 4, found 2"},
    {"ChunkInARing",
     [](json &m) {
       kind(m, "all_to_all_v",
            {{"pattern", "ring"}, {"chunk", {0, 1}}, {"whole", "send"}});
     },
     "collectives[0].pattern: expected all_to_all where there is a chunk"},
    {"ChunkOfNeitherSide",
     [](json &m) { kind(m, "all_to_all_v", {{"chunk", {0, 1}}}); },
     "collectives[0]: expected a key 'whole', found none"},
    {"WholeWithoutChunk",
     [](json &m) { kind(m, "all_to_all_v", {{"whole", "send"}}); },
     "collectives[0]: expected no key 'whole', found one"},
    {"WholeOfNoSide",
     [](json &m) {
       kind(m, "all_to_all_v", {{"chunk", {0, 1}}, {"whole", "both"}});
     },
     "collectives[0].whole: expected one of send receive, found \"both\""},
    {"BoundOfExact", [](json &m) { kind(m, "all_to_all_v", {{"bound", 3}}); },
     "collectives[0]: expected no key 'bound', found one"},
    {"BoundOfOwnSize",
     [](json &m) {
       kind(m, "all_to_all_v", {{"mode", "padded"}, {"bound", "T"}});
     },
     "collectives[0].bound: expected a number, or one times a sum over tp, "
     "found \"T\""},
    {"BoundOverOtherAxes",
     [](json &m) {
       kind(m, "all_to_all_v", {{"mode", "padded"}, {"bound", "2*R"}});
     },
     "collectives[0].bound: expected a number, or one times a sum over tp, "
     "found \"2*R\""},
    {"CollectivesOfOneRank",
     [](json &m) {
       m["grid"] = json::object();
       m["weights"] = json::array();
       forward(m)["arguments"] = {forward(m)["arguments"][0]};
     },
     "functions[0].collectives: a grid of one rank has no collectives"},
};

void PrintTo(const Corruption &corruption, std::ostream *out) {
  *out << corruption.name;
}

struct ManifestRanksTest : testing::TestWithParam<Corruption> {};

/// The manifest of FakeShards.c after an edit.
struct EditedShards {
  explicit EditedShards(const std::function<void(json &)> &edit) {
    json document = json::parse(fake_shards.manifest);
    edit(document);
    manifest = document.dump();
    package.manifest = manifest.c_str();
  }
  std::string manifest;
  moe_package package = fake_shards;
};
} // namespace

TEST_P(ManifestRanksTest, IsRefused) {
  EditedShards wrong(GetParam().edit);
  moe_layer *layer = nullptr;
  EXPECT_STATUS(MOE_BAD_FILE, moe_layer_create(&wrong.package, &layer),
                GetParam().message);
  EXPECT_EQ(nullptr, layer);
}

INSTANTIATE_TEST_SUITE_P(Corruptions, ManifestRanksTest,
                         testing::ValuesIn(corruptions),
                         [](const auto &info) { return info.param.name; });

TEST(ManifestRanks, EveryKindOfCollective) {
  for (const char *kindName :
       {"all_reduce", "reduce_scatter", "all_gather", "broadcast", "all_to_all",
        "all_to_all_v", "send", "recv", "barrier"}) {
    std::string named = kindName;
    EditedShards package([&](json &m) {
      json &one = forward(m)["collectives"][0];
      one = {{"kind", named}, {"axes", {"ep", "tp"}}, {"name", "any"}};
      if (named != "barrier")
        one.update({{"dtype", "bf16"}, {"row", 3}});
      if (named.find("reduce") != named.npos)
        one["reduce"] = "sum";
      if (named == "broadcast")
        one["root"] = 3;
      if (named == "send" || named == "recv")
        one["peer"] = 3;
      if (named == "all_to_all_v")
        one.update({{"pattern", "ring"},
                    {"mode", "padded"},
                    {"places", 2},
                    {"bound", "3*S"}});
      forward(m)["sizes"].push_back("S");
      forward(m)["sums"]["S"] = {{"of", "R"}, {"axes", {"tp"}}};
    });
    Together ranks(&package.package);
    EXPECT_NE(nullptr, ranks[3]) << kindName;
  }
}
