//===- PackageName.cpp - Names that a package can have --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A package NAME exports NAME_create and its like, and has a type NAME_t, a
// header NAME.h and a library libNAME.so: C and POSIX may have one of them too.
//
//===----------------------------------------------------------------------===//

#include "Text/Characters.h"
#include "moe/Import/Import.h"

#include <algorithm>
#include <iterator>

using namespace moe;

static constexpr std::string_view usedByC[] = {
    // Types.
    "blkcnt", "blksize", "caddr", "cc", "char8", "char16", "char32", "clock",
    "clockid", "daddr", "dev", "div", "double", "error", "fenv", "fexcept",
    "float", "fpos", "fsblkcnt", "fsfilcnt", "fsid", "gid", "glob", "gregset",
    "iconv", "id", "idtype", "imaxdiv", "in_addr", "in_port", "ino", "int8",
    "int16", "int32", "int64", "int_fast8", "int_fast16", "int_fast32",
    "int_fast64", "int_least8", "int_least16", "int_least32", "int_least64",
    "intmax", "intptr", "key", "ldiv", "lldiv", "locale", "loff", "max_align",
    "mbstate", "mcontext", "mode", "mqd", "nfds", "nlink", "nullptr", "off",
    "once", "pid", "ptrdiff", "quad", "regex", "register", "regmatch", "regoff",
    "rlim", "sa_family", "sig_atomic", "siginfo", "sigset", "size", "socklen",
    "speed", "ssize", "stack", "suseconds", "tcflag", "time", "timer", "u_int8",
    "u_int16", "u_int32", "u_int64", "u_quad", "ucontext", "uid", "uint8",
    "uint16", "uint32", "uint64", "uint_fast8", "uint_fast16", "uint_fast32",
    "uint_fast64", "uint_least8", "uint_least16", "uint_least32",
    "uint_least64", "uintmax", "uintptr", "useconds", "va", "wchar", "wctrans",
    "wctype", "wint", "wordexp",
    // Beginnings of functions and types.
    "cnd", "mtx", "pthread", "sem", "thrd", "tss",
    // Headers.
    "aio", "alloca", "assert", "complex", "cpio", "ctype", "dirent", "dlfcn",
    "elf", "endian", "err", "errno", "fcntl", "features", "fmtmsg", "fnmatch",
    "ftw", "getopt", "grp", "inttypes", "iso646", "langinfo", "libgen",
    "limits", "link", "malloc", "math", "memory", "monetary", "mqueue", "netdb",
    "poll", "pwd", "sched", "search", "semaphore", "setjmp", "signal", "spawn",
    "stdalign", "stdarg", "stdatomic", "stdbool", "stdbit", "stdckdint",
    "stddef", "stdint", "stdio", "stdlib", "stdnoreturn", "string", "strings",
    "sysexits", "syslog", "tar", "termios", "tgmath", "threads", "uchar",
    "ulimit", "unistd", "utime", "utmpx", "values",
    // Libraries.
    "BrokenLocale", "anl", "c", "c_nonshared", "crypt", "dl", "g", "gcc",
    "gcc_s", "gomp", "m", "mvec", "omp", "resolv", "rt", "stdc", "util"};

std::string_view moe::packageNameProblem(std::string_view name) {
  bool good = !name.empty() && name.size() <= 64 && isLetter(name[0]);
  for (char c : name)
    good &= isLetter(c) || isDigit(c) || c == '_';
  if (!good)
    return "a letter and then letters, digits and '_', 64 at most";
  if (name == "moe" || name.substr(0, 4) == "moe_")
    return "a name other than 'moe' that does not begin with 'moe_'";
  bool used = std::find(std::begin(usedByC), std::end(usedByC), name) !=
              std::end(usedByC);
  for (std::string_view prefix : {"atomic_", "posix_", "pthread_"})
    used |= name.substr(0, prefix.size()) == prefix;
  if (used)
    return "a name that C does not use already";
  return {};
}
