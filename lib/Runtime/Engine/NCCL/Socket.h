//===- Socket.h - Connections with deadlines --------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_NCCL_SOCKET_H
#define MOE_LIB_RUNTIME_ENGINE_NCCL_SOCKET_H

#include "../Support/Failure.h"

namespace moe::engine::nccl {

/// A file descriptor that closes itself.
class Socket {
public:
  explicit Socket(int number = -1) : number(number) {}
  ~Socket();
  Socket(Socket &&other) noexcept;
  Socket &operator=(Socket &&other) noexcept;

  int get() const { return number; }
  explicit operator bool() const { return number >= 0; }

private:
  int number;
};

struct Address {
  std::string host;
  int port;
};

/// Port 0: one that is free. Fails with MOE_IO.
Socket listenAt(const Address &address);
int portOf(const Socket &listener);
/// The address of this side of a connection, and that of the other.
std::string hostHere(const Socket &connection);
std::string hostThere(const Socket &connection);

/// The next connection; none if the deadline is over before.
Socket acceptFrom(const Socket &listener, int64_t deadline);
/// None if nobody is there now.
Socket connectTo(const Address &address, int64_t deadline);

/// Whether all bytes were moved before the deadline.
bool readAll(const Socket &socket, void *data, size_t bytes, int64_t deadline);
bool writeAll(const Socket &socket, const void *data, size_t bytes,
              int64_t deadline);

} // namespace moe::engine::nccl

#endif // MOE_LIB_RUNTIME_ENGINE_NCCL_SOCKET_H
