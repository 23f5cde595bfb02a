//===- Run.cpp - Runs a function of a package -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Check, lay out, call, report. Nothing is allocated once a layer has run at
// the same sizes or larger ones.
//
//===----------------------------------------------------------------------===//

#include "Device/CUDA/OnDevice.h"
#include "Ranks.h"

#include <cstring>
#include <utility>

namespace moe::runtime {

static void requireWeights(const moe_layer &layer, const Function &function) {
  for (const Argument &argument : function.arguments) {
    int weight = -1;
    if (argument.role == Role::weight)
      weight = argument.index;
    else if (argument.role == Role::state)
      weight = layer.manifest().state[argument.index].initialWeight;
    if (weight >= 0 && !layer.weights->slots[weight].version)
      fail(MOE_WEIGHT_MISSING, "function '", function.name, "': weight '",
           layer.manifest().weights[weight].name, "' was never set");
  }
}

static int64_t workspaceBytes(const Function &function,
                              const FunctionState &state) {
  std::optional<int64_t> total = function.workspaceConstant;
  for (size_t i = 0; total && i < state.sizes.size(); ++i) {
    std::optional<int64_t> part =
        multiply(function.workspacePer[i], state.sizes[i]);
    total = part ? add(*total, *part) : std::nullopt;
  }
  if (!total)
    fail(MOE_SHAPE_MISMATCH, "function '", function.name,
         "': the size of its workspace overflows");
  return *total;
}

/// Sizes and the entries of i32 tensors are counted in 31 bits by the code.
static void checkCounts(const Function &function, const FunctionState &state) {
  for (size_t i = 0; i < state.sizes.size(); ++i)
    if (state.sizes[i] > INT32_MAX)
      fail(MOE_SHAPE_MISMATCH, "function '", function.name, "': found ",
           function.sizes[i], " = ", state.sizes[i], ", expected at most ",
           INT32_MAX);
  for (size_t i = 0; i < function.arguments.size(); ++i) {
    const Argument &argument = function.arguments[i];
    if (argument.dtype != DType::i32)
      continue;
    std::optional<int64_t> bytes = byteCount(
        state.shapes[i].data(), state.shapes[i].size(), argument.dtype);
    if (!bytes || *bytes / 4 > INT32_MAX)
      fail(MOE_SHAPE_MISMATCH, "tensor '", argument.name, "': found the shape ",
           describe(state.shapes[i]), ", expected at most ", INT32_MAX,
           " entries");
  }
}

/// How inputs have to lie. Products of weights in rows read rows of x by whole
/// cache lines; those that lie across lines would cost every product more than
/// a copy does. Products of weights in strips read a word of x at a time.
static size_t inputAlignment(const moe_layer &layer, const Function &function) {
  int64_t inRows = 0, inStrips = 0;
  for (const Argument &argument : function.arguments) {
    if (argument.role != Role::weight)
      continue;
    const Weight &weight = layer.manifest().weights[argument.index];
    int64_t size =
        byteCount(weight.shape.data(), weight.shape.size(), weight.dtype)
            .value_or(0);
    (weight.packed == StripOrder::rows ? inRows : inStrips) += size;
  }
  return inStrips > inRows ? sizeof(uint32_t) : Buffer::alignment;
}

static void alignInput(const Argument &argument, FunctionState &state, size_t i,
                       size_t alignment) {
  if (reinterpret_cast<uintptr_t>(state.pointers[i]) % alignment == 0)
    return;
  std::optional<int64_t> size =
      byteCount(state.shapes[i].data(), state.shapes[i].size(), argument.dtype);
  if (!size || *size == 0)
    return;
  state.buffers[i].ensure(*size);
  std::memcpy(state.buffers[i].data(), state.pointers[i], *size);
  state.pointers[i] = state.buffers[i].data();
}

/// Buffers of the layer's own for plans and unwanted outputs, and pointers to
/// everything. Those of the caller's tensors are there already.
static void layOut(moe_layer &layer, const Function &function,
                   const DLTensor *const *outputs, FunctionState &state) {
  size_t output = 0, count = function.arguments.size();
  size_t alignment = inputAlignment(layer, function);
  for (size_t i = 0; i < count; ++i) {
    const Argument &argument = function.arguments[i];
    switch (argument.role) {
    case Role::input:
      alignInput(argument, state, i, alignment);
      continue;
    case Role::weight:
      state.pointers[i] = layer.weights->slots[argument.index].data();
      continue;
    case Role::state:
      state.pointers[i] = layer.state[argument.index].data.data();
      continue;
    case Role::output:
      if (outputs && outputs[output++])
        continue;
      break;
    case Role::plan:
      break;
    }
    std::optional<int64_t> size = byteCount(
        state.shapes[i].data(), state.shapes[i].size(), argument.dtype);
    if (!size)
      fail(MOE_SHAPE_MISMATCH, "tensor '", argument.name, "': its shape ",
           describe(state.shapes[i]), " overflows");
    state.buffers[i].ensure(*size);
    state.pointers[i] = state.buffers[i].data();
    if (argument.name == "status" || argument.name == "clock")
      std::memset(state.pointers[i], 0, *size);
  }
  layer.workspace.ensure(workspaceBytes(function, state));
  state.pointers[count] = layer.workspace.data();
  state.pointers[count + 1] = state.exchange.get();
}

static void checkStatus(moe_layer &layer, size_t index) {
  const Function &function = layer.manifest().functions[index];
  const FunctionState &state = layer.functions[index];
  int i = function.find("status");
  if (i < 0 || function.arguments[i].role != Role::plan)
    return;
  if (layer.device)
    layer.device->fetchPlan(layer, index, size_t(i));
  int32_t status;
  std::memcpy(&status, state.buffers[i].data(), sizeof status);
  if (!status)
    return;
  if (status < 0)
    fail(MOE_INVALID_ARGUMENT, "function '", function.name, "': token ",
         -(status + int64_t(1)),
         " has no experts: its id, or an expert that the table has for it, is "
         "out of range");
  bool tokens = false;
  for (const std::string &size : function.sizes)
    tokens |= size == "T";
  fail(MOE_NOT_FINITE, "function '", function.name,
       "': ", tokens ? "token " : "element ", status - int64_t(1),
       " is not finite");
}

static void run(moe_layer &layer, const std::string &name,
                const DLTensor *const *inputs, const DLTensor *const *outputs) {
  int index = layer.manifest().findFunction(name);
  if (index < 0)
    fail(MOE_NOT_FOUND, "'", layer.manifest().name, "' has no function '", name,
         "'");
  const Function &function = layer.manifest().functions[index];
  FunctionState &state = layer.functions[index];
  std::shared_lock<std::shared_mutex> lock(layer.weights->mutex);
  requireWeights(layer, function);
  // From here on the old plan is gone, and on failure there is none.
  state.lastRun = 0;
  solveSizes(function, inputs, outputs, state, layer.device != nullptr);
  solveShapes(function, inputs, outputs, state);
  moe_world *world = nullptr;
  if (function.needsRanks()) {
    gatherSums(layer, size_t(index));
    world = layer.world;
  }
  int64_t start = 0, end = 0;
  bool isOver = true;
  amongRanks(world, [&] {
    if (!function.sums.empty())
      solveShapes(function, inputs, outputs, state);
    checkCounts(function, state);
    if (layer.device) {
      refreshState(layer);
      start = moe_clock();
      isOver = layer.device->run(layer, size_t(index), inputs, outputs,
                                 workspaceBytes(function, state));
      end = moe_clock();
      return;
    }
    layOut(layer, function, outputs, state);
    refreshState(layer);
    if (state.exchange)
      beginExchanges(function, state);
    moe_entry entry = layer.package->variants[layer.variant].entries[index];
    start = moe_clock();
    entry(state.sizes.data(), state.pointers.data());
    end = moe_clock();
    if (state.exchange)
      state.exchange->end();
  });
  state.lastRun = ++layer.runs;
  if (name == "forward")
    layer.forwardSeconds = double(end - start) * 1e-9;
  layer.unchecked = isOver ? -1 : index;
  if (isOver)
    checkStatus(layer, size_t(index));
}

/// The device of a layer that has one.
static OnDevice &deviceOf(moe_layer *layer) {
  requireSet(layer, "layer");
  if (!layer->device)
    fail(MOE_INVALID_ARGUMENT, "'", layer->manifest().name,
         "' has no code for a GPU");
  return *layer->device;
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_status moe_layer_wait(moe_layer *layer) {
  return guard([&] {
    requireSet(layer, "layer");
    if (layer->device)
      layer->device->wait();
    int function = std::exchange(layer->unchecked, -1);
    if (function >= 0)
      checkStatus(*layer, size_t(function));
  });
}

moe_status moe_layer_set_stream(moe_layer *layer, void *stream) {
  return guard(
      [&] { deviceOf(layer).useStream(static_cast<moe_cu_stream>(stream)); });
}

void *moe_layer_stream(const moe_layer *layer) {
  return layer && layer->device ? layer->device->usedStream() : nullptr;
}

moe_status moe_layer_set_graph(moe_layer *layer, int use) {
  return guard([&] { deviceOf(layer).useGraphs(use != 0); });
}

moe_status moe_layer_run(moe_layer *layer, const char *function,
                         const DLTensor *const *inputs,
                         const DLTensor *const *outputs) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(function, "function");
    run(*layer, function, inputs, outputs);
  });
}
