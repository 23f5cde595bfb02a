//===- OnDevice.h - What a layer keeps on its device ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights and state have their home on the host, where they are set and saved,
// and a copy here that follows them. Plans and state that a run has changed are
// brought to the host when somebody asks for them. Weights that the caller has
// on the device stay there.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_DEVICE_CUDA_ONDEVICE_H
#define MOE_LIB_RUNTIME_DEVICE_CUDA_ONDEVICE_H

#include "DeviceSpace.h"
#include "Graphs.h"

#include "../../Layer.h"

namespace moe::runtime {

/// The weights of one or more layers.
class DeviceWeights {
public:
  explicit DeviceWeights(size_t count) : slots(count) {}
  /// Where the values of a weight are that was set.
  moe_cu_address get(const cuda::Device &device, cuda::Stream &stream,
                     size_t index, const SharedWeights::Slot &weight,
                     int64_t bytes);

private:
  struct Slot {
    cuda::Memory memory;
    uint64_t version = 0;
  };
  std::mutex mutex;
  std::vector<Slot> slots;
};

class OnDevice {
public:
  /// `world` is null for a layer that is alone.
  OnDevice(const LoadedPackage &package, std::shared_ptr<cuda::Kernels> kernels,
           std::shared_ptr<DeviceWeights> weights, moe_world *world);

  const std::shared_ptr<cuda::Kernels> &code() const { return kernels; }
  std::shared_ptr<DeviceWeights> sharedWeights() const { return weights; }

  /// What the exchanges of the layer's functions work with.
  Space *exchangeSpace() const { return space.get(); }

  /// Runs a function whose shapes are known; `state.pointers` has the caller's
  /// tensors. Whether everything is over when it returns: in a stream of the
  /// caller's, what only has tensors of the device is not.
  bool run(moe_layer &layer, size_t function, const DLTensor *const *inputs,
           const DLTensor *const *outputs, int64_t workspaceBytes);
  /// Waits for what is not over; fails if a kernel has.
  void wait();
  /// From now on work goes there; null: into a stream of the layer's own.
  void useStream(moe_cu_stream stream);
  moe_cu_stream usedStream() const { return stream.handle(); }
  /// Whether calls are recorded and repeated.
  void useGraphs(bool use);

  /// What a weight of the caller's on the device is, for the host.
  void *fetchWeight(const moe_layer &layer, size_t index);
  /// The tensor's data, from the device, in `buffer`.
  void *bring(const DLTensor &tensor, void *data, const std::string &name,
              int64_t bytes, Buffer &buffer);
  /// Fails unless kernels can use the caller's tensor as a weight.
  void checkWeight(const DLTensor &tensor, const void *data,
                   const std::string &name) const;

  /// Brings a plan of the last run to the host's buffer for it.
  void fetchPlan(moe_layer &layer, size_t function, size_t argument);
  /// Brings state to the host, if a run has changed it.
  void fetchState(moe_layer &layer);
  /// Says that the host's state is what counts now.
  void stateChanged() { stateIsCurrent = hostStateIsOld = false; }

private:
  struct FunctionMemory {
    std::vector<cuda::Memory> arguments;
    std::vector<moe_cu_address> addresses;
    std::unique_ptr<cuda::Graphs> graphs; // null: none wanted
  };

  std::shared_ptr<cuda::Kernels> kernels;
  const cuda::Device &device;
  std::shared_ptr<DeviceWeights> weights;
  cuda::Stream stream;
  std::vector<cuda::Memory> state;
  bool stateIsCurrent = false; // here as on the host
  bool hostStateIsOld = false;
  std::vector<FunctionMemory> functions;
  cuda::Memory workspace;
  std::unique_ptr<DeviceSpace> space;     // null without a world
  std::optional<cuda::Launches> launches; // of calls that are not over
  std::vector<Buffer> fetched;            // weights of the caller's

  void sendState(moe_layer &layer);
  void enqueue(moe_layer &layer, size_t function);
  void enqueueByGraph(moe_layer &layer, size_t function);
  std::vector<int64_t> graphKey(const FunctionState &calls,
                                size_t function) const;
  void checkForGraph(const moe_layer &layer, size_t function) const;
  void *own(cuda::Memory &memory, int64_t bytes);
  void *place(moe_layer &layer, size_t function, size_t argument,
              const DLTensor *tensor);
  void checkOwner(const DLTensor &tensor, const void *data,
                  const std::string &name) const;
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_DEVICE_CUDA_ONDEVICE_H
