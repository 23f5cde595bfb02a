//===- Streams.cpp - Streams and events -----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// What is put into a stream is done when somebody waits for it, in an order
// between streams that chance decides: only events and waits order them.
//
//===----------------------------------------------------------------------===//

#include "State.h"

#include <algorithm>
#include <chrono>
#include <thread>

using namespace moe::sim;

/// How long streams wait for values that other threads write.
static constexpr auto patience = std::chrono::seconds(60);

Stream *moe::sim::streamOf(void *handle) {
  State &all = state();
  // 1 and 2 are the default stream by other names.
  if (reinterpret_cast<uintptr_t>(handle) <= 2)
    return &all.defaultStream;
  auto found = std::find(all.streams.begin(), all.streams.end(), handle);
  return found == all.streams.end() ? nullptr : *found;
}

/// One piece of work of any stream that has some which need not wait.
static bool runOne(int &status) {
  State &all = state();
  std::vector<Stream *> ready;
  auto consider = [&](Stream &stream) {
    if (stream.work.empty())
      return;
    const Work &next = stream.work.front();
    if ((!next.waitsFor || *next.waitsFor) && (!next.isReady || next.isReady()))
      ready.push_back(&stream);
  };
  consider(all.defaultStream);
  for (Stream *stream : all.streams)
    consider(*stream);
  if (ready.empty())
    return false;
  Stream &stream = *ready[all.random.below(ready.size())];
  Work work = std::move(stream.work.front());
  stream.work.pop_front();
  status = work.perform ? work.perform() : int(Success);
  if (status != Success) {
    all.sticky = status;
    all.defaultStream.work.clear();
    for (Stream *each : all.streams)
      each->work.clear();
  }
  return true;
}

/// Whether a stream waits for what another thread may still do.
static bool waitsForOthers() {
  const auto &streams = state().streams;
  return std::any_of(streams.begin(), streams.end(), [](Stream *stream) {
    return !stream->work.empty() && stream->work.front().isReady;
  });
}

template <typename Done> static int runUntil(Done &&done) {
  State &all = state();
  auto limit = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    int status = all.sticky;
    if (status == Success && runOne(status)) {
      if (status != Success)
        return status;
      limit = std::chrono::steady_clock::now() + patience;
      continue;
    }
    // An event of a stream that is gone, or a value that nobody writes.
    if (status || !waitsForOthers() || std::chrono::steady_clock::now() > limit)
      return status ? status : int(LaunchFailed);
    all.mutex.unlock();
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    all.mutex.lock();
  }
  return Success;
}

int moe::sim::drain(Stream &stream) {
  return runUntil([&] { return stream.work.empty(); });
}

int moe::sim::drainTo(const Marker &marker) {
  return runUntil([&] { return *marker; });
}

int moe::sim::drainContext(const Context *context) {
  State &all = state();
  return runUntil([&] {
    return all.defaultStream.work.empty() &&
           std::all_of(
               all.streams.begin(), all.streams.end(), [&](Stream *stream) {
                 return stream->context != context || stream->work.empty();
               });
  });
}

void moe::sim::enqueue(Stream &stream, std::function<int()> perform,
                       Marker waitsFor, std::function<bool()> isReady) {
  State &all = state();
  if (stream.capture)
    return record(stream, {std::move(perform), -1, -1, std::move(isReady)});
  if (&stream != &all.defaultStream) {
    // What the default stream was given before is done first.
    if (stream.blocking && !all.defaultStream.work.empty())
      stream.work.push_back({nullptr, all.lastOfDefault});
    stream.work.push_back(
        {std::move(perform), std::move(waitsFor), std::move(isReady)});
    return;
  }
  for (Stream *other : all.streams)
    if (other->blocking && !other->work.empty()) {
      auto reached = std::make_shared<bool>(false);
      other->work.push_back({[reached] {
                               *reached = true;
                               return int(Success);
                             },
                             nullptr});
      stream.work.push_back({nullptr, reached});
    }
  auto reached = std::make_shared<bool>(false);
  all.lastOfDefault = reached;
  stream.work.push_back({[reached, perform = std::move(perform)] {
                           int status = perform ? perform() : int(Success);
                           *reached = true;
                           return status;
                         },
                         std::move(waitsFor)});
}

Stream *moe::sim::makeStream(bool blocking) {
  auto *stream = new Stream;
  stream->context = currentContext();
  stream->blocking = blocking;
  state().streams.push_back(stream);
  return stream;
}

MOE_SIM_CUDA cuStreamCreate(void **handle, unsigned flags) {
  Call call;
  if (call)
    return call.status;
  if (flags > 1)
    return InvalidValue;
  *handle = makeStream(/*blocking=*/!(flags & 1));
  return Success;
}

MOE_SIM_CUDA cuStreamCreateWithPriority(void **handle, unsigned flags, int) {
  return cuStreamCreate(handle, flags);
}

MOE_SIM_CUDA cuStreamDestroy_v2(void *handle) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  Stream *stream = streamOf(handle);
  if (!stream || stream == &state().defaultStream)
    return InvalidHandle;
  int status = state().sticky ? int(Success) : drain(*stream);
  auto &streams = state().streams;
  streams.erase(std::find(streams.begin(), streams.end(), stream));
  delete stream;
  return status;
}

/// Values in pinned memory, by which streams of several threads wait for each
/// other.
MOE_SIM_CUDA cuStreamWaitValue32_v2(void *handle, unsigned long long address,
                                    unsigned value, unsigned flags) {
  StreamCall call(handle);
  if (call)
    return call.status;
  if (flags != 0 || address % 4)
    return InvalidValue;
  if (call.stream == &state().defaultStream)
    return NotSupported;
  auto *word = reinterpret_cast<const volatile uint32_t *>(address);
  enqueue(*call.stream, nullptr, nullptr,
          [word, value] { return int32_t(*word - value) >= 0; });
  return Success;
}

MOE_SIM_CUDA cuStreamWriteValue32_v2(void *handle, unsigned long long address,
                                     unsigned value, unsigned flags) {
  StreamCall call(handle);
  if (call)
    return call.status;
  if (flags != 0 || address % 4)
    return InvalidValue;
  auto *word = reinterpret_cast<volatile uint32_t *>(address);
  enqueue(*call.stream, [word, value] {
    *word = value;
    return int(Success);
  });
  return Success;
}

MOE_SIM_CUDA cuStreamSynchronize(void *handle) {
  StreamCall call(handle);
  if (call)
    return call.status;
  return call.stream->capture ? invalidate(*call.stream) : drain(*call.stream);
}

MOE_SIM_CUDA cuStreamQuery(void *handle) {
  StreamCall call(handle);
  if (call)
    return call.status;
  if (call.stream->capture)
    return invalidate(*call.stream);
  // Whoever asks again and again gets there.
  int status = Success;
  if (!call.stream->work.empty())
    runOne(status);
  return status                      ? status
         : call.stream->work.empty() ? int(Success)
                                     : int(NotReady);
}

MOE_SIM_CUDA cuEventCreate(void **handle, unsigned) {
  Call call;
  if (call)
    return call.status;
  auto *event = new Event;
  state().events.insert(event);
  *handle = event;
  return Success;
}

static Event *eventOf(void *handle) {
  auto &events = state().events;
  auto found = events.find(static_cast<Event *>(handle));
  return found == events.end() ? nullptr : *found;
}

MOE_SIM_CUDA cuEventDestroy_v2(void *handle) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  Event *event = eventOf(handle);
  if (!event)
    return InvalidHandle;
  state().events.erase(event);
  delete event;
  return Success;
}

MOE_SIM_CUDA cuEventRecord(void *handle, void *streamHandle) {
  Call call;
  if (call)
    return call.status;
  Event *event = eventOf(handle);
  Stream *stream = streamOf(streamHandle);
  if (!event || !stream)
    return InvalidHandle;
  event->capture = stream->capture;
  if (stream->capture) {
    event->number = stream->capture->graph.events++;
    record(*stream, {nullptr, event->number, -1});
    return Success;
  }
  auto reached = std::make_shared<bool>(false);
  auto when = std::make_shared<double>(0);
  event->marker = reached;
  event->when = when;
  enqueue(*stream, [reached, when] {
    using namespace std::chrono;
    *when = duration<double, std::milli>(steady_clock::now().time_since_epoch())
                .count();
    *reached = true;
    return int(Success);
  });
  return Success;
}

MOE_SIM_CUDA cuStreamWaitEvent(void *streamHandle, void *handle, unsigned) {
  Call call;
  if (call)
    return call.status;
  Event *event = eventOf(handle);
  Stream *stream = streamOf(streamHandle);
  if (!event || !stream)
    return InvalidHandle;
  if (stream->capture || event->capture)
    return waitWhileCaptured(*stream, *event);
  if (event->marker)
    enqueue(*stream, nullptr, event->marker);
  return Success;
}

MOE_SIM_CUDA cuEventSynchronize(void *handle) {
  Call call;
  if (call)
    return call.status;
  Event *event = eventOf(handle);
  if (!event)
    return InvalidHandle;
  if (event->capture)
    return CapturedEvent;
  return event->marker ? drainTo(event->marker) : int(Success);
}

MOE_SIM_CUDA cuEventQuery(void *handle) {
  Call call;
  if (call)
    return call.status;
  Event *event = eventOf(handle);
  if (!event)
    return InvalidHandle;
  if (event->capture)
    return CapturedEvent;
  int status = Success;
  if (event->marker && !*event->marker)
    runOne(status);
  return status                             ? status
         : !event->marker || *event->marker ? int(Success)
                                            : int(NotReady);
}

MOE_SIM_CUDA cuEventElapsedTime(float *milliseconds, void *from, void *to) {
  Call call;
  if (call)
    return call.status;
  Event *first = eventOf(from), *last = eventOf(to);
  if (!first || !last || !first->marker || !last->marker)
    return InvalidHandle;
  if (!*first->marker || !*last->marker)
    return NotReady;
  *milliseconds = float(*last->when - *first->when);
  return Success;
}
