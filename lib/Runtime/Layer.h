//===- Layer.h - Weights, state and buffers of a layer ----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A layer owns its state, its plans and its workspace, and shares its weights.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_LAYER_H
#define MOE_LIB_RUNTIME_LAYER_H

#include "Buffer.h"
#include "Collective/Exchange.h"
#include "LoadedPackage.h"

#include <cstring>
#include <memory>
#include <shared_mutex>

namespace moe::runtime {

/// The weights of one or more layers. Whoever reads their values holds the
/// mutex shared, whoever replaces them holds it alone.
struct SharedWeights {
  /// Values in memory of the layer's own, or in the caller's.
  class Slot {
  public:
    /// Null where they are on a device.
    void *data() const {
      return device ? nullptr : borrowed ? borrowed : owned.data();
    }
    /// Where the caller has them on a device; null where they are not.
    void *onDevice() const { return device; }
    bool isBorrowed() const { return borrowed != nullptr; }
    /// Whether outputs are in strips. Those of the caller's memory never are.
    bool isPacked() const { return packed; }
    void replace(Buffer &values, bool inStrips) {
      std::swap(owned, values);
      borrowed = device = nullptr;
      packed = inStrips;
      ++version;
    }
    /// Copies `size` bytes, which may be those that are here.
    void set(const void *values, int64_t size) {
      Buffer fresh;
      Buffer &to = borrowed ? fresh : owned;
      to.ensure(size);
      if (size)
        std::memmove(to.data(), values, static_cast<size_t>(size));
      if (borrowed)
        owned = std::move(fresh);
      borrowed = device = nullptr;
      packed = false;
      ++version;
    }
    void borrow(void *values) {
      owned = Buffer();
      owned.ensure(0); // an empty tensor may have no address
      borrowed = values;
      device = nullptr;
      packed = false;
      ++version;
    }
    void borrowOnDevice(void *values) {
      borrow(nullptr);
      device = values;
    }

    uint64_t version = 0; ///< 0: never set

  private:
    Buffer owned;
    void *borrowed = nullptr, *device = nullptr;
    bool packed = false;
  };

  mutable std::shared_mutex mutex;
  std::vector<Slot> slots; ///< one for each weight of the manifest
};

/// What a layer keeps for one function.
struct FunctionState {
  std::vector<int64_t> sizes;
  std::vector<std::vector<int64_t>> shapes; ///< of each argument
  /// Of plans, outputs not asked for, and inputs across cache lines.
  std::vector<Buffer> buffers;
  std::vector<void *> pointers;
  std::vector<int64_t> tokens;        ///< of each rank
  std::unique_ptr<Exchange> exchange; ///< null where it has no collectives
  uint64_t lastRun = 0;               ///< 0: no plan here yet
};

struct RowsOfWeight {
  Buffer data;
  uint64_t version = 0; ///< of the weight
};

class OnDevice;
class DeviceWeights;

struct StateSlot {
  Buffer data;
  uint64_t weightVersion = 0; ///< of the weight that it was copied from
};

} // namespace moe::runtime

struct moe_layer {
  std::shared_ptr<const moe::runtime::LoadedPackage> package;
  size_t variant = 0;                      ///< of the package
  moe_world *world = nullptr;              ///< null where it is alone
  std::vector<moe::runtime::Slice> slices; ///< one for each weight
  std::shared_ptr<moe::runtime::SharedWeights> weights;
  std::vector<moe::runtime::StateSlot> state;
  moe::runtime::Buffer workspace;
  /// Of packed weights that somebody asked for, their values in rows.
  mutable std::vector<moe::runtime::RowsOfWeight> rowsOfWeights;
  std::unique_ptr<moe::runtime::OnDevice> device; ///< null: runs on the CPU
  std::vector<moe::runtime::FunctionState> functions;
  int unchecked = -1; ///< a function that has not told its status
  uint64_t runs = 0;
  double forwardSeconds = 0;

  moe_layer();
  ~moe_layer();
  const moe::runtime::Manifest &manifest() const { return package->manifest; }
};

namespace moe::runtime {

/// Puts new values in the place of all weights, in one step that cannot fail.
void replaceWeights(moe_layer &layer, std::vector<Buffer> &buffers);

/// The values of a weight that was set, where the host can read them. The
/// caller holds the weights' mutex.
void *hostValues(const moe_layer &layer, size_t weight);

/// Copies weights that have changed into the state that starts as them. The
/// caller holds the weights' mutex.
void refreshState(moe_layer &layer);

/// Checks that a tensor is a compact one with this type and rank on the CPU, or
/// with `mayBeOnGPU` also there, and returns its data (null only where it has
/// no elements).
void *checkTensor(const DLTensor &tensor, const std::string &name, DType dtype,
                  size_t rank, const std::string &expectedShape,
                  bool mayBeOnGPU = false);

/// Finds the sizes of a call in `state.sizes`; those that are sums over ranks
/// stay -1.
void solveSizes(const Function &function, const DLTensor *const *inputs,
                const DLTensor *const *outputs, FunctionState &state,
                bool mayBeOnGPU);

/// Fills in all shapes, and checks those of the caller's tensors; -1 where a
/// size is not known yet.
void solveShapes(const Function &function, const DLTensor *const *inputs,
                 const DLTensor *const *outputs, FunctionState &state);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_LAYER_H
