//===- Compile.cpp - From a spec to what was asked for --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Code.h"
#include "GPUCode.h"

#include "moe/Driver/Driver.h"

#include "moe/Dialect/Coll/Coll.h"
#include "moe/Dialect/MoE/MoE.h"
#include "moe/Graph/Graph.h"
#include "moe/Import/Import.h"
#include "moe/Package/Package.h"
#include "moe/Schedule/Blocks.h"

#include "mlir/Conversion/ConvertToLLVM/ToLLVMInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace llvm;
using namespace moe;

namespace {

/// One run of the compiler. Each step returns an error, or has reported one.
class Compilation {
public:
  explicit Compilation(const CompileOptions &options) : options(options) {
    context.printOpOnDiagnostic(false); // the line in the file says it
    mlir::DialectRegistry registry;
    registerGPULowering(registry);
    context.appendDialectRegistry(registry);
    context.loadDialect<MoEDialect, coll::CollDialect, mlir::func::FuncDialect,
                        mlir::LLVM::LLVMDialect, mlir::memref::MemRefDialect,
                        mlir::scf::SCFDialect, mlir::vector::VectorDialect>();
  }

  Error run();

private:
  const CompileOptions &options;
  mlir::MLIRContext context;
  // What a pass reports is shown with the line of the input that it is about.
  std::shared_ptr<SourceMgr> sources = std::make_shared<SourceMgr>();
  mlir::SourceMgrDiagnosticHandler handler{*sources, &context};
  std::optional<Spec> spec;
  mlir::OwningOpRef<mlir::ModuleOp> module; // as all CPUs have it
  std::vector<Program> programs;            // for each CPU, and for a device
  std::vector<Signature> signatures;
  std::string packageName;

  Error readInput();
  Error importJson(const MemoryBuffer &buffer);
  Error printLayerTable();
  Expected<std::unique_ptr<MemoryBuffer>> openInput() const;
  void show(ArrayRef<Diagnostic> diagnostics, StringRef text) const;
  Error checkBlocks(const CPUTarget &target);
  Error runPhases();
  Error runPhase(mlir::ModuleOp code, Phase phase,
                 const PipelineOptions &pipeline, StringRef label);
  Error makeProgram(Program &program, PipelineOptions pipeline);
  Error dump(mlir::ModuleOp code, Phase phase, StringRef label);
  mlir::ModuleOp result() const;
  Error makeKernels();
  Error emitCode();
  Error emitPlan();
  Error emitGridPlan();
};

/// An error whose message has been printed already.
Error reported() { return createStringError(""); }

} // namespace

void Compilation::show(ArrayRef<Diagnostic> diagnostics, StringRef text) const {
  for (const Diagnostic &diagnostic : diagnostics)
    errs() << formatDiagnostic(diagnostic, options.input, text);
}

Error Compilation::importJson(const MemoryBuffer &buffer) {
  ImportResult result = importSpec(buffer.getBuffer(), options.import);
  show(result.diagnostics, buffer.getBuffer());
  if (!result.spec)
    return reported();
  spec = std::move(*result.spec);
  return Error::success();
}

/// Standard input has no name that would tell; no program begins with a brace,
/// except for `{-#` before its resources.
static bool isSpec(StringRef path, StringRef text) {
  text = text.ltrim();
  return path.ends_with(".json") ||
         (path == "-" && text.starts_with("{") && !text.starts_with("{-#"));
}

Expected<std::unique_ptr<MemoryBuffer>> Compilation::openInput() const {
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer =
      MemoryBuffer::getFileOrSTDIN(options.input);
  if (!buffer)
    return createStringError("cannot read '" + options.input +
                             "': " + buffer.getError().message());
  return std::move(*buffer);
}

Error Compilation::printLayerTable() {
  Expected<std::unique_ptr<MemoryBuffer>> buffer = openInput();
  if (!buffer)
    return buffer.takeError();
  LayersResult result = importLayers((*buffer)->getBuffer(), options.import);
  show(result.diagnostics, (*buffer)->getBuffer());
  if (result.layers.empty())
    return reported();
  return writeText(options.output, options.json ? printLayersJson(result)
                                                : printLayers(result));
}

Error Compilation::readInput() {
  Expected<std::unique_ptr<MemoryBuffer>> buffer = openInput();
  if (!buffer)
    return buffer.takeError();
  if (isSpec(options.input, (*buffer)->getBuffer())) {
    if (Error error = importJson(**buffer))
      return error;
    packageName = spec->name;
    return Error::success();
  }
  if (options.emit == Emit::spec || options.emit == Emit::plan)
    return createStringError(
        Twine(options.emit == Emit::spec ? "--emit=spec" : "--plan") +
        " needs a spec, a .json file");
  if (options.import.layer || options.import.dequantize)
    return createStringError(
        Twine(options.import.layer ? "--layer" : "--dequantize") +
        " needs a config.json");
  sources->AddNewSourceBuffer(std::move(*buffer), SMLoc());
  module = mlir::parseSourceFile<mlir::ModuleOp>(sources, &context);
  if (!module)
    return reported();
  auto name = (*module)->getAttrOfType<mlir::StringAttr>(kPackageName);
  packageName = name ? name.str() : "layer";
  return Error::success();
}

Error Compilation::checkBlocks(const CPUTarget &target) {
  Blocks tile = chooseBlocks(target.core(), {1024, 1024});
  if (options.blocks.empty() || parseBlocks(options.blocks, tile))
    return Error::success();
  return createStringError(
      "found '" + options.blocks +
      "' for --blocks, expected sizes such as rows=96,outs=64,depth=2048,"
      "task=128: for cpu '" +
      target.name() + "' rows in multiples of " + Twine(tile.tileRows) +
      ", outs of " + Twine(tile.tileOutputs) + ", and task of outs");
}

Error Compilation::emitPlan() {
  auto forward = find_if(
      signatures, [](const Signature &s) { return s.name == "forward"; });
  if (forward == signatures.end())
    return createStringError("--plan needs a package with a forward");
  Expected<std::string> plan =
      printPlan(options, *spec, programs.front().target, *forward);
  return plan ? writeText(options.output, *plan) : plan.takeError();
}

Error Compilation::emitGridPlan() {
  Expected<std::string> plan = printGridPlan(options, *spec);
  return plan ? writeText(options.output, *plan) : plan.takeError();
}

/// Of `--emit=ptx` and the like.
static Error writeKernels(const CompileOptions &options, mlir::ModuleOp code) {
  GPUOutput output = options.emit == Emit::ptx     ? GPUOutput::ptx
                     : options.emit == Emit::cubin ? GPUOutput::cubin
                                                   : GPUOutput::fatbin;
  Expected<std::string> kernels = emitKernels(code, options.gpuArchs, output);
  return kernels ? writeText(options.output, *kernels) : kernels.takeError();
}

static std::string print(mlir::ModuleOp code) {
  std::string text;
  raw_string_ostream os(text);
  code.print(os);
  return text;
}

Error Compilation::dump(mlir::ModuleOp code, Phase phase, StringRef label) {
  if (options.dumpDirectory.empty())
    return Error::success();
  if (std::error_code code = sys::fs::create_directories(options.dumpDirectory))
    return createStringError("cannot create '" + options.dumpDirectory +
                             "': " + code.message());
  std::string file =
      "0" + std::to_string(static_cast<int>(phase)) + "-" + name(phase).str() +
      (programs.size() > 1 && !label.empty() ? "." + label.str() : "") +
      ".mlir";
  SmallString<128> path(options.dumpDirectory);
  sys::path::append(path, file);
  return writeText(path, print(code));
}

Error Compilation::runPhase(mlir::ModuleOp code, Phase phase,
                            const PipelineOptions &pipeline, StringRef label) {
  mlir::PassManager passes(&context);
#ifdef NDEBUG
  // Once after the phase, not after each pass.
  passes.enableVerifier(false);
#endif
  addPhase(passes, phase, pipeline);
  if (mlir::failed(passes.run(code)) || mlir::failed(mlir::verify(code)))
    return reported();
  return dump(code, phase, label);
}

/// Runs the phases that know the CPU or the device.
Error Compilation::makeProgram(Program &program, PipelineOptions pipeline) {
  pipeline.gpu = hasKernels(program.kind);
  auto hasWgmma = [](const GPUArch &arch) { return arch.hasWgmma(); };
  pipeline.wgmma = pipeline.gpu && any_of(options.gpuArchs, hasWgmma);
  pipeline.alwaysWgmma = pipeline.wgmma && all_of(options.gpuArchs, hasWgmma);
  auto hasFp8 = [](const GPUArch &arch) { return arch.hasFp8(); };
  pipeline.fp8 = pipeline.gpu && any_of(options.gpuArchs, hasFp8);
  pipeline.alwaysFp8 = pipeline.fp8 && all_of(options.gpuArchs, hasFp8);
  pipeline.clusters = options.gpuClusters.value_or(GpuClusters::whereTheyPay);
  pipeline.core = program.target.core();
  pipeline.bf16Dot = program.target.hasBF16Dot();
  program.module = module->clone();
  for (Phase phase : {Phase::kernels, Phase::target}) {
    if (phase > options.compileTo)
      break;
    if (Error error =
            runPhase(*program.module, phase, pipeline, program.label()))
      return error;
    if (phase == Phase::target || options.emit == Emit::mlir)
      continue;
    mlir::FailureOr<std::vector<Signature>> read =
        readSignatures(*program.module);
    if (mlir::failed(read))
      return reported();
    if (signatures.empty())
      signatures = std::move(*read);
    else if (Error error = mergeSignatures(signatures, *read, pipeline.gpu))
      return error;
  }
  return Error::success();
}

Error Compilation::runPhases() {
  PipelineOptions pipeline;
  pipeline.reference = options.targets.front() == TargetKind::reference;
  pipeline.blocks = options.blocks;
  pipeline.pack = !options.unpacked;
  for (Phase phase :
       {Phase::import, Phase::graph, Phase::autodiff, Phase::sharding}) {
    if (phase > options.compileTo)
      return Error::success();
    if (Error error = runPhase(*module, phase, pipeline, ""))
      return error;
  }
  if (options.compileTo == Phase::sharding)
    return Error::success();
  for (Program &program : programs)
    if (Error error = makeProgram(program, pipeline))
      return error;
  return Error::success();
}

mlir::ModuleOp Compilation::result() const {
  return options.compileTo > Phase::sharding ? *programs.front().module
                                             : *module;
}

/// Code of the kernels for devices.
Error Compilation::makeKernels() {
  for (Program &program : programs) {
    if (!hasKernels(program.kind))
      continue;
    Expected<PackageKernels> kernels =
        program.kind == TargetKind::sim
            ? simulateKernels(*program.module, options.gpuArchs.front())
            : takeKernels(*program.module, options.gpuArchs);
    if (!kernels)
      return kernels.takeError();
    program.kernels = std::move(*kernels);
  }
  return Error::success();
}

Error Compilation::emitCode() {
  if (Error error = makeKernels())
    return error;
  PackageInfo info;
  info.name = packageName;
  info.spec = spec ? &*spec : nullptr;
  info.triple = programs.front().target.triple();
  info.variants = describe(programs);
  if (auto grid = (*module)->getAttrOfType<mlir::DictionaryAttr>(coll::kGrid))
    for (StringRef axis : coll::kAxes) {
      auto size = grid.getAs<mlir::IntegerAttr>(axis);
      info.grid.emplace_back(axis, size ? size.getInt() : 1);
    }
  std::string manifest = makeManifest(info, signatures);

  LLVMContext llvmContext;
  Expected<std::unique_ptr<Module>> code =
      translate(programs, info.variants, signatures, llvmContext);
  if (!code)
    return code.takeError();
  addInterface(**code, info, manifest, signatures);
  if (options.emit == Emit::llvm) {
    std::string text;
    raw_string_ostream(text) << **code;
    return writeText(options.output, text);
  }
  Expected<SmallString<0>> emitted =
      emit(**code, options.emit == Emit::assembly);
  if (!emitted)
    return emitted.takeError();
  if (options.emit != Emit::package)
    return writeText(options.output, *emitted);
  return writePackage(options.output, packageName, *emitted, manifest,
                      makeHeader(packageName, signatures));
}

Error Compilation::run() {
  if (options.layers)
    return printLayerTable();
  if (Error error = readInput())
    return error;
  if (options.emit == Emit::spec)
    return writeText(options.output, printSpec(*spec));
  if (options.emit == Emit::plan && options.grid.devices)
    return emitGridPlan();
  Expected<std::vector<Program>> created =
      createPrograms(options.cpus, options.targets);
  if (!created)
    return created.takeError();
  programs = std::move(*created);
  for (const Program &program : programs)
    if (program.kind != options.targets.front())
      continue; // its blocks are other ones
    else if (Error error = checkBlocks(program.target))
      return error;
  if (spec)
    module = buildGraph(*spec, context, options.input);
  if (Error error = runPhases())
    return error;
  switch (options.emit) {
  case Emit::spec:
  case Emit::mlir:
    return writeText(options.output, print(result()) + "\n");
  case Emit::header:
    return writeText(options.output, makeHeader(packageName, signatures));
  case Emit::plan:
    return emitPlan();
  case Emit::ptx:
  case Emit::cubin:
  case Emit::fatbin:
    return writeKernels(options, result());
  default:
    return emitCode();
  }
}

std::string moe::familyTable() {
  std::vector<Family> known = families();
  size_t width = 0;
  for (const Family &family : known)
    width = std::max(width, family.name.size());
  std::string text;
  for (const Family &family : known)
    text += family.name + std::string(width - family.name.size() + 2, ' ') +
            join(family.modelTypes, " ") +
            (family.modelTypes.empty() ? "" : " ") +
            join(family.architectures, " ") + "\n";
  return text;
}

int moe::compile(const CompileOptions &options) {
  Error error = Compilation(options).run();
  if (!error)
    return 0;
  std::string message = toString(std::move(error));
  if (!message.empty())
    errs() << "moe-opt: error: " << message << "\n";
  return 1;
}
