//===- EmitterBlocks.cpp - Kernels whose threads work together ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moe;

static Attribute workgroup(Emitter &e) {
  return gpu::AddressSpaceAttr::get(e.getContext(),
                                    gpu::AddressSpace::Workgroup);
}

/// The builder has no room for the numbers that a body is given of clusters:
/// which it is, and of what size.
static void setCluster(gpu::LaunchOp launch, Val across, Val other) {
  launch.getClusterSizeXMutable().assign(across);
  launch.getClusterSizeYMutable().assign(other);
  launch.getClusterSizeZMutable().assign(other);
  for (int i = 0; i < 6; ++i)
    launch.getBody().addArgument(across.value.getType(), launch.getLoc());
}

void Emitter::launch(Val blocks, int64_t threads, int64_t sharedBytes,
                     llvm::function_ref<void(Val, Val, Value)> body,
                     int64_t blocksInCluster) {
  Val one = index(1), across = index(blocksInCluster);
  Value bytes;
  if (sharedBytes)
    bytes = constant(getI32Type(), static_cast<double>(sharedBytes));
  auto launch = gpu::LaunchOp::create(*this, blocks, one, one, index(threads),
                                      one, one, bytes);
  if (blocksInCluster > 1)
    setCluster(launch, across, one);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToEnd(&launch.getBody().front());
  gpu::TerminatorOp::create(*this);
  setInsertionPoint(launch.getBody().front().getTerminator());
  Value shared;
  if (sharedBytes)
    shared = gpu::DynamicSharedMemoryOp::create(
        *this, MemRefType::get({ShapedType::kDynamic}, getI8Type(),
                               MemRefLayoutAttrInterface(), workgroup(*this)));
  body(val(launch.getBlockIds().x), val(launch.getThreadIds().x), shared);
}

Value Emitter::shared(Value memory, Val begin, Type element,
                      ArrayRef<int64_t> shape) {
  auto type = MemRefType::get(shape, element, MemRefLayoutAttrInterface(),
                              workgroup(*this));
  return memref::ViewOp::create(*this, type, memory, begin, ValueRange());
}

void Emitter::barrier() { gpu::BarrierOp::create(*this); }

void Emitter::clusterBarrier() {
  NVVM::ClusterArriveOp::create(*this, getUnitAttr());
  NVVM::ClusterWaitOp::create(*this, getUnitAttr());
}
