//===- Mesh.h - Messages between any two ranks ------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_NCCL_MESH_H
#define MOE_LIB_RUNTIME_ENGINE_NCCL_MESH_H

#include "Message.h"
#include "Socket.h"

#include <functional>
#include <mutex>

namespace moe::engine::nccl {

class Mesh {
public:
  Mesh(int32_t rank, std::vector<Socket> links);
  size_t size() const { return links.size(); }

  /// From any thread. What does not go now goes in `poll`.
  void send(int32_t to, const Message &message);
  void sendAll(const Message &message);
  /// Ends the wait of `poll`. From any thread.
  void wake();

  struct Listener {
    std::function<void(const Message &)> hear;
    std::function<void(int32_t rank)> ended; /* without a word */
  };
  /// Moves messages, and waits for the first of them if asked to.
  void poll(bool waits, const Listener &listener);

private:
  struct Link {
    Socket socket;
    std::string arrived, leaving;
    bool saidBye = false;
  };
  void flush(Link &link);
  void read(int32_t rank, const Listener &listener);
  bool takeArrived(int32_t rank, const Listener &listener);

  int32_t rank;
  std::mutex mutex; /* of what leaves */
  std::vector<Link> links;
  Socket waker;
};

} // namespace moe::engine::nccl

#endif // MOE_LIB_RUNTIME_ENGINE_NCCL_MESH_H
