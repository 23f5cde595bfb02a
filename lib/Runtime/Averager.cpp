//===- Averager.cpp - The states of a mean over ranks ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The arithmetic is in the package. A step runs on a thread of its own and
// writes beside the values, which the caller's thread replaces once it has
// seen a success: nothing else changes them.
//
//===----------------------------------------------------------------------===//

#include "Layer.h"
#include "Status.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

using namespace moe::runtime;

namespace {

constexpr const char *accumulateName = "accumulate";
constexpr const char *averageName = "average_group";

/// A view of numbers as a tensor.
struct View {
  template <typename T>
  View(const T *data, const int64_t *count, DLDataTypeCode code) {
    tensor.data = const_cast<T *>(data);
    tensor.device = {kDLCPU, 0};
    tensor.ndim = count ? 1 : 0;
    tensor.dtype = {static_cast<uint8_t>(code), 8 * sizeof(T), 1};
    tensor.shape = const_cast<int64_t *>(count);
  }
  DLTensor tensor = {};
};

View view(const std::vector<float> &values, const int64_t &count) {
  return View(values.data(), &count, kDLFloat);
}

} // namespace

struct moe_averager {
  moe_averager(moe_layer &layer, int64_t count);
  ~moe_averager() {
    if (worker.joinable())
      worker.join();
  }

  void accumulate(const float *values);
  moe_average_result step(int64_t waitMs);
  void requireIdle(const char *what) const {
    if (worker.joinable())
      fail(MOE_INVALID_ARGUMENT, what, ": a step is in progress");
  }

  moe_layer &layer;
  const int64_t count;
  std::vector<float> values; ///< a sum, or the mean if there are none in it
  int64_t contributions = 0;

private:
  void begin();
  void work() noexcept;
  void match();
  void exchange();

  std::vector<float> next, mean;
  /// What was rounded away before, where the package feeds it back.
  std::vector<float> error, nextError;
  bool feedsBack = false;
  int32_t members = 1, target = 1;
  std::thread worker;
  std::mutex mutex; ///< of what follows, while there is a worker
  std::condition_variable ended;
  bool done = false;
  moe_average_result outcome = {};
  std::atomic<int32_t> ready{1};
};

static const Function &require(const Manifest &manifest, const char *name) {
  int index = manifest.findFunction(name);
  if (index < 0)
    fail(MOE_NOT_FOUND, "'", manifest.name, "' has no function '", name,
         "', which averaging needs");
  return manifest.functions[static_cast<size_t>(index)];
}

moe_averager::moe_averager(moe_layer &layer, int64_t count)
    : layer(layer), count(count) {
  if (count < 0 || count > INT32_MAX)
    fail(MOE_INVALID_ARGUMENT, "expected a count from 0 to ", INT32_MAX,
         ", found ", count);
  const Manifest &manifest = layer.manifest();
  require(manifest, accumulateName);
  const Function &average = require(manifest, averageName);
  feedsBack = average.find("error") >= 0;
  for (const Collective &collective : average.collectives)
    members = int32_t(membersOver(manifest.grid, collective.axes));
  target = layer.world ? layer.world->size() : 1;
  for (std::vector<float> *memory : {&values, &next, &mean})
    memory->resize(static_cast<size_t>(count));
  if (feedsBack)
    for (std::vector<float> *memory : {&error, &nextError})
      memory->resize(static_cast<size_t>(count));
}

void moe_averager::accumulate(const float *more) {
  requireIdle("accumulate");
  if (contributions == 0)
    std::fill(values.begin(), values.end(), 0.0F);
  View sum = view(values, count), result = view(next, count);
  View added(more, &count, kDLFloat);
  const DLTensor *inputs[] = {&sum.tensor, &added.tensor};
  const DLTensor *outputs[] = {&result.tensor};
  if (moe_status status =
          moe_layer_run(&layer, accumulateName, inputs, outputs))
    fail(status, moe_last_error());
  std::swap(values, next);
  ++contributions;
}

void moe_averager::match() {
  WorldPhase phase(*layer.world, "match of averaging",
                   layer.manifest().averaging.matchMs);
  layer.world->meetAll(ready);
}

void moe_averager::exchange() {
  const Function &average = require(layer.manifest(), averageName);
  WorldPhase phase(*layer.world, "exchange of averaging",
                   layer.manifest().averaging.exchangeMs);
  View sum = view(values, count), result = view(mean, count);
  View before = view(error, count), after = view(nextError, count);
  View number(&contributions, nullptr, kDLInt);
  const DLTensor *inputs[] = {&sum.tensor, &number.tensor, &before.tensor};
  const DLTensor *outputs[] = {&result.tensor, &after.tensor};
  if (moe_status status =
          moe_layer_run(&layer, average.name.c_str(), inputs, outputs))
    fail(status, moe_last_error());
}

void moe_averager::work() noexcept {
  moe_average_result result = {};
  uint64_t before = layer.world->statistics().sent_bytes;
  result.status = guard([&] {
    match();
    exchange();
  });
  if (result.status) {
    result.state = MOE_AVERAGE_FAILED;
    std::snprintf(result.text, sizeof result.text, "%s", moe_last_error());
  } else {
    double sent = double(layer.world->statistics().sent_bytes - before);
    double plain =
        2.0 * (members - 1) / members * double(count) * sizeof(float);
    result.state = MOE_AVERAGE_SUCCESS;
    result.peers_count = members;
    result.compression_ratio = plain / sent;
  }
  std::lock_guard<std::mutex> lock(mutex);
  outcome = result;
  done = true;
  ended.notify_all();
}

void moe_averager::begin() {
  done = false;
  ready = 1;
  worker = std::thread([this] { work(); });
}

moe_average_result moe_averager::step(int64_t waitMs) {
  moe_average_result result = {};
  result.ready = result.target = target;
  if (members == 1) {
    result.state = MOE_AVERAGE_NO_PEERS;
    result.peers_count = 1;
    result.compression_ratio = 1;
    return result;
  }
  if (!worker.joinable())
    begin();
  {
    std::unique_lock<std::mutex> lock(mutex);
    auto isDone = [&] { return done; };
    if (waitMs < 0)
      ended.wait(lock, isDone);
    else
      ended.wait_for(lock, std::chrono::milliseconds(waitMs), isDone);
    if (!done) {
      result.state = MOE_AVERAGE_IN_PROGRESS;
      result.ready = ready;
      return result;
    }
  }
  worker.join();
  result = outcome;
  result.ready = ready;
  result.target = target;
  if (result.state == MOE_AVERAGE_SUCCESS) {
    std::swap(values, mean);
    std::swap(error, nextError);
    contributions = 0;
  }
  return result;
}

moe_status moe_averager_create(moe_layer *layer, int64_t count,
                               moe_averager **averager) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(averager, "averager");
    *averager = new moe_averager(*layer, count);
  });
}

moe_status moe_averager_accumulate(moe_averager *averager,
                                   const float *values) {
  return guard([&] {
    requireSet(averager, "averager");
    if (averager->count)
      requireSet(values, "values");
    averager->accumulate(values);
  });
}

moe_status moe_averager_step(moe_averager *averager, int64_t wait_ms,
                             moe_average_result *result) {
  return guard([&] {
    requireSet(averager, "averager");
    requireSet(result, "result");
    *result = averager->step(wait_ms);
  });
}

moe_status moe_averager_get(const moe_averager *averager, float *values,
                            int64_t *contributions) {
  return guard([&] {
    requireSet(averager, "averager");
    if (values && averager->count)
      std::memcpy(values, averager->values.data(),
                  averager->values.size() * sizeof(float));
    if (contributions)
      *contributions = averager->contributions;
  });
}

moe_status moe_averager_clear(moe_averager *averager) {
  return guard([&] {
    requireSet(averager, "averager");
    averager->requireIdle("clear");
    std::fill(averager->values.begin(), averager->values.end(), 0.0F);
    averager->contributions = 0;
  });
}

void moe_averager_destroy(moe_averager *averager) { delete averager; }
