//===- Cost.h - How long the parts of a forward take ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SCHEDULE_COST_H
#define MOE_SCHEDULE_COST_H

#include "moe/Schedule/Blocks.h"
#include "moe/Schedule/Ceilings.h"

#include <string>
#include <vector>

namespace moe {

struct Spec;

/// The weights of one expert, and how they are gone through.
struct Product {
  ProductShape shape;
  Blocks blocks;
  double weightBytes = 0; // with scales and biases
  bool bf16 = false;      // pairs of bf16 are multiplied
};

/// A step of a forward: a token gives a row to each of `experts` at random.
struct Part {
  std::string name;
  int64_t experts = 1;
  double probability = 1; // that a token goes to a certain one
  std::optional<Product> product;
  double rowOperations = 0; // of vectors of f32, beside the product
};

/// What is expected of `tokens` tokens where routing is uniform.
struct Cost {
  double operations = 0;  // of the product
  double weightBytes = 0; // of the experts that have a row
  double seconds = 0;
  double memorySeconds = 0;  // at best: the weights at full bandwidth
  double computeSeconds = 0; // at best: the operations at the peak
};

/// The share of the peak that one core reaches on `rows` rows, whatever memory
/// does.
double efficiency(const Machine &machine, const Ceilings &ceilings,
                  const Product &product, int64_t rows);

Cost predict(const Machine &machine, const Ceilings &ceilings, const Part &part,
             int64_t tokens);

/// The steps of a forward of a layer, in order. `bf16Pairs`: the CPU multiplies
/// such. `blocks`: forced ones, or empty.
std::vector<Part> partsOf(const Spec &spec, const Machine &machine,
                          bool bf16Pairs, std::string_view blocks = {},
                          bool packs = true);

} // namespace moe

#endif // MOE_SCHEDULE_COST_H
