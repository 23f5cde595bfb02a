//===- Report.h - What moe-run prints ---------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// One document, shown as JSON or as a table.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUN_REPORT_H
#define MOE_LIB_RUN_REPORT_H

#include "Options.h"
#include "Session.h"

#include <nlohmann/json.hpp>

#include <ostream>

namespace moe::run {

using Report = nlohmann::ordered_json;

/// What was run, on which sizes, and what came out.
Report describeRun(Session &session);
/// How two packages differ; `agree` says whether within the bound.
Report compare(Session &session, Session &reference, bool &agree);
/// Times the function.
Report benchmark(Session &session);

void print(const Report &report, bool asJson, std::ostream &out);

} // namespace moe::run

#endif // MOE_LIB_RUN_REPORT_H
