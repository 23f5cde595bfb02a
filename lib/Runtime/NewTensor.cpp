//===- NewTensor.cpp - Tensors in memory of a layer's device --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// For results of those who have no memory there of their own.
//
//===----------------------------------------------------------------------===//

#include "Device/CUDA/OnDevice.h"
#include "Layer.h"
#include "Status.h"

namespace moe::runtime {

namespace {
/// Memory of the host or of a device, with what frees it.
struct Owned {
  Buffer onHost;
  std::shared_ptr<cuda::Kernels> code; // keeps the device
  cuda::Memory onDevice;
  std::vector<int64_t> shape;
};

/// One of the tensors that are over the same memory.
struct Handle : DLManagedTensor {
  std::shared_ptr<Owned> owned;
};
} // namespace

static void release(DLManagedTensor *tensor) {
  delete static_cast<Handle *>(tensor);
}

static DLManagedTensor *newHandle(std::shared_ptr<Owned> owned,
                                  const DLTensor &tensor) {
  auto handle = std::make_unique<Handle>();
  handle->owned = std::move(owned);
  handle->dl_tensor = tensor;
  handle->manager_ctx = nullptr;
  handle->deleter = release;
  return handle.release();
}

static DLManagedTensor *newTensor(const moe_layer &layer, DLDataType dtype,
                                  std::vector<int64_t> shape) {
  std::optional<DType> type = dtypeOf(dtype);
  if (!type)
    fail(MOE_DTYPE_MISMATCH, "expected an element type of a package, found ",
         describe(dtype));
  std::optional<int64_t> size = byteCount(shape.data(), shape.size(), *type);
  if (!size)
    fail(MOE_SHAPE_MISMATCH, "found the shape ", describe(shape),
         ", which is negative or too large");
  auto owned = std::make_shared<Owned>();
  DLTensor tensor = {};
  if (layer.device) {
    owned->code = layer.device->code();
    const cuda::Device &device = *owned->code->device;
    cuda::InContext scope(device);
    owned->onDevice.ensure(device, *size);
    tensor.data = reinterpret_cast<void *>(owned->onDevice.address());
    tensor.device = {kDLCUDA, device.number};
  } else {
    owned->onHost.ensure(*size);
    tensor.data = owned->onHost.data();
    tensor.device = {kDLCPU, 0};
  }
  owned->shape = std::move(shape);
  tensor.dtype = dtype;
  tensor.ndim = static_cast<int32_t>(owned->shape.size());
  tensor.shape = owned->shape.data();
  return newHandle(std::move(owned), tensor);
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_status moe_layer_new_tensor(const moe_layer *layer, DLDataType dtype,
                                int32_t ndim, const int64_t *shape,
                                DLManagedTensor **tensor) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(tensor, "tensor");
    *tensor = nullptr;
    if (ndim < 0)
      fail(MOE_INVALID_ARGUMENT, "found ", ndim,
           " dimensions, expected 0 or more");
    if (ndim > 0)
      requireSet(shape, "shape");
    *tensor = newTensor(*layer, dtype, {shape, shape + ndim});
  });
}

moe_status moe_tensor_share(const DLManagedTensor *tensor,
                            DLManagedTensor **shared) {
  return guard([&] {
    requireSet(tensor, "tensor");
    requireSet(shared, "shared");
    *shared = nullptr;
    if (tensor->deleter != release)
      fail(MOE_INVALID_ARGUMENT,
           "expected a tensor of moe_layer_new_tensor, found another one");
    *shared = newHandle(static_cast<const Handle *>(tensor)->owned,
                        tensor->dl_tensor);
  });
}
