//===- Socket.cpp - Connections with deadlines ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Socket.h"

#include "../Support/Waiting.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace moe::engine::nccl {

Socket::~Socket() {
  if (number >= 0)
    ::close(number);
}

Socket::Socket(Socket &&other) noexcept : number(other.number) {
  other.number = -1;
}

Socket &Socket::operator=(Socket &&other) noexcept {
  std::swap(number, other.number);
  return *this;
}

using Found = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

static Found resolve(const Address &address) {
  addrinfo hints = {}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  int result =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(),
                  &hints, &found);
  if (result != 0)
    fail(MOE_IO, "cannot find the address of '", address.host,
         "': ", gai_strerror(result));
  return {found, freeaddrinfo};
}

static Socket make(const addrinfo &info) {
  Socket made(::socket(info.ai_family,
                       info.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                       info.ai_protocol));
  if (!made)
    fail(MOE_IO, "cannot make a socket: ", std::strerror(errno));
  int yes = 1;
  setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  return made;
}

Socket listenAt(const Address &address) {
  Found found = resolve(address);
  Socket made = make(*found);
  if (::bind(made.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(made.get(), SOMAXCONN) != 0)
    fail(MOE_IO, "cannot listen at ", address.host, ":", address.port, ": ",
         std::strerror(errno));
  return made;
}

/// Of getsockname or getpeername.
template <typename Get>
static void nameOf(const Socket &socket, Get get, char *host, size_t hostBytes,
                   char *port, size_t portBytes) {
  sockaddr_storage name;
  socklen_t length = sizeof name;
  auto *general = reinterpret_cast<sockaddr *>(&name);
  if (get(socket.get(), general, &length) != 0 ||
      getnameinfo(general, length, host, static_cast<socklen_t>(hostBytes),
                  port, static_cast<socklen_t>(portBytes),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    fail(MOE_IO, "cannot find the address of a connection");
}

int portOf(const Socket &listener) {
  char port[16];
  nameOf(listener, getsockname, nullptr, 0, port, sizeof port);
  return static_cast<int>(std::strtol(port, nullptr, 10));
}

std::string hostHere(const Socket &connection) {
  char host[64];
  nameOf(connection, getsockname, host, sizeof host, nullptr, 0);
  return host;
}

std::string hostThere(const Socket &connection) {
  char host[64];
  nameOf(connection, getpeername, host, sizeof host, nullptr, 0);
  return host;
}

/// Whether the socket is ready before the deadline.
static bool waitFor(const Socket &socket, short events, int64_t deadline) {
  for (;;) {
    pollfd wanted = {socket.get(), events, 0};
    int64_t left = std::max<int64_t>(deadline - now(), 0);
    int result = ::poll(&wanted, 1,
                        static_cast<int>(std::min<int64_t>(
                            (left + milliseconds - 1) / milliseconds, 1000)));
    if (result > 0)
      return true;
    if (left == 0 || (result < 0 && errno != EINTR))
      return false;
  }
}

Socket acceptFrom(const Socket &listener, int64_t deadline) {
  while (waitFor(listener, POLLIN, deadline)) {
    Socket accepted(::accept4(listener.get(), nullptr, nullptr,
                              SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted)
      continue;
    int yes = 1;
    setsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return accepted;
  }
  return Socket();
}

Socket connectTo(const Address &address, int64_t deadline) {
  Found found = resolve(address);
  Socket made = make(*found);
  if (::connect(made.get(), found->ai_addr, found->ai_addrlen) == 0)
    return made;
  int error = errno;
  socklen_t length = sizeof error;
  if (error != EINPROGRESS || !waitFor(made, POLLOUT, deadline) ||
      getsockopt(made.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0 ||
      error != 0)
    return Socket();
  return made;
}

/// Moves with `move(data, bytes)` until all is done.
template <typename Move>
static bool moveAll(const Socket &socket, short events, size_t bytes,
                    int64_t deadline, Move &&move) {
  for (size_t done = 0; done < bytes;) {
    ssize_t moved = move(done, bytes - done);
    if (moved > 0) {
      done += static_cast<size_t>(moved);
      continue;
    }
    // Nothing, without an error, is the end of the connection.
    bool later = moved < 0 && (errno == EAGAIN || errno == EINTR);
    if (!later || !waitFor(socket, events, deadline))
      return false;
  }
  return true;
}

bool readAll(const Socket &socket, void *data, size_t bytes, int64_t deadline) {
  return moveAll(socket, POLLIN, bytes, deadline, [&](size_t at, size_t left) {
    return ::recv(socket.get(), static_cast<char *>(data) + at, left, 0);
  });
}

bool writeAll(const Socket &socket, const void *data, size_t bytes,
              int64_t deadline) {
  return moveAll(socket, POLLOUT, bytes, deadline, [&](size_t at, size_t left) {
    return ::send(socket.get(), static_cast<const char *>(data) + at, left,
                  MSG_NOSIGNAL);
  });
}

} // namespace moe::engine::nccl
