//===- Package.cpp - Opens packages ---------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// From a directory to a table of functions: manifest first, code last, so that
// nothing of a package runs before it is known to fit.
//
//===----------------------------------------------------------------------===//

#include "File.h"
#include "LoadedPackage.h"
#include "Status.h"
#include "moe/Support/Hash.h"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>

namespace fs = std::filesystem;

namespace moe::runtime {

void LibraryCloser::operator()(void *handle) const { dlclose(handle); }

namespace {
struct OpenPackage {
  std::shared_ptr<const LoadedPackage> package;
  int opens = 0;
};

struct Registry {
  std::mutex mutex;
  std::map<const moe_package *, OpenPackage> open;
};
} // namespace

static Registry &registry() {
  // Never destroyed: packages may be used while the program ends.
  static Registry *instance = new Registry;
  return *instance;
}

static std::string_view trimmed(std::string_view text) {
  size_t end = text.find_last_not_of(" \t\r\n");
  return text.substr(0, end == text.npos ? 0 : end + 1);
}

/// The only manifest of a directory, by a look at what is in the files.
static fs::path findManifest(const std::string &directory) {
  std::error_code code;
  fs::directory_iterator files(directory, code);
  if (code == std::errc::no_such_file_or_directory)
    fail(MOE_NOT_FOUND, directory, ": error: no such directory");
  if (code)
    fail(MOE_IO, directory, ": error: ", code.message());
  std::vector<fs::path> manifests;
  for (; files != fs::directory_iterator(); files.increment(code)) {
    if (files->path().extension() == ".json" && files->is_regular_file(code) &&
        files->file_size(code) <= maxManifestBytes &&
        readTextFile(files->path().string(), maxManifestBytes)
                .find("\"moe_package\"") != std::string::npos)
      manifests.push_back(files->path());
    if (code)
      fail(MOE_IO, directory, ": error: ", code.message());
  }
  if (manifests.empty())
    fail(MOE_NOT_FOUND, directory,
         ": error: expected a package, found no .json file with "
         "\"moe_package\"");
  std::sort(manifests.begin(), manifests.end());
  if (manifests.size() > 1)
    fail(MOE_INVALID_ARGUMENT, directory,
         ": error: expected one package, found ",
         manifests[0].filename().string(), " and ",
         manifests[1].filename().string());
  return manifests[0];
}

static std::vector<moe_entry> findEntries(const moe_variant &code,
                                          const Manifest &manifest,
                                          const std::string &label) {
  if (code.function_count != manifest.functions.size() || !code.functions)
    fail(MOE_BAD_FILE, label, ": error: expected ", manifest.functions.size(),
         " functions, found ", code.functions ? code.function_count : 0);
  std::vector<moe_entry> entries;
  for (const Function &function : manifest.functions) {
    const moe_function *end = code.functions + code.function_count;
    const moe_function *place =
        std::find_if(code.functions, end, [&](const moe_function &candidate) {
          return candidate.name && candidate.name == function.name;
        });
    if (place == end || !place->entry)
      fail(MOE_BAD_FILE, label, ": error: there is no function '",
           function.name, "'");
    entries.push_back(place->entry);
  }
  return entries;
}

/// The kernels of a variant for a GPU.
static const moe_kernels *findKernels(const moe_variant &code,
                                      const Variant &variant,
                                      const std::string &label) {
  if (!variant.usesGPU())
    return nullptr;
  const moe_kernels *kernels = code.kernels;
  if (!kernels->image_count || !kernels->images ||
      (!kernels->names && kernels->kernel_count))
    fail(MOE_BAD_FILE, label, ": error: expected kernels, found none");
  if (kernels->image_count != variant.architectures.size())
    fail(MOE_BAD_FILE, label, ": error: expected ",
         variant.architectures.size(), " images of kernels, found ",
         kernels->image_count);
  return kernels;
}

/// Checks the table that code exports, and finds the entries in it.
static void readTable(const moe_package &table, LoadedPackage &package,
                      const std::string &label) {
  const std::vector<Variant> &variants = package.manifest.variants;
  if (table.variant_count != variants.size() || !table.variants)
    fail(MOE_BAD_FILE, label, ": error: expected ", variants.size(),
         " variants, found ", table.variants ? table.variant_count : 0);
  for (size_t i = 0; i < variants.size(); ++i) {
    const moe_variant *end = table.variants + table.variant_count;
    const moe_variant *code =
        std::find_if(table.variants, end, [&](const moe_variant &candidate) {
          return candidate.cpu && candidate.cpu == variants[i].cpu &&
                 (candidate.kernels != nullptr) == variants[i].usesGPU();
        });
    if (code == end)
      fail(MOE_BAD_FILE, label, ": error: there is no code for cpu '",
           variants[i].cpu, "'", variants[i].usesGPU() ? " with kernels" : "");
    package.variants[i].entries = findEntries(*code, package.manifest, label);
    package.variants[i].kernels = findKernels(*code, variants[i], label);
  }
}

static void checkAbi(const moe_package &table, const std::string &label) {
  if (table.abi_version != MOE_ABI_VERSION)
    fail(MOE_ABI_MISMATCH, label, ": error: made for interface version ",
         table.abi_version, ", but this runtime has version ", MOE_ABI_VERSION);
  if (!table.manifest)
    fail(MOE_BAD_FILE, label, ": error: expected a manifest, found none");
}

static Library openLibrary(const fs::path &path) {
  std::error_code code;
  if (!fs::exists(path, code))
    fail(MOE_NOT_FOUND, path.string(), ": error: no such file");
  // An absolute path, so that the search path has no say.
  fs::path absolute = fs::absolute(path);
  Library library(dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!library) {
    const char *reason = dlerror();
    fail(MOE_IO, path.string(), ": error: ", reason ? reason : "cannot load");
  }
  return library;
}

static const moe_package *openPackage(const std::string &directory) {
  fs::path manifestPath = findManifest(directory);
  std::string label = manifestPath.string();
  std::string text = readTextFile(label, maxManifestBytes);
  auto package = std::make_shared<LoadedPackage>();
  package->manifest = parseManifest(text, label);
  package->fingerprint = fnv1a(trimmed(text));
  const Manifest &manifest = package->manifest;
  checkVariants(*package, label);

  fs::path path = fs::path(directory) / ("lib" + manifest.name + ".so");
  package->library = openLibrary(path);
  std::string symbol = manifest.name + "_package";
  auto *table = static_cast<const moe_package *>(
      dlsym(package->library.get(), symbol.c_str()));
  label = path.string();
  if (!table)
    fail(MOE_BAD_FILE, label, ": error: there is no symbol '", symbol, "'");
  checkAbi(*table, label);
  if (trimmed(table->manifest) != trimmed(text))
    fail(MOE_BAD_FILE, label, ": error: its manifest is not that of ",
         manifestPath.string());
  readTable(*table, *package, label);

  Registry &packages = registry();
  std::lock_guard<std::mutex> lock(packages.mutex);
  OpenPackage &open = packages.open[table];
  if (!open.package)
    open.package = std::move(package);
  ++open.opens;
  return table;
}

std::shared_ptr<const LoadedPackage> findPackage(const moe_package *table) {
  {
    Registry &packages = registry();
    std::lock_guard<std::mutex> lock(packages.mutex);
    auto place = packages.open.find(table);
    if (place != packages.open.end())
      return place->second.package;
  }
  auto package = std::make_shared<LoadedPackage>();
  checkAbi(*table, "package");
  package->manifest = parseManifest(table->manifest, "manifest");
  package->fingerprint = fnv1a(trimmed(table->manifest));
  const std::string &label = package->manifest.name;
  checkVariants(*package, label);
  readTable(*table, *package, label);
  return package;
}

static void closePackage(const moe_package *table) {
  std::shared_ptr<const LoadedPackage> last; // freed outside the lock
  Registry &packages = registry();
  std::lock_guard<std::mutex> lock(packages.mutex);
  auto place = packages.open.find(table);
  if (place == packages.open.end())
    fail(MOE_INVALID_ARGUMENT, "the package is not open");
  if (--place->second.opens)
    return;
  last = std::move(place->second.package);
  packages.open.erase(place);
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_status moe_package_open(const char *directory,
                            const moe_package **package) {
  return guard([&] {
    requireSet(directory, "directory");
    requireSet(package, "package");
    *package = nullptr;
    *package = openPackage(directory);
  });
}

moe_status moe_package_close(const moe_package *package) {
  return guard([&] {
    requireSet(package, "package");
    closePackage(package);
  });
}

const char *moe_package_manifest(const moe_package *package) {
  return package ? package->manifest : nullptr;
}
