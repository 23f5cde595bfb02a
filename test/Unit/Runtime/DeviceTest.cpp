//===- DeviceTest.cpp - Layers on a GPU -----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What a layer keeps on its device and what it says when something is wrong
// there, with a driver whose device is the host. The kernels are those that the
// fake package has as functions.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "moe/Runtime/Cuda.h"
#include "moe/Support/ChooseDevice.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

using namespace moe::test;
using nlohmann::json;

namespace {

/// One of the environment, until the end of the test.
class Variable {
public:
  Variable(const char *name, const char *value) : name(name) {
    setenv(name, value, 1);
  }
  Variable(const Variable &) = delete;
  ~Variable() { unsetenv(name); }

private:
  const char *name;
};

/// Kernel number `Function` runs that function of the fake package.
template <int Function> void kernel(void **arguments) {
  auto *sizes = *static_cast<const int64_t **>(arguments[0]);
  auto *buffers = *static_cast<void *const **>(arguments[1]);
  fake_package.variants[0].functions[Function].entry(sizes, buffers);
}

/// Launches it, as a compiled entry would; `Arguments` buffers come first.
template <int Function, int Arguments>
void launch(const int64_t *sizes, void *const *buffers) {
  void *arguments[] = {&sizes, &buffers};
  moe_gpu_launch(buffers[Arguments + 2], Function, 1, 1, 1, 1, 1, 1, 0,
                 arguments);
}

/// The same after asking about the device, and describing matrices to it.
void prepare(const int64_t *sizes, void *const *buffers) {
  void *device = buffers[14];
  alignas(64) char map[128];
  moe_gpu_tensor_map(device, map, buffers[0], 2, 64, 0, 1, 128, 128, 64, 8);
  moe_gpu_tensor_map(device, map, buffers[0], 2, 64, 9, 1, 128, 128, 64, 8);
  void *known = nullptr;
  std::memcpy(&known, map, sizeof known);
  bool fits = known == buffers[0] && !moe_gpu_has_wgmma(device) &&
              !moe_gpu_has_fp8(device) && moe_gpu_processors(device) == 1;
  if (fits || std::getenv("FAKE_CUDA_TENSOR_MAP"))
    launch<0, 12>(sizes, buffers);
}

using Kernel = void (*)(void **);
constexpr Kernel image[] = {kernel<0>, kernel<1>, kernel<2>, kernel<3>,
                            nullptr};
constexpr const char *names[] = {"kernel_0", "kernel_1", "kernel_2",
                                 "kernel_3"};

struct DeviceTest : testing::Test {
  DeviceTest()
      : edited([](json &m) {
          m["target"]["variants"][0]["kind"] = "cuda";
          m["target"]["variants"][0]["gpu"] = {"sm_80", "compute_80"};
        }) {
    edited.package.manifest = edited.manifest.c_str();
    edited.package.variants = &variant;
  }

  moe_status create() {
    moe_layer *made = nullptr;
    moe_status status = moe_layer_create(&edited.package, &made);
    layer.reset(made);
    if (made)
      setWeights(made);
    return status;
  }

  DLTensor get(const char *name) {
    DLTensor view = {};
    EXPECT_MOE_OK(moe_layer_get(layer.get(), name, &view));
    return view;
  }

  moe_status run(DLTensor &x, DLTensor &y) {
    const DLTensor *inputs[] = {&x}, *outputs[] = {&y};
    return moe_layer_run(layer.get(), "forward", inputs, outputs);
  }

  moe_function functions[4] = {{"forward", launch<0, 12>},
                               {"step", launch<1, 1>},
                               {"quantize", launch<2, 4>},
                               {"pair", launch<3, 3>}};
  moe_image images[2] = {{"sm_80", image, sizeof image},
                         {"compute_80", image, sizeof image}};
  moe_kernels kernels = {images, names, 2, 4};
  moe_variant variant = {"plain", functions, &kernels, 4};
  EditedPackage edited;
  Layer layer;
  Variable driver{"MOE_CUDA", MOE_FAKES "/libfake_cuda.so"};
};

} // namespace

TEST_F(DeviceTest, RunsThere) {
  ASSERT_MOE_OK(create());
  Tensor<float> x({2, 4}, f32, 1), y({2, 4}, f32);
  EXPECT_MOE_OK(run(x.view, y.view));
  EXPECT_EQ((std::vector<float>{11, 12, 13, 14, 11, 12, 13, 14}), y.data);
  auto *indices = static_cast<int32_t *>(get("indices").data);
  EXPECT_EQ((std::vector<int32_t>{0, 1, 1, 2}),
            std::vector<int32_t>(indices, indices + 4));
  auto *loads = static_cast<int64_t *>(get("loads").data);
  EXPECT_EQ((std::vector<int64_t>{1, 2, 1}),
            std::vector<int64_t>(loads, loads + 3));
  moe_statistics statistics;
  EXPECT_MOE_OK(moe_layer_statistics(layer.get(), &statistics));
  EXPECT_EQ(2, statistics.tokens);
  EXPECT_EQ(2, statistics.loads[1]);
  EXPECT_FLOAT_EQ(0.25f, statistics.imbalance);
}

TEST_F(DeviceTest, NoTokens) {
  ASSERT_MOE_OK(create());
  Tensor<float> x({0, 4}, f32), y({0, 4}, f32);
  EXPECT_MOE_OK(run(x.view, y.view));
}

TEST_F(DeviceTest, StateStaysThereAndStartsAnew) {
  ASSERT_MOE_OK(create());
  for (int i = 0; i < 3; ++i)
    EXPECT_MOE_OK(moe_layer_run(layer.get(), "step", nullptr, nullptr));
  EXPECT_FLOAT_EQ(13, *static_cast<float *>(get("bias").data));
  EXPECT_MOE_OK(moe_layer_run(layer.get(), "step", nullptr, nullptr));
  EXPECT_FLOAT_EQ(14, *static_cast<float *>(get("bias").data));
  EXPECT_MOE_OK(moe_layer_run(layer.get(), "step", nullptr, nullptr));
  EXPECT_MOE_OK(moe_layer_reset(layer.get()));
  EXPECT_MOE_OK(moe_layer_run(layer.get(), "step", nullptr, nullptr));
  EXPECT_FLOAT_EQ(11, *static_cast<float *>(get("bias").data));
}

TEST_F(DeviceTest, NewWeightsAreSeen) {
  ASSERT_MOE_OK(create());
  Tensor<float> x({1, 4}, f32, 1), y({1, 4}, f32), scale({4}, f32, 5);
  EXPECT_MOE_OK(run(x.view, y.view));
  EXPECT_MOE_OK(moe_layer_set_weight(layer.get(), "scale.weight", &scale.view));
  EXPECT_MOE_OK(run(x.view, y.view));
  EXPECT_FLOAT_EQ(15, y.data[3]);
}

TEST_F(DeviceTest, LayersShareWeights) {
  ASSERT_MOE_OK(create());
  moe_layer *other = nullptr;
  ASSERT_MOE_OK(moe_layer_share(layer.get(), &other));
  layer.reset(other);
  Tensor<float> x({1, 4}, f32, 1), y({1, 4}, f32);
  EXPECT_MOE_OK(run(x.view, y.view));
  EXPECT_FLOAT_EQ(14, y.data[3]);
}

TEST_F(DeviceTest, TensorsOfTheDeviceAreUsedWhereTheyAre) {
  ASSERT_MOE_OK(create());
  Tensor<float> x({1, 4}, f32, 1), y({1, 4}, f32);
  EXPECT_MOE_OK(run(x.view, y.view));
  // State of the layer is memory of this device that we know of.
  void *library = dlopen(MOE_FAKES "/libfake_cuda.so", RTLD_NOW);
  ASSERT_NE(nullptr, library);
  auto alloc = reinterpret_cast<int (*)(moe_cu_address *, size_t)>(
      dlsym(library, "cuMemAlloc_v2"));
  auto push = reinterpret_cast<int (*)(moe_cu_context)>(
      dlsym(library, "cuCtxPushCurrent_v2"));
  auto pop = reinterpret_cast<int (*)(moe_cu_context *)>(
      dlsym(library, "cuCtxPopCurrent_v2"));
  moe_cu_address in = 0, out = 0;
  push(nullptr);
  ASSERT_EQ(0, alloc(&in, 20));
  ASSERT_EQ(0, alloc(&out, 20));
  pop(nullptr);
  std::memcpy(reinterpret_cast<void *>(in), x.data.data(), 16);
  x.view.data = reinterpret_cast<void *>(in);
  y.view.data = reinterpret_cast<void *>(out);
  x.view.device = y.view.device = {kDLCUDA, 0};
  EXPECT_MOE_OK(run(x.view, y.view));
  EXPECT_FLOAT_EQ(14, reinterpret_cast<float *>(out)[3]);
  // Not where kernels can read it.
  x.data[3] = 2;
  std::memcpy(reinterpret_cast<void *>(in + 4), x.data.data(), 16);
  x.view.data = reinterpret_cast<void *>(in + 4);
  EXPECT_MOE_OK(run(x.view, y.view));
  EXPECT_FLOAT_EQ(18, reinterpret_cast<float *>(out)[3]);
  // Nor where they can write it.
  y.view.data = reinterpret_cast<void *>(out + 4);
  EXPECT_MOE_OK(run(x.view, y.view));
  EXPECT_FLOAT_EQ(18, reinterpret_cast<float *>(out)[4]);
  x.view.device.device_id = 1;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(x.view, y.view),
                "tensor 'x': expected memory of GPU 0, found that of GPU 1");
  x.view.device.device_id = 0;
  x.view.data = x.data.data();
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(x.view, y.view),
                "tensor 'x': it says that it is on a GPU, but its data is not");
  x.view.device.device_type = kDLOpenCL;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(x.view, y.view),
                "expected memory of the CPU or of CUDA, found device type 4");
  dlclose(library);
}

TEST_F(DeviceTest, WhatIsNotFiniteIsReported) {
  ASSERT_MOE_OK(create());
  Tensor<float> x({2, 4}, f32, 1), y({2, 4}, f32);
  x.data[4] = INFINITY;
  EXPECT_STATUS(MOE_NOT_FINITE, run(x.view, y.view), "token 1 is not finite");
}

TEST_F(DeviceTest, MemoryIsGivenBack) {
  void *library = dlopen(MOE_FAKES "/libfake_cuda.so", RTLD_NOW);
  ASSERT_NE(nullptr, library);
  auto blocks = reinterpret_cast<int (*)()>(dlsym(library, "fake_cuda_blocks"));
  int before = blocks();
  ASSERT_MOE_OK(create());
  Tensor<float> x({2, 4}, f32, 1), y({2, 4}, f32);
  EXPECT_MOE_OK(run(x.view, y.view));
  EXPECT_LT(before, blocks());
  layer.reset();
  EXPECT_EQ(before, blocks());
  dlclose(library);
}

TEST_F(DeviceTest, ARunAfterOneWithoutMemory) {
  ASSERT_MOE_OK(create());
  Tensor<float> x({64, 4}, f32, 1), y({64, 4}, f32);
  {
    Variable little("FAKE_CUDA_MEMORY", "512");
    EXPECT_STATUS(MOE_OUT_OF_MEMORY, run(x.view, y.view),
                  "out of memory on Fake 0 for 1024 bytes");
  }
  EXPECT_MOE_OK(run(x.view, y.view));
  EXPECT_FLOAT_EQ(14, y.data[3]);
}

TEST_F(DeviceTest, FailuresNameTheKernel) {
  ASSERT_MOE_OK(create());
  Tensor<float> x({1, 4}, f32, 1), y({1, 4}, f32);
  {
    Variable fault("FAKE_CUDA_LAUNCH", "700");
    EXPECT_STATUS(MOE_DEVICE_FAILED, run(x.view, y.view),
                  "kernel 'kernel_0': an illegal memory access");
  }
  Variable fault("FAKE_CUDA_WAIT", "700");
  EXPECT_STATUS(MOE_DEVICE_FAILED, run(x.view, y.view),
                "one of the kernels from 'kernel_0' to 'kernel_0'");
}

TEST_F(DeviceTest, EntriesAskAndDescribe) {
  functions[0].entry = prepare;
  ASSERT_MOE_OK(create());
  Tensor<float> x({1, 4}, f32, 1), y({1, 4}, f32);
  EXPECT_MOE_OK(run(x.view, y.view));
  EXPECT_FLOAT_EQ(14, y.data[3]);
  Variable fault("FAKE_CUDA_TENSOR_MAP", "1");
  EXPECT_STATUS(MOE_DEVICE_FAILED, run(x.view, y.view),
                "cuTensorMapEncodeTiled: some error");
}

TEST_F(DeviceTest, KernelsForOtherArchitecturesMayBeMissing) {
  kernels.kernel_count = 6;
  const char *more[] = {"kernel_0", "kernel_1",       "kernel_2",
                        "kernel_3", "kernel_4_wgmma", "kernel_5_fp8"};
  kernels.names = more;
  // It is not launched by accident.
  functions[0].entry = [](const int64_t *, void *const *buffers) {
    moe_gpu_launch(buffers[14], 4, 1, 1, 1, 1, 1, 1, 0, nullptr);
  };
  ASSERT_MOE_OK(create());
  Tensor<float> x({1, 4}, f32, 1), y({1, 4}, f32);
  EXPECT_STATUS(MOE_DEVICE_FAILED, run(x.view, y.view),
                "kernel 'kernel_4_wgmma': some error");
}

TEST_F(DeviceTest, LateFailuresNameTheKernels) {
  ASSERT_MOE_OK(create());
  EXPECT_MOE_OK(moe_layer_run(layer.get(), "step", nullptr, nullptr));
  Variable fault("FAKE_CUDA_WAIT", "700");
  EXPECT_STATUS(MOE_DEVICE_FAILED,
                moe_layer_run(layer.get(), "step", nullptr, nullptr),
                "one of the kernels from 'kernel_1' to 'kernel_1': an illegal "
                "memory access; MOE_GPU_SYNC=1 tells which");
  Variable sync("MOE_GPU_SYNC", "1");
  EXPECT_STATUS(MOE_DEVICE_FAILED,
                moe_layer_run(layer.get(), "step", nullptr, nullptr),
                "kernel 'kernel_1': an illegal memory access");
}

TEST_F(DeviceTest, NoDriver) {
  Variable other("MOE_CUDA", "/nonexistent/libcuda.so.1");
  EXPECT_STATUS(MOE_UNAVAILABLE, create(),
                "cannot load the CUDA driver from '/nonexistent/libcuda.so.1'");
  setenv("MOE_CUDA", MOE_FAKES "/fake.so", 1);
  EXPECT_STATUS(MOE_UNAVAILABLE, create(), "fake.so' is no CUDA driver");
}

/// The library under a name of its own, since what has loaded stays.
TEST_F(DeviceTest, DriversThatDoNotDo) {
  TemporaryFolder folder;
  std::string file = folder / "libcuda.so.1";
  std::filesystem::copy(MOE_FAKES "/libfake_cuda.so", file);
  Variable named("MOE_CUDA", file.c_str());
  {
    Variable old("FAKE_CUDA_VERSION", "11080");
    EXPECT_STATUS(MOE_UNAVAILABLE, create(),
                  "is a driver for CUDA 11.8, expected one for CUDA 12.0");
  }
  {
    Variable none("FAKE_CUDA_INIT", "100");
    EXPECT_STATUS(MOE_UNAVAILABLE, create(), "cuInit: no CUDA-capable device");
  }
  {
    Variable none("FAKE_CUDA_DEVICES", "0");
    EXPECT_STATUS(MOE_UNAVAILABLE, create(), "CUDA shows no device");
  }
  Variable number("MOE_GPU", "3");
  EXPECT_STATUS(MOE_UNAVAILABLE, create(),
                "found GPU number 3, expected one below 1");
  for (const char *list : {"0,", ",0", "0 1", "-1", "0,x", "99999999999"}) {
    setenv("MOE_GPU", list, 1);
    EXPECT_STATUS(MOE_INVALID_ARGUMENT, create(), "expected numbers of GPUs");
  }
  setenv("MOE_GPU", "first", 1);
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, create(),
                "found MOE_GPU='first', expected numbers of GPUs");
}

TEST_F(DeviceTest, RanksTakeTurns) {
  EXPECT_EQ(0, moe::chooseDevice(nullptr, 0, 4));
  EXPECT_EQ(1, moe::chooseDevice("", 5, 4));
  EXPECT_EQ(2, moe::chooseDevice("2", 3, 4));
  EXPECT_EQ(3, moe::chooseDevice("2,3", 3, 4));
  EXPECT_EQ(7, moe::chooseDevice("7", 0, 4)); // which the device refuses
  EXPECT_EQ(std::nullopt, moe::chooseDevice("2,,3", 0, 4));
}

TEST_F(DeviceTest, CodeForTheDevice) {
  Variable old("FAKE_CUDA_CAPABILITY", "75");
  EXPECT_STATUS(MOE_GPU_MISMATCH, create(),
                "'fake' has no code for Fake 0, which is sm_75; it has sm_80, "
                "compute_80");
}

TEST_F(DeviceTest, MachineCodeOnlyForAnotherGeneration) {
  images[1].arch = "sm_90a";
  Variable newer("FAKE_CUDA_CAPABILITY", "100");
  EXPECT_STATUS(MOE_GPU_MISMATCH, create(), "which is sm_100");
}

TEST_F(DeviceTest, CodeThatTheDriverRefuses) {
  Variable refused("FAKE_CUDA_LOAD", "222");
  EXPECT_STATUS(MOE_GPU_MISMATCH, create(),
                "'fake': the code for compute_80 cannot be loaded: some error");
}

TEST_F(DeviceTest, PackagesThatLackKernels) {
  kernels.kernel_count = 5;
  const char *more[] = {"kernel_0", "kernel_1", "kernel_2", "kernel_3",
                        "kernel_4"};
  kernels.names = more;
  EXPECT_STATUS(MOE_BAD_FILE, create(), "'fake' has no kernel 'kernel_4'");
  kernels.image_count = 1;
  EXPECT_STATUS(MOE_BAD_FILE, create(),
                "expected 2 images of kernels, found 1");
  kernels.images = nullptr;
  EXPECT_STATUS(MOE_BAD_FILE, create(), "expected kernels, found none");
  variant.kernels = nullptr;
  EXPECT_STATUS(MOE_BAD_FILE, create(),
                "there is no code for cpu 'plain' with kernels");
}

namespace {

/// The same with code for the CPU too, which writes other loads.
struct EitherTest : DeviceTest {
  EitherTest() {
    json manifest = json::parse(edited.manifest);
    json &variants = manifest["target"]["variants"];
    json cpu = {{"kind", "cpu"}, {"cpu", "plain"}, {"features", json::array()}};
    variants.insert(variants.begin(), cpu);
    edited.manifest = manifest.dump();
    edited.package.manifest = edited.manifest.c_str();
    both[0] = fake_package.variants[0];
    both[1] = variant;
    edited.package.variants = both;
    edited.package.variant_count = 2;
  }

  moe_status createOn(const char *device, const char *cpu = nullptr) {
    moe_layer *made = nullptr;
    moe_layer_options options = {device, cpu, nullptr};
    moe_status status = moe_layer_create_with(&edited.package, &options, &made);
    layer.reset(made);
    if (made)
      setWeights(made);
    return status;
  }

  void expectRuns(const char *device) {
    EXPECT_STREQ(device, moe_layer_device(layer.get()));
    Tensor<float> x({1, 4}, f32, 1), y({1, 4}, f32);
    EXPECT_MOE_OK(run(x.view, y.view));
    EXPECT_FLOAT_EQ(14, y.data[3]);
  }

  moe_variant both[2];
};

} // namespace

TEST_F(EitherTest, AGpuIfThereIsOne) {
  ASSERT_MOE_OK(createOn(nullptr));
  expectRuns("cuda");
  ASSERT_MOE_OK(createOn("cpu"));
  expectRuns("cpu");
  ASSERT_MOE_OK(createOn(nullptr, "plain"));
  expectRuns("cpu");
  EXPECT_EQ(nullptr, moe_layer_device(nullptr));
}

TEST_F(EitherTest, SharedLayersStayThere) {
  ASSERT_MOE_OK(createOn("cuda"));
  moe_layer *other = nullptr;
  ASSERT_MOE_OK(moe_layer_share(layer.get(), &other));
  layer.reset(other);
  expectRuns("cuda");
}

TEST_F(EitherTest, TheCpuWithoutAGpu) {
  Variable other("MOE_CUDA", "/nonexistent/libcuda.so.1");
  ASSERT_MOE_OK(createOn(nullptr));
  expectRuns("cpu");
  EXPECT_STATUS(MOE_UNAVAILABLE, createOn("cuda"),
                "cannot load the CUDA driver from '/nonexistent/libcuda.so.1'");
}

TEST_F(EitherTest, TheCpuBesideAGpuThatIsTooOld) {
  Variable old("FAKE_CUDA_CAPABILITY", "75");
  ASSERT_MOE_OK(createOn(nullptr));
  expectRuns("cpu");
  EXPECT_STATUS(MOE_GPU_MISMATCH, createOn("cuda"),
                "'fake' has no code for Fake 0, which is sm_75; it has sm_80, "
                "compute_80");
}

/// A GPU that fails is no GPU that is not there.
TEST_F(EitherTest, FailuresOfAGpuAreErrors) {
  Variable fault("FAKE_CUDA_LOAD", "2");
  EXPECT_STATUS(
      MOE_OUT_OF_MEMORY, createOn(nullptr),
      "'fake': the code for compute_80 cannot be loaded: out of memory");
}

TEST_F(EitherTest, NeitherFits) {
  json manifest = json::parse(edited.manifest);
  manifest["target"]["variants"][0]["features"] = {"avx9000"};
  edited.manifest = manifest.dump();
  edited.package.manifest = edited.manifest.c_str();
  ASSERT_MOE_OK(createOn(nullptr));
  expectRuns("cuda");
  layer.reset(); // and with it the device as it was
  Variable old("FAKE_CUDA_CAPABILITY", "75");
  EXPECT_STATUS(MOE_UNAVAILABLE, createOn(nullptr),
                "'fake' cannot run on any device that it has code for: on "
                "'cuda': 'fake' has no code for Fake 0, which is sm_75; it has "
                "sm_80, compute_80; on 'cpu': this CPU lacks for 'plain' "
                "avx9000");
}

TEST_F(EitherTest, OtherDevices) {
  EXPECT_STATUS(MOE_NOT_FOUND, createOn("sim"),
                "'fake' has no code for device 'sim'; it has cuda, cpu");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, createOn("cudda"),
                "'fake' has no code for device 'cudda'; it has cuda, cpu; did "
                "you mean 'cuda'?");
  EXPECT_STATUS(MOE_NOT_FOUND, createOn("cuda", "znver4"),
                "'fake' has no code for cpu 'znver4' on device 'cuda'; it has "
                "plain");
  EXPECT_STATUS(MOE_NOT_FOUND, createOn(nullptr, "znver4"),
                "'fake' has no code for cpu 'znver4'; it has plain");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_create_with(&edited.package, nullptr, nullptr),
                "'options' is null");
}

TEST_F(EitherTest, TheEnvironmentChooses) {
  Variable wanted("MOE_DEVICE", "cpu");
  ASSERT_MOE_OK(createOn(nullptr));
  expectRuns("cpu");
  ASSERT_MOE_OK(createOn("cuda"));
  expectRuns("cuda");
  setenv("MOE_DEVICE", "sim", 1);
  EXPECT_STATUS(MOE_NOT_FOUND, createOn(nullptr),
                "'fake' has no code for device 'sim', which MOE_DEVICE asks "
                "for; it has cuda, cpu");
}
