//===- DialectFuzzer.cpp - Any text is refused or survives a round trip ---===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text is parsed and verified with our dialects; what is accepted is folded,
// printed, and must be accepted again and print the same.
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/Coll/Coll.h"
#include "moe/Dialect/MoE/MoE.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cstdlib>

using namespace mlir;

/// libMLIR.so is not instrumented, so it neither unpoisons what our inlined
/// copy of its arena allocator poisoned, nor marks the ends of its vectors.
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0:detect_container_overflow=0";
}

/// The upstream parser recurses on brackets, and its stack is not ours to
/// defend. What strings and comments hold is not nesting, and neither "->" nor
/// ">=" closes anything; an opening that never closes counts.
static bool isTooDeep(StringRef text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        if (text[i] == '\\')
          ++i;
    } else if (text.substr(i).starts_with("//")) {
      i = std::min(text.find('\n', i), text.size());
    } else if (StringRef("([{<").contains(c)) {
      if (++depth > 256)
        return true;
    } else if (StringRef(")]}").contains(c) ||
               (c == '>' && !text.take_front(i).ends_with("-") &&
                !text.substr(i).starts_with(">="))) {
      depth = std::max(depth - 1, 0);
    }
  }
  return false;
}

static std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  return text;
}

static OwningOpRef<ModuleOp> parse(StringRef text, MLIRContext &context) {
  return parseSourceString<ModuleOp>(text, ParserConfig(&context));
}

/// Says what was printed and not accepted, and ends the run.
[[noreturn]] static void fail(StringRef why, StringRef text) {
  llvm::errs() << why << ":\n" << text << "\n";
  std::abort();
}

static void checkRoundTrip(ModuleOp module, MLIRContext &context) {
  std::string text = print(module);
  OwningOpRef<ModuleOp> again = parse(text, context);
  if (!again)
    fail("printed, then refused", text);
  if (print(*again) != text)
    fail("printed differently the second time", text);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // The lexer reads the 0 after the text.
  std::string text(reinterpret_cast<const char *>(data), size);
  if (isTooDeep(text))
    return 0;

  // A context interns whatever it sees, so each input has its own.
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context
      .loadDialect<moe::MoEDialect, moe::coll::CollDialect, arith::ArithDialect,
                   func::FuncDialect, math::MathDialect>();
  ScopedDiagnosticHandler silence(&context, [](Diagnostic &) {});

  OwningOpRef<ModuleOp> module = parse(text, context);
  if (!module)
    return 0;
  checkRoundTrip(*module, context);

  RewritePatternSet patterns(&context);
  for (RegisteredOperationName op : context.getRegisteredOperations())
    if (isa<moe::MoEDialect, moe::coll::CollDialect>(op.getDialect()))
      op.getCanonicalizationPatterns(patterns, &context);
  (void)applyPatternsGreedily(*module, std::move(patterns));
  if (failed(verify(*module)))
    fail("wrong after canonicalization of", text);
  checkRoundTrip(*module, context);
  return 0;
}
