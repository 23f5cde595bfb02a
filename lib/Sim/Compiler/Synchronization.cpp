//===- Synchronization.cpp - Barriers, warps, mbarriers, fences -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Operations/Abi.h"
#include "Calls.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe::sim;

static Rewrite rewriteBarriers(Operation *op, Calls &calls) {
  auto id = [&](Value value) { return value ? value : calls.constant(0); };
  auto count = [&](Value value) { return value ? value : calls.constant(-1); };
  return llvm::TypeSwitch<Operation *, Rewrite>(op)
      .Case([&](NVVM::Barrier0Op) {
        calls.call("moe_sim_barrier",
                   {calls.constant(0), calls.constant(-1), calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::BarrierOp barrier) {
        Value which = id(barrier.getBarrierId());
        Value threads = count(barrier.getNumberOfThreads());
        if (!barrier.getReductionOp()) {
          calls.call("moe_sim_barrier", {which, threads, calls.site()});
          return replace(op);
        }
        Value kind = calls.constant(int64_t(*barrier.getReductionOp()));
        return replace(
            op, calls.call("moe_sim_barrier_reduce", calls.i32(),
                           {which, threads, kind,
                            barrier.getReductionPredicate(), calls.site()}));
      })
      .Case([&](NVVM::BarrierArriveOp barrier) {
        calls.call("moe_sim_barrier_arrive",
                   {id(barrier.getBarrierId()), barrier.getNumberOfThreads(),
                    calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::ClusterArriveOp) {
        calls.call("moe_sim_cluster_arrive", {calls.constant(0), calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::ClusterArriveRelaxedOp) {
        calls.call("moe_sim_cluster_arrive", {calls.constant(1), calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::ClusterWaitOp) {
        calls.call("moe_sim_cluster_wait", {calls.site()});
        return replace(op);
      })
      .Default([](Operation *) { return Rewrite(false); });
}

/// The lower half of what is packed into 64 bits, and the upper as a condition.
static std::pair<Value, Value> unpack(Value packed, Calls &calls) {
  auto &b = calls.builder();
  Value high = LLVM::LShrOp::create(b, packed, calls.constant(32, 64));
  return {LLVM::TruncOp::create(b, calls.i32(), packed),
          LLVM::TruncOp::create(b, calls.i1(), high)};
}

static Value pair(Value first, Value second, Type type, Calls &calls) {
  auto &b = calls.builder();
  Value all = LLVM::UndefOp::create(b, type);
  all = LLVM::InsertValueOp::create(b, all, first, ArrayRef<int64_t>{0});
  return LLVM::InsertValueOp::create(b, all, second, ArrayRef<int64_t>{1});
}

static Rewrite rewriteWarps(Operation *op, Calls &calls) {
  auto kind = [&](auto value) { return calls.constant(int64_t(value)); };
  return llvm::TypeSwitch<Operation *, Rewrite>(op)
      .Case([&](NVVM::SyncWarpOp sync) {
        calls.call("moe_sim_warp_sync", {sync.getMask(), calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::ShflOp shuffle) {
        Value packed =
            calls.call("moe_sim_shuffle", calls.i64(),
                       {kind(shuffle.getKind()), shuffle.getThreadMask(),
                        calls.bits(shuffle.getVal(), 32), shuffle.getOffset(),
                        shuffle.getMaskAndClamp(), calls.site()});
        auto [value, valid] = unpack(packed, calls);
        value = calls.fromBits(value, shuffle.getVal().getType());
        if (isa<LLVM::LLVMStructType>(shuffle.getType()))
          value = pair(value, valid, shuffle.getType(), calls);
        return replace(op, value);
      })
      .Case([&](NVVM::VoteSyncOp vote) {
        Value result =
            calls.call("moe_sim_vote", calls.i32(),
                       {kind(vote.getKind()), vote.getMask(),
                        calls.bits(vote.getPred(), 32), calls.site()});
        return replace(op, calls.fromBits(result, vote.getType()));
      })
      .Case([&](NVVM::ReduxOp reduce) -> Rewrite {
        if (reduce.getAbs() || reduce.getNan())
          return op->emitOpError("with 'abs' or 'nan' is not known to the "
                                 "simulator");
        Value result =
            calls.call("moe_sim_reduce", calls.i32(),
                       {kind(reduce.getKind()), reduce.getMaskAndClamp(),
                        calls.bits(reduce.getVal(), 32), calls.site()});
        return replace(op, calls.fromBits(result, reduce.getType()));
      })
      .Case([&](NVVM::MatchSyncOp match) {
        Value packed =
            calls.call("moe_sim_match", calls.i64(),
                       {kind(match.getKind()), match.getThreadMask(),
                        calls.bits(match.getVal(), 64), calls.site()});
        auto [value, all] = unpack(packed, calls);
        if (isa<LLVM::LLVMStructType>(match.getType()))
          value = pair(value, all, match.getType(), calls);
        return replace(op, value);
      })
      .Case([&](NVVM::ElectSyncOp elect) {
        Value mask = elect.getMembermask();
        Value result =
            calls.call("moe_sim_elect", calls.i32(),
                       {mask ? mask : calls.constant(-1), calls.site()});
        return replace(op, calls.fromBits(result, calls.i1()));
      })
      .Default([](Operation *) { return Rewrite(false); });
}

static Order orderOf(NVVM::MemScopeKind scope, bool isRelaxed) {
  return isRelaxed                          ? Order::Relaxed
         : scope == NVVM::MemScopeKind::CTA ? Order::Block
                                            : Order::Cluster;
}

template <typename Op> static Order orderOf(Op op) {
  return orderOf(op.getScope(), op.getRelaxed());
}

/// An arrival of any kind. Its result is only made where it is asked for.
static Rewrite arrive(Operation *op, Value address, Value count, Value bytes,
                      bool drops, Order order, Calls &calls) {
  Value state =
      calls.call("moe_sim_mbarrier_arrive", calls.i64(),
                 {address, count ? count : calls.constant(1),
                  bytes ? bytes : calls.constant(0), calls.constant(drops),
                  calls.constant(int64_t(order)), calls.site()});
  return op->getNumResults() ? replace(op, state) : replace(op);
}

/// A test of a phase: by state where that is 64 bits, else by parity.
static Value test(Value address, Value which, bool blocks, Order order,
                  Calls &calls) {
  bool isParity = which.getType().isInteger(32);
  Value result = calls.call("moe_sim_mbarrier_test", calls.i32(),
                            {address, calls.bits(which, 64),
                             calls.constant(isParity), calls.constant(blocks),
                             calls.constant(int64_t(order)), calls.site()});
  return calls.fromBits(result, calls.i1());
}

static Rewrite rewriteMbarriers(Operation *op, Calls &calls) {
  return llvm::TypeSwitch<Operation *, Rewrite>(op)
      .Case([&](NVVM::MBarrierInitOp init) {
        putUnder(init.getPredicate(), op);
        calls.setPlace(op);
        calls.call("moe_sim_mbarrier_init",
                   {init.getAddr(), init.getCount(), calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::MBarrierInvalOp inval) {
        calls.call("moe_sim_mbarrier_inval", {inval.getAddr(), calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::MBarrierExpectTxOp expect) {
        calls.call("moe_sim_mbarrier_expect",
                   {expect.getAddr(), expect.getTxcount(), calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::MBarrierCompleteTxOp complete) {
        calls.call("moe_sim_mbarrier_complete",
                   {complete.getAddr(), complete.getTxcount(), calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::MBarrierArriveOp each) {
        return arrive(op, each.getAddr(), each.getCount(), {}, false,
                      orderOf(each), calls);
      })
      .Case([&](NVVM::MBarrierArriveDropOp each) {
        return arrive(op, each.getAddr(), each.getCount(), {}, true,
                      orderOf(each), calls);
      })
      .Case([&](NVVM::MBarrierArriveNocompleteOp each) {
        return arrive(op, each.getAddr(), each.getCount(), {}, false,
                      Order::Block, calls);
      })
      .Case([&](NVVM::MBarrierArriveDropNocompleteOp each) {
        return arrive(op, each.getAddr(), each.getCount(), {}, true,
                      Order::Block, calls);
      })
      .Case([&](NVVM::MBarrierArriveExpectTxOp each) {
        putUnder(each.getPredicate(), op);
        calls.setPlace(op);
        return arrive(op, each.getAddr(), {}, each.getTxcount(), false,
                      orderOf(each), calls);
      })
      .Case([&](NVVM::MBarrierArriveDropExpectTxOp each) {
        return arrive(op, each.getAddr(), {}, each.getTxcount(), true,
                      orderOf(each), calls);
      })
      .Case([&](NVVM::MBarrierTestWaitOp wait) {
        return replace(op, test(wait.getAddr(), wait.getStateOrPhase(), false,
                                orderOf(wait), calls));
      })
      .Case([&](NVVM::MBarrierTryWaitOp wait) {
        return replace(op, test(wait.getAddr(), wait.getStateOrPhase(), true,
                                orderOf(wait), calls));
      })
      .Case([&](NVVM::MBarrierTryWaitParityOp wait) {
        test(wait.getAddr(), wait.getPhase(), true, Order::Block, calls);
        return replace(op);
      })
      .Default([](Operation *) { return Rewrite(false); });
}

static Rewrite rewriteFences(Operation *op, Calls &calls) {
  return llvm::TypeSwitch<Operation *, Rewrite>(op)
      .Case<NVVM::MembarOp, NVVM::FenceScClusterOp, LLVM::FenceOp>([&](auto) {
        calls.call("moe_sim_fence", {});
        return replace(op);
      })
      .Case([&](NVVM::FenceProxyOp fence) -> Rewrite {
        using NVVM::ProxyKind;
        if (fence.getKind() == ProxyKind::TENSORMAP ||
            fence.getKind() == ProxyKind::GENERIC)
          return op->emitOpError("of this kind is not known to the simulator");
        // An alias proxy is of memory at two addresses, which is not here.
        if (fence.getKind() != ProxyKind::alias)
          calls.call("moe_sim_fence_proxy", {});
        return replace(op);
      })
      .Case([&](NVVM::FenceMbarrierInitOp) {
        calls.call("moe_sim_fence_mbarrier_init", {});
        return replace(op);
      })
      .Default([](Operation *) { return Rewrite(false); });
}

Rewrite moe::sim::rewriteSynchronization(Operation *op, Calls &calls) {
  for (auto *rewrite :
       {rewriteBarriers, rewriteWarps, rewriteMbarriers, rewriteFences}) {
    Rewrite done = rewrite(op, calls);
    if (failed(done) || *done)
      return done;
  }
  return false;
}
