//===- ExpressionTest.cpp - Formulas and their values ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Expression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

using namespace moe;

using Op = Expression::Op;

static double evaluate(const Expression &expression,
                       const std::vector<double> &variables) {
  std::vector<double> values;
  for (const Expression::Node &node : expression.nodes) {
    double a = node.lhs >= 0 ? values.at(node.lhs) : 0.0;
    double b = node.rhs >= 0 ? values.at(node.rhs) : 0.0;
    auto value = [&]() -> double {
      switch (node.op) {
      case Op::constant:
        return node.value;
      case Op::variable:
        return variables.at(node.variable);
      case Op::neg:
        return -a;
      case Op::add:
        return a + b;
      case Op::sub:
        return a - b;
      case Op::mul:
        return a * b;
      case Op::div:
        return a / b;
      case Op::min:
        return std::min(a, b);
      case Op::max:
        return std::max(a, b);
      case Op::exp:
        return std::exp(a);
      case Op::log:
        return std::log(a);
      case Op::log1p:
        return std::log1p(a);
      case Op::sqrt:
        return std::sqrt(a);
      case Op::tanh:
        return std::tanh(a);
      case Op::erf:
        return std::erf(a);
      case Op::abs:
        return std::fabs(a);
      case Op::pow:
        return std::pow(a, b);
      }
      return NAN;
    };
    values.push_back(value());
  }
  return values.back();
}

static double evaluate(std::string_view text,
                       const std::vector<std::string> &names,
                       const std::vector<double> &values) {
  Expression expression;
  ExpressionError error;
  EXPECT_TRUE(parseExpression(text, names, expression, error))
      << text << ": " << error.message;
  return expression.empty() ? NAN : evaluate(expression, values);
}

static const double samples[] = {-40.0, -7.5, -3.0, -1.0,  -0.25, -1e-8, 0.0,
                                 1e-8,  0.5,  1.0,  1.702, 6.75,  8.0,   40.0};

static double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
static double clamp(double x, double low, double high) {
  return x < low ? low : x > high ? high : x;
}

static void expectNear(double found, double expected, const std::string &what) {
  EXPECT_NEAR(found, expected, 1e-12 * std::max(1.0, std::fabs(expected)))
      << what;
}

TEST(Expression, EveryActivationIsItsFunction) {
  auto silu = [](double g) { return g * sigmoid(g); };
  auto gelu = [](double g) { return g * std::erfc(-g / std::sqrt(2.0)) / 2.0; };
  auto geluTanh = [](double g) {
    double inner = std::sqrt(2.0 / M_PI) * (g + 0.044715 * std::pow(g, 3));
    return g / 2.0 * (1.0 + std::tanh(inner));
  };
  auto identity = [](double g) { return g; };
  std::map<std::string, std::function<double(double)>> ofG = {
      {"silu", silu},
      {"swish", silu},
      {"gelu", gelu},
      {"gelu_erf", gelu},
      {"gelu_tanh", geluTanh},
      {"gelu_new", geluTanh},
      {"gelu_pytorch_tanh", geluTanh},
      {"quick_gelu", [](double g) { return g * sigmoid(1.702 * g); }},
      {"relu", [](double g) { return g > 0 ? g : 0.0; }},
      {"relu2", [](double g) { return g > 0 ? g * g : 0.0; }},
      {"sigmoid", sigmoid},
      {"tanh", [](double g) { return std::tanh(g); }},
      {"identity", identity},
      {"linear", identity},
  };
  std::map<std::string, std::function<double(double, double)>> ofBoth = {
      {"swigluoai",
       [](double g, double u) {
         double low = std::fmin(g, 7.0);
         return low * sigmoid(1.702 * low) * (clamp(u, -7.0, 7.0) + 1.0);
       }},
      {"situ",
       [](double g, double u) {
         return 100.0 * std::tanh(g / 4.0) * sigmoid(g) * std::tanh(u / 25.0);
       }},
  };
  size_t checked = 0;
  for (const std::string &name : activationNames()) {
    ++checked;
    for (double g : samples)
      for (double u : samples) {
        double glu =
            evaluate(activationFormula(name, true), {"g", "u"}, {g, u});
        if (ofBoth.count(name)) {
          expectNear(glu, ofBoth.at(name)(g, u), name);
          continue;
        }
        ASSERT_TRUE(ofG.count(name)) << name;
        expectNear(glu, ofG.at(name)(g) * u, name);
        expectNear(evaluate(activationFormula(name, false), {"g"}, {g}),
                   ofG.at(name)(g), name);
      }
    EXPECT_EQ(activationFormula(name, false).empty(), ofBoth.count(name) != 0);
  }
  EXPECT_EQ(checked, ofG.size() + ofBoth.size());
  EXPECT_TRUE(activationFormula("no such", true).empty());
}

TEST(Expression, EveryScoreIsItsFunction) {
  for (double x : samples) {
    expectNear(evaluate(scoreFormula("sigmoid"), {"x"}, {x}), sigmoid(x), "");
    // The plain log(1 + exp(x)) is exact enough where it does not overflow.
    if (std::fabs(x) < 10)
      expectNear(evaluate(scoreFormula("sqrt_softplus"), {"x"}, {x}),
                 std::sqrt(std::log1p(std::exp(x))), "");
    EXPECT_EQ(evaluate(scoreFormula("identity"), {"x"}, {x}), x);
  }
  EXPECT_TRUE(scoreFormula("softmax").empty());
  EXPECT_EQ(scoreNames(),
            (std::vector<std::string>{"softmax", "sigmoid", "sqrt_softplus",
                                      "identity"}));
}

TEST(Expression, FunctionsOfOneAndTwo) {
  double a = 0.75, b = -2.5;
  std::map<std::string, double> formulas = {
      {"exp(a)", std::exp(a)},
      {"log(a)", std::log(a)},
      {"log1p(a)", std::log1p(a)},
      {"sqrt(a)", std::sqrt(a)},
      {"tanh(a)", std::tanh(a)},
      {"erf(a)", std::erf(a)},
      {"abs(b)", 2.5},
      {"min(a, b)", b},
      {"max(a, b)", a},
      {"pow(a, b)", std::pow(a, b)},
      {"softplus(a)", std::log1p(std::exp(a))},
      {"clamp(b, -1, 1)", -1.0},
      {"clamp(a, -1, 1)", a},
      {"clamp(a, -1, 0.5)", 0.5},
  };
  for (const auto &[formula, value] : formulas)
    expectNear(evaluate(formula, {"a", "b"}, {a, b}), value, formula);
}

TEST(Expression, OperatorsBindAsTheyShould) {
  auto value = [](std::string_view text) { return evaluate(text, {}, {}); };
  EXPECT_EQ(value("1 + 2 * 3"), 7);
  EXPECT_EQ(value("(1 + 2) * 3"), 9);
  EXPECT_EQ(value("10 - 3 - 2"), 5);
  EXPECT_EQ(value("48 / 4 / 3"), 4);
  EXPECT_EQ(value("48 / 4 * 3"), 36);
  EXPECT_EQ(value("2 * -3 + 1"), -5);
  EXPECT_EQ(value("- 2 - - 3"), 1);
  EXPECT_EQ(value("--3"), 3);
  EXPECT_EQ(value("-(1 + 2) * 2"), -6);
  EXPECT_EQ(value("1 - 2 * 3 + 4 / 2"), -3);
  EXPECT_EQ(value("max(1 + 1, 2 * 2) - min(3, -1)"), 5);
  EXPECT_EQ(value("1.5e1 + 2E-1 * 10"), 17);
  EXPECT_EQ(value("\t1\n+\r2 "), 3);
  EXPECT_EQ(value("min ( 1 , 2 )"), 1);
}

TEST(Expression, OperandsComeBeforeTheirUser) {
  Expression expression;
  ExpressionError error;
  ASSERT_TRUE(parseExpression("gelu_tanh(g) * silu(u) - clamp(g, -u, 1) / 2",
                              {"g", "u"}, expression, error));
  std::vector<bool> used(expression.nodes.size());
  for (int32_t i = 0; i < int32_t(expression.nodes.size()); ++i)
    for (int32_t operand : {expression.nodes[i].lhs, expression.nodes[i].rhs}) {
      EXPECT_LT(operand, i);
      if (operand >= 0)
        used[operand] = true;
    }
  // The result is last, and nothing is there for nothing.
  EXPECT_FALSE(used.back());
  EXPECT_EQ(std::count(used.begin(), used.end(), false), 1);
  EXPECT_EQ(expression.text, "gelu_tanh(g) * silu(u) - clamp(g, -u, 1) / 2");
}

TEST(Expression, GrowsWithTheTextAndNotByPowers) {
  std::string text = "g";
  for (int i = 0; i < 64; ++i)
    text = "silu(" + text + ")";
  Expression expression;
  ExpressionError error;
  ASSERT_TRUE(parseExpression(text, {"g"}, expression, error));
  EXPECT_LT(expression.nodes.size(), text.size() * 4);
}

TEST(Expression, AnErrorLeavesTheResultAlone) {
  Expression expression;
  expression.text = "kept";
  ExpressionError error;
  EXPECT_FALSE(parseExpression("g +", {"g"}, expression, error));
  EXPECT_EQ(error.offset, 3u);
  EXPECT_EQ(expression.text, "kept");
}
