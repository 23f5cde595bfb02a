//===- Kernels.h - The kernels of a package on a device ---------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_DEVICE_CUDA_KERNELS_H
#define MOE_LIB_RUNTIME_DEVICE_CUDA_KERNELS_H

#include "Device.h"

#include "moe/Runtime/Package.h"

#include <vector>

namespace moe::cuda {

/// A module with the image that fits the device best, of which there is one.
class Kernels {
public:
  Kernels(std::shared_ptr<const Device> device, const moe_kernels &code,
          const std::string &package);
  Kernels(const Kernels &) = delete;
  Kernels &operator=(const Kernels &) = delete;
  ~Kernels();

  const std::shared_ptr<const Device> device;
  moe_cu_function function(size_t kernel) const { return functions[kernel]; }
  const char *name(size_t kernel) const { return code.names[kernel]; }
  size_t count() const { return functions.size(); }
  /// Whether its products are those of warpgroups.
  bool hasWgmma() const { return isForWgmma; }
  /// Whether they may be those of codes of 8 bits.
  bool hasFp8() const { return isForFp8; }

private:
  const moe_kernels &code;
  moe_cu_module module = nullptr;
  bool isForWgmma = false, isForFp8 = false;
  std::vector<moe_cu_function> functions;
};

/// Which image a device runs best: machine code for it, or for an older one of
/// the same generation, or PTX. Null if there is none.
const moe_image *chooseImage(const moe_kernels &code, int capability);
/// How well that image fits, to compare with those of other kernels; 0: none.
int bestScore(const moe_kernels &code, int capability);

/// Whether each kernel is waited for, so that a fault is found where it is.
bool waitsForEach();

/// Launches of one call, in order. After one has failed, no more are made.
class Launches {
public:
  Launches(const Kernels &kernels, Stream &stream)
      : kernels(kernels), stream(stream) {}

  void launch(int32_t kernel, const int64_t (&grid)[3],
              const int64_t (&block)[3], int32_t sharedBytes,
              void **arguments) noexcept;
  /// Fails, with the kernel's name, if one could not be launched.
  void check() const;
  /// Matrices that copies of boxes are made from.
  struct Matrices {
    const void *data;
    int32_t elementBytes;
    int64_t columns, rows, count, rowBytes, matrixBytes;
    int32_t boxColumns, boxRows;
  };
  /// Describes them in the 128 bytes of `map`.
  void describe(void *map, const Matrices &matrices) noexcept;
  const Kernels &code() const { return kernels; }
  /// Waits for what was launched; fails, with the kernel's name, if one has.
  void finish();
  /// A number that kernels have made, once they have; -1 if they fail.
  int32_t value(moe_cu_address address) noexcept;

private:
  const Kernels &kernels;
  Stream &stream;
  moe_cu_result result = MOE_CU_SUCCESS;
  bool mapFailed = false;        // what failed is a description of matrices
  int32_t failed = -1;           // the kernel that could not be launched
  int32_t first = -1, last = -1; // those that were
};

} // namespace moe::cuda

#endif // MOE_LIB_RUNTIME_DEVICE_CUDA_KERNELS_H
