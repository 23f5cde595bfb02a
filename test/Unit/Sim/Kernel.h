//===- Kernel.h - Kernels in C++ --------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_SIM_KERNEL_H
#define MOE_TEST_UNIT_SIM_KERNEL_H

#include "../../../lib/Sim/Operations/Abi.h"
#include "moe/Sim/Image.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

// What the tests call of the simulator, as kernels do.
extern "C" {
uint32_t moe_sim_register(uint32_t);
void *moe_sim_static_shared(int64_t);
void moe_sim_load(void *, int64_t, uint32_t, uint32_t, uint32_t);
void moe_sim_store(void *, int64_t, uint32_t, uint32_t, uint32_t);
void moe_sim_barrier(uint32_t, int32_t, uint32_t);
uint32_t moe_sim_barrier_reduce(uint32_t, int32_t, uint32_t, uint32_t,
                                uint32_t);
uint64_t moe_sim_shuffle(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t,
                         uint32_t);
uint32_t moe_sim_vote(uint32_t, uint32_t, uint32_t, uint32_t);
uint32_t moe_sim_reduce(uint32_t, uint32_t, uint32_t, uint32_t);
uint64_t moe_sim_match(uint32_t, uint32_t, uint64_t, uint32_t);
uint32_t moe_sim_elect(uint32_t, uint32_t);
void moe_sim_ldmatrix(void *, uint32_t, uint32_t, uint32_t *, uint32_t);
void moe_sim_stmatrix(void *, uint32_t, uint32_t, uint32_t *, uint32_t);
void moe_sim_mma(const moe::sim::Product *, const void *, const void *,
                 const void *, void *, uint32_t);
void moe_sim_wgmma(const moe::sim::Product *, uint64_t, uint64_t, void *,
                   uint32_t);
void moe_sim_wgmma_fence();
void moe_sim_wgmma_commit(uint32_t);
void moe_sim_wgmma_wait(uint64_t, uint32_t);
void moe_sim_fence_proxy();
void moe_sim_fence_mbarrier_init();
void moe_sim_mbarrier_init(void *, uint32_t, uint32_t);
uint64_t moe_sim_mbarrier_arrive(void *, uint32_t, uint32_t, uint32_t, uint32_t,
                                 uint32_t);
uint32_t moe_sim_mbarrier_test(void *, uint64_t, uint32_t, uint32_t, uint32_t,
                               uint32_t);
void moe_sim_copy_async(void *, void *, uint32_t, uint32_t, uint32_t);
void moe_sim_copy_async_commit();
void moe_sim_copy_async_wait(uint32_t);
void moe_sim_tensor_load(void *, void *, void *, const int32_t *, uint32_t,
                         uint32_t, uint32_t);
void moe_sim_tensor_store(void *, void *, const int32_t *, uint32_t, uint32_t);
void moe_sim_bulk_commit();
void moe_sim_bulk_wait(uint32_t, uint32_t, uint32_t);
const char *moe_sim_report();
void moe_sim_reset(uint64_t);

int cuInit(unsigned);
int cuDevicePrimaryCtxRetain(void **, int);
int cuCtxSetCurrent(void *);
int cuCtxSynchronize();
int cuModuleLoadData(void **, const void *);
int cuModuleUnload(void *);
int cuModuleGetFunction(void **, void *, const char *);
int cuFuncSetAttribute(void *, int, int);
int cuMemAlloc_v2(unsigned long long *, size_t);
int cuMemFree_v2(unsigned long long);
int cuMemFreeAsync(unsigned long long, void *);
int cuMemHostAlloc(void **, size_t, unsigned);
int cuMemFreeHost(void *);
int cuMemcpyHtoDAsync_v2(unsigned long long, const void *, size_t, void *);
int cuMemcpyDtoHAsync_v2(void *, unsigned long long, size_t, void *);
int cuMemcpyDtoDAsync_v2(unsigned long long, unsigned long long, size_t,
                         void *);
int cuMemsetD8Async(unsigned long long, unsigned char, size_t, void *);
int cuLaunchKernel(void *, unsigned, unsigned, unsigned, unsigned, unsigned,
                   unsigned, unsigned, void *, void **, void **);
int cuStreamCreate(void **, unsigned);
int cuStreamDestroy_v2(void *);
int cuStreamSynchronize(void *);
int cuStreamWaitEvent(void *, void *, unsigned);
int cuStreamBeginCapture_v2(void *, int);
int cuStreamIsCapturing(void *, int *);
int cuStreamEndCapture(void *, void **);
int cuStreamWaitValue32_v2(void *, unsigned long long, unsigned, unsigned);
int cuStreamWriteValue32_v2(void *, unsigned long long, unsigned, unsigned);
int cuGraphInstantiateWithFlags(void **, void *, unsigned long long);
int cuGraphLaunch(void *, void *);
int cuGraphExecDestroy(void *);
int cuGraphDestroy(void *);
int cuEventCreate(void **, unsigned);
int cuEventDestroy_v2(void *);
int cuEventRecord(void *, void *);
int cuEventSynchronize(void *);
int cuEventQuery(void *);
int cuPointerGetAttribute(void *, int, unsigned long long);
int cuDeviceGetAttribute(int *, int, int);
int cuGetErrorString(int, const char **);
int cuTensorMapEncodeTiled(void *, int, unsigned, void *, const uint64_t *,
                           const uint64_t *, const uint32_t *, const uint32_t *,
                           int, int, int, int);
}

namespace simtest {

using Address = unsigned long long;

/// The context of one of two devices, once for all tests.
void useDevice(int number = 0);

/// A module with one kernel that calls whatever `run` was given last.
const moe_sim_image *image(int64_t sharedBytes = 1 << 16,
                           int64_t alignment = 1024);

/// Runs the body as a kernel of one block. The status of the driver.
int run(unsigned threads, std::function<void()> body, unsigned blocks = 1,
        void *stream = nullptr);
/// The same, and waits. A failure of the launch does not concern later ones.
int runToEnd(unsigned threads, std::function<void()> body, unsigned blocks = 1);

unsigned thread();

/// Values in device memory, and back.
template <typename T> class Buffer {
public:
  explicit Buffer(const std::vector<T> &values) : count(values.size()) {
    cuMemAlloc_v2(&address, count * sizeof(T));
    cuMemcpyHtoDAsync_v2(address, values.data(), count * sizeof(T), nullptr);
  }
  ~Buffer() { cuMemFree_v2(address); }
  T *get() const { return reinterpret_cast<T *>(address); }
  std::vector<T> values() const {
    std::vector<T> all(count);
    cuMemcpyDtoHAsync_v2(all.data(), address, count * sizeof(T), nullptr);
    return all;
  }
  Address address = 0;
  size_t count;
};

} // namespace simtest

#endif // MOE_TEST_UNIT_SIM_KERNEL_H
