//===- Collectives.h - What members of a group do together ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each is called within an operation of the world, by all members of the group,
// and returns when this rank's memory is its own again. Groups of one member
// do not reach the engine.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_COLLECTIVE_COLLECTIVES_H
#define MOE_LIB_RUNTIME_COLLECTIVE_COLLECTIVES_H

#include "../Status.h"
#include "Space.h"

namespace moe::runtime {

/// Who does what with whom.
struct Context {
  moe_world &world;
  Operation &operation;
  Group &group;
  Space &space; ///< that rows lie in

  /// Moves rows.
  void move(const std::vector<moe_piece> &send,
            const std::vector<moe_piece> &receive) const {
    Moving moving;
    space.start(operation, group, send, receive, moving);
    space.finish(operation, moving);
  }
  /// Moves what is the host's, wherever rows lie.
  void moveNumbers(const std::vector<moe_piece> &send,
                   const std::vector<moe_piece> &receive) const {
    world.move(operation, group, send.data(), receive.data());
  }

  /// Fails: what this rank has does not fit.
  template <typename... Parts>
  [[noreturn]] void mismatch(const Parts &...parts) const {
    fail(MOE_OP_MISMATCH, world.where(operation), ": ", parts...);
  }
};

/// `receive` may be `send`.
void allReduce(const Context &context, moe_reduction reduce, moe_element dtype,
               const void *send, void *receive, int64_t count);
/// Whose rows there are how many of. `even`: `rows` of all together, of which
/// each member has a share; else `rows` is the number of this member's, and
/// those of the others are asked for, unless they are known.
struct RowShares {
  int64_t rows;
  bool even;
  std::vector<int64_t> *known = nullptr; ///< of all members, or empty
};
/// Without a reduction `receive` has the parts of all members.
void reduceScatter(const Context &context, moe_reduction reduce,
                   moe_element dtype, const void *send, void *receive,
                   const RowShares &shares, int64_t row);
void allGather(const Context &context, const void *send, void *receive,
               const RowShares &shares, int64_t rowBytes);
void broadcast(const Context &context, int32_t root, const void *send,
               void *receive, int64_t size);
/// To the other one of two members, and from it.
void send(const Context &pair, const void *data, int64_t size);
void receive(const Context &pair, void *data, int64_t size);
void barrier(const Context &context);

/// Bytes that go to each member and come from each.
struct Traffic {
  const void *send;
  void *receive;
  const std::vector<int64_t> &sent, &received;
};

/// Pieces lie by member.
void allToAllV(const Context &context, Pattern pattern, const Traffic &traffic);
/// The same with pieces that all have `size` bytes.
void allToAll(const Context &context, Pattern pattern, const void *send,
              void *receive, int64_t size);
/// As allToAllV, but every pair moves `bound` bytes, whatever its piece has.
void allToAllPadded(const Context &context, Pattern pattern,
                    const Traffic &traffic, int64_t bound);

/// Puts the pieces of a buffer one after the other.
void layOut(std::vector<moe_piece> &pieces, const void *base,
            const std::vector<int64_t> &sizes);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_COLLECTIVE_COLLECTIVES_H
