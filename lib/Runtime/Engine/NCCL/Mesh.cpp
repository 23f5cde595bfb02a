//===- Mesh.cpp - Messages between any two ranks --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Mesh.h"

#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace moe::engine::nccl {

Mesh::Mesh(int32_t rank, std::vector<Socket> sockets)
    : rank(rank), links(sockets.size()),
      waker(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  for (size_t i = 0; i < sockets.size(); ++i)
    links[i].socket = std::move(sockets[i]);
  if (!waker)
    fail(MOE_IO, "cannot make an eventfd");
}

void Mesh::wake() {
  uint64_t one = 1;
  // Full is as good.
  (void)!::write(waker.get(), &one, sizeof one);
}

/// Under the mutex.
void Mesh::flush(Link &link) {
  while (!link.leaving.empty()) {
    ssize_t sent = ::send(link.socket.get(), link.leaving.data(),
                          link.leaving.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0 && errno == EAGAIN)
      return;
    // What is lost with a connection, `read` finds out.
    link.leaving.erase(0, sent < 0 ? std::string::npos
                                   : static_cast<size_t>(sent));
  }
}

void Mesh::send(int32_t to, const Message &message) {
  std::lock_guard<std::mutex> lock(mutex);
  Link &link = links[static_cast<size_t>(to)];
  if (!link.socket)
    return;
  link.leaving.append(reinterpret_cast<const char *>(&message), sizeof message);
  flush(link);
}

void Mesh::sendAll(const Message &message) {
  for (size_t i = 0; i < links.size(); ++i)
    if (static_cast<int32_t>(i) != rank)
      send(static_cast<int32_t>(i), message);
}

/// Hands on the whole messages; whether the sender is still one of us.
bool Mesh::takeArrived(int32_t from, const Listener &listener) {
  std::string &arrived = links[static_cast<size_t>(from)].arrived;
  size_t done = 0;
  bool sound = true;
  for (; sound && arrived.size() - done >= sizeof(Message);
       done += sizeof(Message)) {
    Message message;
    std::memcpy(static_cast<void *>(&message), arrived.data() + done,
                sizeof message);
    sound = message.magic == Message::expectedMagic;
    if (!sound)
      break;
    message.rank = from;
    if (message.kind == MessageKind::Bye)
      links[static_cast<size_t>(from)].saidBye = true;
    listener.hear(message);
  }
  arrived.erase(0, done);
  return sound;
}

void Mesh::read(int32_t from, const Listener &listener) {
  Link &link = links[static_cast<size_t>(from)];
  char buffer[16 * sizeof(Message)];
  for (;;) {
    ssize_t got = ::recv(link.socket.get(), buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 && errno == EAGAIN)
      return;
    if (got > 0) {
      link.arrived.append(buffer, static_cast<size_t>(got));
      if (takeArrived(from, listener))
        continue;
    }
    {
      std::lock_guard<std::mutex> lock(mutex);
      link.socket = Socket();
    }
    if (!link.saidBye)
      listener.ended(from);
    return;
  }
}

void Mesh::poll(bool waits, const Listener &listener) {
  std::vector<pollfd> wanted = {{waker.get(), POLLIN, 0}};
  std::vector<int32_t> ranks = {rank};
  {
    std::lock_guard<std::mutex> lock(mutex);
    for (size_t i = 0; i < links.size(); ++i)
      if (links[i].socket) {
        flush(links[i]);
        short events = POLLIN;
        if (!links[i].leaving.empty())
          events |= POLLOUT;
        wanted.push_back({links[i].socket.get(), events, 0});
        ranks.push_back(static_cast<int32_t>(i));
      }
  }
  if (::poll(wanted.data(), wanted.size(), waits ? -1 : 0) <= 0)
    return;
  if (wanted[0].revents) {
    uint64_t count;
    (void)!::read(waker.get(), &count, sizeof count);
  }
  for (size_t i = 1; i < wanted.size(); ++i)
    if (wanted[i].revents)
      read(ranks[i], listener);
}

} // namespace moe::engine::nccl
