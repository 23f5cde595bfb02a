//===- Accesses.cpp - Checks of loads and stores --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe::sim;

static int64_t bytesOf(Operation *op, Type type) {
  llvm::TypeSize bits = DataLayout::closest(op).getTypeSizeInBits(type);
  return (int64_t(bits.getFixedValue()) + 7) / 8;
}

static int64_t alignmentOf(Operation *op, Type type,
                           std::optional<uint64_t> stated) {
  if (stated && *stated)
    return int64_t(*stated);
  return int64_t(DataLayout::closest(op).getTypeABIAlignment(type));
}

static unsigned spaceOf(Value address) {
  return cast<LLVM::LLVMPointerType>(address.getType()).getAddressSpace();
}

/// The thread's own memory that an address certainly lies in.
static LLVM::AllocaOp localOf(Value address) {
  while (Operation *definition = address.getDefiningOp()) {
    if (auto alloca = dyn_cast<LLVM::AllocaOp>(definition))
      return alloca;
    if (!isa<LLVM::GEPOp, LLVM::AddrSpaceCastOp, LLVM::BitcastOp>(definition))
      return {};
    address = definition->getOperand(0);
  }
  return {};
}

/// Its bounds are all that can be wrong with it, and often nothing can.
static bool checkLocal(Operation *op, Value address, int64_t bytes,
                       Calls &calls) {
  LLVM::AllocaOp local = localOf(address);
  if (!local)
    return false;
  if (address == local.getResult())
    return true;
  auto &b = calls.builder();
  Value size =
      LLVM::MulOp::create(b, calls.bits(local.getArraySize(), 64),
                          calls.constant(bytesOf(op, local.getElemType()), 64));
  calls.call("moe_sim_local",
             {local, size, address, calls.constant(bytes, 64), calls.site()});
  return true;
}

namespace {
struct AccessOrder {
  bool atomic, acquires, releases;
};
} // namespace

static AccessOrder orderOf(LLVM::AtomicOrdering ordering) {
  using LLVM::AtomicOrdering;
  bool both = ordering == AtomicOrdering::acq_rel ||
              ordering == AtomicOrdering::seq_cst;
  return {ordering != AtomicOrdering::not_atomic,
          both || ordering == AtomicOrdering::acquire,
          both || ordering == AtomicOrdering::release};
}

static void checkAtomic(Operation *op, Value address, Type type,
                        LLVM::AtomicOrdering ordering, Calls &calls) {
  AccessOrder order = orderOf(ordering);
  calls.call("moe_sim_atomic",
             {address, calls.constant(bytesOf(op, type), 64),
              calls.constant(spaceOf(address)), calls.constant(order.acquires),
              calls.constant(order.releases), calls.site()});
}

static void checkPlain(StringRef name, Operation *op, Value address, Type type,
                       std::optional<uint64_t> alignment, Calls &calls) {
  int64_t bytes = bytesOf(op, type);
  if (checkLocal(op, address, bytes, calls))
    return;
  calls.call(name, {address, calls.constant(bytes, 64),
                    calls.constant(alignmentOf(op, type, alignment)),
                    calls.constant(spaceOf(address)), calls.site()});
}

static void checkRange(StringRef name, Value address, Value bytes,
                       Calls &calls) {
  if (localOf(address))
    return;
  calls.call(name, {address, calls.bits(bytes, 64), calls.constant(1),
                    calls.constant(spaceOf(address)), calls.site()});
}

/// What would let the host's compiler move an access before its check.
static void forgetPromises(Operation *op) {
  for (StringRef name :
       {"invariant", "invariantGroup", "dereferenceable", "tbaa",
        "alias_scopes", "noalias_scopes", "access_groups", "syncscope"})
    op->removeAttr(name);
  if (auto load = dyn_cast<LLVM::LoadOp>(op)) {
    load.setInvariant(false);
    load.setInvariantGroup(false);
  }
}

LogicalResult moe::sim::checkAccess(Operation *op, Calls &calls) {
  calls.setPlace(op);
  forgetPromises(op);
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](LLVM::LoadOp load) {
        Type type = load.getType();
        if (orderOf(load.getOrdering()).atomic)
          checkAtomic(op, load.getAddr(), type, load.getOrdering(), calls);
        else
          checkPlain("moe_sim_load", op, load.getAddr(), type,
                     load.getAlignment(), calls);
        return success();
      })
      .Case([&](LLVM::StoreOp store) {
        Type type = store.getValue().getType();
        if (orderOf(store.getOrdering()).atomic)
          checkAtomic(op, store.getAddr(), type, store.getOrdering(), calls);
        else
          checkPlain("moe_sim_store", op, store.getAddr(), type,
                     store.getAlignment(), calls);
        return success();
      })
      .Case([&](LLVM::AtomicRMWOp atomic) {
        checkAtomic(op, atomic.getPtr(), atomic.getVal().getType(),
                    atomic.getOrdering(), calls);
        return success();
      })
      .Case([&](LLVM::AtomicCmpXchgOp atomic) {
        checkAtomic(op, atomic.getPtr(), atomic.getVal().getType(),
                    atomic.getSuccessOrdering(), calls);
        return success();
      })
      .Case<LLVM::MemcpyOp, LLVM::MemmoveOp>([&](auto copy) {
        checkRange("moe_sim_load", copy.getSrc(), copy.getLen(), calls);
        checkRange("moe_sim_store", copy.getDst(), copy.getLen(), calls);
        return success();
      })
      .Case([&](LLVM::MemsetOp set) {
        checkRange("moe_sim_store", set.getDst(), set.getLen(), calls);
        return success();
      })
      .Default([](Operation *) { return success(); });
}
