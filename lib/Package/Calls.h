//===- Calls.h - The C functions of every package -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One table, from which both the header and the code behind it are made.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_PACKAGE_CALLS_H
#define MOE_LIB_PACKAGE_CALLS_H

#include "llvm/ADT/StringRef.h"

namespace moe {

/// NAME_`suffix` passes its arguments on to `runtime`. `{n}` in the text is the
/// package's name; all parameters are pointers.
struct Call {
  llvm::StringLiteral suffix, runtime, result, parameters;
  unsigned numParameters;
  /// Whether the package itself comes before the parameters.
  bool passesPackage;
  /// Whether the parameters are passed on at all.
  bool passesParameters;
  llvm::StringLiteral comment;
};

inline constexpr Call calls[] = {
    {"create", "moe_layer_create", "moe_status", "{n}_t **layer", 1, true, true,
     "A layer without weights; destroy it with {n}_destroy."},
    {"create_in", "moe_layer_create_in", "moe_status",
     "const char *cpu, moe_world *world, {n}_t **layer", 3, true, true,
     "The layer of one of several ranks, which all call it; cpu may be NULL."},
    {"create_with", "moe_layer_create_with", "moe_status",
     "const moe_layer_options *options, {n}_t **layer", 2, true, true,
     "A layer on a device of the caller's choice."},
    {"share", "moe_layer_share", "moe_status",
     "const {n}_t *layer, {n}_t **shared", 2, false, true,
     "A further layer for another thread, with the same weights and fresh "
     "state."},
    {"destroy", "moe_layer_destroy", "void", "{n}_t *layer", 1, false, true,
     "NULL is allowed."},
    {"load_weights", "moe_layer_load_weights", "moe_status",
     "{n}_t *layer, const char *path, moe_progress progress, void *user", 4,
     false, true,
     "All weights from a .safetensors file or .safetensors.index.json; "
     "progress may be NULL."},
    {"set_weight", "moe_layer_set_weight", "moe_status",
     "{n}_t *layer, const char *name, const DLTensor *value", 3, false, true,
     "Copies one weight in, by its name in the manifest."},
    {"borrow_weight", "moe_layer_borrow_weight", "moe_status",
     "{n}_t *layer, const char *name, const DLTensor *value", 3, false, true,
     "Uses the caller's memory for one weight; see moe_layer_borrow_weight."},
    {"get", "moe_layer_get", "moe_status",
     "{n}_t *layer, const char *name, DLTensor *view", 3, false, true,
     "A view of a weight, of state, or of the last forward's routing plan."},
    {"statistics", "moe_layer_statistics", "moe_status",
     "{n}_t *layer, moe_statistics *statistics", 2, false, true,
     "Loads, imbalance, drops and times of the last forward."},
    {"reset", "moe_layer_reset", "moe_status", "{n}_t *layer", 1, false, true,
     "Puts state back to what it was at creation."},
    {"error", "moe_last_error", "const char *", "const {n}_t *layer", 1, false,
     false, "What went wrong in this thread's last failed call."},
};

} // namespace moe

#endif // MOE_LIB_PACKAGE_CALLS_H
