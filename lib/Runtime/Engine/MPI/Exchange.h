//===- Exchange.h - One exchange over MPI -----------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A header goes to each member, and small pieces with it; larger ones follow in
// chunks. All of it is under way from the start: messages between two ranks do
// not overtake each other, so that order alone tells exchanges apart.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_MPI_EXCHANGE_H
#define MOE_LIB_RUNTIME_ENGINE_MPI_EXCHANGE_H

#include "../Support/Agreement.h"

#include <mpi.h>

namespace moe::engine {

enum MessageTag { HeaderTag = 1, PieceTag = 2, AbortTag = 3 };

class Exchange {
public:
  /// Starts it.
  Exchange(const moe_transfer &transfer, MPI_Comm comm);

  /// Whether it has ended; throws if it ended badly.
  bool advance();
  /// Members of whom something has not come, as ranks.
  std::vector<int32_t> missing() const;
  /// Whether each member has said where it is.
  bool allCame() const;
  /// Makes MPI forget it, before `deadline`; whether it has.
  bool cancel(int64_t deadline);

private:
  struct Part {
    int32_t member;
    bool receives, isHeader;
  };
  void startHeader(int32_t member);
  void startChunks(int32_t member);
  char *sentHeader(int32_t member);
  char *arrivedHeader(int32_t member);
  void add(const Part &part);
  void end(const Part &part, int code);
  void endHeader(int32_t member);
  bool isPending(int32_t member, bool headersOnly) const;

  moe_transfer transfer;
  MPI_Comm comm;
  std::vector<char> headers; /* sent to each member, then arrived */
  std::vector<MPI_Request> requests;
  std::vector<Part> parts; /* what each request is */
  std::vector<int> ended;  /* for MPI_Testsome */
  std::vector<MPI_Status> codes;
};

} // namespace moe::engine

#endif // MOE_LIB_RUNTIME_ENGINE_MPI_EXCHANGE_H
