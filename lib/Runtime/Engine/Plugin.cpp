//===- Plugin.cpp - Engines that are libraries ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What is loaded stays: libraries like MPI do not survive a second time.
//
//===----------------------------------------------------------------------===//

#include "Plugin.h"
#include "../Status.h"

#include "moe/Support/Suggest.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace moe::runtime {

/// Folders that may have engines.
static std::vector<std::string> folders() {
  std::vector<std::string> out;
  const char *path = std::getenv("MOE_ENGINE_PATH");
  std::string list = path ? path : "";
  for (size_t begin = 0; begin < list.size();) {
    size_t end = std::min(list.find(':', begin), list.size());
    if (end > begin)
      out.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  Dl_info info;
  if (dladdr(reinterpret_cast<const void *>(&moe_world_open), &info)) {
    std::string self = info.dli_fname;
    size_t slash = self.rfind('/');
    out.push_back(slash == self.npos ? "." : self.substr(0, slash));
  }
  return out;
}

/// A part of a file's name, and nothing else.
static bool isPlain(const std::string &name) {
  return !name.empty() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") ==
             name.npos;
}

[[noreturn]] static void failUnknown(const std::string &name) {
  fail(MOE_NOT_FOUND, "there is no engine '", name,
       "': expected threads, mpi or nccl",
       didYouMean(name, {"threads", "mpi", "nccl"}));
}

static std::string findLibrary(const std::string &name) {
  if (!isPlain(name))
    failUnknown(name);
  std::string file = "libmoe_engine_" + name + ".so", looked;
  for (const std::string &folder : folders()) {
    std::string path = folder + "/" + file;
    if (access(path.c_str(), F_OK) == 0)
      return path;
    looked += (looked.empty() ? "" : ", ") + folder;
  }
  if (name != "mpi" && name != "nccl")
    failUnknown(name);
  fail(MOE_UNAVAILABLE, "engine '", name, "': there is no ", file, " in ",
       looked);
}

moe_engine openPlugin(const std::string &name,
                      const moe_engine_options &options) {
  std::string path = findLibrary(name);
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    fail(MOE_UNAVAILABLE, "engine '", name, "': ", reason ? reason : path);
  }
  auto open = reinterpret_cast<moe_engine_opener>(
      dlsym(library, MOE_ENGINE_OPEN_SYMBOL));
  if (!open)
    fail(MOE_UNAVAILABLE, "engine '", name, "': ", path, " has no ",
         MOE_ENGINE_OPEN_SYMBOL);
  // The engine sees what is expected, and says what it is.
  moe_engine engine = {};
  engine.abi_version = MOE_ENGINE_ABI_VERSION;
  engine.struct_size = sizeof engine;
  engine.rank = options.rank;
  engine.size = options.size;
  moe_engine_failure failure = {};
  moe_status status = open(&options, &engine, &failure);
  if (status != MOE_OK)
    fail(status, "engine '", name,
         "': ", *failure.text ? failure.text : moe_status_name(status));
  if (engine.abi_version != MOE_ENGINE_ABI_VERSION ||
      engine.struct_size != sizeof engine)
    fail(MOE_UNAVAILABLE, "engine '", name, "': ", path, " has version ",
         engine.abi_version, ", expected ", MOE_ENGINE_ABI_VERSION);
  if (engine.size < 1 || engine.rank < 0 || engine.rank >= engine.size)
    fail(MOE_UNAVAILABLE, "engine '", name, "': found rank ", engine.rank,
         " of ", engine.size);
  return engine;
}

} // namespace moe::runtime
