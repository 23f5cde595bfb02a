//===- Kernels.cpp - The kernels of a package on a device -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

#include "../../Status.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace moe::cuda {

using runtime::fail;
using runtime::text;

namespace {
/// What an image is for, from its name.
struct ImageArch {
  int number = 0;        // as in 90
  bool isPtx = false;    // runs on all that is newer
  bool specific = false; // runs on nothing else

  bool supportsWgmma() const { return specific && number == 90; }
  bool supportsFp8() const { return number >= 89; }
};
} // namespace

static ImageArch parseArch(std::string_view name) {
  ImageArch arch;
  arch.isPtx = name.substr(0, 8) == "compute_";
  arch.specific = !name.empty() && name.back() == 'a';
  for (char c : name)
    if (c >= '0' && c <= '9')
      arch.number = arch.number * 10 + (c - '0');
  return arch;
}

/// 0: it does not run there. Machine code for an older one beats PTX for an
/// even older one only.
static int score(const moe_image &image, int capability) {
  ImageArch arch = parseArch(image.arch);
  bool same = arch.number == capability;
  bool runs = arch.specific ? same
              : arch.isPtx  ? arch.number <= capability
                            : arch.number / 10 == capability / 10 &&
                                  arch.number <= capability;
  if (!runs)
    return 0;
  return arch.number * 4 + (arch.isPtx ? 0 : 2) + (arch.specific ? 1 : 0);
}

const moe_image *chooseImage(const moe_kernels &code, int capability) {
  const moe_image *end = code.images + code.image_count;
  const moe_image *best = std::max_element(
      code.images, end, [&](const moe_image &a, const moe_image &b) {
        return score(a, capability) < score(b, capability);
      });
  return best != end && score(*best, capability) ? best : nullptr;
}

int bestScore(const moe_kernels &code, int capability) {
  const moe_image *best = chooseImage(code, capability);
  return best ? score(*best, capability) : 0;
}

static bool endsIn(std::string_view name, std::string_view suffix) {
  return name.size() > suffix.size() &&
         name.substr(name.size() - suffix.size()) == suffix;
}

Kernels::Kernels(std::shared_ptr<const Device> on, const moe_kernels &code,
                 const std::string &package)
    : device(std::move(on)), code(code) {
  const Driver &driver = device->driver;
  const moe_image *image = chooseImage(code, device->capability());
  isForWgmma = parseArch(image->arch).supportsWgmma();
  isForFp8 = parseArch(image->arch).supportsFp8();
  InContext scope(*device);
  if (moe_cu_result result = driver.ModuleLoadData(&module, image->data))
    fail(result == MOE_CU_OUT_OF_MEMORY ? MOE_OUT_OF_MEMORY : MOE_GPU_MISMATCH,
         "'", package, "': the code for ", image->arch,
         " cannot be loaded: ", words(driver, result));
  for (uint32_t i = 0; i < code.kernel_count; ++i) {
    moe_cu_function function = nullptr;
    moe_cu_result result =
        driver.ModuleGetFunction(&function, module, code.names[i]);
    // Nobody launches them there.
    if (result == MOE_CU_NOT_FOUND &&
        ((!isForWgmma && endsIn(code.names[i], "_wgmma")) ||
         (!isForFp8 && endsIn(code.names[i], "_fp8"))))
      result = MOE_CU_SUCCESS;
    if (result) {
      driver.ModuleUnload(module);
      fail(MOE_BAD_FILE, "'", package, "' has no kernel '", code.names[i],
           "': ", words(driver, result));
    }
    functions.push_back(function);
  }
}

Kernels::~Kernels() {
  device->giveBack([&] { device->driver.ModuleUnload(module); });
}

bool waitsForEach() {
  const char *text = std::getenv("MOE_GPU_SYNC");
  return text && *text && std::strcmp(text, "0") != 0;
}

void Launches::launch(int32_t kernel, const int64_t (&grid)[3],
                      const int64_t (&block)[3], int32_t sharedBytes,
                      void **arguments) noexcept {
  const Driver &driver = kernels.device->driver;
  bool isEmpty = grid[0] == 0 || grid[1] == 0 || grid[2] == 0;
  if (result || isEmpty)
    return;
  constexpr int64_t most = INT32_MAX, mostOthers = 65535;
  if (size_t(kernel) >= kernels.count() || grid[0] > most ||
      grid[1] > mostOthers || grid[2] > mostOthers) {
    result = MOE_CU_INVALID_VALUE;
    failed = kernel;
    return;
  }
  moe_cu_function function = kernels.function(size_t(kernel));
  if (!function)
    result = MOE_CU_NOT_FOUND;
  constexpr int32_t always = 48 * 1024;
  if (!result && sharedBytes > always)
    result = driver.FuncSetAttribute(
        function, MOE_CU_FUNCTION_MAX_DYNAMIC_SHARED, sharedBytes);
  if (!result)
    result = driver.LaunchKernel(
        function, unsigned(grid[0]), unsigned(grid[1]), unsigned(grid[2]),
        unsigned(block[0]), unsigned(block[1]), unsigned(block[2]),
        unsigned(sharedBytes), stream.handle(), arguments, nullptr);
  if (!result && waitsForEach())
    result = driver.StreamSynchronize(stream.handle());
  if (result)
    failed = kernel;
  if (first < 0)
    first = kernel;
  last = kernel;
}

int32_t Launches::value(moe_cu_address address) noexcept {
  int32_t number = -1;
  if (!result)
    result = kernels.device->driver.MemcpyDtoHAsync(
        &number, address, sizeof number, stream.handle());
  if (!result)
    result = kernels.device->driver.StreamSynchronize(stream.handle());
  return result ? -1 : number;
}

void Launches::describe(void *map, const Matrices &m) noexcept {
  if (result || m.columns == 0 || m.rows == 0 || m.count == 0)
    return;
  const uint64_t extents[] = {uint64_t(m.columns), uint64_t(m.rows),
                              uint64_t(m.count)};
  const uint64_t strides[] = {uint64_t(m.rowBytes), uint64_t(m.matrixBytes)};
  const uint32_t box[] = {uint32_t(m.boxColumns), uint32_t(m.boxRows), 1};
  const uint32_t each[] = {1, 1, 1};
  // The function only reads where the data is.
  result = kernels.device->driver.TensorMapEncodeTiled(
      map, m.elementBytes == 1 ? MOE_CU_TENSOR_UINT8 : MOE_CU_TENSOR_UINT16, 3,
      const_cast<void *>(m.data), extents, strides, box, each,
      /*interleave=*/0, MOE_CU_SWIZZLE_128, MOE_CU_PROMOTE_TO_256,
      /*fill=*/0);
  mapFailed = result != MOE_CU_SUCCESS;
}

void Launches::check() const {
  if (mapFailed)
    cuda::check(kernels.device->driver, result, "cuTensorMapEncodeTiled");
  if (failed >= 0)
    fail(result == MOE_CU_OUT_OF_MEMORY ? MOE_OUT_OF_MEMORY : MOE_DEVICE_FAILED,
         "kernel '",
         size_t(failed) < kernels.count() ? kernels.name(size_t(failed)) : "?",
         "': ", words(kernels.device->driver, result));
}

void Launches::finish() {
  const Driver &driver = kernels.device->driver;
  check();
  moe_cu_result end = driver.StreamSynchronize(stream.handle());
  if (end && last >= 0)
    fail(MOE_DEVICE_FAILED, "one of the kernels from '",
         kernels.name(size_t(first)), "' to '", kernels.name(size_t(last)),
         "': ", words(driver, end), "; MOE_GPU_SYNC=1 tells which");
  cuda::check(driver, end, "cuStreamSynchronize");
}

} // namespace moe::cuda

int32_t moe_gpu_value(void *device, const void *address) {
  return static_cast<moe::cuda::Launches *>(device)->value(
      reinterpret_cast<moe_cu_address>(address));
}

void moe_gpu_launch(void *device, int32_t kernel, int64_t grid_x,
                    int64_t grid_y, int64_t grid_z, int64_t block_x,
                    int64_t block_y, int64_t block_z, int32_t shared_bytes,
                    void **arguments) {
  static_cast<moe::cuda::Launches *>(device)->launch(
      kernel, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z},
      shared_bytes, arguments);
}

int32_t moe_gpu_has_wgmma(void *device) {
  return static_cast<moe::cuda::Launches *>(device)->code().hasWgmma();
}

int32_t moe_gpu_has_fp8(void *device) {
  return static_cast<moe::cuda::Launches *>(device)->code().hasFp8();
}

int64_t moe_gpu_processors(void *device) {
  return static_cast<moe::cuda::Launches *>(device)
      ->code()
      .device->processors();
}

void moe_gpu_tensor_map(void *device, void *map, const void *data,
                        int32_t element_bytes, int64_t columns, int64_t rows,
                        int64_t matrices, int64_t row_bytes,
                        int64_t matrix_bytes, int32_t box_columns,
                        int32_t box_rows) {
  static_cast<moe::cuda::Launches *>(device)->describe(
      map, {data, element_bytes, columns, rows, matrices, row_bytes,
            matrix_bytes, box_columns, box_rows});
}
