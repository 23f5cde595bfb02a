//===- LowerToLoops.cpp - Functions on tensors to loops over buffers ------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "moe/Graph/Graph.h"
#include "moe/Kernels/Entry.h"
#include "moe/Kernels/Passes.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/SetVector.h"
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
  FunctionLowering(func::FuncOp func, StringRef package, bool reference,
                   int64_t lanes)
      : func(func), package(package), converter(func.getContext()),
        l(func.getLoc(), func.getContext(), reference, lanes) {}

  LogicalResult run();

private:
  using Shape = SmallVector<Extent, 3>;
  struct Destination {
    Value memory;
    Shape shape;
    bool isState;
  };

  func::FuncOp func;
  StringRef package;
  LLVMTypeConverter converter;
  Lowering l;
  SmallVector<std::string> sizeNames;

  FailureOr<Shape> shape(RankedTensorType type, DictionaryAttr attrs);
  LogicalResult collectSizes();
  Value buffer(Value buffers, int64_t index, Type element, const Shape &shape);
  void copy(Value from, Value to, const Shape &shape, unsigned dim,
            SmallVector<Val> &at);
  void copyResults(ValueRange results, ArrayRef<Destination> destinations);
  LogicalResult lowerBody(Value buffers);
  void describe(func::FuncOp entry);
};

FailureOr<FunctionLowering::Shape>
FunctionLowering::shape(RankedTensorType type, DictionaryAttr attrs) {
  Shape result;
  auto sizes = attrs ? attrs.getAs<ArrayAttr>(boundary::kSizes) : ArrayAttr();
  unsigned next = 0;
  for (int64_t dim : type.getShape()) {
    if (!ShapedType::isDynamic(dim)) {
      result.push_back(Extent::constant(dim));
      continue;
    }
    std::optional<Extent> extent;
    if (sizes && next < sizes.size())
      if (auto text = dyn_cast<StringAttr>(sizes[next++]))
        extent = Extent::parse(text.getValue());
    if (!extent)
      return func.emitError("expected a size such as \"T\" or \"2*T\" in '")
             << boundary::kSizes << "' for each dynamic dimension of " << type;
    result.push_back(*extent);
  }
  return result;
}

LogicalResult FunctionLowering::collectSizes() {
  llvm::SetVector<StringRef> names;
  SmallVector<Shape> keep;
  auto collect = [&](Type type, DictionaryAttr attrs) -> LogicalResult {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      return func.emitError("expected tensors at the boundary, but found ")
             << type;
    FailureOr<Shape> extents = shape(tensor, attrs);
    if (failed(extents))
      return failure();
    for (const Extent &extent : keep.emplace_back(*extents))
      if (!extent.isConstant() && !llvm::is_contained(sizeNames, extent.size))
        sizeNames.push_back(extent.size);
    return success();
  };
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes()))
    if (failed(collect(type, func.getArgAttrDict(i))))
      return failure();
  for (auto [i, type] : llvm::enumerate(func.getResultTypes()))
    if (failed(collect(type, func.getResultAttrDict(i))))
      return failure();
  return success();
}

/// A view of the caller's buffer number `index`.
Value FunctionLowering::buffer(Value buffers, int64_t index, Type element,
                               const Shape &shape) {
  Emitter &e = l.e;
  SmallVector<int64_t> dims;
  for (const Extent &extent : shape)
    dims.push_back(extent.isConstant() ? extent.factor : ShapedType::kDynamic);
  auto type = MemRefType::get(dims, element);
  auto pointer = LLVM::LLVMPointerType::get(e.getContext());
  Value slot = LLVM::GEPOp::create(e, pointer, pointer, buffers,
                                   ArrayRef<LLVM::GEPArg>{int32_t(index)});
  Value data = LLVM::LoadOp::create(e, pointer, slot);
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

void FunctionLowering::copy(Value from, Value to, const Shape &shape,
                            unsigned dim, SmallVector<Val> &at) {
  if (dim == shape.size())
    return l.e.store(l.e.load(from, at), to, at);
  l.e.loop(l.size(shape[dim]), [&](Val i) {
    at.push_back(i);
    copy(from, to, shape, dim + 1, at);
    at.pop_back();
  });
}

/// Outputs before state, since they may be what state was; and what other state
/// becomes is set aside before that.
void FunctionLowering::copyResults(ValueRange results,
                                   ArrayRef<Destination> destinations) {
  auto copyAll = [&](Value from, Value to, const Shape &shape) {
    SmallVector<Val> at;
    if (from != to)
      copy(from, to, shape, 0, at);
  };
  SmallVector<Value> sources;
  for (auto [result, to] : llvm::zip_equal(results, destinations)) {
    Value source = sources.emplace_back(l[result]);
    if (!to.isState) {
      copyAll(source, to.memory, to.shape);
    } else if (isa<BlockArgument>(result) && source != to.memory) {
      Type element = cast<MemRefType>(source.getType()).getElementType();
      sources.back() = l.scratch(element, to.shape);
      copyAll(source, sources.back(), to.shape);
    }
  }
  for (auto [source, to] : llvm::zip_equal(sources, destinations))
    if (to.isState)
      copyAll(source, to.memory, to.shape);
}

LogicalResult FunctionLowering::lowerBody(Value buffers) {
  Emitter &e = l.e;
  Block &block = func.getBody().front();
  Operation *terminator = block.getTerminator();
  int64_t next = 0;
  llvm::StringMap<Value> states;
  for (auto [i, argument] : llvm::enumerate(block.getArguments())) {
    auto type = cast<RankedTensorType>(argument.getType());
    Shape extents = *shape(type, func.getArgAttrDict(i));
    Value memory = buffer(buffers, next++, type.getElementType(), extents);
    l.bind(argument, memory, extents);
    if (auto name = func.getArgAttrOfType<StringAttr>(i, boundary::kName))
      states[name.getValue()] = memory;
  }
  // Where results go. State goes back to where it came from, but only when
  // everything that reads it has run.
  SmallVector<Destination> destinations;
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    auto type = cast<RankedTensorType>(value.getType());
    Shape extents = *shape(type, func.getResultAttrDict(i));
    auto role = func.getResultAttrOfType<StringAttr>(i, boundary::kRole);
    auto name = func.getResultAttrOfType<StringAttr>(i, boundary::kName);
    Value memory;
    bool isState = role && role.getValue() == "state";
    if (isState) {
      memory = name ? states.lookup(name.getValue()) : Value();
      if (!memory)
        return func.emitError("result ")
               << i << " is state that no argument holds";
    } else {
      memory = buffer(buffers, next++, type.getElementType(), extents);
      l.expose(value, memory, extents);
    }
    destinations.push_back({memory, extents, isState});
  }
  l.setWorkspace(buffer(buffers, next, e.getI8Type(),
                        {Extent::constant(int64_t(1) << 62)}));

  for (Operation &op : block.without_terminator()) {
    auto lowered =
        llvm::TypeSwitch<Operation *, LogicalResult>(&op)
            .Case<RouterOp, SelectOp, CheckFiniteOp, GroupOp, DispatchOp,
                  GroupedMatmulOp, ActivateOp, CombineOp, MixOp, LossOp,
                  ImbalanceOp, RebalanceOp, ClockOp, QuantizeOp, DequantizeOp,
                  AccumulateOp, AverageOp>([&](auto op) {
              if (failed(checkShapes(op)))
                return failure();
              l.e.setLoc(op.getLoc());
              lower(l, op);
              return success();
            })
            .Default([](Operation *op) {
              return op->emitOpError("cannot be lowered to loops; expected an "
                                     "operation of the moe dialect");
            });
    if (failed(lowered))
      return failure();
  }
  copyResults(terminator->getOperands(), destinations);
  return success();
}

/// Leaves on the entry what the manifest will say about it.
void FunctionLowering::describe(func::FuncOp entry) {
  Emitter &e = l.e;
  auto text = [&](const Twine &value) { return e.getStringAttr(value); };
  SmallVector<Attribute> arguments;
  auto add = [&](Type type, DictionaryAttr attrs) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<Attribute> dims;
    Shape extents = *shape(tensor, attrs);
    for (const Extent &extent : extents)
      dims.push_back(text(extent.str()));
    NamedAttrList entry(attrs);
    entry.set(entryAttr::kShape, e.getArrayAttr(dims));
    entry.set(entryAttr::kType, TypeAttr::get(tensor.getElementType()));
    arguments.push_back(entry.getDictionary(e.getContext()));
  };
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes()))
    add(type, func.getArgAttrDict(i));
  for (auto [i, type] : llvm::enumerate(func.getResultTypes())) {
    auto role = func.getResultAttrOfType<StringAttr>(i, boundary::kRole);
    if (!role || role.getValue() != "state")
      add(type, func.getResultAttrDict(i));
  }
  SmallVector<Attribute> sizes;
  for (const std::string &name : sizeNames)
    sizes.push_back(text(name));
  NamedAttrList workspace;
  workspace.set("constant", e.getI64IntegerAttr(l.workspaceSize().constant));
  for (auto &[size, bytes] : l.workspaceSize().per)
    workspace.set(size, e.getI64IntegerAttr(bytes));
  entry->setAttr(entryAttr::kFunction, func.getSymNameAttr());
  entry->setAttr(entryAttr::kArguments, e.getArrayAttr(arguments));
  entry->setAttr(entryAttr::kSizes, e.getArrayAttr(sizes));
  entry->setAttr(entryAttr::kWorkspace,
                 workspace.getDictionary(e.getContext()));
}

LogicalResult FunctionLowering::run() {
  if (!func.getBody().hasOneBlock())
    return func.emitError("expected a function of one block");
  if (failed(collectSizes()))
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
  for (auto [i, size] : llvm::enumerate(sizeNames)) {
    Value slot =
        LLVM::GEPOp::create(e, pointer, e.getI64Type(), body->getArgument(0),
                            ArrayRef<LLVM::GEPArg>{int32_t(i)});
    sizes.push_back(
        e.asIndex(e.val(LLVM::LoadOp::create(e, e.getI64Type(), slot))));
  }
  l.setSizes(sizeNames, sizes);
  if (failed(lowerBody(body->getArgument(1))))
    return failure();
  func::ReturnOp::create(e);

  describe(entry);
  func.erase();
  return success();
}

struct LowerToLoops : moe::impl::LowerToLoopsPassBase<LowerToLoops> {
  using LowerToLoopsPassBase::LowerToLoopsPassBase;

  void runOnOperation() override {
    auto name = getOperation()->getAttrOfType<StringAttr>(kPackageName);
    StringRef package = name ? name.getValue() : "moe";
    for (auto func :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (!func.isExternal() &&
          failed(FunctionLowering(func, package, reference, vectorWidth).run()))
        return signalPassFailure();
  }
};

} // namespace
