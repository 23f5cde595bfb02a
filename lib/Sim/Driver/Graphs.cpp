//===- Graphs.cpp - Streams recorded and repeated -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "State.h"

#include <algorithm>

using namespace moe::sim;

int moe::sim::invalidate(Stream &stream) {
  if (!stream.capture)
    return Success;
  stream.capture->isInvalid = true;
  return CaptureUnsupported;
}

bool moe::sim::isGloballyCaptured() {
  const auto &streams = state().streams;
  return std::any_of(streams.begin(), streams.end(), [](Stream *stream) {
    return stream->capture && stream->capture->isGlobal;
  });
}

void moe::sim::record(Stream &stream, Step step) {
  Capture &capture = *stream.capture;
  auto found =
      std::find(capture.streams.begin(), capture.streams.end(), &stream);
  capture.graph.sequences[size_t(found - capture.streams.begin())].push_back(
      std::move(step));
}

int moe::sim::waitWhileCaptured(Stream &stream, const Event &event) {
  if (!event.capture) {
    if (stream.capture)
      stream.capture->isInvalid = true;
    return CaptureIsolation;
  }
  if (stream.capture && stream.capture != event.capture)
    return CaptureMerge;
  if (!stream.capture) {
    if (&stream == &state().defaultStream)
      return CaptureImplicit;
    stream.capture = event.capture;
    stream.capture->streams.push_back(&stream);
    stream.capture->graph.sequences.emplace_back();
  }
  record(stream, {nullptr, -1, event.number});
  return Success;
}

/// Whether the first stream waits for the last step of each other one.
static bool isJoined(const Graph &graph) {
  auto isWaitedFor = [&](int event) {
    for (const auto &sequence : graph.sequences)
      for (const Step &step : sequence)
        if (step.waitsFor == event)
          return true;
    return false;
  };
  return std::all_of(graph.sequences.begin() + 1, graph.sequences.end(),
                     [&](const std::vector<Step> &sequence) {
                       int last = sequence.back().marks;
                       return last >= 0 && isWaitedFor(last);
                     });
}

MOE_SIM_CUDA cuStreamBeginCapture_v2(void *handle, int mode) {
  enum { Global = 0, Relaxed = 2 };
  StreamCall call(handle);
  if (call)
    return call.status;
  if (mode < Global || mode > Relaxed || call.stream->capture)
    return InvalidValue;
  if (call.stream == &state().defaultStream)
    return CaptureImplicit;
  call.stream->capture = std::make_shared<Capture>();
  call.stream->capture->isGlobal = mode == Global;
  call.stream->capture->streams = {call.stream};
  call.stream->capture->graph.sequences.resize(1);
  return Success;
}

MOE_SIM_CUDA cuStreamIsCapturing(void *handle, int *answer) {
  StreamCall call(handle);
  if (call)
    return call.status;
  *answer = !call.stream->capture ? 0 : call.stream->capture->isInvalid ? 2 : 1;
  return Success;
}

MOE_SIM_CUDA cuStreamEndCapture(void *handle, void **graph) {
  StreamCall call(handle);
  if (call)
    return call.status;
  std::shared_ptr<Capture> capture = call.stream->capture;
  if (!capture || capture->streams.front() != call.stream)
    return CaptureUnmatched;
  for (Stream *each : capture->streams)
    each->capture = nullptr;
  *graph = nullptr;
  if (capture->isInvalid)
    return CaptureInvalidated;
  if (!isJoined(capture->graph))
    return CaptureUnjoined;
  auto *made = new Graph(std::move(capture->graph));
  state().graphs.insert(made);
  *graph = made;
  return Success;
}

MOE_SIM_CUDA cuGraphDestroy(void *handle) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  auto *graph = static_cast<Graph *>(handle);
  if (!state().graphs.erase(graph))
    return InvalidHandle;
  delete graph;
  return Success;
}

MOE_SIM_CUDA cuGraphInstantiateWithFlags(void **handle, void *graphHandle,
                                         unsigned long long flags) {
  Call call;
  if (call)
    return call.status;
  auto *graph = static_cast<Graph *>(graphHandle);
  if (!state().graphs.count(graph) || flags)
    return InvalidValue;
  auto *exec = new GraphExec{*graph, {}};
  for (size_t i = 1; i < graph->sequences.size(); ++i)
    exec->streams.push_back(makeStream(/*blocking=*/false));
  state().graphExecs.insert(exec);
  *handle = exec;
  return Success;
}

MOE_SIM_CUDA cuGraphLaunch(void *handle, void *streamHandle) {
  Call call;
  if (call)
    return call.status;
  auto *exec = static_cast<GraphExec *>(handle);
  Stream *stream = streamOf(streamHandle);
  if (!state().graphExecs.count(exec) || !stream)
    return InvalidHandle;
  if (stream->capture)
    return invalidate(*stream);
  std::vector<Marker> markers;
  for (int i = 0; i < exec->graph.events; ++i)
    markers.push_back(std::make_shared<bool>(false));
  auto give = [&](Stream &to, const Step &step) {
    Marker marks = step.marks < 0 ? nullptr : markers[size_t(step.marks)];
    Marker waits = step.waitsFor < 0 ? nullptr : markers[size_t(step.waitsFor)];
    enqueue(
        to,
        [marks, perform = step.perform] {
          int status = perform ? perform() : int(Success);
          if (marks)
            *marks = true;
          return status;
        },
        waits, step.isReady);
  };
  for (size_t i = 0; i < exec->graph.sequences.size(); ++i)
    for (const Step &step : exec->graph.sequences[i])
      give(i == 0 ? *stream : *exec->streams[i - 1], step);
  return Success;
}

MOE_SIM_CUDA cuGraphExecDestroy(void *handle) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  auto *exec = static_cast<GraphExec *>(handle);
  if (!state().graphExecs.erase(exec))
    return InvalidHandle;
  auto &streams = state().streams;
  for (Stream *stream : exec->streams) {
    if (!state().sticky)
      drain(*stream);
    streams.erase(std::find(streams.begin(), streams.end(), stream));
    delete stream;
  }
  delete exec;
  return Success;
}
