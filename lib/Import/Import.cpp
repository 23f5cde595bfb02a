//===- Import.cpp - From a file to a Spec ---------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Import.h"
#include "Json.h"
#include "Native.h"
#include "Reporter.h"
#include "Validate.h"

using namespace moe;

static void import(std::string_view text, ImportResult &result,
                   Reporter &reporter) {
  std::optional<json::Value> document = json::parse(text, reporter);
  if (!document)
    return;

  for (const json::Member &member : document->members)
    if (member.key == "model_type" || member.key == "architectures")
      return reporter.error(member.begin,
                            "found a Hugging Face configuration, expected a "
                            "spec in the native form");

  Spec spec;
  Locations locations;
  readNative(*document, text, spec, locations, reporter);
  // What keys say together means nothing while one of them is wrong.
  if (!reporter.failed())
    validate(spec, locations, reporter);
  if (!reporter.failed())
    result.spec = std::move(spec);
}

ImportResult moe::importSpec(std::string_view text) {
  ImportResult result;
  Reporter reporter(text, result.diagnostics);
  import(text, result, reporter);
  reporter.finish();
  return result;
}
