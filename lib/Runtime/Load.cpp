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
#include "Transfer.h"

#include <algorithm>
#include <tuple>

namespace moe::runtime {

namespace {

/// The decoding of one unit, for all threads.
struct Decoding {
  const DecodedPiece *piece;
  QuantisedUnit unit;
  char *to;

  static void run(void *context, int64_t begin, int64_t end) {
    const Decoding &decoding = *static_cast<const Decoding *>(context);
    decodeRows(*decoding.piece, decoding.unit, begin, end, decoding.to);
  }
};

class Loader {
public:
  Loader(const Manifest &manifest, int64_t layer, const std::string &path,
         moe_progress progress, void *user)
      : manifest(manifest), path(path), progress(progress), user(user),
        checkpoint(path), pieces(findPieces(manifest, layer, checkpoint)),
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
    using View =
        std::tuple<const SafetensorsEntry *, int64_t, int64_t, int64_t>;
    struct Shared {
      size_t weight;
      std::vector<Destination> to;
    };
    std::map<View, size_t> known;
    std::vector<Shared> shared;
    std::vector<std::vector<Transfer>> transfers(pieces.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
      buffers[i].ensure(manifest.weights[i].byteSize);
      for (const Piece &piece : pieces[i].plain) {
        Destination to = {&piece, address(i) + piece.begin};
        if (piece.isPlain() || piece.broadcast) {
          addTransfers({to}, 0, piece.units, transfers[i]);
          continue;
        }
        View view = {piece.tensor.entry, piece.units, piece.rows,
                     piece.fileBytes};
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
    uint64_t bytes = 0;
    for (int64_t unit = 0; unit < piece.units; ++unit)
      for (const auto *array :
           {&piece.weights, &piece.scales, &piece.zeros, &piece.globalScale})
        for (const Transfer &transfer : transfersOf(*array, unit, nullptr))
          bytes += transfer.size;
    return bytes;
  }

  /// What one unit of an array is read with: a tensor of its own, or a part of
  /// the only one.
  static std::vector<Transfer> transfersOf(const std::vector<Piece> &array,
                                           int64_t unit, char *to) {
    std::vector<Transfer> transfers;
    if (array.size() == 1)
      addTransfers({{&array[0], to}}, unit, unit + 1, transfers);
    else if (!array.empty())
      addTransfers({{&array[static_cast<size_t>(unit)], to}}, 0, 1, transfers);
    return transfers;
  }

  void decode(const DecodedPiece &piece, size_t weight) {
    int64_t scales = piece.scaleRows() * piece.scaleColumns();
    Buffer weights, scaleValues, zeros, globalScale;
    weights.ensure(piece.weightBytes());
    scaleValues.ensure(scales * (piece.hasByteScales() ? 1 : 4));
    zeros.ensure(piece.zeros.empty() ? 0 : scales);
    globalScale.ensure(4);
    for (int64_t unit = 0; unit < piece.units; ++unit) {
      uint64_t bytes = 0;
      std::vector<Transfer> transfers;
      auto read = [&](const std::vector<Piece> &array, const Buffer &to) {
        for (Transfer &transfer :
             transfersOf(array, unit, static_cast<char *>(to.data())))
          transfers.push_back(std::move(transfer));
      };
      read(piece.weights, weights);
      read(piece.scales, scaleValues);
      read(piece.zeros, zeros);
      read(piece.globalScale, globalScale);
      runTransfers(transfers, [&](uint64_t count) { bytes += count; });
      auto at = [](const Buffer &buffer) {
        return static_cast<const char *>(buffer.data());
      };
      Decoding decoding = {
          &piece,
          {at(weights), at(scaleValues), at(zeros), at(globalScale)},
          address(weight) + piece.begin + unit * piece.unitStride};
      moe_parallel_for(Decoding::run, &decoding, piece.outputs);
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
  const std::string &path;
  moe_progress progress;
  void *user;
  Checkpoint checkpoint;
  std::vector<WeightPieces> pieces;
  std::vector<Buffer> buffers;
  uint64_t total = 0, done = 0;
};

} // namespace

void replaceWeights(SharedWeights &weights, std::vector<Buffer> &buffers) {
  std::lock_guard<std::shared_mutex> lock(weights.mutex);
  for (size_t i = 0; i < buffers.size(); ++i)
    weights.slots[i].replace(buffers[i]);
}

static void load(moe_layer &layer, const std::string &path, int64_t number,
                 moe_progress progress, void *user) {
  std::vector<Buffer> buffers =
      Loader(layer.manifest(), number, path, progress, user).load();
  replaceWeights(*layer.weights, buffers);
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
