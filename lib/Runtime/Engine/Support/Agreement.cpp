//===- Agreement.cpp - What members agree on before pieces count ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Agreement.h"

#include <cstdio>
#include <cstring>

namespace moe::engine {

uint64_t groupNumber(const int32_t *ranks, int32_t members) {
  uint64_t hash = 14695981039346656037u;
  for (int32_t i = 0; i < members; ++i)
    hash = (hash ^ static_cast<uint32_t>(ranks[i])) * 1099511628211u;
  return hash;
}

Header headerFor(const moe_transfer &transfer, int32_t member) {
  Header header = {groupNumber(transfer.ranks, transfer.members),
                   transfer.sequence,
                   transfer.tag,
                   transfer.flags,
                   transfer.send[member].bytes,
                   {}};
  std::snprintf(header.what, sizeof header.what, "%s",
                transfer.what ? transfer.what : "an exchange");
  return header;
}

std::optional<Failure> disagreement(const moe_transfer &transfer,
                                    int32_t member, const Header &said) {
  Header here = headerFor(transfer, member);
  int32_t rank = transfer.ranks[member];
  std::string what(said.what, strnlen(said.what, sizeof said.what));
  auto differ = [&](const auto &...parts) {
    return Failure(MOE_OP_MISMATCH, rank, text("rank ", rank, parts...));
  };
  if (said.group != here.group)
    return differ(" is at ", what, " of another group, expected ", here.what);
  if (said.tag != here.tag)
    return differ(" is at ", what, ", expected ", here.what);
  if (said.sequence != here.sequence)
    return differ(" is at exchange ", said.sequence, " of the group, expected ",
                  here.sequence);
  if (said.flags != here.flags)
    return differ(" has pieces of ", said.flags ? "one size" : "any sizes",
                  ", expected ", here.flags ? "one size" : "any sizes");
  uint64_t expected = transfer.receive[member].bytes;
  if (said.bytes != expected)
    return differ(" sends ", said.bytes, " bytes, expected ", expected);
  return std::nullopt;
}

static void checkMembers(const moe_transfer &transfer, int32_t rank,
                         int32_t size) {
  if (!transfer.ranks || !transfer.send || !transfer.receive)
    fail(MOE_INVALID_ARGUMENT, "a transfer without ranks or pieces");
  if (transfer.self < 0 || transfer.self >= transfer.members)
    fail(MOE_INVALID_ARGUMENT, "this rank is member ", transfer.self, " of ",
         transfer.members);
  if (transfer.ranks[transfer.self] != rank)
    fail(MOE_INVALID_ARGUMENT, "member ", transfer.self, " is rank ",
         transfer.ranks[transfer.self], ", and this is rank ", rank);
  for (int32_t i = 0; i < transfer.members; ++i)
    if (transfer.ranks[i] < (i ? transfer.ranks[i - 1] + 1 : 0) ||
        transfer.ranks[i] >= size)
      fail(MOE_INVALID_ARGUMENT, "member ", i, " is rank ", transfer.ranks[i],
           ", expected ranks below ", size, " in ascending order");
}

static void checkPieces(const moe_transfer &transfer) {
  for (int32_t i = 0; i < transfer.members; ++i)
    if ((transfer.send[i].bytes && !transfer.send[i].data) ||
        (transfer.receive[i].bytes && !transfer.receive[i].data))
      fail(MOE_INVALID_ARGUMENT, "the piece for member ", i, " is null");
  if (transfer.flags & MOE_TRANSFER_EQUAL)
    for (int32_t i = 0; i < transfer.members; ++i)
      if (transfer.send[i].bytes != transfer.send[0].bytes ||
          transfer.receive[i].bytes != transfer.send[0].bytes)
        fail(MOE_INVALID_ARGUMENT, "the pieces for member ", i,
             " have other sizes than those for member 0");
  uint64_t own = transfer.send[transfer.self].bytes;
  if (own != transfer.receive[transfer.self].bytes)
    fail(MOE_INVALID_ARGUMENT, "this rank sends itself ", own,
         " bytes and receives ", transfer.receive[transfer.self].bytes);
}

void checkTransfer(const moe_transfer &transfer, int32_t rank, int32_t size,
                   const char *engine) {
  if (transfer.reduce != MOE_REDUCE_NONE)
    fail(MOE_INVALID_ARGUMENT, "the engine '", engine, "' does not sum");
  checkMembers(transfer, rank, size);
  checkPieces(transfer);
}

void copyOwnPiece(const moe_transfer &transfer) {
  const moe_piece &from = transfer.send[transfer.self];
  const moe_piece &to = transfer.receive[transfer.self];
  if (from.bytes && from.data != to.data)
    std::memmove(to.data, from.data, from.bytes);
}

} // namespace moe::engine
