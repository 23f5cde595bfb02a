//===- Cpu.cpp - What this CPU can do -------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A feature is a bit of CPUID, and where it adds registers, also a promise of
// the operating system (XCR0) to save them.
//
//===----------------------------------------------------------------------===//

#include "Cpu.h"
#include "Status.h"

#include <cstdint>
#include <string_view>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define MOE_X86 1
#endif

namespace moe::runtime {

#if defined(__x86_64__)
static constexpr const char *hostArch = "x86_64";
#elif defined(__aarch64__)
static constexpr const char *hostArch = "aarch64";
#elif defined(__riscv) && __riscv_xlen == 64
static constexpr const char *hostArch = "riscv64";
#else
static constexpr const char *hostArch = "";
#endif

#ifdef MOE_X86
namespace {
enum Register { A, B, C, D };
enum Saved : uint32_t { none = 0, avx = 6, avx512 = 0xe6, amx = 0x60000 };

struct Feature {
  const char *name;
  uint32_t leaf, subleaf;
  Register where;
  int bit;
  Saved saved;
};
} // namespace

static constexpr uint32_t extended = 0x80000001, extended8 = 0x80000008;

static constexpr Feature features[] = {
    {"cx8", 1, 0, D, 8, none},
    {"cmov", 1, 0, D, 15, none},
    {"mmx", 1, 0, D, 23, none},
    {"fxsr", 1, 0, D, 24, none},
    {"sse", 1, 0, D, 25, none},
    {"sse2", 1, 0, D, 26, none},
    {"sse3", 1, 0, C, 0, none},
    {"pclmul", 1, 0, C, 1, none},
    {"ssse3", 1, 0, C, 9, none},
    {"fma", 1, 0, C, 12, avx},
    {"cx16", 1, 0, C, 13, none},
    {"sse4.1", 1, 0, C, 19, none},
    {"sse4.2", 1, 0, C, 20, none},
    {"crc32", 1, 0, C, 20, none},
    {"movbe", 1, 0, C, 22, none},
    {"popcnt", 1, 0, C, 23, none},
    {"aes", 1, 0, C, 25, none},
    {"xsave", 1, 0, C, 26, none},
    {"avx", 1, 0, C, 28, avx},
    {"f16c", 1, 0, C, 29, avx},
    {"rdrnd", 1, 0, C, 30, none},
    {"fsgsbase", 7, 0, B, 0, none},
    {"sgx", 7, 0, B, 2, none},
    {"bmi", 7, 0, B, 3, none},
    {"avx2", 7, 0, B, 5, avx},
    {"bmi2", 7, 0, B, 8, none},
    {"invpcid", 7, 0, B, 10, none},
    {"rtm", 7, 0, B, 11, none},
    {"avx512f", 7, 0, B, 16, avx512},
    {"evex512", 7, 0, B, 16, avx512},
    {"avx512dq", 7, 0, B, 17, avx512},
    {"rdseed", 7, 0, B, 18, none},
    {"adx", 7, 0, B, 19, none},
    {"avx512ifma", 7, 0, B, 21, avx512},
    {"clflushopt", 7, 0, B, 23, none},
    {"clwb", 7, 0, B, 24, none},
    {"avx512cd", 7, 0, B, 28, avx512},
    {"sha", 7, 0, B, 29, none},
    {"avx512bw", 7, 0, B, 30, avx512},
    {"avx512vl", 7, 0, B, 31, avx512},
    {"avx512vbmi", 7, 0, C, 1, avx512},
    {"pku", 7, 0, C, 4, none},
    {"waitpkg", 7, 0, C, 5, none},
    {"avx512vbmi2", 7, 0, C, 6, avx512},
    {"shstk", 7, 0, C, 7, none},
    {"gfni", 7, 0, C, 8, none},
    {"vaes", 7, 0, C, 9, avx},
    {"vpclmulqdq", 7, 0, C, 10, avx},
    {"avx512vnni", 7, 0, C, 11, avx512},
    {"avx512bitalg", 7, 0, C, 12, avx512},
    {"avx512vpopcntdq", 7, 0, C, 14, avx512},
    {"rdpid", 7, 0, C, 22, none},
    {"cldemote", 7, 0, C, 25, none},
    {"movdiri", 7, 0, C, 27, none},
    {"movdir64b", 7, 0, C, 28, none},
    {"enqcmd", 7, 0, C, 29, none},
    {"uintr", 7, 0, D, 5, none},
    {"avx512vp2intersect", 7, 0, D, 8, avx512},
    {"serialize", 7, 0, D, 14, none},
    {"tsxldtrk", 7, 0, D, 16, none},
    {"pconfig", 7, 0, D, 18, none},
    {"amx-bf16", 7, 0, D, 22, amx},
    {"avx512fp16", 7, 0, D, 23, avx512},
    {"amx-tile", 7, 0, D, 24, amx},
    {"amx-int8", 7, 0, D, 25, amx},
    {"sha512", 7, 1, A, 0, avx},
    {"sm3", 7, 1, A, 1, avx},
    {"sm4", 7, 1, A, 2, avx},
    {"avxvnni", 7, 1, A, 4, avx},
    {"avx512bf16", 7, 1, A, 5, avx512},
    {"cmpccxadd", 7, 1, A, 7, none},
    {"amx-fp16", 7, 1, A, 21, amx},
    {"hreset", 7, 1, A, 22, none},
    {"avxifma", 7, 1, A, 23, avx},
    {"avxvnniint8", 7, 1, D, 4, avx},
    {"avxneconvert", 7, 1, D, 5, avx},
    {"amx-complex", 7, 1, D, 8, amx},
    {"avxvnniint16", 7, 1, D, 10, avx},
    {"prefetchi", 7, 1, D, 14, none},
    {"xsaveopt", 13, 1, A, 0, none},
    {"xsavec", 13, 1, A, 1, none},
    {"xsaves", 13, 1, A, 3, none},
    {"ptwrite", 0x14, 0, B, 4, none},
    {"sahf", extended, 0, C, 0, none},
    {"lzcnt", extended, 0, C, 5, none},
    {"sse4a", extended, 0, C, 6, none},
    {"prfchw", extended, 0, C, 8, none},
    {"xop", extended, 0, C, 11, avx},
    {"lwp", extended, 0, C, 15, none},
    {"fma4", extended, 0, C, 16, avx},
    {"tbm", extended, 0, C, 21, none},
    {"mwaitx", extended, 0, C, 29, none},
    {"64bit", extended, 0, D, 29, none},
    {"clzero", extended8, 0, B, 0, none},
    {"rdpru", extended8, 0, B, 4, none},
    {"wbnoinvd", extended8, 0, B, 9, none},
};

/// The state components that the operating system saves.
static uint32_t savedState() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)))
    return 0;
  __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return a;
}

static bool has(std::string_view name) {
  for (const Feature &feature : features) {
    if (feature.name != name)
      continue;
    uint32_t registers[4];
    if (!__get_cpuid_count(feature.leaf, feature.subleaf, &registers[A],
                           &registers[B], &registers[C], &registers[D]))
      return false;
    return (registers[feature.where] >> feature.bit & 1) &&
           (savedState() & feature.saved) == feature.saved;
  }
  return false;
}
#else
static bool has(std::string_view name) {
#if defined(__aarch64__)
  // What every 64-bit Arm processor has.
  return name == "neon" || name == "fp-armv8";
#else
  return false;
#endif
}
#endif

void checkArchitecture(const std::string &triple, const std::string &label) {
  std::string arch = triple.substr(0, triple.find('-'));
  if (*hostArch && !arch.empty() && arch != hostArch)
    fail(MOE_CPU_MISMATCH, label, ": error: made for ", arch,
         ", but this machine is ", hostArch);
}

std::string missingFeatures(const std::vector<std::string> &names) {
  std::string missing;
  for (std::string_view name : names) {
    if (!name.empty() && name[0] == '+')
      name.remove_prefix(1);
    if (!has(name))
      missing.append(missing.empty() ? "" : ", ").append(name);
  }
  return missing;
}

} // namespace moe::runtime
