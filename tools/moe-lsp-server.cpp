//===- moe-lsp-server.cpp - Language server for .mlir with moe operations -===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/Coll/Coll.h"
#include "moe/Dialect/MoE/MoE.h"

#include "mlir/InitAllDialects.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  registry.insert<moe::MoEDialect, moe::coll::CollDialect>();
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
