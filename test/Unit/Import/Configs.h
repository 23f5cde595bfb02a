//===- Configs.h - Configurations of Hugging Face ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Small models that are good, and changes to them: a key on each line, whose
// value is replaced in its place or added at the end. No value: no key.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_IMPORT_CONFIGS_H
#define MOE_TEST_UNIT_IMPORT_CONFIGS_H

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace moe::test {

using Members = std::vector<std::pair<std::string, std::string>>;

inline std::string changed(Members members, const Members &changes) {
  for (const auto &change : changes) {
    auto place =
        std::find_if(members.begin(), members.end(), [&](const auto &member) {
          return member.first == change.first;
        });
    if (place == members.end())
      members.push_back(change);
    else
      place->second = change.second;
  }
  std::string text;
  for (const auto &[key, value] : members)
    if (!value.empty())
      text += (text.empty() ? "{\"" : ",\n \"") + key + "\": " + value;
  return text + "}";
}

inline std::string qwen3(const Members &changes) {
  return changed({{"model_type", R"("qwen3_moe")"},
                  {"hidden_size", "64"},
                  {"num_hidden_layers", "4"},
                  {"num_experts", "8"},
                  {"num_experts_per_tok", "2"},
                  {"moe_intermediate_size", "96"}},
                 changes);
}

inline std::string deepseek(const Members &changes) {
  return changed({{"model_type", R"("deepseek_v3")"},
                  {"hidden_size", "64"},
                  {"num_hidden_layers", "4"},
                  {"n_routed_experts", "16"},
                  {"num_experts_per_tok", "2"},
                  {"moe_intermediate_size", "32"},
                  {"n_shared_experts", "1"},
                  {"n_group", "2"},
                  {"topk_group", "1"},
                  {"first_k_dense_replace", "1"}},
                 changes);
}

inline std::string hunyuan(const Members &changes) {
  return changed({{"model_type", R"("hunyuan_v1_moe")"},
                  {"hidden_size", "64"},
                  {"num_hidden_layers", "4"},
                  {"num_experts", "8"},
                  {"moe_topk", "2"},
                  {"moe_intermediate_size", "96"},
                  {"intermediate_size", "96"},
                  {"num_shared_expert", "1"}},
                 changes);
}

inline std::string nemotron(const Members &changes) {
  return changed({{"model_type", R"("nemotron_h")"},
                  {"hidden_size", "64"},
                  {"num_hidden_layers", "4"},
                  {"n_routed_experts", "8"},
                  {"num_experts_per_tok", "2"},
                  {"moe_intermediate_size", "96"},
                  {"hybrid_override_pattern", R"("MEME")"},
                  {"moe_shared_expert_intermediate_size", "32"}},
                 changes);
}

inline std::string step(const Members &changes) {
  return changed({{"model_type", R"("step3p5")"},
                  {"hidden_size", "64"},
                  {"num_hidden_layers", "4"},
                  {"moe_num_experts", "8"},
                  {"moe_top_k", "2"},
                  {"moe_intermediate_size", "96"},
                  {"share_expert_dim", "32"}},
                 changes);
}

} // namespace moe::test

#endif // MOE_TEST_UNIT_IMPORT_CONFIGS_H
