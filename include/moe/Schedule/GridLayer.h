//===- GridLayer.h - A layer as a planner of grids sees it ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SCHEDULE_GRIDLAYER_H
#define MOE_SCHEDULE_GRIDLAYER_H

#include "moe/Import/Spec.h"

namespace moe {

/// A weight as a package of one device has it.
struct GridWeight {
  enum class Of { router, experts, shared, other };
  /// What a share over tp has less of.
  enum class Split { none, outputs, inputs };

  std::string name;
  Of of = Of::other;
  Split split = Split::none;
  int64_t inner = 1; // what is split, the inner width of an expert
  int64_t first = 1; // its first dimension, of experts how many they are
  bool isVector = false;
  int64_t bytes = 0;
};

/// Sizes of a layer. What is split over tp comes in whole units: so many
/// outputs or inputs share a scale or a byte.
struct GridLayer {
  std::string name;
  int64_t hidden = 1;
  int64_t width = 1; // of the rows that experts get
  int64_t experts = 1, nullExperts = 0;
  int64_t slots = 1; // places of a token in the plan, which bound its rows
  double rowsPerToken = 1; // on average
  double probability = 1;  // that a token goes to a certain expert
  int64_t intermediate = 1, unit = 1;
  int64_t sharedIntermediate = 0, sharedUnit = 1;
  int64_t activationBytes = 4; // of an element of x and of y
  int64_t rowBytes = 4;        // of an element of a row that an expert reads
  /// Of a row on its way to an expert, and of one on its way back.
  int64_t sentRowBytes = 4, sentResultBytes = 4;
  int64_t chunks = 1;           // that rows are sent in, where they can be
  bool latent = false;          // a projection follows the experts
  bool choosesByLogits = false; // of all tokens: experts choose tokens
  bool choosesForAll = false;   // each rank for the tokens of all
  bool hasLosses = false;
  CapacitySpec capacity;
  /// Bytes of a token of each input and output, x and y first.
  std::vector<int64_t> inputs, outputs;

  // Operations, of which a multiplication and an addition are two.
  double routerOperations = 0; // of a token
  double tokenOperations = 0;  // of a token, not split
  double sharedOperations = 0; // of a token, split over tp
  double rowOperations = 0;    // of a row of an expert

  std::vector<GridWeight> weights;

  int64_t weightBytes() const;
};

GridLayer gridLayerOf(const Spec &spec);

} // namespace moe

#endif // MOE_SCHEDULE_GRIDLAYER_H
