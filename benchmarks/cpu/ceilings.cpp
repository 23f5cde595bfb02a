// What this machine can do at most. Reads lines `KIND THREADS` from its input
// and answers each with one of `NUMBER INSTRUCTION`: 1e9 bytes read a second
// for `read`, 1e9 operations a second for `f32`, `bf16` and `int8`. A kind that
// the CPU has no instruction for is answered with `0 none`.
#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

namespace {

// Sums that do not depend on each other: more than any CPU's latency times its
// width.
#define EACH_12(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11)
#define EACH_24(M)                                                             \
  EACH_12(M)                                                                   \
  M(12) M(13) M(14) M(15) M(16) M(17) M(18) M(19) M(20) M(21) M(22) M(23)

// What is volatile and in registers can be neither removed, merged nor spilled.
#define ZERO_512(I) __m512i sum##I = _mm512_setzero_si512();
#define ZERO_256(I) __m256i sum##I = _mm256_setzero_si256();
#define MULTIPLY_ADD(I)                                                        \
  asm volatile(INSTRUCTION " %1, %2, %0" : "+v"(sum##I) : "v"(a), "v"(b));
#define READ_512(I)                                                            \
  asm volatile("vpaddd %1, %0, %0" : "+v"(sum##I) : "m"(vectors[at + I]));
#define READ_256(I)                                                            \
  asm volatile("vpaddd %1, %0, %0" : "+x"(sum##I) : "m"(vectors[at + I]));

using Body = void (*)(int64_t steps);

__attribute__((target("avx512f"))) void f32_512(int64_t steps) {
  __m512i a = _mm512_setzero_si512(), b = a;
  EACH_24(ZERO_512)
#define INSTRUCTION "vfmadd231ps"
  for (int64_t step = 0; step < steps; ++step) {
    EACH_24(MULTIPLY_ADD)
  }
#undef INSTRUCTION
}

__attribute__((target("avx512f,avx512bf16"))) void bf16_512(int64_t steps) {
  __m512i a = _mm512_setzero_si512(), b = a;
  EACH_24(ZERO_512)
#define INSTRUCTION "vdpbf16ps"
  for (int64_t step = 0; step < steps; ++step) {
    EACH_24(MULTIPLY_ADD)
  }
#undef INSTRUCTION
}

__attribute__((target("avx512f,avx512vnni"))) void int8_512(int64_t steps) {
  __m512i a = _mm512_setzero_si512(), b = a;
  EACH_24(ZERO_512)
#define INSTRUCTION "vpdpbusd"
  for (int64_t step = 0; step < steps; ++step) {
    EACH_24(MULTIPLY_ADD)
  }
#undef INSTRUCTION
}

__attribute__((target("avx2,fma"))) void f32_256(int64_t steps) {
  __m256i a = _mm256_setzero_si256(), b = a;
  EACH_12(ZERO_256)
#define INSTRUCTION "vfmadd231ps"
  for (int64_t step = 0; step < steps; ++step) {
    EACH_12(MULTIPLY_ADD)
  }
#undef INSTRUCTION
}

__attribute__((target("avx512f"))) void read_512(const char *bytes,
                                                 int64_t size) {
  const auto *vectors = reinterpret_cast<const __m512i *>(bytes);
  EACH_24(ZERO_512)
  for (int64_t at = 0, end = size / 64 - 23; at < end; at += 24) {
    EACH_24(READ_512)
  }
}

__attribute__((target("avx2"))) void read_256(const char *bytes, int64_t size) {
  const auto *vectors = reinterpret_cast<const __m256i *>(bytes);
  EACH_12(ZERO_256)
  for (int64_t at = 0, end = size / 32 - 11; at < end; at += 12) {
    EACH_12(READ_256)
  }
}

struct Peak {
  Body body;
  const char *instruction;
  int64_t operationsPerStep;
};

Peak peakOf(const char *kind) {
  bool wide = __builtin_cpu_supports("avx512f");
  if (!std::strcmp(kind, "bf16") && __builtin_cpu_supports("avx512bf16"))
    return {bf16_512, "vdpbf16ps", 24L * 64};
  if (!std::strcmp(kind, "int8") && __builtin_cpu_supports("avx512vnni"))
    return {int8_512, "vpdpbusd", 24L * 128};
  if (!std::strcmp(kind, "f32") && wide)
    return {f32_512, "vfmadd231ps-512", 24L * 32};
  if (!std::strcmp(kind, "f32") && __builtin_cpu_supports("fma"))
    return {f32_256, "vfmadd231ps-256", 12L * 16};
  return {nullptr, "none", 0};
}

// Seconds from when all threads are there until the last is done.
double timed(int threads, const std::function<void(int)> &body) {
  std::barrier ready(threads + 1);
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; ++i)
    pool.emplace_back([&, i] {
      ready.arrive_and_wait();
      body(i);
    });
  auto start = std::chrono::steady_clock::now();
  ready.arrive_and_wait();
  for (std::thread &thread : pool)
    thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

constexpr int turns = 3;
constexpr int64_t readBytes = int64_t(1) << 30;

double peak(const Peak &peak, int threads) {
  constexpr int64_t steps = 8'000'000;
  double best = 0;
  for (int turn = 0; turn < turns; ++turn) {
    double seconds = timed(threads, [&](int) { peak.body(steps); });
    best = std::max(best,
                    double(peak.operationsPerStep) * steps * threads / seconds);
  }
  return best * 1e-9;
}

const char *memory() {
  void *bytes = mmap(nullptr, readBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED) {
    std::perror("error: no memory to read from");
    std::exit(1);
  }
  madvise(bytes, readBytes, MADV_HUGEPAGE);
  std::memset(bytes, 1, readBytes);
  return static_cast<const char *>(bytes);
}

double read(int threads) {
  static const char *bytes = memory();
  auto body = __builtin_cpu_supports("avx512f") ? read_512 : read_256;
  int64_t share = readBytes / threads / 64 * 64;
  double best = 0;
  for (int turn = 0; turn < turns; ++turn) {
    double seconds =
        timed(threads, [&](int i) { body(bytes + i * share, share); });
    best = std::max(best, double(share) * threads / seconds);
  }
  return best * 1e-9;
}

} // namespace

int main() {
  char kind[16];
  int threads;
  if (!__builtin_cpu_supports("avx2")) {
    std::fputs("error: this CPU has no AVX2\n", stderr);
    return 1;
  }
  while (std::scanf("%15s %d", kind, &threads) == 2) {
    if (threads < 1) {
      std::fprintf(stderr, "error: found %d threads, expected at least 1\n",
                   threads);
      return 1;
    }
    if (!std::strcmp(kind, "read")) {
      std::printf("%.6g loads\n", read(threads));
    } else {
      Peak found = peakOf(kind);
      std::printf("%.6g %s\n", found.body ? peak(found, threads) : 0,
                  found.instruction);
    }
    std::fflush(stdout);
  }
}
