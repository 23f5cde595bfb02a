//===- Messenger.cpp - How ranks tell each other of a failure -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Messenger.h"

#include "Environment.h"
#include "Exchange.h"

#include <algorithm>
#include <cstring>

namespace moe::engine {

Messenger::Messenger(MPI_Comm comm, int32_t rank, int32_t size)
    : comm(comm), rank(rank), size(size) {
  listen();
}

Messenger::~Messenger() {
  if (listening == MPI_REQUEST_NULL)
    return;
  MPI_Cancel(&listening);
  MPI_Request_free(&listening);
}

void Messenger::listen() {
  checkMpi(MPI_Irecv(&heard, sizeof heard, MPI_BYTE, MPI_ANY_SOURCE, AbortTag,
                     comm, &listening),
           "MPI_Irecv");
}

std::optional<Failure> Messenger::hear() {
  int done = 0;
  checkMpi(MPI_Test(&listening, &done, MPI_STATUS_IGNORE), "MPI_Test");
  if (!done)
    return std::nullopt;
  heard.text[sizeof heard.text - 1] = 0;
  Failure failure(static_cast<moe_status>(heard.status), heard.rank,
                  heard.text);
  listen();
  return failure;
}

void Messenger::tell(const Failure &failure) {
  if (!sending.empty())
    return;
  told.status = failure.status;
  told.rank = failure.rank;
  size_t length = std::min(failure.message.size(), sizeof told.text - 1);
  std::memcpy(told.text, failure.message.data(), length);
  for (int32_t other = 0; other < size; ++other) {
    if (other == rank)
      continue;
    sending.push_back(MPI_REQUEST_NULL);
    MPI_Isend(&told, sizeof told, MPI_BYTE, other, AbortTag, comm,
              &sending.back());
  }
}

} // namespace moe::engine
