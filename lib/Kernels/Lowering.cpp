//===- Lowering.cpp - The lowering of one function ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moe;

/// Every buffer of the workspace starts on a cache line.
static constexpr int64_t alignment = 64;

Lowering::Lowering(ModuleOp module, Location loc, Device device,
                   const VectorUnit &unit)
    : e(loc, module.getContext(),
        device == Device::reference
            ? FloatType(Float64Type::get(module.getContext()))
            : FloatType(Float32Type::get(module.getContext())),
        /*sequential=*/device == Device::reference),
      reference(device == Device::reference), gpu(device == Device::gpu),
      unit(unit), lanes(gpu ? 1 : unit.core.lanes), module(module) {}

void Lowering::bind(Value tensor, Value buffer, ArrayRef<Extent> shape) {
  buffers[tensor] = buffer;
  shapes[tensor] = SmallVector<Extent, 3>(shape);
}

void Lowering::expose(Value tensor, Value buffer, ArrayRef<Extent> shape) {
  if (exposed.try_emplace(tensor, buffer).second)
    exposedShapes[tensor] = SmallVector<Extent, 3>(shape);
}

std::optional<Extent> Lowering::knownExtent(Value tensor, unsigned dim) const {
  int64_t size = cast<RankedTensorType>(tensor.getType()).getDimSize(dim);
  if (!ShapedType::isDynamic(size))
    return Extent::constant(size);
  auto it = exposedShapes.find(tensor);
  if (it == exposedShapes.end())
    return std::nullopt;
  return it->second[dim];
}

Extent Lowering::namedExtent(std::optional<StringRef> text,
                             Value tensor) const {
  if (text)
    return *Extent::parse(*text);
  return Extent::constant(
      cast<RankedTensorType>(tensor.getType()).getDimSize(0));
}

void Lowering::setSizes(ArrayRef<std::string> names, ArrayRef<Val> values) {
  for (auto [name, value] : llvm::zip_equal(names, values))
    sizes[name] = value;
}

Val Lowering::size(const Extent &extent) {
  if (extent.isConstant())
    return e.index(extent.factor);
  Val value = sizes.lookup(extent.size);
  if (extent.factor != 1)
    value = value * extent.factor;
  if (extent.divisor != 1)
    value = (value + (extent.divisor - 1)) / extent.divisor;
  if (extent.multiplier != 1)
    value = value * extent.multiplier;
  return value;
}

void Lowering::fail(const Twine &message) {
  failedOnce = true;
  Location loc = e.getLoc();
  if (auto named = dyn_cast<NameLoc>(loc))
    loc = named.getChildLoc();
  emitError(loc) << message;
}

Value Lowering::result(Value tensor, ArrayRef<Extent> leading) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<Extent, 3> shape(leading);
  for (auto [dim, size] : llvm::enumerate(type.getShape())) {
    if (dim >= shape.size())
      shape.push_back(Extent::constant(size));
    else if (!ShapedType::isDynamic(size) &&
             shape[dim] != Extent::constant(size))
      fail("expected a result of " + shape[dim].str() + " rows, found " +
           Twine(size));
  }
  Value buffer = exposed.lookup(tensor);
  if (buffer && exposedShapes[tensor] != shape) {
    if (!failedOnce)
      fail("a result of " + shape[0].str() +
           " rows leaves the function as one of " +
           exposedShapes[tensor][0].str());
    buffer = Value();
  }
  Type element = storage(type.getElementType());
  if (collectivesLeft != 0)
    buffer = Value();
  if (!buffer || cast<MemRefType>(buffer.getType()).getElementType() != element)
    buffer = scratch(element, shape);
  bind(tensor, buffer, shape);
  return buffer;
}

void Lowering::publish(Value tensor) {
  Value buffer = exposed.lookup(tensor);
  if (!buffer || buffer == buffers.lookup(tensor))
    return;
  SmallVector<Extent, 3> extents(shape(tensor));
  copy(buffers.lookup(tensor), buffer, extents);
  bind(tensor, buffer, extents);
}

void Lowering::forEach(ArrayRef<Extent> shape,
                       llvm::function_ref<void(ArrayRef<Val>)> body) {
  SmallVector<Val> at;
  auto nest = [&](auto &&nest) -> void {
    if (at.size() == shape.size())
      return body(at);
    e.loop(size(shape[at.size()]), [&](Val i) {
      at.push_back(i);
      nest(nest);
      at.pop_back();
    });
  };
  nest(nest);
}

void Lowering::eachValue(Val rows, Val columns,
                         llvm::function_ref<void(Val, Val)> body) {
  if (gpu)
    return e.parallel(rows * columns,
                      [&](Val i) { body(i / columns, i % columns); });
  e.parallel(rows,
             [&](Val row) { e.loop(columns, [&](Val c) { body(row, c); }); });
}

void Lowering::eachValue(ArrayRef<Extent> shape,
                         llvm::function_ref<void(ArrayRef<Val>)> body) {
  if (!gpu)
    return e.parallel(size(shape.front()), [&](Val i) {
      forEach(shape.drop_front(), [&](ArrayRef<Val> rest) {
        SmallVector<Val> at = {i};
        llvm::append_range(at, rest);
        body(at);
      });
    });
  Val count = e.index(1);
  for (const Extent &extent : shape)
    count = count * size(extent);
  e.parallel(count, [&](Val i) {
    SmallVector<Val> at(shape.size());
    for (size_t dim = shape.size(); dim-- > 1;) {
      at[dim] = i % size(shape[dim]);
      i = i / size(shape[dim]);
    }
    at[0] = i;
    body(at);
  });
}

/// With fewer values most lanes of a warp would wait.
static constexpr int64_t leastWidth = 16;

void Lowering::eachRow(Val rows, int64_t width,
                       llvm::function_ref<void(Val)> body) {
  if (width >= leastWidth)
    eachLongRow(rows, body);
  else
    e.parallel(rows, body);
}

void Lowering::eachLongRow(Val rows, llvm::function_ref<void(Val)> body) {
  if (gpu)
    e.warps(rows, body);
  else
    e.parallel(rows, body);
}

void Lowering::together(llvm::function_ref<void()> body) {
  if (gpu)
    e.warps(e.index(1), [&](Val) { body(); });
  else
    body();
}

void Lowering::copy(Value from, Value to, ArrayRef<Extent> shape) {
  auto copyRow = [&](ArrayRef<Val> row, ArrayRef<Extent> rest) {
    forEach(rest, [&](ArrayRef<Val> column) {
      SmallVector<Val> at(row);
      llvm::append_range(at, column);
      e.store(e.load(from, at), to, at);
    });
  };
  // What varies may be much.
  if (shape.size() < 2 || shape[0].isConstant())
    return copyRow({}, shape);
  if (gpu && shape.size() == 2)
    return eachValue(size(shape[0]), size(shape[1]), [&](Val i, Val j) {
      e.store(e.load(from, {i, j}), to, {i, j});
    });
  e.parallel(size(shape[0]), [&](Val i) { copyRow(i, shape.drop_front()); });
}

/// In terms of sizes that the caller knows. Parts of a whole are as much as all
/// of it where each row takes as many bytes as any.
WorkspaceSize Lowering::withoutParts(const WorkspaceSize &bytes) {
  WorkspaceSize result{bytes.constant, {}};
  std::map<std::string, int64_t> most; // of each whole
  bool overflow = false;
  auto addWhole = [&](const Extent &whole, int64_t each) {
    int64_t all = 0, &per = result.per[whole.size];
    overflow |= llvm::MulOverflow(each, whole.factor, all) ||
                llvm::AddOverflow(per, all, per);
  };
  for (const auto &[size, each] : bytes.per) {
    if (auto bound = bounds.find(size); bound != bounds.end()) {
      addWhole(bound->second, each);
      continue;
    }
    auto part = parts.find(size);
    if (part == parts.end()) {
      addWhole({1, 1, size}, each);
      continue;
    }
    int64_t &of = most[part->second.str()];
    of = std::max(of, each);
  }
  for (const auto &[whole, each] : most)
    addWhole(*Extent::parse(whole), each);
  if (overflow && !failedOnce)
    fail("the workspace is larger than memory can be");
  return result;
}

Value Lowering::scratch(Type element, ArrayRef<Extent> shape) {
  SmallVector<int64_t> dims;
  SmallVector<Value> dynamic;
  Val bytes = e.index(1);
  int64_t staticBytes = element.getIntOrFloatBitWidth() / 8;
  bool overflow = false;
  const Extent *varying = nullptr;
  for (const Extent &extent : shape) {
    if (extent.isConstant()) {
      dims.push_back(extent.factor);
      overflow |= llvm::MulOverflow(staticBytes, extent.factor, staticBytes);
      continue;
    }
    dims.push_back(ShapedType::kDynamic);
    dynamic.push_back(size(extent));
    bytes = bytes * e.val(dynamic.back());
    varying = &extent;
  }
  // At most one dimension of what the workspace holds varies.
  int64_t varyingBytes = 0, roundedUp = 0;
  if (varying) {
    overflow |=
        llvm::MulOverflow(staticBytes, varying->multiplier, roundedUp) ||
        llvm::MulOverflow(roundedUp, varying->factor, varyingBytes);
    int64_t &per = inUse.per[varying->size];
    overflow |= llvm::AddOverflow(
        per, llvm::divideCeilSigned(varyingBytes, varying->divisor), per);
  } else {
    overflow |= llvm::AddOverflow(inUse.constant, staticBytes, inUse.constant);
  }
  overflow |= llvm::AddOverflow(
      inUse.constant,
      2 * alignment + (varying && varying->divisor != 1 ? roundedUp : 0),
      inUse.constant);
  if (overflow && !failedOnce)
    fail("the workspace is larger than memory can be");
  WorkspaceSize total = withoutParts(inUse);
  needed.constant = std::max(needed.constant, total.constant);
  for (auto &[size, bytes] : total.per) {
    int64_t &most = needed.per[size];
    most = std::max(most, bytes);
  }

  if (!workspaceEnd.value)
    workspaceEnd = e.index(0);
  Value view = memref::ViewOp::create(e, MemRefType::get(dims, element),
                                      workspace, workspaceEnd, dynamic);
  workspaceEnd = (workspaceEnd + bytes * staticBytes + (alignment - 1)) /
                 alignment * alignment;
  return view;
}

static memref::GlobalOp makeTable(OpBuilder &b, Location loc, ModuleOp module,
                                  StringRef symbol, DenseElementsAttr content) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(module.getBody());
  auto type =
      MemRefType::get(content.getType().getShape(), content.getElementType());
  return memref::GlobalOp::create(b, loc, symbol, b.getStringAttr("private"),
                                  type, content, /*constant=*/true,
                                  IntegerAttr());
}

Value Lowering::table(StringRef name, ArrayRef<float> values) {
  std::string symbol = ("moe_table." + name).str();
  auto global = module.lookupSymbol<memref::GlobalOp>(symbol);
  if (!global)
    global = makeTable(
        e, e.getLoc(), module, symbol,
        DenseElementsAttr::get(
            RankedTensorType::get(values.size(), e.getF32Type()), values));
  return memref::GetGlobalOp::create(e, global.getType(), symbol);
}

Value Lowering::table(StringRef name, ArrayRef<int32_t> values) {
  auto content = DenseElementsAttr::get(
      RankedTensorType::get(values.size(), e.getI32Type()), values);
  for (int64_t number = 0;; ++number) {
    std::string symbol = ("moe_table." + name + "." + Twine(number)).str();
    auto global = module.lookupSymbol<memref::GlobalOp>(symbol);
    if (global && global.getInitialValueAttr() != content)
      continue;
    if (!global)
      global = makeTable(e, e.getLoc(), module, symbol, content);
    return memref::GetGlobalOp::create(e, global.getType(), symbol);
  }
}

static func::CallOp call(Emitter &e, ModuleOp module, StringRef name,
                         TypeRange results, ValueRange operands) {
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(e);
    e.setInsertionPointToStart(module.getBody());
    auto type = e.getFunctionType(TypeRange(operands), results);
    func::FuncOp::create(e, name, type).setPrivate();
  }
  return func::CallOp::create(e, name, results, operands);
}

Val Lowering::callRuntime(StringRef name, Type result, ValueRange operands) {
  return e.val(call(e, module, name, result, operands).getResult(0));
}

void Lowering::callRuntime(StringRef name, ValueRange operands) {
  call(e, module, name, {}, operands);
}
