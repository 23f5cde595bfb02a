/*===- Package.h - What generated code and runtime agree on ----------*- C
 * -*-===
 *
 * Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===
 *
 * The binary interface of a package. Any change here raises MOE_ABI_VERSION.
 *
 *===----------------------------------------------------------------------===*/

#ifndef MOE_RUNTIME_PACKAGE_H
#define MOE_RUNTIME_PACKAGE_H

#include "moe/Runtime/moe.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Generated code of one function. `sizes` has one entry per symbolic size of
 *  the function ("T"), `buffers` one pointer per argument in the manifest's
 *  order, the workspace, for functions with collectives the exchange, and after
 *  that, whether there are any or not, what moe_gpu_launch takes.
 *  Buffers are aligned to 64 bytes where the
 *  runtime allocates them and to the element where the caller does. */
typedef void (*moe_entry)(const int64_t *sizes, void *const *buffers);

typedef struct moe_function {
  const char *name;
  moe_entry entry;
} moe_function;

/** Code for GPUs of one architecture: what cuModuleLoadData takes. PTX ends
 * with a zero byte, which `size` does not count. */
typedef struct moe_image {
  const char *arch; /* as in "sm_80", or for PTX "compute_80" */
  const void *data;
  uint64_t size;
} moe_image;

/** A kernel's number is its place in `names`. Those whose names end in "_wgmma"
 *  are in images for sm_90a only, and in "_fp8" in those for sm_89 and newer.
 */
typedef struct moe_kernels {
  const moe_image *images;
  const char *const *names;
  uint32_t image_count;
  uint32_t kernel_count;
} moe_kernels;

/** The code for one CPU, or for a device and its host: every function of the
 *  package. */
typedef struct moe_variant {
  const char *cpu;
  const moe_function *functions;
  const moe_kernels *kernels; /* NULL where the CPU does it all */
  uint32_t function_count;
} moe_variant;

/** Exported by every package as `NAME_package`. */
struct moe_package {
  uint32_t abi_version;
  uint32_t variant_count;
  const char *manifest;
  const moe_variant *variants;
};

/** Called by generated code: body over [0, count), on all threads. */
MOE_API void moe_parallel_for(moe_body body, void *context, int64_t count);
/** Called by generated code: how many threads it may expect there. */
MOE_API int64_t moe_thread_count(void);
/** Called by generated code: collective `number` of the manifest's table for
 * the function. `rows` are those of `send`, of `receive` for reduce_scatter and
 *  recv. Counts are NULL where there are none. A moe_status. */
MOE_API int32_t moe_collective(void *exchange, int32_t number, const void *send,
                               void *receive, int64_t rows,
                               const int32_t *send_counts,
                               const int32_t *receive_counts);
/** Called by generated code: the two halves of collective `number`, which moves
 *  the rows of some places. Memory and counts stay as they are until the second
 *  has returned. `room`: the rows of `receive`. A moe_status each. */
MOE_API int32_t moe_collective_start(void *exchange, int32_t number,
                                     const void *send, void *receive,
                                     int64_t rows, int64_t room,
                                     const int32_t *send_counts,
                                     const int32_t *receive_counts);
MOE_API int32_t moe_collective_wait(void *exchange, int32_t number);
/** Called by generated code: this rank's number in its group over `axes`, a
 *  mask of dp = 1, ep = 2, tp = 4. */
MOE_API int32_t moe_member(void *exchange, int32_t axes);
/** Called by generated code: puts a kernel of the package into the stream of
 *  `device`, unless one before it has failed or a size of the grid is 0.
 *  `arguments` points to its arguments, which are read before this returns. */
MOE_API void moe_gpu_launch(void *device, int32_t kernel, int64_t grid_x,
                            int64_t grid_y, int64_t grid_z, int64_t block_x,
                            int64_t block_y, int64_t block_z,
                            int32_t shared_bytes, void **arguments);
/** Called by generated code: the i32 at an address of the device, once the
 *  kernels before have made it; -1 if one of them fails. */
MOE_API int32_t moe_gpu_value(void *device, const void *address);
/** Called by generated code: whether the kernels of `device` are those for
 *  sm_90a, with products of warpgroups. */
MOE_API int32_t moe_gpu_has_wgmma(void *device);
/** Called by generated code: whether they are for sm_89 or newer, with products
 *  of codes of 8 bits. */
MOE_API int32_t moe_gpu_has_fp8(void *device);
/** Called by generated code: how many multiprocessors the device has. */
MOE_API int64_t moe_gpu_processors(void *device);
/** Called by generated code: describes matrices at `data` for copies of boxes
 *  of them, in the 128 bytes of `map`, which are aligned to 64. In memory of a
 *  block the lines of a box, 128 bytes or less, lie swizzled; what is outside
 *  of a matrix is zero there. A failure shows when the call ends. */
MOE_API void moe_gpu_tensor_map(void *device, void *map, const void *data,
                                int32_t element_bytes, int64_t columns,
                                int64_t rows, int64_t matrices,
                                int64_t row_bytes, int64_t matrix_bytes,
                                int32_t box_columns, int32_t box_rows);
/** Called by generated code: a monotonic clock in nanoseconds. */
MOE_API int64_t moe_clock(void);

#ifdef __cplusplus
}
#endif

#endif /* MOE_RUNTIME_PACKAGE_H */
