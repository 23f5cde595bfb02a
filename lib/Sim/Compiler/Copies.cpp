//===- Copies.cpp - Asynchronous copies -----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe::sim;

static Rewrite rewriteCopyAsync(Operation *op, Calls &calls) {
  return llvm::TypeSwitch<Operation *, Rewrite>(op)
      .Case([&](NVVM::CpAsyncOp copy) {
        Value bytes = calls.constant(copy.getSize());
        Value from = copy.getCpSize();
        calls.call("moe_sim_copy_async", {copy.getDst(), copy.getSrc(), bytes,
                                          from ? from : bytes, calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::CpAsyncCommitGroupOp) {
        calls.call("moe_sim_copy_async_commit", {});
        return replace(op);
      })
      .Case([&](NVVM::CpAsyncWaitGroupOp wait) {
        calls.call("moe_sim_copy_async_wait", {calls.constant(wait.getN())});
        return replace(op);
      })
      .Case([&](NVVM::CpAsyncMBarrierArriveOp each) {
        calls.call(
            "moe_sim_copy_async_arrive",
            {each.getAddr(), calls.constant(each.getNoinc()), calls.site()});
        return replace(op);
      })
      .Default([](Operation *) { return Rewrite(false); });
}

static Value maskOf(Value mask, Calls &calls) {
  return mask ? calls.bits(mask, 32) : calls.constant(0);
}

static Value coordinates(ValueRange values, Calls &calls) {
  auto &b = calls.builder();
  for (auto [i, value] : llvm::enumerate(values))
    LLVM::StoreOp::create(b, value, calls.scratch(int64_t(4 * i)));
  return calls.scratch(0);
}

static Rewrite rewriteBulk(Operation *op, Calls &calls) {
  return llvm::TypeSwitch<Operation *, Rewrite>(op)
      .Case([&](NVVM::CpAsyncBulkGlobalToSharedClusterOp copy) {
        calls.call("moe_sim_bulk_load",
                   {copy.getDstMem(), copy.getSrcMem(), copy.getMbar(),
                    copy.getSize(), maskOf(copy.getMulticastMask(), calls),
                    calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::CpAsyncBulkSharedCTAToGlobalOp copy) -> Rewrite {
        if (copy.getByteMask())
          return op->emitOpError("with a byte mask is not known to the "
                                 "simulator");
        calls.call("moe_sim_bulk_store", {copy.getDstMem(), copy.getSrcMem(),
                                          copy.getSize(), calls.site()});
        return replace(op);
      })
      .Case(
          [&](NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp copy) -> Rewrite {
            if (copy.getMode() != NVVM::TMALoadMode::TILE)
              return op->emitOpError(
                  "of this mode is not known to the simulator");
            putUnder(copy.getPredicate(), op);
            calls.setPlace(op);
            ValueRange box = copy.getCoordinates();
            calls.call("moe_sim_tensor_load",
                       {copy.getDstMem(), copy.getTmaDescriptor(),
                        copy.getMbar(), coordinates(box, calls),
                        calls.constant(int64_t(box.size())),
                        maskOf(copy.getMulticastMask(), calls), calls.site()});
            return replace(op);
          })
      .Case([&](NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp copy) -> Rewrite {
        if (copy.getMode() != NVVM::TMAStoreMode::TILE)
          return op->emitOpError("of this mode is not known to the simulator");
        putUnder(copy.getPredicate(), op);
        calls.setPlace(op);
        ValueRange box = copy.getCoordinates();
        calls.call("moe_sim_tensor_store",
                   {copy.getTmaDescriptor(), copy.getSrcMem(),
                    coordinates(box, calls),
                    calls.constant(int64_t(box.size())), calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::CpAsyncBulkCommitGroupOp) {
        calls.call("moe_sim_bulk_commit", {});
        return replace(op);
      })
      .Case([&](NVVM::CpAsyncBulkWaitGroupOp wait) {
        calls.call("moe_sim_bulk_wait",
                   {calls.constant(wait.getGroup()),
                    calls.constant(bool(wait.getRead())), calls.site()});
        return replace(op);
      })
      // Only time depends on them.
      .Case<NVVM::CpAsyncBulkPrefetchOp, NVVM::CpAsyncBulkTensorPrefetchOp,
            NVVM::PrefetchOp>([&](auto) { return replace(op); })
      .Default([](Operation *) { return Rewrite(false); });
}

Rewrite moe::sim::rewriteCopies(Operation *op, Calls &calls) {
  Rewrite done = rewriteCopyAsync(op, calls);
  if (failed(done) || *done)
    return done;
  return rewriteBulk(op, calls);
}
