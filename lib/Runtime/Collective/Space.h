//===- Space.h - Memory that rows lie in ------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// That of the host, or of a device, where everything happens in the order of a
// stream. Collectives are written once for both.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_COLLECTIVE_SPACE_H
#define MOE_LIB_RUNTIME_COLLECTIVE_SPACE_H

#include "World.h"

namespace moe::runtime {

/// An exchange of rows that has been started, and the host's copies of pieces
/// where an engine takes no others.
struct Moving {
  Started started;
  void *out = nullptr, *in = nullptr;   ///< memory of copies, the space's
  std::vector<moe_piece> send, receive; ///< copies
  std::vector<moe_piece> to;            ///< what comes, and where it goes
};

class Space {
public:
  virtual ~Space() = default;
  /// Whether sums are made by generated code, around what is here.
  virtual bool isOfDevice() const = 0;
  virtual void copy(void *to, const void *from, int64_t size) = 0;
  virtual void clear(void *to, int64_t size) = 0;
  /// Memory that operations use again and again; `which` is less than 3.
  virtual char *scratch(size_t which, int64_t size) = 0;
  /// What the host sees of `count` counts.
  virtual const int32_t *read(const int32_t *counts, size_t count,
                              Buffer &buffer) = 0;
  virtual void start(const Operation &operation, Group &group,
                     const std::vector<moe_piece> &send,
                     const std::vector<moe_piece> &receive, Moving &moving) = 0;
  virtual void finish(const Operation &operation, Moving &moving) = 0;
};

class HostSpace final : public Space {
public:
  explicit HostSpace(moe_world &world) : world(world) {}
  bool isOfDevice() const override { return false; }
  void copy(void *to, const void *from, int64_t size) override;
  void clear(void *to, int64_t size) override;
  char *scratch(size_t which, int64_t size) override;
  const int32_t *read(const int32_t *counts, size_t, Buffer &) override {
    return counts;
  }
  void start(const Operation &operation, Group &group,
             const std::vector<moe_piece> &send,
             const std::vector<moe_piece> &receive, Moving &moving) override;
  void finish(const Operation &operation, Moving &moving) override;

private:
  moe_world &world;
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_COLLECTIVE_SPACE_H
