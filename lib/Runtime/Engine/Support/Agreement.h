//===- Agreement.h - What members agree on before pieces count --*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Neither MPI nor NCCL says that ranks are at different exchanges: pieces would
// go to the wrong place, or nowhere. So each member tells each other one, once
// per exchange, where it is and how much it sends.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_SUPPORT_AGREEMENT_H
#define MOE_LIB_RUNTIME_ENGINE_SUPPORT_AGREEMENT_H

#include "Failure.h"

#include <optional>

namespace moe::engine {

/// As it is sent; machines that run together have the same byte order.
struct Header {
  uint64_t group;
  uint64_t sequence;
  uint64_t tag;
  uint64_t flags;
  uint64_t bytes; /* to the member that gets this */
  char what[96];  /* for messages */
};

/// Tells one group of ranks from another.
uint64_t groupNumber(const int32_t *ranks, int32_t members);

/// What member `member` hears of this rank's part in the exchange.
Header headerFor(const moe_transfer &transfer, int32_t member);

/// Why what `member` said does not fit this rank's part, if it does not.
std::optional<Failure> disagreement(const moe_transfer &transfer,
                                    int32_t member, const Header &said);

/// Fails unless an engine without sums can start this.
void checkTransfer(const moe_transfer &transfer, int32_t rank, int32_t size,
                   const char *engine);

/// The piece of this rank for itself.
void copyOwnPiece(const moe_transfer &transfer);

} // namespace moe::engine

#endif // MOE_LIB_RUNTIME_ENGINE_SUPPORT_AGREEMENT_H
