//===- ScheduleFuzzer.cpp - Any product on any machine --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Blocks are valid whatever the sizes, also where a text forces some of them,
// and nothing is predicted to be faster than the machine.
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/Cost.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fuzzer/FuzzedDataProvider.h>

using namespace moe;

static void require(bool condition, const char *what) {
  if (condition)
    return;
  std::fprintf(stderr, "property violated: %s\n", what);
  std::abort();
}

static void check(const Machine &machine, const ProductShape &shape,
                  const Blocks &b) {
  require(b.tileRows >= 1 && b.tileOutputs >= 1 &&
              b.tileOutputs <= shape.outputs,
          "a tile");
  require(b.tileRows * b.tileOutputs + b.tileRows + 1 <= machine.registers,
          "a tile in registers");
  require(b.depthChunk >= 1 && b.depthChunk <= shape.depth, "a chunk");
  require(b.depthChunk == shape.depth || !shape.hasScalesInDepth() ||
              b.depthChunk % shape.block == 0,
          "whole blocks of scales");
  require(b.rowBlock >= 1 && b.rowBlock % b.tileRows == 0, "whole rows");
  require(b.outBlock >= 1 && b.outBlock % b.tileOutputs == 0, "whole outputs");
  require(b.outBlock % machine.lanes == 0, "whole vectors");
  require(b.taskOutputs >= 1 && b.taskOutputs % b.outBlock == 0,
          "whole blocks of outputs");
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  FuzzedDataProvider input(data, size);
  auto upTo = [&](int64_t least, int64_t most) {
    return input.ConsumeIntegralInRange<int64_t>(least, most);
  };
  constexpr int64_t most = 1 << 20;
  Machine machine = {int64_t(1) << upTo(0, 6), upTo(3, 256), upTo(1, 1 << 24),
                     upTo(1, 1 << 28), upTo(1, 1 << 30)};
  Product product;
  product.bf16 = input.ConsumeBool();
  product.shape = {upTo(1, most),        upTo(1, most), upTo(1, 2),
                   product.bf16 ? 2 : 4, upTo(4, 32),   input.ConsumeBool(),
                   upTo(0, most)};
  Part part = {"product", upTo(1, 512), 1, {}, 0};
  part.probability = 1.0 / double(upTo(1, part.experts));
  int64_t tokens = upTo(1, 10000);
  std::string text = input.ConsumeRemainingBytesAsString();

  Blocks chosen = chooseBlocks(machine, product.shape);
  check(machine, product.shape, chosen);
  if (std::optional<Blocks> parsed = parseBlocks(text, chosen)) {
    std::optional<Blocks> again = parseBlocks(printBlocks(*parsed), chosen);
    require(again && printBlocks(*again) == printBlocks(*parsed),
            "printing is a fixed point");
  }
  product.blocks = chooseBlocks(machine, product.shape, text);
  check(machine, product.shape, product.blocks);

  part.product = product;
  Cost cost = predict(machine, nominalCeilings("znver5", 4), part, tokens);
  require(std::isfinite(cost.seconds) &&
              cost.seconds >= cost.computeSeconds * 0.999 &&
              cost.seconds >= cost.memorySeconds * 0.999,
          "no better than the machine");
  return 0;
}
