//===- Kernel.cpp - Kernels in C++ ----------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include <cstdlib>
#include <memory>

using namespace simtest;

void simtest::useDevice(int number) {
  static void *contexts[2] = {};
  void *&context = contexts[number];
  if (!context) {
    setenv("MOE_SIM_DEVICES", "2", /*overwrite=*/1);
    cuInit(0);
    cuDevicePrimaryCtxRetain(&context, number);
  }
  cuCtxSetCurrent(context);
}

// A parameter is the body, so that several launches can be under way.
static void callBody(void **parameters) {
  (**static_cast<std::function<void()> **>(parameters[0]))();
}

const moe_sim_image *simtest::image(int64_t sharedBytes, int64_t alignment) {
  static const int64_t sizes[] = {8};
  static moe_sim_kernel kernel;
  static moe_sim_image all;
  static const int32_t offsets[] = {0};
  kernel = {"body",    callBody, 1, sizes,    sharedBytes,
            alignment, 16,       0, {0, 0, 0}};
  all = {MOE_SIM_MAGIC, 80, 1,       &kernel, 0, nullptr, 0,
         nullptr,       1,  offsets, "a test"};
  return &all;
}

int simtest::run(unsigned threads, std::function<void()> body, unsigned blocks,
                 void *stream) {
  useDevice();
  static void *module = nullptr, *function = nullptr;
  if (!module) {
    cuModuleLoadData(&module, image());
    cuModuleGetFunction(&function, module, "body");
  }
  // Bodies stay: a launch may not have begun when this returns.
  static std::vector<std::unique_ptr<std::function<void()>>> bodies;
  bodies.push_back(std::make_unique<std::function<void()>>(std::move(body)));
  void *parameter = bodies.back().get();
  void *parameters[] = {&parameter};
  return cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, stream,
                        parameters, nullptr);
}

int simtest::runToEnd(unsigned threads, std::function<void()> body,
                      unsigned blocks) {
  int status = run(threads, std::move(body), blocks);
  if (!status)
    status = cuStreamSynchronize(nullptr);
  if (status)
    moe_sim_reset(1);
  return status;
}

unsigned simtest::thread() {
  return moe_sim_register(uint32_t(moe::sim::Register::TidX));
}
