/*===- Cuda.h - What we use of the CUDA driver -----------------------*- C
 * -*-===
 *
 * Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===
 *
 * Types and numbers of its binary interface, from its documentation: no header
 * of CUDA is needed. The runtime finds the functions in libcuda.so.1, or in the
 * file that MOE_CUDA names.
 *
 *===----------------------------------------------------------------------===*/

#ifndef MOE_RUNTIME_CUDA_H
#define MOE_RUNTIME_CUDA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int moe_cu_result;
typedef int moe_cu_device;
typedef unsigned long long moe_cu_address;
typedef struct moe_cu_context_object *moe_cu_context;
typedef struct moe_cu_module_object *moe_cu_module;
typedef struct moe_cu_function_object *moe_cu_function;
typedef struct moe_cu_stream_object *moe_cu_stream;
typedef struct moe_cu_event_object *moe_cu_event;
typedef struct moe_cu_graph_object *moe_cu_graph;
typedef struct moe_cu_graph_exec_object *moe_cu_graph_exec;

enum {
  MOE_CU_SUCCESS = 0,
  MOE_CU_INVALID_VALUE = 1,
  MOE_CU_OUT_OF_MEMORY = 2,
  MOE_CU_NOT_INITIALIZED = 3,
  MOE_CU_NO_DEVICE = 100,
  MOE_CU_INVALID_DEVICE = 101,
  MOE_CU_INVALID_IMAGE = 200,
  MOE_CU_INVALID_CONTEXT = 201,
  MOE_CU_NO_BINARY_FOR_GPU = 209,
  MOE_CU_UNSUPPORTED_PTX_VERSION = 222,
  MOE_CU_NOT_FOUND = 500,
  MOE_CU_NOT_READY = 600,
  MOE_CU_ILLEGAL_ADDRESS = 700,
  MOE_CU_LAUNCH_FAILED = 719,
  MOE_CU_UNKNOWN = 999
};

/* Of cuDeviceGetAttribute. */
enum {
  MOE_CU_MULTIPROCESSOR_COUNT = 16,
  MOE_CU_COMPUTE_CAPABILITY_MAJOR = 75,
  MOE_CU_COMPUTE_CAPABILITY_MINOR = 76
};

/* Of cuPointerGetAttribute. */
enum { MOE_CU_POINTER_MEMORY_TYPE = 2, MOE_CU_POINTER_DEVICE_ORDINAL = 9 };
enum { MOE_CU_MEMORY_HOST = 1, MOE_CU_MEMORY_DEVICE = 2 };

/* Of cuFuncSetAttribute. */
enum { MOE_CU_FUNCTION_MAX_DYNAMIC_SHARED = 8 };

enum { MOE_CU_STREAM_NON_BLOCKING = 1 };
enum { MOE_CU_EVENT_DISABLE_TIMING = 2 };

/* Of cuStreamBeginCapture: what other threads do is their own business. */
enum { MOE_CU_CAPTURE_RELAXED = 2 };

/* Of cuTensorMapEncodeTiled. */
enum { MOE_CU_TENSOR_UINT8 = 0, MOE_CU_TENSOR_UINT16 = 1 };
enum { MOE_CU_SWIZZLE_128 = 3, MOE_CU_PROMOTE_TO_256 = 3 };

#ifdef __cplusplus
}
#endif

#endif /* MOE_RUNTIME_CUDA_H */
