//===- Context.cpp - Start, and contexts ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "State.h"

#include <algorithm>
#include <cstdio>

using namespace moe::sim;

State::State()
    : settings(readSettings(problem)), memory(settings.memory),
      random(settings.seed), contexts(settings.devices) {
  for (size_t i = 0; i < contexts.size(); ++i)
    contexts[i].device = int(i);
}

State &moe::sim::state() {
  // Never destroyed: programs free things when they end.
  static State &all = *new State;
  return all;
}

std::vector<Context *> &moe::sim::contextStack() {
  static thread_local std::vector<Context *> stack;
  return stack;
}

Call::Call(Needs needs) : lock(state().mutex) {
  const State &all = state();
  bool bare = contextStack().empty() || !contextStack().back();
  status = needs != Nothing && !all.initialized ? NotInitialized
           : needs == AContext && bare          ? InvalidContext
           : needs == AContext                  ? all.sticky
                                                : Success;
}

MOE_SIM_CUDA cuInit(unsigned flags) {
  Call call(Call::Nothing);
  State &all = state();
  if (!all.problem.empty()) {
    std::fprintf(stderr, "moe-sim: error: %s\n", all.problem.c_str());
    return InvalidValue;
  }
  if (flags)
    return InvalidValue;
  if (all.contexts.empty())
    return NoDevice;
  all.initialized = true;
  return Success;
}

MOE_SIM_CUDA cuDriverGetVersion(int *version) {
  if (!version)
    return InvalidValue;
  *version = 13000;
  return Success;
}

static Context *contextOf(int device) {
  auto &contexts = state().contexts;
  return device >= 0 && size_t(device) < contexts.size() ? &contexts[device]
                                                         : nullptr;
}

MOE_SIM_CUDA cuDevicePrimaryCtxRetain(void **context, int device) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  Context *primary = contextOf(device);
  if (!primary)
    return InvalidDevice;
  ++primary->uses;
  *context = primary;
  return Success;
}

MOE_SIM_CUDA cuDevicePrimaryCtxRelease_v2(int device) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  Context *primary = contextOf(device);
  if (!primary)
    return InvalidDevice;
  if (primary->uses == 0)
    return InvalidContext;
  --primary->uses;
  return Success;
}

static bool isContext(const void *context) {
  const auto &contexts = state().contexts;
  return std::any_of(contexts.begin(), contexts.end(),
                     [&](const Context &each) { return &each == context; });
}

MOE_SIM_CUDA cuCtxGetCurrent(void **context) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  *context = contextStack().empty() ? nullptr : contextStack().back();
  return Success;
}

MOE_SIM_CUDA cuCtxSetCurrent(void *context) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  if (context && !isContext(context))
    return InvalidContext;
  if (!contextStack().empty())
    contextStack().pop_back();
  if (context)
    contextStack().push_back(static_cast<Context *>(context));
  return Success;
}

MOE_SIM_CUDA cuCtxPushCurrent_v2(void *context) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  if (!isContext(context))
    return InvalidContext;
  contextStack().push_back(static_cast<Context *>(context));
  return Success;
}

MOE_SIM_CUDA cuCtxPopCurrent_v2(void **context) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  if (contextStack().empty())
    return InvalidContext;
  if (context)
    *context = contextStack().back();
  contextStack().pop_back();
  return Success;
}

MOE_SIM_CUDA cuCtxGetDevice(int *device) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  if (contextStack().empty())
    return InvalidContext;
  *device = contextStack().back()->device;
  return Success;
}

MOE_SIM_CUDA cuCtxSynchronize() {
  Call call;
  return call ? call.status : drainContext(currentContext());
}

/// What the kernel that failed did wrong, empty if none has. It stays until
/// another one fails.
extern "C" __attribute__((visibility("default"))) const char *moe_sim_report() {
  Call call(Call::Nothing);
  return state().report.c_str();
}

/// How often a kernel was put into a stream by a call of its own.
extern "C" __attribute__((visibility("default"))) int moe_sim_launch_calls() {
  Call call(Call::Nothing);
  return state().launchCalls;
}

/// As if the process had started anew, but for memory that is in use.
extern "C" __attribute__((visibility("default"))) void
moe_sim_reset(uint64_t seed) {
  Call call(Call::Nothing);
  State &all = state();
  all.sticky = Success;
  all.random = Random(seed);
  all.defaultStream.work.clear();
  for (Stream *stream : all.streams)
    stream->work.clear();
}
