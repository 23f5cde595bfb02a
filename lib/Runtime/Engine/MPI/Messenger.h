//===- Messenger.h - How ranks tell each other of a failure -----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_MPI_MESSENGER_H
#define MOE_LIB_RUNTIME_ENGINE_MPI_MESSENGER_H

#include "../Support/Failure.h"

#include <mpi.h>

#include <optional>

namespace moe::engine {

/// Listens for the failures of other ranks, and tells them of this one's.
class Messenger {
public:
  Messenger(MPI_Comm comm, int32_t rank, int32_t size);
  ~Messenger();
  Messenger(const Messenger &) = delete;
  Messenger &operator=(const Messenger &) = delete;

  /// What another rank has said since the last call.
  std::optional<Failure> hear();
  /// Does not wait for anyone to listen.
  void tell(const Failure &failure);

private:
  struct Message {
    int32_t status, rank;
    char text[232];
  };
  void listen();

  MPI_Comm comm;
  int32_t rank, size;
  Message heard = {}, told = {};
  MPI_Request listening = MPI_REQUEST_NULL;
  std::vector<MPI_Request> sending;
};

} // namespace moe::engine

#endif // MOE_LIB_RUNTIME_ENGINE_MPI_MESSENGER_H
