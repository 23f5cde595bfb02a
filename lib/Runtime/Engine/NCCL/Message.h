//===- Message.h - What ranks say to each other -----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_NCCL_MESSAGE_H
#define MOE_LIB_RUNTIME_ENGINE_NCCL_MESSAGE_H

#include <cstdint>
#include <cstring>

namespace moe::engine::nccl {

enum class MessageKind : uint32_t {
  Hello,   /* Hello: who comes */
  Address, /* Listening: where the rank of the message is */
  Refusal, /* Reason: why the ranks cannot run together */
  Part,    /* Header: a member is at an exchange */
  Id,      /* GroupId: of a new communicator */
  Failed,  /* Reason: the rank fails */
  Bye      /* the rank has closed its engine */
};

/// All have one size, so that they are easily taken apart.
struct Message {
  static constexpr uint32_t expectedMagic = 0x314e454d; /* MEN1 */

  Message() = default;
  template <typename Body>
  Message(MessageKind kind, int32_t rank, const Body &content)
      : kind(kind), rank(rank) {
    static_assert(sizeof(Body) <= sizeof body);
    std::memcpy(body, &content, sizeof content);
  }
  template <typename Body> Body as() const {
    static_assert(sizeof(Body) <= sizeof body);
    Body content;
    std::memcpy(&content, body, sizeof content);
    return content;
  }

  uint32_t magic = expectedMagic;
  MessageKind kind = MessageKind::Bye;
  int32_t rank = -1; /* whose it is */
  char body[244] = {};
};
static_assert(sizeof(Message) == 256);

struct Hello {
  int32_t size;
  int32_t port;
  int32_t version; /* of NCCL */
};

struct Listening {
  int32_t port;
  char host[64];
};

struct Reason {
  int32_t status;
  int32_t rank; /* to blame, or -1 */
  char text[232];
};

} // namespace moe::engine::nccl

#endif // MOE_LIB_RUNTIME_ENGINE_NCCL_MESSAGE_H
