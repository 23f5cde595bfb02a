//===- Write.cpp - A package on disk --------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Package/Package.h"

#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

using namespace llvm;
using namespace moe;

/// The name under which packages ask the loader for the runtime.
static constexpr StringLiteral kRuntimeSoname = "libmoe_runtime.so.1";

static Error refuse(const Twine &message) {
  return createStringError(message.str());
}

/// A linker that makes shared libraries: MOE_LINKER, or the first found.
static Expected<std::string> findLinker() {
  if (std::optional<std::string> chosen = sys::Process::GetEnv("MOE_LINKER")) {
    ErrorOr<std::string> path = sys::findProgramByName(*chosen);
    if (path)
      return *path;
    return refuse("no linker '" + *chosen + "', which MOE_LINKER asks for");
  }
  for (StringRef name : {"ld.lld-22", "ld.lld", "ld"})
    if (ErrorOr<std::string> path = sys::findProgramByName(name))
      return *path;
  return refuse("no linker found; expected one of ld.lld-22, ld.lld and ld on "
                "the path, or the name of one in MOE_LINKER");
}

static std::error_code print(raw_fd_ostream &os, StringRef text) {
  os << text;
  os.flush();
  std::error_code code = os.error();
  os.clear_error(); // or the stream would end the program
  return code;
}

static std::error_code replaceFile(StringRef path, StringRef text) {
  Expected<sys::fs::TempFile> file =
      sys::fs::TempFile::create(path + ".%%%%%%%%");
  if (!file)
    return errorToErrorCode(file.takeError());
  raw_fd_ostream os(file->FD, /*shouldClose=*/false);
  if (std::error_code code = print(os, text)) {
    consumeError(file->discard());
    return code;
  }
  return errorToErrorCode(file->keep(path));
}

static std::error_code write(StringRef path, StringRef text) {
  if (path == "-")
    return print(outs(), text);
  if (!sys::fs::exists(path) || sys::fs::is_regular_file(path))
    return replaceFile(path, text);
  std::error_code code;
  raw_fd_ostream os(path, code);
  return code ? code : print(os, text);
}

Error moe::writeText(StringRef path, StringRef text) {
  if (std::error_code code = write(path, text))
    return refuse("cannot write '" + path + "': " + code.message());
  return Error::success();
}

static Error runLinker(StringRef linker, ArrayRef<StringRef> arguments) {
  SmallVector<StringRef> command = {linker, "-shared", "-z", "now"};
  command.append(arguments.begin(), arguments.end());
  std::string message;
  int status =
      sys::ExecuteAndWait(linker, command, std::nullopt, {}, 0, 0, &message);
  if (status == 0)
    return Error::success();
  if (message.empty())
    message = "exit status " + std::to_string(status);
  return refuse("linking failed: " + linker + ": " + message);
}

static Error linkShared(StringRef object, StringRef library, StringRef soname) {
  Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();
  // The runtime need not be here; a stand-in with its name is enough to say
  // that the library wants it. libm comes with it.
  std::string standIn = (object + ".runtime").str();
  if (Error error = runLinker(
          *linker, {"-soname", kRuntimeSoname, "-o", standIn, object}))
    return error;
  Error error =
      runLinker(*linker, {"-soname", soname, "--no-as-needed", "-rpath",
                          "$ORIGIN", "-o", library, object, standIn});
  (void)sys::fs::remove(standIn);
  return error;
}

static Error writeArchive(StringRef object, StringRef archive) {
  Expected<NewArchiveMember> member =
      NewArchiveMember::getFile(object, /*Deterministic=*/true);
  if (!member)
    return member.takeError();
  member->MemberName = sys::path::filename(member->MemberName);
  NewArchiveMember members[] = {std::move(*member)};
  return llvm::writeArchive(archive, members, SymtabWritingMode::NormalSymtab,
                            object::Archive::K_GNU, /*Deterministic=*/true,
                            /*Thin=*/false);
}

static std::string cmakeConfig(StringRef name) {
  return ("# find_package(" + name + ") gives " + name + "::" + name + " and " +
          name +
          "::static.\n"
          "include(CMakeFindDependencyMacro)\n"
          "find_dependency(MoeRuntime)\n"
          "foreach(kind shared static)\n"
          "  if(kind STREQUAL shared)\n"
          "    set(_moe_target " +
          name + "::" + name +
          ")\n"
          "    set(_moe_file \"${CMAKE_CURRENT_LIST_DIR}/lib" +
          name +
          ".so\")\n"
          "  else()\n"
          "    set(_moe_target " +
          name +
          "::static)\n"
          "    set(_moe_file \"${CMAKE_CURRENT_LIST_DIR}/lib" +
          name +
          ".a\")\n"
          "  endif()\n"
          "  if(NOT TARGET ${_moe_target})\n"
          "    string(TOUPPER ${kind} _moe_kind)\n"
          "    add_library(${_moe_target} ${_moe_kind} IMPORTED)\n"
          "    set_target_properties(${_moe_target} PROPERTIES\n"
          "      IMPORTED_LOCATION \"${_moe_file}\"\n"
          "      INTERFACE_INCLUDE_DIRECTORIES \"${CMAKE_CURRENT_LIST_DIR}\"\n"
          "      INTERFACE_LINK_LIBRARIES moe::runtime)\n"
          "  endif()\n"
          "endforeach()\n")
      .str();
}

static std::string pkgConfig(StringRef name) {
  return ("prefix=${pcfiledir}\n\nName: " + name +
          "\nDescription: a Mixture-of-Experts layer compiled by moe-mlir\n"
          "Version: 1\nRequires: moe-runtime\nCflags: -I${prefix}\n"
          "Libs: -L${prefix} -l" +
          name + " -Wl,-rpath,${prefix}\n")
      .str();
}

static Error fillDirectory(const Twine &directory, StringRef name,
                           StringRef object, StringRef manifest,
                           StringRef header) {
  std::string base = (directory + "/").str();
  std::string objectPath = base + name.str() + ".o";
  std::string soname = ("lib" + name + ".so").str();
  if (Error error = writeText(objectPath, object))
    return error;
  if (Error error = linkShared(objectPath, base + soname, soname))
    return error;
  if (Error error =
          writeArchive(objectPath, base + ("lib" + name + ".a").str()))
    return error;
  (void)sys::fs::remove(objectPath);
  std::pair<std::string, std::string> texts[] = {
      {(name + ".h").str(), header.str()},
      {(name + ".json").str(), manifest.str()},
      {(name + "Config.cmake").str(), cmakeConfig(name)},
      {(name + ".pc").str(), pkgConfig(name)}};
  for (auto &[file, text] : texts)
    if (Error error = writeText(base + file, text))
      return error;
  return Error::success();
}

/// Moves the files of `from` to `to`, the manifest last: without it there is no
/// package. On an error none of them is there.
static Error moveFiles(StringRef from, StringRef to) {
  std::vector<std::pair<std::string, std::string>> moves;
  std::error_code code;
  for (sys::fs::directory_iterator it(from, code), end; !code && it != end;
       it.increment(code)) {
    SmallString<128> target(to);
    sys::path::append(target, sys::path::filename(it->path()));
    if (sys::fs::is_directory(target))
      return refuse("cannot write '" + target + "': it is a directory");
    moves.emplace_back(it->path(), target.str());
  }
  if (code)
    return refuse("cannot read '" + from + "': " + code.message());
  llvm::sort(moves, [](const auto &a, const auto &b) {
    bool aLast = StringRef(a.first).ends_with(".json");
    bool bLast = StringRef(b.first).ends_with(".json");
    return std::tie(aLast, a) < std::tie(bLast, b);
  });
  for (size_t i = 0; i < moves.size(); ++i)
    if (std::error_code code =
            sys::fs::rename(moves[i].first, moves[i].second)) {
      for (size_t moved = 0; moved < i; ++moved)
        (void)sys::fs::remove(moves[moved].second);
      return refuse("cannot write '" + moves[i].second +
                    "': " + code.message());
    }
  return Error::success();
}

Error moe::writePackage(StringRef directory, StringRef name, StringRef object,
                        StringRef manifest, StringRef header) {
  if (sys::fs::exists(directory) && !sys::fs::is_directory(directory))
    return refuse("'" + directory + "' exists and is not a directory");
  std::string made; // what was not there before, and goes again on an error
  for (StringRef path = directory; !path.empty() && !sys::fs::exists(path) &&
                                   !sys::fs::is_symlink_file(path);
       path = sys::path::parent_path(path))
    made = path.str();
  auto undo = [&] {
    if (!made.empty())
      (void)sys::fs::remove_directories(made);
  };
  if (std::error_code code = sys::fs::create_directories(directory)) {
    undo();
    return refuse("cannot create '" + directory + "': " + code.message());
  }
  // Everything is made aside and moved in when it is whole.
  // A relative name would be taken as one in the system's temporary folder.
  SmallString<128> prefix(directory), aside;
  (void)sys::fs::make_absolute(prefix);
  sys::path::append(prefix, ".moe");
  if (std::error_code code = sys::fs::createUniqueDirectory(prefix, aside)) {
    undo();
    return refuse("cannot write to '" + directory + "': " + code.message());
  }
  Error error = fillDirectory(aside, name, object, manifest, header);
  if (!error)
    error = moveFiles(aside, directory);
  (void)sys::fs::remove_directories(aside);
  if (error)
    undo();
  return error;
}
