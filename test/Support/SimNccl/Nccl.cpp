//===- Nccl.cpp - NCCL among simulated devices ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For ranks that are threads of one process, over streams of the CUDA driver
// that MOE_CUDA names. What a group asks for is put into the stream once the
// other side has asked for it too; there both wait for each other by values, as
// kernels of NCCL do, and nobody else does. Where sizes differ it never ends.
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

namespace {

enum Result { Success = 0, InvalidUsage = 5, InProgress = 7 };

struct UniqueId {
  char bytes[128];
};

/// From one rank to another. The words are 0 again once it is there, so that
/// streams that were recorded can repeat it.
struct Message {
  const void *from = nullptr;
  void *to = nullptr;
  size_t sent = 0, received = 0;
  alignas(8) std::atomic<uint32_t> isThere{0}, isTaken{0};
};

struct Asked {
  bool sends;
  Message *message;
  void *stream;
};

struct Clique;
struct Comm {
  Clique *clique;
  int rank, device;
  std::vector<Asked> asked;
};

struct Clique {
  size_t size = 0;
  std::map<int, Comm *> members;
  /// By sender and receiver: what one of them has asked for.
  std::map<std::tuple<int, int, bool>, std::deque<Message *>> open;
  std::vector<Message *> messages;
  size_t finalized = 0;
};

struct Call {
  bool sends;
  const void *data;
  size_t bytes;
  int peer;
  Comm *comm;
  void *stream;
};

std::mutex mutex;
std::map<std::string, Clique> cliques;
unsigned long ids = 0;
thread_local std::vector<Call> group;

using Address = unsigned long long;
template <typename... Arguments> int cuda(const char *name, Arguments... all) {
  static void *driver = dlopen(std::getenv("MOE_CUDA"), RTLD_NOW);
  auto call = reinterpret_cast<int (*)(Arguments...)>(dlsym(driver, name));
  int result = call ? call(all...) : -1;
  if (result)
    std::fprintf(stderr, "sim nccl: %s: %d\n", name, result);
  return result;
}

Address address(const void *pointer) {
  return reinterpret_cast<Address>(pointer);
}

/// The message that this call is one end of.
Message *messageOf(const Call &call) {
  Clique &clique = *call.comm->clique;
  int from = call.sends ? call.comm->rank : call.peer;
  int to = call.sends ? call.peer : call.comm->rank;
  auto &others = clique.open[{from, to, !call.sends}];
  Message *message;
  if (others.empty()) {
    message = new Message;
    clique.messages.push_back(message);
    clique.open[{from, to, call.sends}].push_back(message);
  } else {
    message = others.front();
    others.pop_front();
  }
  if (call.sends) {
    message->from = call.data;
    message->sent = call.bytes;
  } else {
    message->to = const_cast<void *>(call.data);
    message->received = call.bytes;
  }
  return message;
}

bool hasDeviceOfItsOwn(const Comm &comm) {
  const auto &members = comm.clique->members;
  return std::none_of(members.begin(), members.end(), [&](const auto &other) {
    return other.second != &comm && other.second->device == comm.device;
  });
}

bool isMatched(const Message &message) {
  return message.from && message.to && message.sent == message.received;
}

/// Gives the streams what both ends have asked for. All that leaves is there
/// before anything is waited for.
void enqueue(Comm &comm) {
  for (const Asked &each : comm.asked)
    if (each.sends)
      cuda("cuStreamWriteValue32_v2", each.stream,
           address(&each.message->isThere), 1u, 0u);
  for (const Asked &each : comm.asked) {
    Message &message = *each.message;
    if (each.sends)
      continue;
    cuda("cuStreamWaitValue32_v2", each.stream, address(&message.isThere), 1u,
         0u);
    cuda("cuMemcpyDtoDAsync_v2", address(message.to), address(message.from),
         message.received, each.stream);
    cuda("cuStreamWriteValue32_v2", each.stream, address(&message.isThere), 0u,
         0u);
    cuda("cuStreamWriteValue32_v2", each.stream, address(&message.isTaken), 1u,
         0u);
  }
  for (const Asked &each : comm.asked) {
    if (!each.sends)
      continue;
    Address isTaken = address(&each.message->isTaken);
    cuda("cuStreamWaitValue32_v2", each.stream, isTaken, 1u, 0u);
    cuda("cuStreamWriteValue32_v2", each.stream, isTaken, 0u, 0u);
  }
  comm.asked.clear();
}

} // namespace

extern "C" {

int ncclGetVersion(int *version) {
  *version = 22700;
  return Success;
}

const char *ncclGetErrorString(int result) {
  return result == InvalidUsage ? "invalid usage" : "no error";
}

/// Two ranks of one device would wait for each other's kernels.
const char *ncclGetLastError(Comm *comm) {
  std::lock_guard<std::mutex> lock(mutex);
  return hasDeviceOfItsOwn(*comm)
             ? ""
             : "Duplicate GPU detected: two ranks are on one device";
}

int ncclGetUniqueId(UniqueId *id) {
  std::lock_guard<std::mutex> lock(mutex);
  std::memset(id->bytes, 0, sizeof id->bytes);
  std::snprintf(id->bytes, sizeof id->bytes, "clique %lu", ++ids);
  return Success;
}

int ncclCommInitRankConfig(Comm **made, int size, UniqueId id, int rank,
                           void *) {
  std::lock_guard<std::mutex> lock(mutex);
  Clique &clique = cliques[id.bytes];
  clique.size = static_cast<size_t>(size);
  int device = -1;
  cuda("cuCtxGetDevice", &device);
  *made = clique.members[rank] = new Comm{&clique, rank, device, {}};
  return InProgress;
}

int ncclCommGetAsyncError(Comm *comm, int *error) {
  std::lock_guard<std::mutex> lock(mutex);
  *error = InProgress;
  if (comm->clique->members.size() < comm->clique->size)
    return Success;
  if (!hasDeviceOfItsOwn(*comm)) {
    *error = InvalidUsage;
    return Success;
  }
  for (const Asked &each : comm->asked)
    if (!isMatched(*each.message))
      return Success;
  enqueue(*comm);
  *error = Success;
  return Success;
}

int ncclCommFinalize(Comm *) { return Success; }
int ncclCommDestroy(Comm *) { return Success; }

/// Nobody waits any more.
int ncclCommAbort(Comm *comm) {
  std::lock_guard<std::mutex> lock(mutex);
  for (Message *message : comm->clique->messages)
    message->isThere = message->isTaken = 1;
  return Success;
}

int ncclGroupStart() { return Success; }

int ncclSend(const void *data, size_t bytes, int, int peer, Comm *comm,
             void *stream) {
  group.push_back({true, data, bytes, peer, comm, stream});
  return Success;
}

int ncclRecv(void *data, size_t bytes, int, int peer, Comm *comm,
             void *stream) {
  group.push_back({false, data, bytes, peer, comm, stream});
  return Success;
}

int ncclGroupEnd() {
  std::lock_guard<std::mutex> lock(mutex);
  for (const Call &call : group)
    call.comm->asked.push_back({call.sends, messageOf(call), call.stream});
  group.clear();
  return InProgress;
}
}
