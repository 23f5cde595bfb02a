//===- Rendezvous.h - How ranks find each other -----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rank 0 listens where all know: at an address, or at a free port that it
// writes to a file. The others say where they listen, and get to know that of
// each other; in the end there is a connection between any two ranks.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_NCCL_RENDEZVOUS_H
#define MOE_LIB_RUNTIME_ENGINE_NCCL_RENDEZVOUS_H

#include "Message.h"
#include "Socket.h"

#include <optional>

namespace moe::engine::nccl {

struct Place {
  std::string name; /* for messages */
  std::optional<Address> address;
  std::string file; /* if there is no address */
};

/// "HOST:PORT", or the path of a file, for ranks of one machine. Null: what
/// MASTER_ADDR and MASTER_PORT say; torchrun itself listens there, so with it
/// the port after that is taken.
Place findPlace(const char *named);

/// Connections to all other ranks, by rank.
std::vector<Socket> meet(const Place &place, int32_t rank, const Hello &hello,
                         int64_t deadline);

} // namespace moe::engine::nccl

#endif // MOE_LIB_RUNTIME_ENGINE_NCCL_RENDEZVOUS_H
