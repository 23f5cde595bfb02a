//===- Image.h - What a simulated module is made of -------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The table that moe-simulate-kernels writes and cuModuleLoadData of the
// simulator reads. It needs no symbol of the simulator: the loader fills the
// slots with the functions that the kernels call.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SIM_IMAGE_H
#define MOE_SIM_IMAGE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOE_SIM_MAGIC "MOESIM1"

typedef struct {
  const char *name;
  /// One thread of the kernel. It finds its parameters as cuLaunchKernel gets
  /// them, a pointer to each.
  void (*body)(void **parameters);
  int64_t parameters;
  const int64_t *parameter_sizes;
  int64_t static_shared;     // bytes of shared memory besides the dynamic
  int64_t static_alignment;  // of the first byte of them
  int64_t dynamic_alignment; // what the kernel may rely on, not more
  int64_t max_threads;       // of a block, 0 if anything is allowed
  int64_t cluster[3];        // blocks of a cluster, 0 if the launch decides
} moe_sim_kernel;

typedef struct {
  const char *name;
  void *address;
  int64_t size;
} moe_sim_global;

typedef struct {
  const char *name;
  void **slot;
} moe_sim_call;

typedef struct {
  char magic[8];        // MOE_SIM_MAGIC and its zero
  int64_t architecture; // 80 or 90; a device needs at least that
  int64_t kernels;
  const moe_sim_kernel *kernel;
  int64_t globals; // memory that kernels share between launches, and constants
  const moe_sim_global *global;
  int64_t calls;
  const moe_sim_call *call;
  int64_t sites; // places in the source, which calls name by their number
  const int32_t *site_offset; // of each in the text
  const char *site_text;
} moe_sim_image;

#ifdef __cplusplus
}
#endif

#endif // MOE_SIM_IMAGE_H
