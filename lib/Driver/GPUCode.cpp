//===- GPUCode.cpp - Kernels of a package ---------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GPUCode.h"

#include "moe/Sim/Passes.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace moe;

static Expected<GPUImage> makeImage(mlir::gpu::GPUModuleOp kernels,
                                    const GPUArch &arch) {
  Expected<std::string> ptx = emitPtx(kernels, arch);
  if (!ptx)
    return ptx.takeError();
  if (arch.isPtx)
    return GPUImage{arch, std::move(*ptx)};
  Expected<std::string> code = assemble(*ptx, arch);
  if (!code)
    return code.takeError();
  return GPUImage{arch, std::move(*code)};
}

Expected<PackageKernels> moe::takeKernels(mlir::ModuleOp module,
                                          ArrayRef<GPUArch> archs) {
  PackageKernels result;
  mlir::gpu::GPUModuleOp kernels = findKernels(module);
  if (!kernels)
    return createStringError("the program has no kernels");
  result.names = kernelNames(kernels);
  for (const GPUArch &arch : archs) {
    Expected<GPUImage> image = makeImage(kernels, arch);
    if (!image)
      return image.takeError();
    result.images.push_back({arch.name, std::move(image->bytes), ""});
  }
  kernels->erase();
  module->removeAttr(mlir::gpu::GPUDialect::getContainerModuleAttrName());
  return result;
}

Expected<PackageKernels> moe::simulateKernels(mlir::ModuleOp module,
                                              const GPUArch &arch) {
  PackageKernels result;
  mlir::gpu::GPUModuleOp kernels = findKernels(module);
  if (!kernels)
    return createStringError("the program has no kernels");
  result.names = kernelNames(kernels);
  result.images.push_back({arch.name, "", kernels.getName().str() + "_image"});
  dropKernels(kernels, arch);
  SimulateKernelsPassOptions options;
  int64_t number = 80;
  (void)StringRef(arch.sm).drop_front(3).take_while(isDigit).getAsInteger(
      10, number);
  options.architecture = number >= 90 ? 90 : 80;
  mlir::PassManager passes(module.getContext());
  passes.addPass(createSimulateKernelsPass(options));
  if (mlir::failed(passes.run(module)))
    return createStringError("the kernels cannot be simulated");
  return result;
}

Expected<std::string> moe::emitKernels(mlir::ModuleOp module,
                                       ArrayRef<GPUArch> archs,
                                       GPUOutput output) {
  mlir::gpu::GPUModuleOp kernels = findKernels(module);
  if (!kernels)
    return createStringError("the program has no kernels");
  if (output == GPUOutput::ptx)
    return emitPtx(kernels, archs.front());
  std::vector<GPUImage> images;
  for (const GPUArch &arch : archs) {
    Expected<GPUImage> image = makeImage(kernels, arch);
    if (!image)
      return image.takeError();
    images.push_back(std::move(*image));
  }
  if (output == GPUOutput::cubin)
    return std::move(images.front().bytes);
  return joinImages(images);
}
