//===- SharedLayout.cpp - Where variables of a block are ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SharedLayout.h"

#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moe::sim;

static constexpr unsigned sharedSpace = 3;

bool moe::sim::isKernel(LLVM::LLVMFuncOp function) {
  return function->hasAttr("gpu.kernel") || function->hasAttr("nvvm.kernel");
}

bool moe::sim::isShared(LLVM::GlobalOp global) {
  return global.getAddrSpace() == sharedSpace;
}

SharedLayout moe::sim::layOutShared(gpu::GPUModuleOp device) {
  SharedLayout result;
  DataLayout layout(device);
  DenseMap<Operation *, llvm::SetVector<Operation *>> usersOf;
  device.walk([&](LLVM::AddressOfOp op) {
    if (auto global = device.lookupSymbol<LLVM::GlobalOp>(op.getGlobalName()))
      usersOf[global].insert(op->getParentOfType<LLVM::LLVMFuncOp>());
  });
  int64_t common = 0;
  auto place = [&](LLVM::GlobalOp global, int64_t &end) {
    Type type = global.getGlobalType();
    int64_t alignment = global.getAlignment() && *global.getAlignment()
                            ? int64_t(*global.getAlignment())
                            : int64_t(layout.getTypeABIAlignment(type));
    auto bytes = int64_t(layout.getTypeSize(type).getFixedValue());
    int64_t &most = bytes ? result.staticAlignment : result.dynamicAlignment;
    most = std::max(most, alignment);
    if (bytes == 0)
      return;
    end = llvm::alignTo(end, alignment);
    result.offsetOf[global] = end;
    end += bytes;
  };
  auto isOwn = [&](LLVM::GlobalOp global) {
    auto &users = usersOf[global];
    return users.size() == 1 && isKernel(cast<LLVM::LLVMFuncOp>(users[0]));
  };
  for (auto global : device.getOps<LLVM::GlobalOp>())
    if (isShared(global) && !isOwn(global))
      place(global, common);
  for (auto function : device.getOps<LLVM::LLVMFuncOp>()) {
    int64_t end = common;
    for (auto global : device.getOps<LLVM::GlobalOp>())
      if (isShared(global) && isOwn(global) && usersOf[global][0] == function)
        place(global, end);
    result.bytesOf[function] = end;
  }
  return result;
}
