//===- Communicators.h - One for each group of ranks ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Made when a group first exchanges something, since NCCL's own way to split
// one needs ranks that are not in the group. The first member makes the id, the
// others hear it from it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_NCCL_COMMUNICATORS_H
#define MOE_LIB_RUNTIME_ENGINE_NCCL_COMMUNICATORS_H

#include "Libraries.h"

#include <map>
#include <memory>
#include <optional>

namespace moe::engine::nccl {

struct GroupId {
  uint64_t group;
  UniqueId id;
};

class Communicators {
public:
  Communicators(const Nccl &nccl, int32_t rank) : nccl(nccl), rank(rank) {}

  /// Ids of new groups that this rank is the first member of are told by
  /// `tell(rank, id)`. Null while the communicator is being made.
  template <typename Tell>
  Comm find(const std::vector<int32_t> &ranks, uint64_t group, Tell &&tell) {
    Entry &entry = entries[group];
    if (ranks.front() == rank && !entry.id) {
      makeId(entry);
      for (int32_t other : ranks)
        if (other != rank)
          tell(other, GroupId{group, *entry.id});
    }
    return advance(entry, ranks);
  }
  void hear(const GroupId &told) { entries[told.group].id = told.id; }

  /// Whether NCCL has done what was asked of it; fails if it cannot.
  bool isIdle(Comm comm) const;
  /// Fails if any has lost a rank.
  void checkAll() const;

  /// Ends them in order, or else by force; whether that was before `deadline`.
  bool close(int64_t deadline);
  /// Ends what runs; whether that was before `deadline`.
  bool abort(int64_t deadline);

private:
  struct Entry {
    std::optional<UniqueId> id;
    Comm comm = nullptr;
    bool ready = false;
  };
  void makeId(Entry &entry);
  Comm advance(Entry &entry, const std::vector<int32_t> &ranks);

  const Nccl &nccl;
  int32_t rank;
  std::map<uint64_t, Entry> entries;
};

} // namespace moe::engine::nccl

#endif // MOE_LIB_RUNTIME_ENGINE_NCCL_COMMUNICATORS_H
