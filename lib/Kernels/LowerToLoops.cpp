//===- LowerToLoops.cpp - Functions on tensors to loops over buffers ------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EntryArguments.h"

#include "moe/Graph/Graph.h"
#include "moe/Kernels/Entry.h"
#include "moe/Kernels/Passes.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "llvm/ADT/TypeSwitch.h"

namespace moe {
#define GEN_PASS_DEF_LOWERTOLOOPSPASS
#include "moe/Kernels/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;

namespace {

/// Rewrites one function; see the pass description for before and after.
class FunctionLowering {
public:
  FunctionLowering(func::FuncOp func, StringRef package, Device device,
                   const VectorUnit &unit, Presence wgmma, Presence fp8,
                   GpuClusters clusters)
      : func(func), package(package), converter(func.getContext()),
        l(func->getParentOfType<ModuleOp>(), func.getLoc(), device, unit) {
    l.wgmma = wgmma;
    l.fp8 = fp8;
    l.clusters = clusters;
  }

  LogicalResult run();

private:
  func::FuncOp func;
  StringRef package;
  LLVMTypeConverter converter;
  Lowering l;

  Value pointerAt(Value buffers, int64_t index);
  Value buffer(Value buffers, int64_t index, Type element,
               const EntryShape &shape);
  LogicalResult copy(Value tensor, Value to, const EntryShape &shape);
  LogicalResult lowerBody(Value buffers);
};

static bool isCollective(Operation &op) {
  return isOfColl(op) && !isa<coll::IndexOp>(op);
}

Value FunctionLowering::pointerAt(Value buffers, int64_t index) {
  auto pointer = LLVM::LLVMPointerType::get(l.e.getContext());
  Value slot = LLVM::GEPOp::create(l.e, pointer, pointer, buffers,
                                   ArrayRef<LLVM::GEPArg>{int32_t(index)});
  return LLVM::LoadOp::create(l.e, pointer, slot);
}

/// A view of the caller's buffer number `index`.
Value FunctionLowering::buffer(Value buffers, int64_t index, Type element,
                               const EntryShape &shape) {
  Emitter &e = l.e;
  SmallVector<int64_t> dims;
  for (const Extent &extent : shape)
    dims.push_back(extent.isConstant() ? extent.factor : ShapedType::kDynamic);
  auto type = MemRefType::get(dims, element);
  Value data = pointerAt(buffers, index);
  auto toI64 = [&](Val value) { return e.cast(value, e.getI64Type()).value; };
  auto descriptor =
      MemRefDescriptor::poison(e, e.getLoc(), converter.convertType(type));
  descriptor.setAllocatedPtr(e, e.getLoc(), data);
  descriptor.setAlignedPtr(e, e.getLoc(), data);
  descriptor.setConstantOffset(e, e.getLoc(), 0);
  Val stride = e.index(1);
  for (int64_t dim = shape.size() - 1; dim >= 0; --dim) {
    Val size = l.size(shape[dim]);
    descriptor.setSize(e, e.getLoc(), dim, toI64(size));
    descriptor.setStride(e, e.getLoc(), dim, toI64(stride));
    stride = stride * size;
  }
  return UnrealizedConversionCastOp::create(e, type, Value(descriptor))
      .getResult(0);
}

/// Copies a tensor that is of `shape`, as far as types and names can tell.
LogicalResult FunctionLowering::copy(Value tensor, Value to,
                                     const EntryShape &shape) {
  for (auto [dim, extent] : llvm::enumerate(shape))
    if (l.extent(tensor, dim) != extent)
      return func.emitError("a tensor of ")
             << l.extent(tensor, dim).str() << " rows is returned as one of "
             << extent.str();
  l.copy(l[tensor], to, shape);
  return success();
}

/// With the operation's name, by which its kernels are called.
static Location locationOf(Operation *op) {
  StringRef name = op->getName().stripDialect();
  return NameLoc::get(StringAttr::get(op->getContext(), name), op->getLoc());
}

LogicalResult FunctionLowering::lowerBody(Value buffers) {
  Emitter &e = l.e;
  Block &block = func.getBody().front();
  Operation *terminator = block.getTerminator();
  int64_t next = 0;
  llvm::StringMap<std::pair<Value, Type>> states;
  for (auto [i, argument] : llvm::enumerate(block.getArguments())) {
    auto type = cast<RankedTensorType>(argument.getType());
    EntryShape extents = *entryShape(func, type, func.getArgAttrDict(i));
    Value memory = buffer(buffers, next++, type.getElementType(), extents);
    l.bind(argument, memory, extents);
    if (func.getArgAttr(i, boundary::kPacked))
      l.setPacked(memory);
    auto role = func.getArgAttrOfType<StringAttr>(i, boundary::kRole);
    auto name = func.getArgAttrOfType<StringAttr>(i, boundary::kName);
    if (name && role && role.getValue() == "state")
      states[name.getValue()] = {memory, type};
  }
  // Where results go. State goes back to where it came from, but only when
  // everything that reads it has run.
  SmallVector<std::pair<Value, EntryShape>> destinations;
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    auto type = cast<RankedTensorType>(value.getType());
    EntryShape extents = *entryShape(func, type, func.getResultAttrDict(i));
    auto role = func.getResultAttrOfType<StringAttr>(i, boundary::kRole);
    auto name = func.getResultAttrOfType<StringAttr>(i, boundary::kName);
    Value memory;
    if (role && role.getValue() == "state") {
      auto state =
          name ? states.lookup(name.getValue()) : std::pair<Value, Type>();
      if (state.second != type)
        return func.emitError("result ")
               << i << " is state that no argument of type " << type
               << " holds";
      memory = state.first;
    } else {
      memory = buffer(buffers, next++, type.getElementType(), extents);
      l.expose(value, memory, extents);
    }
    destinations.emplace_back(memory, extents);
  }
  l.setWorkspace(buffer(buffers, next, e.getI8Type(),
                        {Extent::constant(int64_t(1) << 62)}));
  if (llvm::any_of(block, isOfColl))
    l.exchange = pointerAt(buffers, next + 1);
  if (l.wgmma != Presence::nowhere || l.fp8 != Presence::nowhere)
    l.launches = pointerAt(buffers, next + 2);
  l.collectivesLeft = llvm::count_if(block, isCollective);
  if (l.gpu &&
      llvm::any_of(block, [](Operation &op) { return isa<RequireOp>(op); }))
    l.device = pointerAt(buffers, next + 2);
  if (l.gpu) // the first room of the workspace: see moe-map-to-kernels
    l.scratch(e.getI64Type(), {Extent::constant(entryAttr::kPassedValues)});

  for (Operation &op : block.without_terminator()) {
    auto lowered =
        llvm::TypeSwitch<Operation *, LogicalResult>(&op)
            .Case<RouterOp, AddScaledOp, SelectOp, CheckFiniteOp, GroupOp,
                  PlaceOp, ArrivalsOp, RowNumbersOp, TakeRowsOp, KeepPlacedOp,
                  KeepLocalOp, PackRowsOp, UnpackRowsOp, GroupSizesOp,
                  DispatchOp, DecodeOp, GroupedMatmulOp, GroupedOuterOp,
                  FeedForwardOp, RMSNormOp, ActivateOp, CombineOp, MixOp,
                  LossOp, ImbalanceOp, RebalanceOp, ClockOp, QuantizeOp,
                  DequantizeOp, AccumulateOp, AverageOp, ResizeOp, SliceMeanOp,
                  ResidualOp, RequireOp, coll::AllReduceOp,
                  coll::ReduceScatterOp, coll::AllGatherOp, coll::BroadcastOp,
                  coll::AllToAllOp, coll::AllToAllVOp, coll::StartAllToAllVOp,
                  coll::WaitOp, coll::SendOp, coll::RecvOp, coll::BarrierOp,
                  coll::IndexOp>([&](auto op) {
              l.e.setLoc(locationOf(op));
              if (failed(checkShapes(l, op)))
                return failure();
              lower(l, op);
              return failure(l.hasFailed());
            })
            .Case([&](tensor::ExtractSliceOp op) { return lowerSlice(l, op); })
            .Case([&](arith::ConstantOp op) { return lowerConstant(l, op); })
            .Default([](Operation *op) {
              return op->emitOpError("cannot be lowered to loops; expected an "
                                     "operation of the moe or coll dialect");
            });
    if (failed(lowered))
      return failure();
    l.collectivesLeft -= isCollective(op);
  }
  llvm::SmallDenseSet<Value> setAside;
  auto isArgument = [](Value value) {
    while (auto slice = value.getDefiningOp<tensor::ExtractSliceOp>())
      value = slice.getSource();
    return isa<BlockArgument>(value);
  };
  // Arguments that are returned, or parts of them, are set aside first: they
  // may be state that the copies below replace.
  for (auto [value, destination] :
       llvm::zip_equal(terminator->getOperands(), destinations))
    if (isArgument(value) && l[value] != destination.first &&
        setAside.insert(value).second) {
      auto type = cast<MemRefType>(destination.first.getType());
      Value aside = l.scratch(type.getElementType(), destination.second);
      if (failed(copy(value, aside, destination.second)))
        return failure();
      l.bind(value, aside, destination.second);
    }
  for (auto [value, destination] :
       llvm::zip_equal(terminator->getOperands(), destinations))
    if (l[value] != destination.first &&
        failed(copy(value, destination.first, destination.second)))
      return failure();
  return failure(l.hasFailed());
}

LogicalResult FunctionLowering::run() {
  if (!func.getBody().hasOneBlock())
    return func.emitError("expected a function of one block");
  FailureOr<SmallVector<std::string>> names = entrySizes(func);
  if (failed(names))
    return failure();
  Emitter &e = l.e;
  auto pointer = LLVM::LLVMPointerType::get(func.getContext());
  e.setInsertionPoint(func);
  std::string name = (package + "_" + func.getName() + "_entry").str();
  auto entry =
      func::FuncOp::create(e, name, e.getFunctionType({pointer, pointer}, {}));
  Block *body = entry.addEntryBlock();
  e.setInsertionPointToStart(body);
  SmallVector<Val> sizes;
  for (auto [i, size] : llvm::enumerate(*names)) {
    Value slot =
        LLVM::GEPOp::create(e, pointer, e.getI64Type(), body->getArgument(0),
                            ArrayRef<LLVM::GEPArg>{int32_t(i)});
    sizes.push_back(
        e.asIndex(e.val(LLVM::LoadOp::create(e, e.getI64Type(), slot))));
  }
  l.setSizes(*names, sizes);
  if (failed(lowerBody(body->getArgument(1))))
    return failure();
  e.setInsertionPointToEnd(body);
  func::ReturnOp::create(e);

  describeEntry(entry, func, *names, l);
  func.erase();
  return success();
}

struct LowerToLoops : moe::impl::LowerToLoopsPassBase<LowerToLoops> {
  using LowerToLoopsPassBase::LowerToLoopsPassBase;

  void runOnOperation() override {
    auto name = getOperation()->getAttrOfType<StringAttr>(kPackageName);
    if (!llvm::isPowerOf2_64(vectorWidth) || vectorWidth > 64) {
      getOperation().emitError("expected a vector width that is a power of two "
                               "up to 64, found ")
          << static_cast<int64_t>(vectorWidth);
      return signalPassFailure();
    }
    VectorUnit unit = {{vectorWidth, registers, l1, l2}, bf16Dot, blocks};
    StringRef package = name ? name.getValue() : "layer";
    if (reference && gpu) {
      getOperation().emitError("expected either 'reference' or 'gpu'");
      return signalPassFailure();
    }
    Device device = reference ? Device::reference
                    : gpu     ? Device::gpu
                              : Device::cpu;
    auto presence = [](bool everywhere, bool some) {
      return everywhere ? Presence::everywhere
             : some     ? Presence::whereFound
                        : Presence::nowhere;
    };
    Presence groups = presence(alwaysWgmma, wgmma);
    Presence codes = presence(alwaysFp8, fp8);
    for (auto func :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (!func.isExternal() &&
          failed(FunctionLowering(func, package, device, unit, groups, codes,
                                  clusters)
                     .run()))
        return signalPassFailure();
  }
};

} // namespace
