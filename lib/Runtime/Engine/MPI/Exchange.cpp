//===- Exchange.cpp - One exchange over MPI -------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Exchange.h"

#include "../Support/Waiting.h"
#include "Environment.h"

#include <algorithm>
#include <cstring>

namespace moe::engine {

/// Pieces up to `small` bytes travel with the header. A chunk's size is an int
/// to MPI.
static constexpr uint64_t small = 1024, chunk = uint64_t(64) << 20;
static constexpr size_t headerBytes = sizeof(Header) + small;

static uint64_t withHeader(const moe_piece &piece) {
  return piece.bytes <= small ? piece.bytes : 0;
}

Exchange::Exchange(const moe_transfer &given, MPI_Comm comm)
    : transfer(given), comm(comm),
      headers(2 * headerBytes * static_cast<size_t>(given.members)) {
  try {
    // Receives first: what comes then finds its place at once.
    for (int32_t i = 0; i < transfer.members; ++i)
      if (i != transfer.self)
        startHeader(i);
    for (int32_t i = 0; i < transfer.members; ++i)
      if (i != transfer.self)
        startChunks(i);
  } catch (...) {
    if (!cancel(now() + 100 * milliseconds))
      noteLeftovers();
    throw;
  }
  copyOwnPiece(transfer);
  ended.resize(requests.size());
  codes.resize(requests.size());
}

char *Exchange::sentHeader(int32_t member) {
  return headers.data() + static_cast<size_t>(member) * headerBytes;
}

char *Exchange::arrivedHeader(int32_t member) {
  return sentHeader(transfer.members + member);
}

void Exchange::add(const Part &part) {
  parts.push_back(part);
  requests.push_back(MPI_REQUEST_NULL);
}

void Exchange::startHeader(int32_t member) {
  int rank = transfer.ranks[member];
  add({member, true, true});
  checkMpi(MPI_Irecv(arrivedHeader(member), headerBytes, MPI_BYTE, rank,
                     HeaderTag, comm, &requests.back()),
           "MPI_Irecv");
  const moe_piece &piece = transfer.send[member];
  Header header = headerFor(transfer, member);
  char *message = sentHeader(member);
  std::memcpy(message, &header, sizeof header);
  if (uint64_t bytes = withHeader(piece))
    std::memcpy(message + sizeof header, piece.data, bytes);
  add({member, false, true});
  checkMpi(MPI_Isend(message,
                     static_cast<int>(sizeof header + withHeader(piece)),
                     MPI_BYTE, rank, HeaderTag, comm, &requests.back()),
           "MPI_Isend");
}

void Exchange::startChunks(int32_t member) {
  int rank = transfer.ranks[member];
  auto eachChunk = [](const moe_piece &piece, auto &&body) {
    for (uint64_t done = 0; piece.bytes > small && done < piece.bytes;
         done += chunk)
      body(static_cast<char *>(piece.data) + done,
           static_cast<int>(std::min(chunk, piece.bytes - done)));
  };
  eachChunk(transfer.receive[member], [&](char *data, int bytes) {
    add({member, true, false});
    checkMpi(MPI_Irecv(data, bytes, MPI_BYTE, rank, PieceTag, comm,
                       &requests.back()),
             "MPI_Irecv");
  });
  eachChunk(transfer.send[member], [&](char *data, int bytes) {
    add({member, false, false});
    checkMpi(MPI_Isend(data, bytes, MPI_BYTE, rank, PieceTag, comm,
                       &requests.back()),
             "MPI_Isend");
  });
}

void Exchange::endHeader(int32_t member) {
  Header said;
  std::memcpy(&said, arrivedHeader(member), sizeof said);
  if (auto failure = disagreement(transfer, member, said))
    failAgain(*failure);
  const moe_piece &piece = transfer.receive[member];
  if (uint64_t bytes = withHeader(piece))
    std::memcpy(piece.data, arrivedHeader(member) + sizeof said, bytes);
}

void Exchange::end(const Part &part, int code) {
  if (code == MPI_SUCCESS) {
    if (part.receives && part.isHeader)
      endHeader(part.member);
    return;
  }
  int32_t rank = transfer.ranks[part.member];
  int kind = code;
  MPI_Error_class(code, &kind);
  if (kind == MPI_ERR_TRUNCATE)
    failOf(MOE_OP_MISMATCH, rank, "rank ", rank, " sends more than the ",
           transfer.receive[part.member].bytes, " bytes that are expected");
  failOf(MOE_RANK_FAILED, rank, part.receives ? "from" : "to", " rank ", rank,
         ": ", mpiError(code));
}

bool Exchange::advance() {
  int count = 0;
  int code = MPI_Testsome(static_cast<int>(requests.size()), requests.data(),
                          &count, ended.data(), codes.data());
  if (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS)
    checkMpi(code, "MPI_Testsome");
  if (count == MPI_UNDEFINED)
    return true;
  // A header says more about what is wrong than a piece.
  for (bool isHeader : {true, false})
    for (int i = 0; i < count; ++i) {
      const Part &part = parts[static_cast<size_t>(ended[i])];
      if (part.isHeader == isHeader)
        end(part, code == MPI_SUCCESS ? MPI_SUCCESS : codes[i].MPI_ERROR);
    }
  return std::all_of(requests.begin(), requests.end(), [](MPI_Request request) {
    return request == MPI_REQUEST_NULL;
  });
}

bool Exchange::isPending(int32_t member, bool headersOnly) const {
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i].member == member && requests[i] != MPI_REQUEST_NULL &&
        (!headersOnly || (parts[i].isHeader && parts[i].receives)))
      return true;
  return false;
}

bool Exchange::allCame() const {
  for (int32_t i = 0; i < transfer.members; ++i)
    if (isPending(i, true))
      return false;
  return true;
}

std::vector<int32_t> Exchange::missing() const {
  bool headersOnly = !allCame();
  std::vector<int32_t> ranks;
  for (int32_t i = 0; i < transfer.members; ++i)
    if (isPending(i, headersOnly))
      ranks.push_back(transfer.ranks[i]);
  return ranks;
}

bool Exchange::cancel(int64_t deadline) {
  for (size_t i = 0; i < requests.size(); ++i)
    if (parts[i].receives && requests[i] != MPI_REQUEST_NULL)
      MPI_Cancel(&requests[i]);
  return waitUntil(deadline, [&] {
    int count = 0;
    ended.resize(requests.size());
    codes.resize(requests.size());
    MPI_Testsome(static_cast<int>(requests.size()), requests.data(), &count,
                 ended.data(), codes.data());
    return count == MPI_UNDEFINED ||
           std::all_of(requests.begin(), requests.end(),
                       [](MPI_Request one) { return one == MPI_REQUEST_NULL; });
  });
}

} // namespace moe::engine
