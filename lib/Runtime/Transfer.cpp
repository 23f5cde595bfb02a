//===- Transfer.cpp - Reads pieces ----------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Cuts pieces up and runs them.
//
//===----------------------------------------------------------------------===//

#include "Transfer.h"
#include "Place.h"
#include "Status.h"
#include "Threads.h"

#include <algorithm>

namespace moe::runtime {

/// Plain bytes are read in long runs; rows stay in the second cache until they
/// are placed.
static constexpr uint64_t plainBytes = uint64_t(4) << 20;
static constexpr uint64_t stagedBytes = uint64_t(192) << 10;
/// Not worth waking other threads.
static constexpr uint64_t fewBytes = uint64_t(64) << 10;
/// Read between two reports.
static constexpr uint64_t batchBytes = uint64_t(64) << 20;

static void addPlain(const Destination &to, int64_t begin, int64_t end,
                     std::vector<Transfer> &transfers) {
  const Piece &piece = *to.piece;
  uint64_t taken = uint64_t(piece.outputs) * piece.rowBytes();
  bool oneRun =
      piece.rows == piece.outputs && uint64_t(piece.unitStride) == taken;
  uint64_t runs = oneRun ? 1 : uint64_t(end - begin);
  uint64_t run = oneRun ? taken * uint64_t(end - begin) : taken;
  for (uint64_t i = 0; i < runs; ++i) {
    uint64_t from =
        piece.tensor.entry->begin +
        (uint64_t(piece.firstUnit + begin) + i) * piece.unitBytes() +
        uint64_t(piece.firstOutput) * piece.rowBytes();
    for (uint64_t done = 0; done < run; done += plainBytes) {
      Transfer transfer;
      transfer.to = {{&piece, to.unit + i * uint64_t(piece.unitStride) + done}};
      transfer.offset = from + done;
      transfer.size = std::min(plainBytes, run - done);
      transfers.push_back(std::move(transfer));
    }
  }
}

static void addNumber(const Destination &to, int64_t unit, int64_t index,
                      std::vector<Transfer> &transfers) {
  const Piece &piece = *to.piece;
  Transfer transfer;
  transfer.kind = Transfer::Kind::number;
  transfer.to = {{&piece, to.unit + index * piece.unitStride}};
  transfer.offset =
      piece.tensor.entry->begin +
      uint64_t((piece.firstUnit + unit) * piece.rows * piece.fileBytes);
  transfer.size = uint64_t(piece.fileBytes);
  transfers.push_back(std::move(transfer));
}

static void addRows(const std::vector<Destination> &to, int64_t unit,
                    int64_t index, std::vector<Transfer> &transfers) {
  const Piece &view = *to[0].piece;
  int64_t together = 1;
  for (const Destination &destination : to)
    together = std::max(together, rowsTogether(*destination.piece));
  uint64_t rowBytes = view.rowBytes();
  int64_t rows = int64_t(stagedBytes / std::max<uint64_t>(rowBytes, 1)) /
                 together * together;
  rows = std::max(rows, together);
  int64_t endRow = std::min(view.endRow(), view.rows);
  for (int64_t begin = view.firstRow(); rowBytes && begin < endRow;
       begin += rows) {
    Transfer transfer;
    transfer.kind = Transfer::Kind::rows;
    transfer.begin = begin;
    transfer.end = std::min(begin + rows, endRow);
    transfer.offset = view.tensor.entry->begin +
                      uint64_t(view.firstUnit + unit) * view.unitBytes() +
                      uint64_t(begin) * rowBytes;
    transfer.size = uint64_t(transfer.end - begin) * rowBytes;
    for (const Destination &destination : to)
      transfer.to.push_back(
          {destination.piece,
           destination.unit + index * destination.piece->unitStride});
    transfers.push_back(std::move(transfer));
  }
}

void addTransfers(const std::vector<Destination> &to, int64_t begin,
                  int64_t end, std::vector<Transfer> &transfers) {
  if (to[0].piece->isPlain())
    return addPlain(to[0], begin, end, transfers);
  for (int64_t unit = begin; unit < end; ++unit)
    if (to[0].piece->broadcast)
      addNumber(to[0], unit, unit - begin, transfers);
    else
      addRows(to, unit, unit - begin, transfers);
}

static void runRows(const Transfer &transfer, Buffer &scratch) {
  const Piece &view = *transfer.to[0].piece;
  size_t rowBytes = size_t(view.rowBytes());
  size_t count = size_t(transfer.end - transfer.begin);
  // Rows a power of two apart would share few lines of the cache.
  bool turned = std::any_of(
      transfer.to.begin(), transfer.to.end(),
      [](const Destination &d) { return rowsTogether(*d.piece) > 1; });
  size_t pitch = turned ? rowBytes + 64 : rowBytes;
  scratch.ensure(int64_t(pitch * count));
  if (turned)
    view.tensor.file->readRows(transfer.offset, scratch.data(), rowBytes, count,
                               pitch);
  else
    view.tensor.file->read(transfer.offset, scratch.data(), transfer.size);
  Rows rows = {static_cast<const char *>(scratch.data()), transfer.begin,
               transfer.end, int64_t(pitch)};
  try {
    for (const Destination &destination : transfer.to)
      placeRows(*destination.piece, rows, destination.unit);
  } catch (const Error &error) {
    fail(error.status, view.tensor.where(), error.message);
  }
}

static void runOne(const Transfer &transfer, Buffer &scratch) {
  const Destination &to = transfer.to[0];
  switch (transfer.kind) {
  case Transfer::Kind::bytes:
    return to.piece->tensor.file->read(transfer.offset, to.unit, transfer.size);
  case Transfer::Kind::rows:
    return runRows(transfer, scratch);
  case Transfer::Kind::number: {
    char number[8];
    to.piece->tensor.file->read(transfer.offset, number, transfer.size);
    return placeNumber(*to.piece, number, to.unit);
  }
  }
}

void runTransfers(const std::vector<Transfer> &transfers,
                  const std::function<void(uint64_t)> &progress) {
  for (size_t i = 0; i < transfers.size();) {
    size_t end = i;
    uint64_t bytes = 0;
    for (; end < transfers.size() && bytes < batchBytes; ++end)
      bytes += transfers[end].size;
    auto run = [&](int64_t j, Buffer &scratch) {
      runOne(transfers[i + size_t(j)], scratch);
    };
    if (bytes < fewBytes) {
      Buffer scratch;
      for (size_t j = 0; j < end - i; ++j)
        run(int64_t(j), scratch);
    } else {
      onAllThreads(int64_t(end - i), run);
    }
    progress(bytes);
    i = end;
  }
}

} // namespace moe::runtime
