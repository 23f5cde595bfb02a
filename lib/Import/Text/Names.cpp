//===- Names.cpp - Named activations and scores ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Expression.h"

using namespace moe;

namespace {
struct Named {
  std::string_view name;
  std::string_view ofG;  // for mlp; empty where the name needs both values
  std::string_view ofGU; // for glu
};
} // namespace

static constexpr Named activations[] = {
    {"silu", "silu(g)", "silu(g) * u"},
    {"swish", "silu(g)", "silu(g) * u"},
    {"gelu", "gelu(g)", "gelu(g) * u"},
    {"gelu_erf", "gelu(g)", "gelu(g) * u"},
    {"gelu_tanh", "gelu_tanh(g)", "gelu_tanh(g) * u"},
    {"gelu_new", "gelu_tanh(g)", "gelu_tanh(g) * u"},
    {"gelu_pytorch_tanh", "gelu_tanh(g)", "gelu_tanh(g) * u"},
    {"quick_gelu", "g * sigmoid(1.702 * g)", "g * sigmoid(1.702 * g) * u"},
    {"relu", "relu(g)", "relu(g) * u"},
    {"relu2", "relu(g) * relu(g)", "relu(g) * relu(g) * u"},
    {"sigmoid", "sigmoid(g)", "sigmoid(g) * u"},
    {"tanh", "tanh(g)", "tanh(g) * u"},
    {"identity", "g", "g * u"},
    {"linear", "g", "g * u"},
    {"swigluoai", "",
     "min(g, 7) * sigmoid(1.702 * min(g, 7)) * (clamp(u, -7, 7) + 1)"},
    {"situ", "", "4 * tanh(g / 4) * sigmoid(g) * 25 * tanh(u / 25)"},
};

static constexpr Named scores[] = {
    {"sigmoid", "sigmoid(x)", ""},
    {"sqrt_softplus", "sqrt(softplus(x))", ""},
    {"identity", "x", ""},
};

std::string_view moe::activationFormula(std::string_view name, bool glu) {
  for (const Named &activation : activations)
    if (activation.name == name)
      return glu ? activation.ofGU : activation.ofG;
  return {};
}

std::string_view moe::scoreFormula(std::string_view name) {
  for (const Named &score : scores)
    if (score.name == name)
      return score.ofG;
  return {};
}

std::vector<std::string> moe::activationNames() {
  std::vector<std::string> names;
  for (const Named &activation : activations)
    names.emplace_back(activation.name);
  return names;
}

std::vector<std::string> moe::scoreNames() {
  // Softmax is no function of one value, but a name all the same.
  std::vector<std::string> names = {"softmax"};
  for (const Named &score : scores)
    names.emplace_back(score.name);
  return names;
}
