//===- Pieces.cpp - What a load will do -----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Chooses among the sources of each weight and finds their tensors.
//
//===----------------------------------------------------------------------===//

#include "Cut.h"
#include "Leftovers.h"
#include "Match.h"
#include "NamePattern.h"
#include "Packed.h"
#include "Status.h"

#include <algorithm>

namespace moe::runtime {

static int64_t upTo(int64_t count, int64_t block) {
  return block == 0 ? 1 : count / block + (count % block != 0);
}

int64_t Piece::firstRow() const {
  switch (conversion) {
  case Conversion::awqWeights:
    return 2 * firstInput;
  case Conversion::compressedZeros:
    return firstOutput / 8;
  default:
    return transposed ? firstInput : firstOutput / outputStep * outputStep;
  }
}

int64_t Piece::endRow() const {
  int64_t lastOutput = firstOutput + (outputs - 1) * outputStep;
  switch (conversion) {
  case Conversion::awqWeights:
    return 2 * (firstInput + inputs);
  case Conversion::compressedZeros:
    return lastOutput / 8 + 1;
  default:
    return transposed ? firstInput + inputs
                      : (lastOutput / outputStep + 1) * outputStep;
  }
}

int64_t DecodedPiece::weightBytes() const {
  bool halves =
      decode.coding != Coding::fp8_e4m3 && decode.coding != Coding::int8;
  return outputs * (halves ? inputs / 2 : inputs);
}

int64_t DecodedPiece::scaleRows() const {
  return hasByteScales() ? outputs : upTo(outputs, decode.outputs);
}

int64_t DecodedPiece::scaleColumns() const {
  if (hasByteScales())
    return inputs / (decode.coding == Coding::mxfp4 ? 32 : 16);
  return upTo(inputs, decode.inputs);
}

namespace {

class PieceFinder {
public:
  PieceFinder(int64_t layer, Checkpoint &checkpoint)
      : layer(layer), checkpoint(checkpoint) {}

  WeightPieces find(const Weight &weight, const Slice &slice) {
    bool eachExpert = false;
    WeightPieces pieces = findWhole(weight, eachExpert);
    return weight.shard ? cut(pieces, targetOf(weight, eachExpert), slice)
                        : pieces;
  }

  Leftovers leftovers;

private:
  WeightPieces findWhole(const Weight &weight, bool &eachExpert) {
    WeightPieces pieces;
    if (weight.alternatives.empty()) {
      std::optional<Stored> tensor = checkpoint.find(weight.fileName);
      if (!tensor)
        failMissing({weight.fileName}, 0);
      leftovers.use(weight.fileName);
      pieces.plain.push_back(
          matchTensor(*tensor, Source(), targetOf(weight, false), false));
      return pieces;
    }
    const SourceList &sources = choose(weight);
    eachExpert = sources[0].eachExpert();
    Target target = targetOf(weight, eachExpert);
    int64_t begin = 0, done = 0;
    for (const Source &source : sources) {
      int64_t count =
          sources.size() == 1 ? target.shareable() : countOf(source, target);
      if (count > target.shareable() - done)
        failCount(weight, sources, target, done + count);
      Target share = target.share(count);
      if (source.decode)
        addDecoded(source, share, begin, pieces);
      else
        addTensors(source, share, begin, pieces.plain);
      done += count;
      begin += count * (target.perExpert ? target.unitStride()
                                         : target.inputs * bytes(target.dtype));
    }
    if (done != target.shareable())
      failCount(weight, sources, target, done);
    return pieces;
  }

  std::string firstName(const Source &source) const {
    return filledIn(source.name, layer, 0);
  }

  bool has(const std::vector<Source> &sources) const {
    return std::all_of(sources.begin(), sources.end(), [&](const Source &s) {
      return checkpoint.has(firstName(s));
    });
  }

  /// The first alternative that is there as a whole, or else the first of which
  /// the weights are: what it lacks is named then.
  const SourceList &choose(const Weight &weight) const {
    const SourceList *withoutScales = nullptr;
    for (const SourceList &sources : weight.alternatives) {
      if (!has(sources))
        continue;
      bool whole =
          std::all_of(sources.begin(), sources.end(), [&](const Source &s) {
            return has(s.scales) && has(s.zeros) && has(s.globalScale);
          });
      if (whole)
        return sources;
      if (!withoutScales)
        withoutScales = &sources;
    }
    if (withoutScales)
      return *withoutScales;
    std::vector<std::string> patterns;
    for (const SourceList &sources : weight.alternatives)
      for (const Source &source : sources)
        if (std::find(patterns.begin(), patterns.end(), source.name) ==
            patterns.end())
          patterns.push_back(source.name);
    failMissing(patterns, 0);
  }

  [[noreturn]] void failMissing(const std::vector<std::string> &patterns,
                                int64_t expert) const {
    constexpr size_t most = 8;
    std::string names;
    for (size_t i = 0; i < std::min(patterns.size(), most); ++i)
      names +=
          (i ? ", nor '" : "'") + filledIn(patterns[i], layer, expert) + "'";
    if (patterns.size() > most)
      names += text(", nor ", patterns.size() - most, " others");
    fail(MOE_WEIGHT_MISSING, checkpoint.label(), ": error: there is no tensor ",
         names, nearMiss(checkpoint, patterns, layer, expert));
  }

  [[noreturn]] void failCount(const Weight &weight, const SourceList &sources,
                              const Target &target, int64_t count) const {
    fail(MOE_SHAPE_MISMATCH, checkpoint.label(), ": error: '",
         firstName(sources[0]), "' and what follows it for '", weight.name,
         "': expected ", target.shareable(),
         target.perExpert ? " experts" : " rows", ", found ", count);
  }

  Stored need(const Source &source, int64_t expert) {
    std::string name = filledIn(source.name, layer, expert);
    std::optional<Stored> tensor = checkpoint.find(name);
    if (!tensor)
      failMissing({source.name}, expert);
    leftovers.use(name);
    return *tensor;
  }

  int64_t countOf(const Source &source, const Target &target) {
    if (!source.eachExpert()) {
      Target values = target;
      if (source.decode)
        values = weightsOf(decodedPiece(source, target));
      return countIn(need(source, 0), source, values);
    }
    int64_t count = 0;
    while (checkpoint.has(filledIn(source.name, layer, count)))
      ++count;
    return count;
  }

  void addTensors(const Source &source, const Target &target, int64_t begin,
                  std::vector<Piece> &pieces) {
    int64_t tensors = source.eachExpert() ? target.units : 1;
    for (int64_t e = 0; e < tensors; ++e) {
      Stored tensor = need(source, e);
      pieces.push_back(
          matchTensor(tensor, source, target, source.eachExpert()));
      pieces.back().begin = begin + e * target.unitStride();
      if (target.role == Target::Role::values)
        checkPacked(checkpoint, tensor, source.packing);
    }
  }

  static DecodedPiece decodedPiece(const Source &source, const Target &target) {
    DecodedPiece piece;
    piece.decode = *source.decode;
    piece.units = target.units;
    piece.outputs = target.outputs;
    piece.inputs = target.inputs;
    piece.taken.units = target.units;
    piece.taken.outputs = target.outputs;
    piece.taken.inputs = target.inputs;
    piece.unitStride = target.unitStride();
    piece.pitch = target.inputs * bytes(target.dtype);
    return piece;
  }

  static Target weightsOf(const DecodedPiece &piece) {
    Target target;
    target.dtype = piece.decode.coding == Coding::int8 ? DType::i8 : DType::u8;
    target.perExpert = true;
    target.units = piece.units;
    target.outputs = piece.outputs;
    target.inputs = piece.outputs ? piece.weightBytes() / piece.outputs : 0;
    return target;
  }

  void addDecoded(const Source &source, const Target &target, int64_t begin,
                  WeightPieces &pieces) {
    DecodedPiece piece = decodedPiece(source, target);
    piece.begin = begin;
    piece.dtype = target.dtype;
    Coding coding = piece.decode.coding;
    int64_t multiple = coding == Coding::mxfp4   ? 32
                       : coding == Coding::nvfp4 ? 16
                       : coding == Coding::int4  ? 2
                                                 : 1;
    std::string where = checkpoint.label() + ": error: '" + firstName(source) +
                        "': its kind of weights ";
    if (target.dtype != DType::f32 && target.dtype != DType::bf16 &&
        target.dtype != DType::f16)
      fail(MOE_DTYPE_MISMATCH, where, "gives f32, bf16 or f16, expected ",
           name(target.dtype));
    if (target.inputs % multiple)
      fail(MOE_SHAPE_MISMATCH, where, "needs a multiple of ", multiple,
           " inputs, expected ", target.inputs);
    addTensors(source, weightsOf(piece), 0, piece.weights);
    Target scales;
    scales.dtype = piece.hasByteScales() ? DType::u8 : DType::f32;
    scales.role = Target::Role::scales;
    scales.perExpert = true;
    scales.units = piece.units;
    scales.outputs = piece.scaleRows();
    scales.inputs = piece.scaleColumns();
    addBeside(source.scales, scales, piece.scales);
    scales.dtype = DType::u8;
    scales.role = Target::Role::zeros;
    addBeside(source.zeros, scales, piece.zeros);
    scales.dtype = DType::f32;
    scales.role = Target::Role::scales;
    scales.outputs = scales.inputs = 1;
    addBeside(source.globalScale, scales, piece.globalScale);
    pieces.decoded.push_back(std::move(piece));
  }

  void addBeside(const std::vector<Source> &sources, const Target &target,
                 std::vector<Piece> &pieces) {
    for (const Source &source : sources)
      addTensors(source, target, 0, pieces);
  }

  int64_t layer;
  Checkpoint &checkpoint;
};

} // namespace

std::vector<WeightPieces> findPieces(const Manifest &manifest,
                                     const std::vector<Slice> &slices,
                                     int64_t layer, Checkpoint &checkpoint) {
  PieceFinder finder(layer, checkpoint);
  std::vector<WeightPieces> pieces;
  for (size_t i = 0; i < manifest.weights.size(); ++i)
    pieces.push_back(finder.find(manifest.weights[i], slices[i]));
  finder.leftovers.check(manifest, layer, checkpoint);
  return pieces;
}

} // namespace moe::runtime
