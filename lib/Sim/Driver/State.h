//===- State.h - What the driver knows --------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_DRIVER_STATE_H
#define MOE_LIB_SIM_DRIVER_STATE_H

#include "Graphs.h"
#include "Settings.h"

#include "../Machine/Launch.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#define MOE_SIM_CUDA extern "C" __attribute__((visibility("default"))) int

namespace moe::sim {

/// Codes of the driver, and their names in Errors.cpp.
enum Status : int {
  Success = 0,
  InvalidValue = 1,
  OutOfMemory = 2,
  NotInitialized = 3,
  NoDevice = 100,
  InvalidDevice = 101,
  InvalidImage = 200,
  InvalidContext = 201,
  NoBinaryForGpu = 209,
  InvalidHandle = 400,
  NotFound = 500,
  NotReady = 600,
  IllegalAddress = 700,
  LaunchOutOfResources = 701,
  AssertFailed = 710,
  MisalignedAddress = 716,
  LaunchFailed = 719,
  NotSupported = 801,
  CaptureUnsupported = 900,
  CaptureInvalidated = 901,
  CaptureMerge = 902,
  CaptureUnmatched = 903,
  CaptureUnjoined = 904,
  CaptureIsolation = 905,
  CaptureImplicit = 906,
  CapturedEvent = 907,
};

/// Whether a point of a stream has been reached.
using Marker = std::shared_ptr<bool>;

struct Work {
  std::function<int()> perform;
  Marker waitsFor;
  std::function<bool()> isReady = nullptr; // of what others may change any time
};

struct Context;

struct Stream {
  const Context *context = nullptr; // of whoever made it
  std::deque<Work> work;
  bool blocking = true; // the default stream waits for it, and it for that
  std::shared_ptr<Capture> capture; // null unless it is recorded
};

struct Event {
  Marker marker;                    // null if never recorded
  std::shared_ptr<double> when;     // milliseconds
  std::shared_ptr<Capture> capture; // that it was recorded in, as `number`
  int number = -1;
};

struct Module;

struct Function {
  Module *module;
  const moe_sim_kernel *kernel;
  size_t dynamicLimit = 48 << 10;
  bool largeClusters = false;
};

struct Module {
  const moe_sim_image *image;
  const Context *context; // of whoever loaded it
  std::map<std::string, Function> functions;
};

/// A device's primary context.
struct Context {
  int device = 0;
  int uses = 0;
};

/// All of it. One lock is over every call.
struct State {
  State();

  std::recursive_mutex mutex;
  std::string problem; // of settings
  Settings settings;
  Memory memory;
  Random random;
  bool initialized = false;
  std::vector<Context> contexts;
  std::map<const void *, size_t> pinned;
  Stream defaultStream;
  Marker lastOfDefault;
  std::vector<Stream *> streams; // as they were made, for chance to repeat
  std::set<Event *> events;
  std::set<Module *> modules;
  std::set<Graph *> graphs;
  std::set<GraphExec *> graphExecs;
  int launchCalls = 0;  // of kernels, one by one
  int sticky = Success; // from when a kernel has failed, for ever
  std::string report;
};
State &state();

/// The stacks of contexts are a thread's own.
std::vector<Context *> &contextStack();
/// Of a call that needs one.
inline const Context *currentContext() { return contextStack().back(); }

/// Bytes of shared memory that a block can have.
size_t sharedLimit();

/// Holds the lock; `status` is what a call that needs a context returns at
/// once.
class Call {
public:
  enum Needs { Nothing, Initialized, AContext };
  explicit Call(Needs needs = AContext);
  operator bool() const { return status != Success; }
  int status;

private:
  std::lock_guard<std::recursive_mutex> lock;
};

/// Null is the default stream; a handle that is none gives null.
Stream *streamOf(void *handle);

/// A call that puts something into a stream, or asks about one.
class StreamCall : public Call {
public:
  explicit StreamCall(void *handle)
      : stream(status == Success ? streamOf(handle) : nullptr) {
    if (status == Success && !stream)
      status = InvalidHandle;
  }
  Stream *stream;
};

void enqueue(Stream &stream, std::function<int()> perform,
             Marker waitsFor = nullptr,
             std::function<bool()> isReady = nullptr);
/// One of the current context.
Stream *makeStream(bool blocking);
/// What a stream that is recorded cannot do: ends the recording.
int invalidate(Stream &stream);
bool isGloballyCaptured();
/// Adds to what is recorded of the stream.
void record(Stream &stream, Step step);
/// Where the stream or the event is recorded.
int waitWhileCaptured(Stream &stream, const Event &event);
/// Until the marker is reached, or a stream or all those of a context are
/// empty.
int drain(Stream &stream);
int drainContext(const Context *context);
int drainTo(const Marker &marker);

} // namespace moe::sim

#endif // MOE_LIB_SIM_DRIVER_STATE_H
