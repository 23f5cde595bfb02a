/*===- FakeCuda.c - A CUDA driver of a few lines ----------------------------===
 *
 * Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===
 *
 * Its device is the host: memory is what malloc gives, and a kernel is a
 * function of C that runs when it is launched. An image is a null-terminated
 * array of them. FAKE_CUDA_* in the environment say what is wrong.
 *
 *===----------------------------------------------------------------------===*/

#include "moe/Runtime/Cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN __attribute__((visibility("default")))

static int setting(const char *name, int otherwise) {
  char variable[64];
  snprintf(variable, sizeof variable, "FAKE_CUDA_%s", name);
  const char *value = getenv(variable);
  return value && *value ? atoi(value) : otherwise;
}

typedef void (*kernel)(void **);

/* Blocks that live, so that a pointer's memory is known. */
enum { most = 1024 };
static struct {
  char *begin;
  size_t size;
} blocks[most];
static int depth; /* of contexts that are current */

static int of_device(moe_cu_address address) {
  for (int i = 0; i < most; ++i)
    if (blocks[i].begin && (char *)address >= blocks[i].begin &&
        (char *)address < blocks[i].begin + blocks[i].size)
      return 1;
  return 0;
}

static int needs_context(void) {
  return depth > 0 ? setting("RESULT", 0) : MOE_CU_INVALID_CONTEXT;
}

SHOWN int cuInit(unsigned flags) {
  (void)flags;
  return setting("INIT", 0);
}
SHOWN int cuDriverGetVersion(int *version) {
  *version = setting("VERSION", 13000);
  return 0;
}
SHOWN int cuGetErrorString(int result, const char **words) {
  *words = result == MOE_CU_OUT_OF_MEMORY     ? "out of memory"
           : result == MOE_CU_NO_DEVICE       ? "no CUDA-capable device"
           : result == MOE_CU_ILLEGAL_ADDRESS ? "an illegal memory access"
           : result == MOE_CU_INVALID_CONTEXT ? "invalid context"
                                              : "some error";
  return 0;
}
SHOWN int cuDeviceGetCount(int *count) {
  *count = setting("DEVICES", 1);
  return 0;
}
SHOWN int cuDeviceGet(int *device, int number) {
  *device = number;
  return 0;
}
SHOWN int cuDeviceGetName(char *name, int size, int device) {
  snprintf(name, (size_t)size, "Fake %d", device);
  return 0;
}
SHOWN int cuDeviceGetAttribute(int *value, int which, int device) {
  (void)device;
  int capability = setting("CAPABILITY", 90);
  *value = which == MOE_CU_COMPUTE_CAPABILITY_MAJOR   ? capability / 10
           : which == MOE_CU_COMPUTE_CAPABILITY_MINOR ? capability % 10
                                                      : 1;
  return 0;
}
SHOWN int cuDevicePrimaryCtxRetain(moe_cu_context *context, int device) {
  (void)device;
  static char some;
  *context = (moe_cu_context)&some;
  return 0;
}
SHOWN int cuDevicePrimaryCtxRelease_v2(int device) {
  (void)device;
  return 0;
}
SHOWN int cuCtxPushCurrent_v2(moe_cu_context context) {
  (void)context;
  ++depth;
  return 0;
}
SHOWN int cuCtxPopCurrent_v2(moe_cu_context *context) {
  (void)context;
  --depth;
  return 0;
}
SHOWN int cuMemAlloc_v2(moe_cu_address *address, size_t size) {
  int result = needs_context();
  if (result)
    return result;
  if (size > (size_t)setting("MEMORY", 1 << 28))
    return MOE_CU_OUT_OF_MEMORY;
  for (int i = 0; i < most; ++i)
    if (!blocks[i].begin) {
      blocks[i].begin = aligned_alloc(256, (size + 255) / 256 * 256);
      blocks[i].size = size;
      memset(blocks[i].begin, 0xCD, size);
      *address = (moe_cu_address)blocks[i].begin;
      return 0;
    }
  return MOE_CU_OUT_OF_MEMORY;
}
SHOWN int cuMemFree_v2(moe_cu_address address) {
  for (int i = 0; i < most; ++i)
    if (blocks[i].begin == (char *)address) {
      free(blocks[i].begin);
      blocks[i].begin = NULL;
      return depth > 0 ? 0 : MOE_CU_INVALID_CONTEXT;
    }
  return MOE_CU_INVALID_VALUE;
}
SHOWN int cuMemHostAlloc(void **memory, size_t size, unsigned flags) {
  (void)flags;
  *memory = malloc(size);
  return needs_context();
}
SHOWN int cuMemFreeHost(void *memory) {
  free(memory);
  return 0;
}
/* How many blocks there are, for tests. */
SHOWN int fake_cuda_blocks(void) {
  int count = 0;
  for (int i = 0; i < most; ++i)
    count += blocks[i].begin != NULL;
  return count;
}
SHOWN int cuMemcpyHtoDAsync_v2(moe_cu_address to, const void *from, size_t size,
                               moe_cu_stream stream) {
  (void)stream;
  memcpy((void *)to, from, size);
  return needs_context();
}
SHOWN int cuMemcpyDtoHAsync_v2(void *to, moe_cu_address from, size_t size,
                               moe_cu_stream stream) {
  (void)stream;
  memcpy(to, (const void *)from, size);
  return needs_context();
}
SHOWN int cuMemcpyDtoDAsync_v2(moe_cu_address to, moe_cu_address from,
                               size_t size, moe_cu_stream stream) {
  (void)stream;
  memcpy((void *)to, (const void *)from, size);
  return needs_context();
}
SHOWN int cuMemsetD8Async(moe_cu_address to, unsigned char value, size_t size,
                          moe_cu_stream stream) {
  (void)stream;
  memset((void *)to, value, size);
  return needs_context();
}
SHOWN int cuPointerGetAttribute(void *value, int which,
                                moe_cu_address address) {
  if (!of_device(address))
    return MOE_CU_INVALID_VALUE;
  *(unsigned *)value =
      which == MOE_CU_POINTER_MEMORY_TYPE ? MOE_CU_MEMORY_DEVICE : 0;
  return 0;
}
SHOWN int cuModuleLoadData(moe_cu_module *module, const void *image) {
  *module = (moe_cu_module)image;
  return setting("LOAD", needs_context());
}
SHOWN int cuModuleUnload(moe_cu_module module) {
  (void)module;
  return 0;
}
SHOWN int cuModuleGetFunction(moe_cu_function *function, moe_cu_module module,
                              const char *name) {
  /* Kernel number N is called kernel_N. */
  const kernel *all = (const kernel *)module;
  int number = atoi(name + strlen("kernel_"));
  for (int i = 0; i <= number; ++i)
    if (!all[i])
      return MOE_CU_NOT_FOUND;
  *function = (moe_cu_function)&all[number];
  return 0;
}
SHOWN int cuFuncSetAttribute(moe_cu_function function, int which, int value) {
  (void)function, (void)which;
  return value > 227 * 1024 ? MOE_CU_INVALID_VALUE : 0;
}
SHOWN int cuLaunchKernel(moe_cu_function function, unsigned gx, unsigned gy,
                         unsigned gz, unsigned bx, unsigned by, unsigned bz,
                         unsigned shared, moe_cu_stream stream,
                         void **arguments, void **extra) {
  (void)shared, (void)stream, (void)extra;
  int result = needs_context();
  if (!result)
    result = setting("LAUNCH", 0);
  if (!result && gx && gy && gz && bx && by && bz)
    (*(const kernel *)function)(arguments);
  return result;
}
SHOWN int cuTensorMapEncodeTiled(void *map, int type, unsigned rank, void *data,
                                 const uint64_t *extents,
                                 const uint64_t *strides, const uint32_t *box,
                                 const uint32_t *each, int interleave,
                                 int swizzle, int promotion, int fill) {
  (void)type, (void)rank, (void)extents, (void)strides, (void)box, (void)each;
  (void)interleave, (void)swizzle, (void)promotion, (void)fill;
  memcpy(map, &data, sizeof data);
  return setting("TENSOR_MAP", 0);
}
SHOWN int cuStreamCreate(moe_cu_stream *stream, unsigned flags) {
  (void)flags;
  *stream = NULL;
  return needs_context();
}
SHOWN int cuStreamSynchronize(moe_cu_stream stream) {
  (void)stream;
  int result = needs_context();
  return result ? result : setting("WAIT", 0);
}
SHOWN int cuStreamDestroy_v2(moe_cu_stream stream) {
  (void)stream;
  return needs_context();
}
SHOWN int cuCtxSynchronize(void) { return needs_context(); }
/* There is no other stream that could be waited for, and nothing is recorded.
 */
SHOWN int cuStreamWaitEvent(moe_cu_stream stream, moe_cu_event event,
                            unsigned flags) {
  (void)stream, (void)event, (void)flags;
  return needs_context();
}
SHOWN int cuEventCreate(moe_cu_event *event, unsigned flags) {
  (void)flags;
  *event = NULL;
  return needs_context();
}
SHOWN int cuEventRecord(moe_cu_event event, moe_cu_stream stream) {
  (void)event, (void)stream;
  return needs_context();
}
SHOWN int cuEventDestroy_v2(moe_cu_event event) {
  (void)event;
  return needs_context();
}
SHOWN int cuStreamBeginCapture_v2(moe_cu_stream stream, int mode) {
  (void)stream, (void)mode;
  return 900; /* not permitted */
}
SHOWN int cuStreamEndCapture(moe_cu_stream stream, moe_cu_graph *graph) {
  (void)stream;
  *graph = NULL;
  return 900;
}
SHOWN int cuGraphInstantiateWithFlags(moe_cu_graph_exec *exec,
                                      moe_cu_graph graph,
                                      unsigned long long flags) {
  (void)exec, (void)graph, (void)flags;
  return 900;
}
SHOWN int cuGraphLaunch(moe_cu_graph_exec exec, moe_cu_stream stream) {
  (void)exec, (void)stream;
  return 900;
}
SHOWN int cuGraphExecDestroy(moe_cu_graph_exec exec) {
  (void)exec;
  return 900;
}
SHOWN int cuGraphDestroy(moe_cu_graph graph) {
  (void)graph;
  return 900;
}
