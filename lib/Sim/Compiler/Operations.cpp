//===- Operations.cpp - Registers, addresses and the rest -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Operations/Abi.h"
#include "Calls.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe::sim;

static std::optional<Register> registerOf(StringRef name) {
  return llvm::StringSwitch<std::optional<Register>>(name)
      .Case("tid.x", Register::TidX)
      .Case("tid.y", Register::TidY)
      .Case("tid.z", Register::TidZ)
      .Case("ntid.x", Register::NtidX)
      .Case("ntid.y", Register::NtidY)
      .Case("ntid.z", Register::NtidZ)
      .Case("ctaid.x", Register::CtaidX)
      .Case("ctaid.y", Register::CtaidY)
      .Case("ctaid.z", Register::CtaidZ)
      .Case("nctaid.x", Register::NctaidX)
      .Case("nctaid.y", Register::NctaidY)
      .Case("nctaid.z", Register::NctaidZ)
      .Case("cluster.ctaid.x", Register::ClusterCtaidX)
      .Case("cluster.ctaid.y", Register::ClusterCtaidY)
      .Case("cluster.ctaid.z", Register::ClusterCtaidZ)
      .Case("cluster.nctaid.x", Register::ClusterNctaidX)
      .Case("cluster.nctaid.y", Register::ClusterNctaidY)
      .Case("cluster.nctaid.z", Register::ClusterNctaidZ)
      .Case("clusterid.x", Register::ClusteridX)
      .Case("clusterid.y", Register::ClusteridY)
      .Case("clusterid.z", Register::ClusteridZ)
      .Case("nclusterid.x", Register::NclusteridX)
      .Case("nclusterid.y", Register::NclusteridY)
      .Case("nclusterid.z", Register::NclusteridZ)
      .Case("cluster.ctarank", Register::ClusterCtarank)
      .Case("cluster.nctarank", Register::ClusterNctarank)
      .Case("laneid", Register::LaneId)
      .Case("warpid", Register::WarpId)
      .Case("nwarpid", Register::NwarpId)
      .Case("warpsize", Register::WarpSize)
      .Case("lanemask.eq", Register::LanemaskEq)
      .Case("lanemask.le", Register::LanemaskLe)
      .Case("lanemask.lt", Register::LanemaskLt)
      .Case("lanemask.ge", Register::LanemaskGe)
      .Case("lanemask.gt", Register::LanemaskGt)
      .Case("smid", Register::SmId)
      .Case("nsmid", Register::NsmId)
      .Case("gridid", Register::GridId)
      .Case("dynamic.smem.size", Register::DynamicSmemSize)
      .Case("total.smem.size", Register::TotalSmemSize)
      .Default(std::nullopt);
}

static Rewrite rewriteRegister(Operation *op, StringRef name, Calls &calls) {
  if (name.starts_with("clock") || name.starts_with("globaltimer")) {
    Value time = calls.call("moe_sim_time", calls.i64(), {});
    return replace(
        op,
        calls.bits(time, op->getResult(0).getType().getIntOrFloatBitWidth()));
  }
  std::optional<Register> which = registerOf(name);
  if (!which)
    return op->emitOpError("is not known to the simulator");
  Value value = calls.call("moe_sim_register", calls.i32(),
                           {calls.constant(int64_t(*which))});
  return replace(op, value);
}

/// Instructions that a processor approximates, by their names in PTX.
static std::optional<Approximate> approximateOf(StringRef ptx) {
  ptx = ptx.trim().take_until([](char c) { return c == ' ' || c == '$'; });
  for (StringRef suffix : {".f32", ".f"})
    ptx.consume_back(suffix);
  ptx.consume_back(".ftz");
  return llvm::StringSwitch<std::optional<Approximate>>(ptx)
      .Case("ex2.approx", Approximate::Exp2)
      .Case("lg2.approx", Approximate::Log2)
      .Cases({"rcp.approx", "rcp.rn"}, Approximate::Reciprocal)
      .Case("rsqrt.approx", Approximate::RootReciprocal)
      .Cases({"sqrt.approx", "sqrt.rn"}, Approximate::Root)
      .Case("tanh.approx", Approximate::Tanh)
      .Case("sin.approx", Approximate::Sine)
      .Case("cos.approx", Approximate::Cosine)
      .Default(std::nullopt);
}

static Rewrite rewriteApproximate(Operation *op, StringRef ptx, Calls &calls) {
  std::optional<Approximate> which = approximateOf(ptx);
  bool fits = which && op->getNumOperands() == 1 && op->getNumResults() == 1 &&
              op->getOperand(0).getType().isF32() &&
              op->getResult(0).getType().isF32();
  if (!fits)
    return op->emitError("the simulator does not know '") << ptx << "'";
  Value value =
      calls.call("moe_sim_approximate", op->getResult(0).getType(),
                 {calls.constant(int64_t(*which)), op->getOperand(0)});
  return replace(op, value);
}

/// Numbers of 32 bits are addresses in the shared memory of the cluster.
static Rewrite rewriteAddress(LLVM::IntToPtrOp op, Calls &calls) {
  unsigned space = cast<LLVM::LLVMPointerType>(op.getType()).getAddressSpace();
  if (space != 3 && space != 7)
    return false;
  Value address = calls.call("moe_sim_shared_address", calls.pointer(),
                             {calls.bits(op.getArg(), 64)});
  auto &b = calls.builder();
  Value cast = LLVM::AddrSpaceCastOp::create(b, op.getType(), address);
  return replace(op, cast);
}

Rewrite moe::sim::rewriteOther(Operation *op, Calls &calls) {
  StringRef name = op->getName().getStringRef();
  if (name.consume_front("nvvm.read.ptx.sreg."))
    return rewriteRegister(op, name, calls);
  return llvm::TypeSwitch<Operation *, Rewrite>(op)
      .Case([&](NVVM::MapaOp map) {
        Value mapped = calls.call("moe_sim_map", calls.pointer(),
                                  {map.getA(), map.getB(), calls.site()});
        auto &b = calls.builder();
        if (map.getType() != mapped.getType())
          mapped = LLVM::AddrSpaceCastOp::create(b, map.getType(), mapped);
        return replace(op, mapped);
      })
      .Case([&](NVVM::NanosleepOp) {
        calls.call("moe_sim_pause", {calls.site()});
        return replace(op);
      })
      .Case([&](NVVM::RcpApproxFtzF32Op) {
        return rewriteApproximate(op, "rcp.approx.ftz.f32", calls);
      })
      .Case([&](LLVM::CallIntrinsicOp intrinsic) -> Rewrite {
        StringRef called = intrinsic.getIntrin();
        if (!called.consume_front("llvm.nvvm."))
          return false;
        return rewriteApproximate(op, called, calls);
      })
      .Case([&](LLVM::InlineAsmOp inlined) {
        return rewriteApproximate(op, inlined.getAsmString(), calls);
      })
      // One launch ends before the next begins.
      .Case([&](NVVM::GriddepcontrolOp) { return replace(op); })
      .Case([&](LLVM::Trap) {
        calls.call("moe_sim_trap", {calls.site()});
        return replace(op);
      })
      .Case([&](LLVM::IntToPtrOp each) { return rewriteAddress(each, calls); })
      .Default([&](Operation *) -> Rewrite {
        if (isa_and_nonnull<NVVM::NVVMDialect>(op->getDialect()))
          return op->emitOpError("is not known to the simulator");
        return false;
      });
}
