//===- OptMain.cpp - moe-opt ----------------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/Coll/Coll.h"
#include "moe/Dialect/MoE/MoE.h"
#include "moe/Driver/Driver.h"
#include "moe/Kernels/Passes.h"
#include "moe/Sharding/Passes.h"
#include "moe/Sim/Passes.h"
#include "moe/Target/GPU/Passes.h"
#include "moe/Version.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/PrettyStackTrace.h"

using namespace moe;

/// Passes on .mlir files, with every upstream dialect and pass at hand.
static int runPasses(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<MoEDialect, coll::CollDialect>();
  mlir::registerAllPasses();
  registerMoEKernelsPasses();
  registerMoEShardingPasses();
  registerMoESimPasses();
  registerMoEGPUPasses();
  return mlir::failed(
      mlir::MlirOptMain(argc, argv, "moe-opt: passes\n", registry));
}

int moe::optMain(int argc, char **argv) {
  llvm::setBugReportMsg("This is a bug in moe-opt. Please report it to those "
                        "who maintain moe-mlir, with the command and its "
                        "input.\n");
  llvm::SmallVector<const char *> arguments(argv + 1, argv + argc);
  for (llvm::StringRef argument : arguments) {
    if (argument == "--help" || argument == "-h") {
      llvm::outs() << helpText();
      return 0;
    }
    if (argument == "--families") {
      llvm::outs() << familyTable();
      return 0;
    }
    if (argument == "--version") {
      llvm::outs() << MOE_VERSION_TEXT "\n";
      return 0;
    }
  }
  if (argc == 2 && llvm::StringRef(argv[1]) == "--help-passes")
    argv[1] = const_cast<char *>("--help");
  else if (isCompilation(arguments)) {
    llvm::InitLLVM crashes(argc, argv); // says where; MlirOptMain has its own
    llvm::Expected<CompileOptions> options = parseOptions(arguments);
    if (options)
      return compile(*options);
    llvm::errs() << "moe-opt: error: " << toString(options.takeError()) << "\n";
    return 1;
  }
  return runPasses(argc, argv);
}
