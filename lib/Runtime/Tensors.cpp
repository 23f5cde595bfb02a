//===- Tensors.cpp - Checks of the caller's tensors -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What arrives from outside is compared with the manifest before any code of
// the package sees it.
//
//===----------------------------------------------------------------------===//

#include "Layer.h"
#include "Status.h"

namespace moe::runtime {

/// Strides of sizes 0 and 1 mean nothing, nor do those of empty tensors.
static bool isCompact(const DLTensor &tensor) {
  if (!tensor.strides)
    return true;
  for (int32_t i = 0; i < tensor.ndim; ++i)
    if (tensor.shape[i] == 0)
      return true;
  int64_t stride = 1;
  for (int32_t i = tensor.ndim; i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != stride)
      return false;
    if (__builtin_mul_overflow(stride, tensor.shape[i], &stride))
      return false;
  }
  return true;
}

void *checkTensor(const DLTensor &tensor, const std::string &name, DType dtype,
                  size_t rank, const std::string &expectedShape,
                  bool mayBeOnGPU) {
  bool isOnGPU = tensor.device.device_type == kDLCUDA;
  if (tensor.device.device_type != kDLCPU &&
      tensor.device.device_type != kDLCUDAHost && !(isOnGPU && mayBeOnGPU))
    fail(MOE_INVALID_ARGUMENT, "tensor '", name,
         "': expected memory of the CPU", mayBeOnGPU ? " or of CUDA" : "",
         ", found device type ", static_cast<int>(tensor.device.device_type));
  if (dtypeOf(tensor.dtype) != dtype)
    fail(MOE_DTYPE_MISMATCH, "tensor '", name, "': expected ",
         runtime::name(dtype), ", found ", describe(tensor.dtype));
  if (tensor.ndim < 0 || (tensor.ndim > 0 && !tensor.shape))
    fail(MOE_INVALID_ARGUMENT, "tensor '", name, "': it has no shape");
  if (static_cast<size_t>(tensor.ndim) != rank)
    fail(MOE_SHAPE_MISMATCH, "tensor '", name, "': expected ", expectedShape,
         ", found ", describe(tensor.shape, tensor.ndim));
  std::optional<int64_t> size = byteCount(tensor.shape, rank, dtype);
  if (!size)
    fail(MOE_SHAPE_MISMATCH, "tensor '", name, "': found ",
         describe(tensor.shape, rank), ", which is negative or too large");
  if (!isCompact(tensor))
    fail(MOE_INVALID_ARGUMENT, "tensor '", name,
         "': expected compact row-major strides, found ",
         describe(tensor.strides, rank), " for shape ",
         describe(tensor.shape, rank));
  if (*size == 0)
    return tensor.data;
  if (!tensor.data)
    fail(MOE_INVALID_ARGUMENT, "tensor '", name, "': its data is null");
  uintptr_t address = reinterpret_cast<uintptr_t>(tensor.data);
  if (__builtin_add_overflow(address, tensor.byte_offset, &address) ||
      address % static_cast<uintptr_t>(bytes(dtype)))
    fail(MOE_INVALID_ARGUMENT, "tensor '", name, "': expected data aligned to ",
         bytes(dtype), " bytes");
  return reinterpret_cast<void *>(address);
}

/// Calls `visit(argument index, tensor)` for the tensors given.
template <typename Visit>
static void visitGiven(const Function &function, const DLTensor *const *inputs,
                       const DLTensor *const *outputs, Visit &&visit) {
  size_t input = 0, output = 0;
  for (size_t i = 0; i < function.arguments.size(); ++i) {
    const Argument &argument = function.arguments[i];
    const DLTensor *tensor = nullptr;
    if (argument.role == Role::input) {
      tensor = inputs ? inputs[input++] : nullptr;
      if (!tensor)
        fail(MOE_INVALID_ARGUMENT, "input '", argument.name, "' is null");
    } else if (argument.role == Role::output) {
      tensor = outputs ? outputs[output++] : nullptr;
    }
    if (tensor)
      visit(i, *tensor);
  }
}

[[noreturn]] static void failShape(const Function &function,
                                   const Argument &argument,
                                   const DLTensor &tensor,
                                   const FunctionState &state) {
  std::string known;
  for (size_t i = 0; i < state.sizes.size(); ++i)
    if (state.sizes[i] >= 0)
      known += text(known.empty() ? " with " : ", ", function.sizes[i], " = ",
                    state.sizes[i]);
  fail(MOE_SHAPE_MISMATCH, "tensor '", argument.name, "': expected ",
       describe(argument.shape, function), known, ", found ",
       describe(tensor.shape, tensor.ndim));
}

void solveSizes(const Function &function, const DLTensor *const *inputs,
                const DLTensor *const *outputs, FunctionState &state,
                bool mayBeOnGPU) {
  state.sizes.assign(function.sizes.size(), -1);
  visitGiven(function, inputs, outputs, [&](size_t i, const DLTensor &tensor) {
    const Argument &argument = function.arguments[i];
    // The expected shape as text costs memory: only for those that fail.
    bool plain = static_cast<size_t>(tensor.ndim) == argument.shape.size();
    state.pointers[i] = checkTensor(
        tensor, argument.name, argument.dtype, argument.shape.size(),
        plain ? std::string() : describe(argument.shape, function), mayBeOnGPU);
    for (size_t d = 0; d < argument.shape.size(); ++d) {
      const Dim &dim = argument.shape[d];
      if (dim.size < 0 || dim.divisor != 1 || function.findSum(dim.size))
        continue;
      int64_t &size = state.sizes[dim.size];
      if (tensor.shape[d] % dim.factor ||
          (size >= 0 && size != tensor.shape[d] / dim.factor))
        failShape(function, argument, tensor, state);
      size = tensor.shape[d] / dim.factor;
    }
  });
  for (size_t i = 0; i < state.sizes.size(); ++i)
    if (state.sizes[i] < 0 && !function.findSum(static_cast<int>(i)))
      fail(MOE_INVALID_ARGUMENT, "function '", function.name, "': the size '",
           function.sizes[i], "' needs an output that is not null");
}

void solveShapes(const Function &function, const DLTensor *const *inputs,
                 const DLTensor *const *outputs, FunctionState &state) {
  for (size_t i = 0; i < function.arguments.size(); ++i) {
    const Argument &argument = function.arguments[i];
    for (size_t d = 0; d < argument.shape.size(); ++d) {
      state.shapes[i][d] = -1;
      if (int size = argument.shape[d].size; size >= 0 && state.sizes[size] < 0)
        continue;
      std::optional<int64_t> value =
          evaluate(argument.shape[d], state.sizes.data());
      if (!value)
        fail(MOE_SHAPE_MISMATCH, "tensor '", argument.name, "': its shape ",
             describe(argument.shape, function), " overflows");
      state.shapes[i][d] = *value;
    }
  }
  visitGiven(function, inputs, outputs, [&](size_t i, const DLTensor &tensor) {
    for (size_t d = 0; d < state.shapes[i].size(); ++d)
      if (state.shapes[i][d] >= 0 && tensor.shape[d] != state.shapes[i][d])
        failShape(function, function.arguments[i], tensor, state);
  });
}

} // namespace moe::runtime
