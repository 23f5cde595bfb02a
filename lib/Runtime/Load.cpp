//===- Load.cpp - Loads the weights of a layer ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A load reads everything into new memory and replaces what the layer had at
// the end, in one step that cannot fail. Beyond the weights themselves it holds
// the quantised arrays of one expert, and little else.
//
//===----------------------------------------------------------------------===//

#include "DecodeRows.h"
#include "Layer.h"
#include "Status.h"
#include "Strips.h"
#include "Threads.h"
#include "Transfer.h"

#include <algorithm>
#include <tuple>

namespace moe::runtime {

namespace {

/// Read and decoded at a time: what is read is in the cache still.
constexpr int64_t sliceBytes = int64_t(192) << 10;

class Loader {
public:
  Loader(const Manifest &manifest, const std::vector<Slice> &slices,
         int64_t layer, const std::string &path, moe_progress progress,
         void *user)
      : manifest(manifest), slices(slices), path(path), progress(progress),
        user(user), checkpoint(path),
        pieces(findPieces(manifest, slices, layer, checkpoint)),
        buffers(manifest.weights.size()) {}

  std::vector<Buffer> load() {
    std::vector<std::vector<Transfer>> transfers = planTransfers();
    for (const std::vector<Transfer> &list : transfers)
      for (const Transfer &transfer : list)
        total += transfer.size;
    for (const WeightPieces &weight : pieces)
      for (const DecodedPiece &piece : weight.decoded)
        total += bytesOf(piece);
    for (size_t i = 0; i < pieces.size(); ++i) {
      runTransfers(transfers[i], [&](uint64_t bytes) { report(i, bytes); });
      for (const DecodedPiece &piece : pieces[i].decoded)
        decode(piece, i);
    }
    return std::move(buffers);
  }

private:
  /// For each weight what has to be read. What several weights are made of row
  /// by row is read once, with the first of them.
  std::vector<std::vector<Transfer>> planTransfers() {
    using View = std::tuple<const SafetensorsEntry *, int64_t, int64_t, int64_t,
                            int64_t, int64_t, int64_t>;
    struct Shared {
      size_t weight;
      std::vector<Destination> to;
    };
    std::map<View, size_t> known;
    std::vector<Shared> shared;
    std::vector<std::vector<Transfer>> transfers(pieces.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
      int64_t size = manifest.weights[i].byteSize;
      buffers[i].ensure(size);
      if (slices[i].hasZeros())
        std::memset(buffers[i].data(), 0, size_t(size));
      for (const Piece &piece : pieces[i].plain) {
        Destination to = {&piece, address(i) + piece.begin};
        if (piece.isPlain() || piece.broadcast) {
          addTransfers({to}, 0, piece.units, transfers[i]);
          continue;
        }
        View view = {piece.tensor.entry, piece.firstUnit, piece.units,
                     piece.rows,         piece.fileBytes, piece.firstRow(),
                     piece.endRow()};
        auto [place, fresh] = known.emplace(view, shared.size());
        if (fresh)
          shared.push_back({i, {}});
        shared[place->second].to.push_back(to);
      }
    }
    for (const Shared &group : shared)
      addTransfers(group.to, 0, group.to[0].piece->units,
                   transfers[group.weight]);
    return transfers;
  }

  static uint64_t bytesOf(const DecodedPiece &piece) {
    uint64_t bytes = readsBySlices(piece) ? bytesOfSlices(piece) : 0;
    for (int64_t i = 0; i < piece.taken.units; ++i) {
      int64_t unit = piece.taken.firstUnit + i;
      for (const auto *array :
           {&piece.weights, &piece.scales, &piece.zeros, &piece.globalScale})
        if (array != &piece.weights || !readsBySlices(piece))
          for (const Transfer &transfer : transfersOf(*array, unit, nullptr))
            bytes += transfer.size;
    }
    return bytes;
  }

  /// Whether a few rows of the weights can be read by themselves.
  static bool readsBySlices(const DecodedPiece &piece) {
    return std::all_of(piece.weights.begin(), piece.weights.end(),
                       [](const Piece &p) { return p.isPlain(); });
  }

  static uint64_t bytesOfSlices(const DecodedPiece &piece) {
    int64_t row = piece.weightBytes() / std::max<int64_t>(piece.outputs, 1);
    return uint64_t(piece.taken.units * piece.taken.outputs * row);
  }

  /// What one unit of an array is read with: a tensor of its own, or a part of
  /// the only one.
  static std::vector<Transfer> transfersOf(const std::vector<Piece> &array,
                                           int64_t unit, char *to) {
    std::vector<Transfer> transfers;
    if (array.empty())
      return transfers;
    bool one = array.size() == 1;
    int64_t first = one ? unit : 0;
    Destination destination;
    destination.piece = &array[one ? 0 : static_cast<size_t>(unit)];
    destination.unit = to;
    addTransfers({destination}, first, first + 1, transfers);
    return transfers;
  }

  /// As many as share scales where that is not too much.
  static int64_t rowsOfSlice(const DecodedPiece &piece, int64_t rowBytes) {
    int64_t rows =
        std::max<int64_t>(sliceBytes / std::max<int64_t>(rowBytes, 1), 1);
    int64_t block = piece.hasByteScales() ? 1 : piece.decode.outputs;
    return block > 0 && block < rows ? rows / block * block : rows;
  }

  /// Rows of one unit of weights that stand in the file as they are.
  static void readRows(const std::vector<Piece> &array, int64_t unit,
                       int64_t begin, int64_t end, void *to) {
    bool one = array.size() == 1;
    const Piece &piece = array[one ? 0 : static_cast<size_t>(unit)];
    uint64_t row = uint64_t(piece.firstOutput + begin);
    uint64_t offset = piece.tensor.entry->begin +
                      (one ? uint64_t(unit) * piece.unitBytes() : 0) +
                      row * piece.rowBytes();
    piece.tensor.file->read(offset, to,
                            size_t(end - begin) * size_t(piece.rowBytes()));
  }

  /// Units whose scales are held together: few threads wait, and there are no
  /// more bytes of them than one unit has of weights.
  static int64_t unitsTogether(const DecodedPiece &piece, int64_t scaleBytes) {
    constexpr int64_t batchBytes = int64_t(64) << 20;
    int64_t weightBytes = std::max<int64_t>(piece.weightBytes(), 1);
    return std::max<int64_t>(
        std::min(weightBytes / scaleBytes, batchBytes / weightBytes), 1);
  }

  void decode(const DecodedPiece &piece, size_t weight) {
    bool bySlices = readsBySlices(piece);
    const DecodedPiece::Taken &taken = piece.taken;
    int64_t scales = piece.scaleRows() * piece.scaleColumns();
    int64_t scaleBytes = scales * (piece.hasByteScales() ? 1 : 4);
    int64_t zeroBytes = piece.zeros.empty() ? 0 : scales, globalBytes = 4;
    int64_t together =
        bySlices ? unitsTogether(piece, scaleBytes + zeroBytes + globalBytes)
                 : 1;
    together = std::min(together, std::max<int64_t>(taken.units, 1));
    Buffer weights, scaleValues, zeros, globalScale;
    weights.ensure(bySlices ? 0 : piece.weightBytes());
    scaleValues.ensure(together * scaleBytes);
    zeros.ensure(together * zeroBytes);
    globalScale.ensure(together * globalBytes);
    int64_t rowBytes =
        piece.weightBytes() / std::max<int64_t>(piece.outputs, 1);
    int64_t rows = rowsOfSlice(piece, rowBytes);
    // Slices begin where scales do, which those of a rank need not.
    int64_t firstSlice = taken.firstOutput / rows;
    int64_t endOutput = taken.firstOutput + taken.outputs;
    int64_t slices = (endOutput + rows - 1) / rows - firstSlice;
    for (int64_t first = 0; first < taken.units; first += together) {
      int64_t count = std::min(together, taken.units - first);
      int64_t firstUnit = taken.firstUnit + first;
      uint64_t bytes = 0;
      std::vector<Transfer> transfers;
      auto read = [&](const std::vector<Piece> &array, const Buffer &to,
                      int64_t stride) {
        for (int64_t i = 0; i < count; ++i)
          for (Transfer &transfer :
               transfersOf(array, firstUnit + i,
                           static_cast<char *>(to.data()) + i * stride))
            transfers.push_back(std::move(transfer));
      };
      if (!bySlices)
        read(piece.weights, weights, 0);
      read(piece.scales, scaleValues, scaleBytes);
      read(piece.zeros, zeros, zeroBytes);
      read(piece.globalScale, globalScale, globalBytes);
      runTransfers(transfers, [&](uint64_t more) { bytes += more; });
      onAllThreads(count * slices, [&](int64_t slice, Buffer &scratch) {
        int64_t i = slice / slices;
        int64_t begin = (firstSlice + slice % slices) * rows;
        int64_t end = std::min(begin + rows, endOutput);
        begin = std::max(begin, taken.firstOutput);
        auto at = [](const Buffer &buffer, int64_t place) {
          return static_cast<const char *>(buffer.data()) + place;
        };
        QuantisedUnit unit = {at(weights, 0), at(scaleValues, i * scaleBytes),
                              at(zeros, i * zeroBytes),
                              at(globalScale, i * globalBytes)};
        if (bySlices) {
          scratch.ensure(rows * rowBytes);
          readRows(piece.weights, firstUnit + i, begin, end, scratch.data());
          unit.weights = at(scratch, 0);
          unit.firstRow = begin;
        }
        decodeRows(piece, unit, begin, end,
                   address(weight) + piece.begin +
                       (first + i) * piece.unitStride);
      });
      if (bySlices)
        bytes += uint64_t(count * taken.outputs * rowBytes);
      report(weight, bytes);
    }
  }

  void report(size_t weight, uint64_t bytes) {
    done += bytes;
    if (progress &&
        progress(user, manifest.weights[weight].name.c_str(), done, total))
      fail(MOE_CANCELLED, path, ": cancelled at '",
           manifest.weights[weight].fileName, "'");
  }

  char *address(size_t weight) const {
    return static_cast<char *>(buffers[weight].data());
  }

  const Manifest &manifest;
  const std::vector<Slice> &slices;
  const std::string &path;
  moe_progress progress;
  void *user;
  Checkpoint checkpoint;
  std::vector<WeightPieces> pieces;
  std::vector<Buffer> buffers;
  uint64_t total = 0, done = 0;
};

} // namespace

void replaceWeights(moe_layer &layer, std::vector<Buffer> &buffers) {
  for (size_t i = 0; i < buffers.size(); ++i)
    if (isPackedBy(layer, i))
      toStrips(buffers[i].data(), layer.manifest().weights[i]);
  std::lock_guard<std::shared_mutex> lock(layer.weights->mutex);
  for (size_t i = 0; i < buffers.size(); ++i)
    layer.weights->slots[i].replace(buffers[i], isPackedBy(layer, i));
}

static void load(moe_layer &layer, const std::string &path, int64_t number,
                 moe_progress progress, void *user) {
  std::vector<Buffer> buffers =
      Loader(layer.manifest(), layer.slices, number, path, progress, user)
          .load();
  replaceWeights(layer, buffers);
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_status moe_layer_load_weights(moe_layer *layer, const char *path,
                                  moe_progress progress, void *user) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(path, "path");
    load(*layer, path, layer->manifest().checkpoint.layer, progress, user);
  });
}

moe_status moe_layer_load_weights_of(moe_layer *layer, const char *path,
                                     int64_t number, moe_progress progress,
                                     void *user) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(path, "path");
    if (number < 0)
      fail(MOE_INVALID_ARGUMENT, "found layer ", number,
           ", expected 0 or more");
    load(*layer, path, number, progress, user);
  });
}
