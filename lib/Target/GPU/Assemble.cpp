//===- Assemble.cpp - Machine code by the tools of CUDA -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Target/GPU/GPU.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

using namespace llvm;
using namespace moe;

/// `tool` as a variable of its own names it, or in a toolkit that one of the
/// usual variables names, or on the path.
static Expected<std::string> findTool(StringRef tool, StringRef variable) {
  if (std::optional<std::string> named = sys::Process::GetEnv(variable);
      named && !named->empty()) {
    if (sys::fs::can_execute(*named))
      return *named;
    return createStringError(variable.str() + " names '" + *named +
                             "', which cannot be run");
  }
  for (StringRef home : {"CUDA_HOME", "CUDA_PATH"})
    if (std::optional<std::string> root = sys::Process::GetEnv(home)) {
      SmallString<128> path(*root);
      sys::path::append(path, "bin", tool);
      if (sys::fs::can_execute(path))
        return path.str().str();
    }
  if (ErrorOr<std::string> found = sys::findProgramByName(tool))
    return *found;
  return createStringError(
      "cannot find '" + tool.str() + "' of the CUDA toolkit; expected it in " +
      variable.str() +
      ", in bin/ of CUDA_HOME or CUDA_PATH, or on PATH; --emit=ptx and "
      "--gpu-arch=compute_80 do not need it");
}

namespace {

/// Files that are gone at the end.
class TemporaryFiles {
public:
  ~TemporaryFiles() {
    for (const std::string &path : paths)
      (void)sys::fs::remove(path);
  }
  Expected<std::string> make(StringRef suffix) {
    SmallString<128> path;
    if (std::error_code code =
            sys::fs::createTemporaryFile("moe", suffix, path))
      return createStringError("cannot create a temporary file: " +
                               code.message());
    paths.push_back(path.str().str());
    return paths.back();
  }
  Expected<std::string> make(StringRef suffix, StringRef content) {
    Expected<std::string> path = make(suffix);
    if (!path)
      return path;
    std::error_code code;
    raw_fd_ostream os(*path, code);
    os << content;
    os.close();
    if (code || os.has_error())
      return createStringError("cannot write '" + *path + "'");
    return path;
  }

private:
  std::vector<std::string> paths;
};

} // namespace

static Expected<std::string> read(StringRef path) {
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return createStringError("cannot read '" + path.str() +
                             "': " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

/// Runs a tool; what it says is in the error.
static Error run(StringRef tool, ArrayRef<std::string> arguments) {
  TemporaryFiles files;
  Expected<std::string> log = files.make("log");
  if (!log)
    return log.takeError();
  SmallVector<StringRef> command = {tool};
  command.append(arguments.begin(), arguments.end());
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(*log),
                                          StringRef(*log)};
  std::string message;
  int status = sys::ExecuteAndWait(tool, command, std::nullopt, redirects, 0, 0,
                                   &message);
  if (status == 0)
    return Error::success();
  Expected<std::string> said = read(*log);
  if (said)
    message += *said;
  else
    consumeError(said.takeError());
  return createStringError("'" + tool.str() +
                           "' failed: " + StringRef(message).trim().str());
}

Expected<std::string> moe::assemble(StringRef ptx, const GPUArch &arch) {
  Expected<std::string> tool = findTool("ptxas", "MOE_PTXAS");
  if (!tool)
    return tool.takeError();
  TemporaryFiles files;
  Expected<std::string> source = files.make("ptx", ptx);
  if (!source)
    return source.takeError();
  Expected<std::string> cubin = files.make("cubin");
  if (!cubin)
    return cubin.takeError();
  if (Error error =
          run(*tool, {"-arch=" + arch.sm, "-O3", "-o", *cubin, *source}))
    return error;
  Expected<std::string> code = read(*cubin);
  if (code && code->empty())
    return createStringError("'" + *tool + "' wrote no code for " + arch.name);
  return code;
}

Expected<std::string> moe::joinImages(ArrayRef<GPUImage> images) {
  Expected<std::string> tool = findTool("fatbinary", "MOE_FATBINARY");
  if (!tool)
    return tool.takeError();
  TemporaryFiles files;
  Expected<std::string> joined = files.make("fatbin");
  if (!joined)
    return joined.takeError();
  std::vector<std::string> arguments = {"--64", "--create=" + *joined};
  for (const GPUImage &image : images) {
    Expected<std::string> file =
        files.make(image.arch.isPtx ? "ptx" : "cubin", image.bytes);
    if (!file)
      return file.takeError();
    std::string number = StringRef(image.arch.sm).drop_front(3).str();
    arguments.push_back(
        "--image3=kind=" + std::string(image.arch.isPtx ? "ptx" : "elf") +
        ",sm=" + number + ",file=" + *file);
  }
  if (Error error = run(*tool, arguments))
    return error;
  return read(*joined);
}
