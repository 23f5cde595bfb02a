//===- Progress.h - How far a load has come ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A line on a terminal, for loads that take their time.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUN_PROGRESS_H
#define MOE_LIB_RUN_PROGRESS_H

#include "moe/Runtime/Package.h"

#include <algorithm>
#include <cstdio>

namespace moe::run {

class ProgressLine {
public:
  explicit ProgressLine(bool wanted) : wanted(wanted), start(moe_clock()) {}
  ~ProgressLine() {
    if (shown)
      std::fputs("\r\033[K", stderr);
  }
  static int call(void *user, const char *weight, uint64_t done,
                  uint64_t total) {
    static_cast<ProgressLine *>(user)->show(weight, done, total);
    return 0;
  }

private:
  void show(const char *weight, uint64_t done, uint64_t total) {
    constexpr int64_t patience = 300000000, pause = 100000000;
    int64_t now = moe_clock();
    if (!wanted || now - start < patience || now - last < pause)
      return;
    last = now;
    shown = true;
    std::fprintf(
        stderr, "\r\033[Kloading: %d%% of %.1f GB, %.60s",
        int(100.0 * double(done) / double(std::max<uint64_t>(total, 1))),
        double(total) * 1e-9, weight);
    std::fflush(stderr);
  }

  bool wanted, shown = false;
  int64_t start, last = 0;
};

} // namespace moe::run

#endif // MOE_LIB_RUN_PROGRESS_H
