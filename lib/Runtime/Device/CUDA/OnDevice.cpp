//===- OnDevice.cpp - What a layer keeps on its device --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OnDevice.h"

#include "../../Ranks.h"

namespace moe::runtime {

using cuda::InContext;

/// What kernels rely on, which read and write so many bytes at once.
static constexpr moe_cu_address tensorAlignment = 16;

moe_cu_address DeviceWeights::get(const cuda::Device &device,
                                  cuda::Stream &stream, size_t index,
                                  const SharedWeights::Slot &weight,
                                  int64_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  Slot &slot = slots[index];
  if (slot.version != weight.version) {
    slot.version = 0;
    // Another layer may still read what was there, in a stream of its own.
    if (slot.memory.address())
      cuda::check(device.driver, device.driver.CtxSynchronize(),
                  "cuCtxSynchronize");
    slot.memory.ensure(device, bytes);
    stream.toDevice(slot.memory.address(), weight.data(), bytes);
    // Another layer may read it from a stream of its own.
    stream.wait();
    slot.version = weight.version;
  }
  return slot.memory.address();
}

OnDevice::OnDevice(const LoadedPackage &package,
                   std::shared_ptr<cuda::Kernels> code,
                   std::shared_ptr<DeviceWeights> shared, moe_world *world)
    : kernels(std::move(code)), device(*kernels->device),
      weights(shared ? std::move(shared)
                     : std::make_shared<DeviceWeights>(
                           package.manifest.weights.size())),
      stream(device), state(package.manifest.state.size()),
      functions(package.manifest.functions.size()) {
  for (size_t i = 0; i < functions.size(); ++i) {
    size_t count = package.manifest.functions[i].arguments.size();
    functions[i].arguments.resize(count);
    functions[i].addresses.resize(count);
  }
  if (world)
    space = std::make_unique<DeviceSpace>(*world, device, stream);
}

static int64_t sizeOf(const Function &function, const FunctionState &state,
                      size_t i) {
  const Argument &argument = function.arguments[i];
  std::optional<int64_t> size =
      byteCount(state.shapes[i].data(), state.shapes[i].size(), argument.dtype);
  if (!size)
    fail(MOE_SHAPE_MISMATCH, "tensor '", argument.name, "': its shape ",
         describe(state.shapes[i]), " overflows");
  return *size;
}

void *OnDevice::own(cuda::Memory &memory, int64_t bytes) {
  memory.ensure(device, bytes);
  return reinterpret_cast<void *>(memory.address());
}

/// Fails unless a tensor's memory is where it says that it is.
void OnDevice::checkOwner(const DLTensor &tensor, const void *data,
                          const std::string &name) const {
  if (tensor.device.device_id != device.number)
    fail(MOE_INVALID_ARGUMENT, "tensor '", name, "': expected memory of GPU ",
         device.number, ", found that of GPU ", tensor.device.device_id);
  unsigned type = 0;
  if (!data)
    return;
  if (device.driver.PointerGetAttribute(
          &type, MOE_CU_POINTER_MEMORY_TYPE,
          reinterpret_cast<moe_cu_address>(data)) ||
      type != MOE_CU_MEMORY_DEVICE)
    fail(MOE_INVALID_ARGUMENT, "tensor '", name,
         "': it says that it is on a GPU, but its data is not");
}

/// Where an argument is for the kernels.
void *OnDevice::place(moe_layer &layer, size_t function, size_t i,
                      const DLTensor *tensor) {
  const Function &signature = layer.manifest().functions[function];
  const Argument &argument = signature.arguments[i];
  FunctionState &calls = layer.functions[function];
  cuda::Memory &memory = functions[function].arguments[i];
  switch (argument.role) {
  case Role::weight: {
    auto index = size_t(argument.index);
    const SharedWeights::Slot &slot = layer.weights->slots[index];
    if (slot.onDevice())
      return slot.onDevice();
    return reinterpret_cast<void *>(weights->get(
        device, stream, index, slot, layer.manifest().weights[index].byteSize));
  }
  case Role::state:
    return own(state[size_t(argument.index)],
               layer.manifest().state[size_t(argument.index)].byteSize);
  default:
    break;
  }
  int64_t bytes = sizeOf(signature, calls, i);
  if (tensor && tensor->device.device_type == kDLCUDA) {
    void *given = calls.pointers[i];
    checkOwner(*tensor, bytes ? given : nullptr, argument.name);
    auto address = reinterpret_cast<moe_cu_address>(given);
    if (address % tensorAlignment == 0)
      return given;
    void *aligned = own(memory, bytes);
    if (argument.role == Role::input)
      stream.copy(memory.address(), address, bytes);
    return aligned;
  }
  void *data = own(memory, bytes);
  if (argument.role == Role::input)
    stream.toDevice(memory.address(), calls.pointers[i], bytes);
  return data;
}

void OnDevice::sendState(moe_layer &layer) {
  const std::vector<State> &tensors = layer.manifest().state;
  for (size_t i = 0; !stateIsCurrent && i < tensors.size(); ++i) {
    state[i].ensure(device, tensors[i].byteSize);
    stream.toDevice(state[i].address(), layer.state[i].data.data(),
                    tensors[i].byteSize);
  }
  stateIsCurrent = true;
}

bool OnDevice::run(moe_layer &layer, size_t function,
                   const DLTensor *const *inputs,
                   const DLTensor *const *outputs, int64_t workspaceBytes) {
  InContext scope(device);
  const Function &signature = layer.manifest().functions[function];
  FunctionState &calls = layer.functions[function];
  size_t count = signature.arguments.size(), input = 0, output = 0;
  sendState(layer);
  std::vector<moe_cu_address> &addresses = functions[function].addresses;
  std::vector<size_t> toFetch, toMove; // to the host, to where they are wanted
  bool isAllThere = true;              // nothing of the caller's on the host
  for (size_t i = 0; i < count; ++i) {
    Role role = signature.arguments[i].role;
    const DLTensor *tensor = nullptr;
    if (role == Role::input)
      tensor = inputs[input++];
    else if (role == Role::output && outputs)
      tensor = outputs[output++];
    addresses[i] =
        reinterpret_cast<moe_cu_address>(place(layer, function, i, tensor));
    bool isOnHost = tensor && tensor->device.device_type != kDLCUDA;
    isAllThere &= !isOnHost;
    if (role == Role::output && isOnHost)
      toFetch.push_back(i);
    else if (role == Role::output && tensor &&
             addresses[i] !=
                 reinterpret_cast<moe_cu_address>(calls.pointers[i]))
      toMove.push_back(i);
  }
  workspace.ensure(device, workspaceBytes);
  if (!launches)
    launches.emplace(*kernels, stream);
  hostStateIsOld = true;
  try {
    if (functions[function].graphs && !cuda::waitsForEach())
      enqueueByGraph(layer, function);
    else
      enqueue(layer, function);
  } catch (...) {
    // What was launched before may still use the caller's tensors.
    device.driver.StreamSynchronize(stream.handle());
    launches.reset();
    throw;
  }
  for (size_t i : toMove)
    stream.copy(reinterpret_cast<moe_cu_address>(calls.pointers[i]),
                addresses[i], sizeOf(signature, calls, i));
  if (stream.isCallers() && isAllThere && !calls.exchange)
    return false;
  wait();
  if (calls.exchange)
    layer.world->checkStreams();
  for (size_t i : toFetch)
    stream.toHost(calls.pointers[i], addresses[i], sizeOf(signature, calls, i));
  stream.wait();
  return true;
}

/// Calls the entry, which sees addresses of the device and launches kernels
/// with them.
void OnDevice::enqueue(moe_layer &layer, size_t function) {
  const Function &signature = layer.manifest().functions[function];
  FunctionState &calls = layer.functions[function];
  std::vector<void *> pointers;
  pointers.reserve(signature.arguments.size() + 3);
  for (size_t i = 0; i < signature.arguments.size(); ++i) {
    moe_cu_address address = functions[function].addresses[i];
    const std::string &name = signature.arguments[i].name;
    if (signature.arguments[i].role == Role::plan &&
        (name == "status" || name == "clock"))
      stream.clear(address, sizeOf(signature, calls, i));
    pointers.push_back(reinterpret_cast<void *>(address));
  }
  pointers.push_back(reinterpret_cast<void *>(workspace.address()));
  pointers.push_back(calls.exchange.get());
  pointers.push_back(&*launches);
  std::optional<DeviceSpace::Use> use;
  if (calls.exchange) {
    use.emplace(*space, *launches);
    beginExchanges(signature, calls);
  }
  layer.package->variants[layer.variant].entries[function](calls.sizes.data(),
                                                           pointers.data());
  if (calls.exchange)
    calls.exchange->end();
  launches->check();
}

/// What a graph of a call is made of.
std::vector<int64_t> OnDevice::graphKey(const FunctionState &calls,
                                        size_t function) const {
  std::vector<int64_t> key(calls.sizes);
  for (moe_cu_address address : functions[function].addresses)
    key.push_back(static_cast<int64_t>(address));
  key.push_back(static_cast<int64_t>(workspace.address()));
  if (calls.exchange)
    space->addAddresses(key);
  return key;
}

void OnDevice::enqueueByGraph(moe_layer &layer, size_t function) {
  const FunctionState &calls = layer.functions[function];
  cuda::Graphs &graphs = *functions[function].graphs;
  auto give = [&] { enqueue(layer, function); };
  const cuda::Graph *graph = graphs.find(graphKey(calls, function));
  if (!calls.exchange) {
    if (!graph)
      graph = &graphs.record(stream, graphKey(calls, function), give);
    return graphs.launch(stream, *graph);
  }
  checkForGraph(layer, function);
  moe_world &world = *layer.world;
  if (haveSame(world, graph ? graph->number : 0)) {
    graphs.launch(stream, *graph);
    return world.count(graph->moved);
  }
  // Afterwards ranks have no more to tell each other, and memory has grown.
  give();
  moe_world_statistics before = world.statistics();
  cuda::Graph &made = graphs.record(stream, graphKey(calls, function), give);
  made.number = static_cast<int64_t>(world.everyone().sequence);
  made.moved = world.takeBack(before);
}

/// Fails unless all that a function does can be recorded.
void OnDevice::checkForGraph(const moe_layer &layer, size_t function) const {
  auto refuse = [&](const auto &...words) {
    fail(MOE_INVALID_ARGUMENT, "function '",
         layer.manifest().functions[function].name, "': ", words...);
  };
  if (!layer.world->movesInStreams())
    refuse("rows of exchanges pass through the host: expected the engine "
           "'nccl' for a graph");
  std::string needed = layer.functions[function].exchange->neededOnHost();
  if (!needed.empty())
    refuse("the host needs the counts of ", needed,
           ": expected padded rows for a graph");
}

void OnDevice::wait() {
  if (!launches)
    return;
  InContext scope(device);
  cuda::Launches ended = *launches;
  launches.reset();
  ended.finish();
}

void OnDevice::useStream(moe_cu_stream callers) {
  wait();
  stream.use(callers);
}

void OnDevice::useGraphs(bool use) {
  wait();
  for (FunctionMemory &function : functions)
    function.graphs = use ? std::make_unique<cuda::Graphs>(device) : nullptr;
}

void *OnDevice::fetchWeight(const moe_layer &layer, size_t index) {
  int64_t bytes = layer.manifest().weights[index].byteSize;
  fetched.resize(layer.manifest().weights.size());
  fetched[index].ensure(bytes);
  InContext scope(device);
  stream.toHost(
      fetched[index].data(),
      reinterpret_cast<moe_cu_address>(layer.weights->slots[index].onDevice()),
      bytes);
  stream.wait();
  return fetched[index].data();
}

void *OnDevice::bring(const DLTensor &tensor, void *data,
                      const std::string &name, int64_t bytes, Buffer &buffer) {
  InContext scope(device);
  checkOwner(tensor, bytes ? data : nullptr, name);
  buffer.ensure(bytes);
  stream.toHost(buffer.data(), reinterpret_cast<moe_cu_address>(data), bytes);
  stream.wait();
  return buffer.data();
}

void OnDevice::checkWeight(const DLTensor &tensor, const void *data,
                           const std::string &name) const {
  InContext scope(device);
  checkOwner(tensor, data, name);
  if (reinterpret_cast<moe_cu_address>(data) % tensorAlignment)
    fail(MOE_INVALID_ARGUMENT, "tensor '", name,
         "': expected data on the device aligned to ", tensorAlignment,
         " bytes");
}

void OnDevice::fetchPlan(moe_layer &layer, size_t function, size_t argument) {
  const Function &signature = layer.manifest().functions[function];
  FunctionState &calls = layer.functions[function];
  int64_t bytes = sizeOf(signature, calls, argument);
  calls.buffers[argument].ensure(bytes);
  wait();
  InContext scope(device);
  stream.toHost(calls.buffers[argument].data(),
                functions[function].addresses[argument], bytes);
  stream.wait();
}

void OnDevice::fetchState(moe_layer &layer) {
  if (!hostStateIsOld)
    return;
  wait();
  InContext scope(device);
  const std::vector<State> &tensors = layer.manifest().state;
  for (size_t i = 0; i < tensors.size(); ++i)
    stream.toHost(layer.state[i].data.data(), state[i].address(),
                  tensors[i].byteSize);
  stream.wait();
  hostStateIsOld = false;
}

} // namespace moe::runtime
