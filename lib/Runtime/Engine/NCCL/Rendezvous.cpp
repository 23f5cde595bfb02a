//===- Rendezvous.cpp - How ranks find each other -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Rendezvous.h"

#include "../Support/Waiting.h"
#include "Libraries.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <unistd.h>

namespace moe::engine::nccl {

/// A stranger that says nothing is not waited for longer.
static constexpr int64_t patienceWithGuest = 1000 * milliseconds;

static int parsePort(const std::string &words, const std::string &where) {
  char *end = nullptr;
  long port = std::strtol(words.c_str(), &end, 10);
  if (words.empty() || *end || port < 1 || port > 65535)
    fail(MOE_INVALID_ARGUMENT, where, " has the port '", words,
         "', expected a number from 1 to 65535");
  return static_cast<int>(port);
}

static Place placeOfLauncher() {
  const char *host = std::getenv("MASTER_ADDR");
  const char *port = std::getenv("MASTER_PORT");
  if (!host || !*host || !port || !*port)
    fail(MOE_INVALID_ARGUMENT, "ranks do not know where to meet: set "
                               "MASTER_ADDR and MASTER_PORT, or name HOST:PORT "
                               "or a file");
  int number = parsePort(port, "MASTER_PORT");
  if (std::getenv("TORCHELASTIC_RUN_ID"))
    number = number == 65535 ? number - 1 : number + 1;
  return {text(host, ":", number), Address{host, number}, ""};
}

Place findPlace(const char *named) {
  if (!named || !*named)
    return placeOfLauncher();
  std::string name = named;
  size_t colon = name.rfind(':');
  if (name.find('/') != std::string::npos || colon == std::string::npos)
    return {name, std::nullopt, name};
  std::string host = name.substr(0, colon);
  if (host.empty())
    fail(MOE_INVALID_ARGUMENT, "'", name, "' has no host, expected HOST:PORT");
  return {name,
          Address{host, parsePort(name.substr(colon + 1), "'" + name + "'")},
          ""};
}

//===----------------------------------------------------------------------===//
// Messages
//===----------------------------------------------------------------------===//

static bool read(const Socket &from, Message &message, int64_t deadline) {
  return readAll(from, &message, sizeof message, deadline) &&
         message.magic == Message::expectedMagic;
}

static void write(const Socket &to, const Message &message, int32_t rank,
                  int64_t deadline) {
  if (!writeAll(to, &message, sizeof message, deadline))
    failOf(MOE_RANK_FAILED, rank, "rank ", rank, " has ended while ranks met");
}

static void readAnswer(const Socket &from, Message &message, int32_t rank,
                       int64_t deadline) {
  if (!read(from, message, deadline)) {
    if (now() >= deadline)
      failOf(MOE_TIMEOUT, rank, "rank ", rank, " does not answer");
    failOf(MOE_RANK_FAILED, rank, "rank ", rank, " has ended while ranks met");
  }
  if (message.kind != MessageKind::Refusal)
    return;
  Reason reason = message.as<Reason>();
  reason.text[sizeof reason.text - 1] = 0;
  failOf(static_cast<moe_status>(reason.status), reason.rank, reason.text);
}

//===----------------------------------------------------------------------===//
// Rank 0
//===----------------------------------------------------------------------===//

static void checkGuest(const Message &message, const Hello &ours,
                       const std::vector<Socket> &links) {
  Hello theirs = message.as<Hello>();
  if (theirs.size != ours.size)
    failOf(MOE_INVALID_ARGUMENT, message.rank, "rank ", message.rank,
           " is one of ", theirs.size, " ranks, and rank 0 one of ", ours.size);
  if (theirs.version != ours.version)
    failOf(MOE_UNAVAILABLE, message.rank, "rank ", message.rank, " has NCCL ",
           versionName(theirs.version), ", and rank 0 ",
           versionName(ours.version), ": all need the same");
  auto index = static_cast<size_t>(message.rank);
  if (index >= links.size() || links[index])
    failOf(MOE_INVALID_ARGUMENT, message.rank, "rank ", message.rank,
           index < links.size() ? " came twice" : " is not below the size");
}

/// Tells a rank why it cannot take part, if it listens.
static void refuse(const Socket &guest, const Failure &failure) {
  Reason reason = {failure.status, failure.rank, {}};
  std::snprintf(reason.text, sizeof reason.text, "%s", failure.what());
  Message message(MessageKind::Refusal, 0, reason);
  writeAll(guest, &message, sizeof message, now() + patienceWithGuest);
}

static std::vector<int32_t> absent(const std::vector<Socket> &links) {
  std::vector<int32_t> ranks;
  for (size_t i = 1; i < links.size(); ++i)
    if (!links[i])
      ranks.push_back(static_cast<int32_t>(i));
  return ranks;
}

/// Where each rank listens, in the order of ranks.
static std::vector<Address> receiveGuests(const Socket &listener,
                                          const Place &place,
                                          const Hello &hello, int64_t deadline,
                                          std::vector<Socket> &links) {
  std::vector<Address> addresses(links.size());
  for (std::vector<int32_t> missing; !(missing = absent(links)).empty();) {
    Socket guest = acceptFrom(listener, deadline);
    if (!guest)
      failOf(MOE_TIMEOUT, missing.front(), nameRanks(missing),
             " did not come to ", place.name);
    Message message;
    if (!read(guest, message, std::min(deadline, now() + patienceWithGuest)) ||
        message.kind != MessageKind::Hello || message.rank < 1)
      continue;
    try {
      checkGuest(message, hello, links);
    } catch (const Failure &failure) {
      refuse(guest, failure);
      throw;
    }
    auto index = static_cast<size_t>(message.rank);
    addresses[index] = {hostThere(guest), message.as<Hello>().port};
    links[index] = std::move(guest);
  }
  return addresses;
}

/// There in one piece, or not yet.
static void writePlace(const std::string &file, int port) {
  std::string fresh = file + ".new";
  std::ofstream(fresh) << port << "\n";
  if (std::rename(fresh.c_str(), file.c_str()) != 0)
    fail(MOE_IO, "cannot write '", file, "', where ranks are to meet");
}

static std::vector<Socket> receive(const Place &place, const Hello &hello,
                                   int64_t deadline) {
  std::vector<Socket> links(static_cast<size_t>(hello.size));
  Socket listener = listenAt(place.address.value_or(Address{"127.0.0.1", 0}));
  if (!place.address)
    writePlace(place.file, portOf(listener));
  try {
    std::vector<Address> addresses =
        receiveGuests(listener, place, hello, deadline, links);
    // To each the ranks before it, then itself: all have come.
    for (int32_t to = 1; to < hello.size; ++to)
      for (int32_t of = 1; of <= to; ++of) {
        const Address &address = addresses[static_cast<size_t>(of)];
        Listening where = {address.port, {}};
        std::snprintf(where.host, sizeof where.host, "%s",
                      address.host.c_str());
        write(links[static_cast<size_t>(to)], {MessageKind::Address, of, where},
              to, deadline);
      }
  } catch (const Failure &failure) {
    for (const Socket &link : links)
      if (link)
        refuse(link, failure);
    throw;
  }
  if (!place.address)
    std::remove(place.file.c_str());
  return links;
}

//===----------------------------------------------------------------------===//
// The others
//===----------------------------------------------------------------------===//

static std::optional<Address> addressOf(const Place &place) {
  if (place.address)
    return place.address;
  Address address = {"127.0.0.1", 0};
  std::ifstream in(place.file);
  if (!(in >> address.port))
    return std::nullopt;
  return address;
}

static Socket reachRankZero(const Place &place, int64_t deadline) {
  while (now() < deadline) {
    if (auto address = addressOf(place))
      if (Socket link = connectTo(*address, deadline))
        return link;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  failOf(MOE_TIMEOUT, 0, "rank 0 is not at ", place.name);
}

/// The ranks above this one come by themselves.
static void awaitHigher(const Socket &listener, int32_t rank, int64_t deadline,
                        std::vector<Socket> &links) {
  auto first = links.begin() + rank + 1;
  while (std::any_of(first, links.end(), [](const Socket &s) { return !s; })) {
    Socket guest = acceptFrom(listener, deadline);
    if (!guest)
      fail(MOE_TIMEOUT, "not all ranks above ", rank, " did come to it");
    Message message;
    if (read(guest, message, std::min(deadline, now() + patienceWithGuest)) &&
        message.kind == MessageKind::Hello && message.rank > rank &&
        static_cast<size_t>(message.rank) < links.size())
      links[static_cast<size_t>(message.rank)] = std::move(guest);
  }
}

static std::vector<Socket> join(const Place &place, int32_t rank, Hello hello,
                                int64_t deadline) {
  std::vector<Socket> links(static_cast<size_t>(hello.size));
  links[0] = reachRankZero(place, deadline);
  Socket listener = listenAt({hostHere(links[0]), 0});
  hello.port = portOf(listener);
  write(links[0], {MessageKind::Hello, rank, hello}, 0, deadline);
  for (int32_t of = 1; of <= rank; ++of) {
    Message message;
    readAnswer(links[0], message, 0, deadline);
    if (message.kind != MessageKind::Address)
      failOf(MOE_RANK_FAILED, 0, "rank 0 does not say where ranks are");
    if (of == rank)
      break;
    Socket &link = links[static_cast<size_t>(of)];
    auto where = message.as<Listening>();
    where.host[sizeof where.host - 1] = 0;
    link = connectTo({where.host, where.port}, deadline);
    if (!link)
      failOf(MOE_RANK_FAILED, of, "rank ", of, " is not at ", where.host, ":",
             where.port);
    write(link, {MessageKind::Hello, rank, hello}, of, deadline);
  }
  awaitHigher(listener, rank, deadline, links);
  return links;
}

std::vector<Socket> meet(const Place &place, int32_t rank, const Hello &hello,
                         int64_t deadline) {
  return rank == 0 ? receive(place, hello, deadline)
                   : join(place, rank, hello, deadline);
}

} // namespace moe::engine::nccl
