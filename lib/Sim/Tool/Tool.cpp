//===- Tool.cpp - moe-sim -------------------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Sim/Tool.h"

#include "Arguments.h"
#include "Device.h"

#include "moe/Sim/Passes.h"

#include "mlir/Dialect/DLTI/DLTI.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/TargetSelect.h"

using namespace llvm;
using namespace moe;
using namespace moe::sim;

static cl::OptionCategory category("moe-sim options");
static cl::opt<std::string> file(cl::Positional, cl::Required,
                                 cl::desc("FILE.mlir"), cl::cat(category));
static cl::list<std::string>
    arguments(cl::Positional, cl::cat(category),
              cl::desc("ARGUMENT... i32=5, f32x64=iota|zero|ones|none, or "
                       "map=BUFFER:EXTENTS:BOX:SWIZZLE"));
static cl::opt<std::string> kernel("kernel", cl::cat(category),
                                   cl::desc("which one, if there are several"));
static cl::opt<std::string> grid("grid", cl::init("1"), cl::cat(category),
                                 cl::desc("blocks, as in 4x2"));
static cl::opt<std::string> block("block", cl::init("32"), cl::cat(category),
                                  cl::desc("threads of a block, as in 32x4"));
static cl::opt<std::string> cluster("cluster", cl::init("1"), cl::cat(category),
                                    cl::desc("blocks of a cluster"));
static cl::opt<unsigned> shared("shared", cl::init(0), cl::cat(category),
                                cl::desc("bytes of dynamic shared memory"));
static cl::list<unsigned>
    printed("print", cl::CommaSeparated, cl::cat(category),
            cl::desc("numbers of the arguments to print when it is done"));

/// The file's kernels as functions of this process.
static Expected<std::unique_ptr<mlir::ExecutionEngine>>
compile(mlir::MLIRContext &context, std::string &moduleName) {
  auto parsed = mlir::parseSourceFile<mlir::ModuleOp>(file, &context);
  if (!parsed)
    return createStringError("cannot read the kernels");
  auto devices = to_vector(parsed->getOps<mlir::gpu::GPUModuleOp>());
  if (devices.size() != 1)
    return createStringError("'" + file + "' has " + Twine(devices.size()) +
                             " modules of kernels, expected one");
  moduleName = devices[0].getName().str();
  mlir::PassManager passes(&context);
  passes.addPass(createSimulateKernelsPass());
  if (failed(passes.run(*parsed)))
    return createStringError("the kernels cannot be simulated");
  mlir::ExecutionEngineOptions options;
  auto optimize = mlir::makeOptimizingTransformer(2, 0, nullptr);
  options.transformer = optimize;
  return mlir::ExecutionEngine::create(*parsed, options);
}

static Expected<Dimensions> parseDimensions(StringRef text) {
  auto extents = parseExtents(text, 3);
  if (!extents)
    return extents.takeError();
  extents->resize(3, 1);
  return Dimensions{unsigned((*extents)[0]), unsigned((*extents)[1]),
                    unsigned((*extents)[2])};
}

static Error run() {
  Launch launch;
  for (auto [text, dimensions] :
       {std::pair(&grid, &launch.grid), std::pair(&block, &launch.block),
        std::pair(&cluster, &launch.cluster)}) {
    auto parsed = parseDimensions(*text);
    if (!parsed)
      return parsed.takeError();
    *dimensions = *parsed;
  }
  launch.shared = shared;
  launch.kernel = kernel;
  for (const std::string &text : arguments) {
    auto argument = parseArgument(text);
    if (!argument)
      return argument.takeError();
    launch.arguments.push_back(std::move(*argument));
  }
  for (unsigned number : printed)
    if (number >= launch.arguments.size() ||
        launch.arguments[number].kind != sim::Argument::Buffer)
      return createStringError("--print=" + Twine(number) +
                               " is not the number of a buffer");

  mlir::DialectRegistry registry;
  registry.insert<mlir::gpu::GPUDialect, mlir::LLVM::LLVMDialect,
                  mlir::NVVM::NVVMDialect, mlir::DLTIDialect>();
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::MLIRContext context(registry);
  std::string moduleName;
  auto engine = compile(context, moduleName);
  if (!engine)
    return engine.takeError();
  auto image = (*engine)->lookup(moduleName + "_image");
  if (!image)
    return image.takeError();
  if (Error failed = runOnDevice(*image, launch))
    return failed;
  for (unsigned number : printed) {
    const sim::Argument &argument = launch.arguments[number];
    print(outs(), argument, argument.bytes);
  }
  return Error::success();
}

int moe::simMain(int argc, char **argv) {
  InitLLVM crashes(argc, argv);
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv,
      "moe-sim: one kernel at the NVVM level, in a simulator of the GPU that "
      "checks each access\n");
  if (Error failed = run()) {
    errs() << "moe-sim: error: " << toString(std::move(failed)) << "\n";
    return 1;
  }
  return 0;
}
