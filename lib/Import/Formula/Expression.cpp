//===- Expression.cpp - Parsing formulas ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An operator-precedence parser with its own stack: what nests in the text
// never nests in calls.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Expression.h"
#include "ExpressionNodes.h"
#include "Text/Characters.h"
#include "Text/Reporter.h"

#include <algorithm>
#include <charconv>

using namespace moe;

using Op = Expression::Op;

namespace {

constexpr size_t maxFormulaBytes = 4096; // [S15]
constexpr size_t maxFormulaDepth = 64;   // [S15]

bool isNameStart(char c) { return isLetter(c) || c == '_'; }
bool isNamePart(char c) { return isNameStart(c) || isDigit(c); }

/// What waits for its right operand or its closing parenthesis.
struct Pending {
  enum class Kind { negation, operation, parenthesis, call };
  Kind kind;
  size_t offset;
  Op op = Op::neg;
  const FormulaFunction *function = nullptr;
  size_t operands = 0; // how many stood on the stack when a call began
};

class Parser {
public:
  Parser(std::string_view text, const std::vector<std::string> &variables,
         std::vector<Expression::Node> &nodes, ExpressionError &error)
      : text(text), variables(variables), nodes(nodes), error(error) {}

  bool run() {
    if (text.size() > maxFormulaBytes)
      return fail(0, "found a formula of " + std::to_string(text.size()) +
                         " bytes, expected at most " +
                         std::to_string(maxFormulaBytes));
    for (;;) {
      while (at < text.size() && isSpace(text[at]))
        ++at;
      if (at == text.size())
        return finish();
      if (!(wantsOperand ? readOperand() : readOperator()))
        return false;
    }
  }

private:
  bool fail(size_t offset, std::string message) {
    error.offset = offset;
    error.message = std::move(message);
    return false;
  }

  std::string found() const {
    if (at == text.size())
      return "found the end of the formula";
    size_t end = at + 1;
    if (isNameStart(text[at]) || isDigit(text[at]))
      while (end < text.size() && isNamePart(text[end]))
        ++end;
    else // all of a character, should it be longer than a byte
      while (end < text.size() &&
             (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
        ++end;
    return "found " + inQuotes(text.substr(at, end - at));
  }

  bool push(Pending pending) {
    if (pending.kind != Pending::Kind::operation && ++depth > maxFormulaDepth)
      return fail(pending.offset, "found more than " +
                                      std::to_string(maxFormulaDepth) +
                                      " levels in a formula, expected at most "
                                      "that many");
    stack.push_back(pending);
    return true;
  }

  bool readOperand() {
    char c = text[at];
    if (c == '-') {
      bool ok = push({Pending::Kind::negation, at});
      ++at;
      return ok;
    }
    if (c == '(') {
      bool ok = push({Pending::Kind::parenthesis, at});
      ++at;
      return ok;
    }
    if (isDigit(c))
      return readNumber();
    if (isNameStart(c))
      return readName();
    return fail(at, found() + ", expected a number, a variable, a function "
                              "or '('");
  }

  bool readNumber() {
    size_t end = at;
    auto digits = [&] {
      size_t start = end;
      while (end < text.size() && isDigit(text[end]))
        ++end;
      return end != start;
    };
    auto take = [&](std::string_view any) {
      bool found =
          end < text.size() && any.find(text[end]) != std::string_view::npos;
      end += found;
      return found;
    };
    digits();
    bool good = !take(".") || digits();
    if (good && take("eE")) {
      take("+-");
      good = digits();
    }
    if (!good)
      return fail(at, "found " + inQuotes(text.substr(at, end - at)) +
                          ", expected a number");
    double value = 0.0;
    // Unlike strtod, this reads the same in every locale.
    auto result = std::from_chars(text.data() + at, text.data() + end, value);
    if (result.ec != std::errc())
      return fail(at, "found " + inQuotes(text.substr(at, end - at)) +
                          ", expected a number that a double can hold");
    operands.push_back(appendConstant(nodes, value));
    at = end;
    return operandDone();
  }

  bool readName() {
    size_t begin = at;
    while (at < text.size() && isNamePart(text[at]))
      ++at;
    std::string_view name = text.substr(begin, at - begin);
    auto variable = std::find(variables.begin(), variables.end(), name);
    if (variable != variables.end()) {
      Expression::Node node{Op::variable};
      node.variable = static_cast<int32_t>(variable - variables.begin());
      nodes.push_back(node);
      operands.push_back(static_cast<int32_t>(nodes.size() - 1));
      return operandDone();
    }
    const FormulaFunction *function = findFunction(name);
    if (!function)
      return unknownName(name, begin);
    while (at < text.size() && isSpace(text[at]))
      ++at;
    if (at == text.size() || text[at] != '(')
      return fail(at,
                  found() + ", expected '(' after function " + inQuotes(name));
    ++at;
    return push(
        {Pending::Kind::call, begin, Op::neg, function, operands.size()});
  }

  bool unknownName(std::string_view name, size_t begin) {
    std::vector<std::string_view> names = functionNames();
    std::vector<std::string_view> ours(variables.begin(), variables.end());
    names.insert(names.end(), ours.begin(), ours.end());
    return fail(begin, "unknown name " + inQuotes(name) +
                           ", expected a function or the variable" +
                           (ours.size() > 1 ? "s " : " ") + quotedList(ours) +
                           didYouMean(name, names));
  }

  /// An operand is complete: what binds tightest takes it at once.
  bool operandDone() {
    while (!stack.empty() && stack.back().kind == Pending::Kind::negation) {
      stack.pop_back();
      --depth;
      operands.back() = appendOp(nodes, Op::neg, operands.back());
    }
    wantsOperand = false;
    return true;
  }

  static bool bindsTightly(Op op) { return op == Op::mul || op == Op::div; }

  /// Applies the waiting operators, or only those that bind as tightly as `*`.
  void reduce(bool tightOnly) {
    while (!stack.empty() && stack.back().kind == Pending::Kind::operation &&
           (!tightOnly || bindsTightly(stack.back().op))) {
      int32_t rhs = operands.back();
      operands.pop_back();
      operands.back() = appendOp(nodes, stack.back().op, operands.back(), rhs);
      stack.pop_back();
    }
  }

  bool readOperator() {
    switch (text[at]) {
    case '+':
      return operation(Op::add);
    case '-':
      return operation(Op::sub);
    case '*':
      return operation(Op::mul);
    case '/':
      return operation(Op::div);
    case ',':
      return comma();
    case ')':
      return closeParenthesis();
    default:
      return fail(at, found() + ", expected an operator or the end of the "
                                "formula");
    }
  }

  bool operation(Op op) {
    reduce(/*tightOnly=*/bindsTightly(op));
    wantsOperand = true;
    return push({Pending::Kind::operation, at++, op});
  }

  size_t argumentsOf(const Pending &call) const {
    return operands.size() - call.operands;
  }

  bool wrongArity(const Pending &call, const std::string &count) {
    size_t takes = call.function->arguments;
    return fail(call.offset, "found " + count + " in a call of " +
                                 inQuotes(call.function->name) + ", expected " +
                                 std::to_string(takes));
  }

  bool comma() {
    reduce(/*tightOnly=*/false);
    if (stack.empty() || stack.back().kind != Pending::Kind::call)
      return fail(at, "found ',' outside of a call, expected an operator");
    if (argumentsOf(stack.back()) == stack.back().function->arguments)
      return wrongArity(stack.back(), "too many arguments");
    ++at;
    wantsOperand = true;
    return true;
  }

  bool closeParenthesis() {
    reduce(/*tightOnly=*/false);
    if (stack.empty())
      return fail(at, "found ')' without '(', expected an operator or the end "
                      "of the formula");
    Pending open = stack.back();
    if (open.kind == Pending::Kind::call) {
      size_t count = argumentsOf(open);
      if (count != open.function->arguments)
        return wrongArity(open, std::to_string(count) + " argument" +
                                    (count == 1 ? "" : "s"));
      int32_t result =
          open.function->build(nodes, operands.data() + open.operands);
      operands.resize(open.operands);
      operands.push_back(result);
    }
    stack.pop_back();
    --depth;
    ++at;
    return operandDone();
  }

  bool finish() {
    if (wantsOperand)
      return fail(at, operands.empty() && stack.empty()
                          ? std::string("found an empty formula, expected one")
                          : found() + ", expected a number, a variable, a "
                                      "function or '('");
    reduce(/*tightOnly=*/false);
    if (!stack.empty()) {
      size_t offset = stack.back().offset;
      if (stack.back().kind == Pending::Kind::call)
        offset = text.find('(', offset);
      return fail(offset, "found '(' without ')', expected both");
    }
    return true;
  }

  std::string_view text;
  const std::vector<std::string> &variables;
  std::vector<Expression::Node> &nodes;
  ExpressionError &error;
  size_t at = 0;
  size_t depth = 0;
  bool wantsOperand = true;
  std::vector<Pending> stack;
  std::vector<int32_t> operands;
};

} // namespace

bool moe::parseExpression(std::string_view text,
                          const std::vector<std::string> &variables,
                          Expression &result, ExpressionError &error) {
  Expression parsed;
  parsed.text = std::string(text);
  if (!Parser(text, variables, parsed.nodes, error).run())
    return false;
  result = std::move(parsed);
  return true;
}
