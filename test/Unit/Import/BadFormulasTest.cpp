//===- BadFormulasTest.cpp - Formulas that are none -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"

using namespace moe;
using namespace moe::test;

// [S15]
static const BadInput inputs[] = {
    {"UnknownActivation",
     experts(R"("activation": "sillu")"),
     {{Kind::error, 4, 17,
       "unknown activation 'sillu', expected a formula or 'silu', 'swish', "
       "'gelu', 'gelu_erf', 'gelu_tanh', 'gelu_new', 'gelu_pytorch_tanh', "
       "'quick_gelu', 'relu', 'relu2', 'sigmoid', 'tanh', 'identity', "
       "'linear', 'swigluoai' or 'situ'; did you mean 'silu'?"}}},
    {"GluOnlyActivation",
     experts(R"("form": "mlp", "activation": "swigluoai")"),
     {{Kind::error, 4, 32,
       "found activation 'swigluoai' of g and u, expected one of g alone, as "
       "there is no u here"}}},
    {"GluOnlyProjection",
     router(R"("projection": {"activation": "situ"})"),
     {{Kind::error, 3, 32,
       "found activation 'situ' of g and u, expected one of g alone, as there "
       "is no u here"}}},
    {"UnknownVariable",
     experts(R"("activation": "g * x")"),
     {{Kind::error, 4, 22,
       "unknown name 'x', expected a function or the variables 'g' or 'u'"}}},
    {"NoUpValueInMlp",
     experts(R"("form": "mlp", "activation": "g * u")"),
     {{Kind::error, 4, 37,
       "unknown name 'u', expected a function or the variable 'g'"}}},
    {"UnknownScore",
     router(R"("score": "softmx")"),
     {{Kind::error, 3, 12,
       "unknown score 'softmx', expected a formula or 'softmax', 'sigmoid', "
       "'sqrt_softplus' or 'identity'; did you mean 'softmax'?"}}},
    {"UnknownInScore",
     router("\"score\": \"1 / (1 + exp(-y))\""),
     {{Kind::error, 3, 27,
       "unknown name 'y', expected a function or the variable 'x'"}}},
    {"UnknownFormulaFunction",
     experts(R"("activation": "sigmod(g) * u")"),
     {{Kind::error, 4, 18,
       "unknown name 'sigmod', expected a function or the variables 'g' or "
       "'u'; did you mean 'sigmoid'?"}}},
    {"MissingOperand",
     experts(R"("activation": "g * ")"),
     {{Kind::error, 4, 22,
       "found the end of the formula, expected a number, a variable, a "
       "function or '('"}}},
    {"MissingLeftOperand",
     experts(R"("activation": "g + * u")"),
     {{Kind::error, 4, 22,
       "found '*', expected a number, a variable, a function or '('"}}},
    {"MissingOperator",
     experts(R"("activation": "2g")"),
     {{Kind::error, 4, 19,
       "found 'g', expected an operator or the end of the formula"}}},
    {"TooFewArguments",
     experts("\"activation\": \"u * pow(g)\""),
     {{Kind::error, 4, 22, "found 1 argument in a call of 'pow', expected 2"}}},
    {"TooManyArguments",
     experts("\"activation\": \"exp(g, u)\""),
     {{Kind::error, 4, 18,
       "found too many arguments in a call of 'exp', expected 1"}}},
    {"NoArguments",
     experts("\"activation\": \"exp()\""),
     {{Kind::error, 4, 22,
       "found ')', expected a number, a variable, a function or '('"}}},
    {"FunctionAsValue",
     experts(R"("activation": "softplus")"),
     {{Kind::error, 4, 26,
       "found the end of the formula, expected '(' after function "
       "'softplus'"}}},
    {"CommaOutside",
     experts("\"activation\": \"(g, u)\""),
     {{Kind::error, 4, 20,
       "found ',' outside of a call, expected an operator"}}},
    {"OpenParenthesis",
     experts(R"("activation": "g * (u + 1")"),
     {{Kind::error, 4, 22, "found '(' without ')', expected both"}}},
    {"OpenCall",
     experts(R"("activation": "g * exp (u + 1")"),
     {{Kind::error, 4, 26, "found '(' without ')', expected both"}}},
    {"ClosingParenthesis",
     experts(R"("activation": "g) * u")"),
     {{Kind::error, 4, 19,
       "found ')' without '(', expected an operator or the end of the "
       "formula"}}},
    {"PowerOperator",
     experts(R"("activation": "g ^ 2")"),
     {{Kind::error, 4, 20,
       "found '^', expected an operator or the end of the formula"}}},
    {"BadNumber",
     experts(R"("activation": "g * 1e")"),
     {{Kind::error, 4, 22, "found '1e', expected a number"}}},
    {"HugeNumberInFormula",
     experts(R"("activation": "g * 1e999")"),
     {{Kind::error, 4, 22,
       "found '1e999', expected a number that a double can hold"}}},
    {"EmptyFormula",
     experts(R"("activation": "")"),
     {{Kind::error, 4, 18, "found an empty formula, expected one"}}},
    {"AfterEscapes",
     experts("\"activation\": \"\\u0067 *\\t\\\" u\""),
     {{Kind::error, 4, 28,
       "found '\"', expected a number, a variable, a function or '('"}}},
    {"NotAscii",
     experts(R"("activation": "g · u")"),
     {{Kind::error, 4, 20,
       "found '·', expected an operator or the end of the formula"}}},
};

MOE_BAD_INPUTS(BadFormulas, inputs);
