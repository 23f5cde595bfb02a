//===- Calls.cpp - Calls of the simulator ---------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "mlir/IR/Location.h"

using namespace mlir;
using namespace moe::sim;

Calls::Calls(ModuleOp host) : host(host), b(host.getLoc(), host) {}

void Calls::setPlace(Operation *op) {
  place = op;
  b.setLoc(op->getLoc());
  b.setInsertionPoint(op);
}

Value Calls::constant(int64_t value, unsigned bits) {
  return LLVM::ConstantOp::create(b, b.getIntegerType(bits), value);
}

Value Calls::bits(Value value, unsigned width) {
  Type type = value.getType();
  if (isa<LLVM::LLVMPointerType>(type))
    return LLVM::PtrToIntOp::create(b, b.getIntegerType(width), value);
  if (!isa<IntegerType>(type)) {
    unsigned own = type.isF64() ? 64 : type.isF32() ? 32 : 16;
    if (auto vector = dyn_cast<VectorType>(type))
      own = vector.getNumElements() * vector.getElementTypeBitWidth();
    value = LLVM::BitcastOp::create(b, b.getIntegerType(own), value);
  }
  unsigned own = value.getType().getIntOrFloatBitWidth();
  if (own < width)
    return LLVM::ZExtOp::create(b, b.getIntegerType(width), value);
  if (own > width)
    return LLVM::TruncOp::create(b, b.getIntegerType(width), value);
  return value;
}

Value Calls::fromBits(Value value, Type type) {
  if (value.getType() == type)
    return value;
  if (auto integer = dyn_cast<IntegerType>(type))
    return LLVM::TruncOp::create(b, type, value);
  return LLVM::BitcastOp::create(b, type, value);
}

/// The place in a file where it came from, innermost first.
static FileLineColLoc fileOf(Location location) {
  FileLineColLoc found;
  location->walk([&](Location inner) {
    if (auto file = dyn_cast<FileLineColLoc>(inner)) {
      found = file;
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return found;
}

std::string moe::sim::describe(Operation *op) {
  std::string text;
  if (FileLineColLoc file = fileOf(op->getLoc()))
    text = (file.getFilename().getValue() + ":" + Twine(file.getLine()) + ":" +
            Twine(file.getColumn()) + ": ")
               .str();
  return text + op->getName().getStringRef().str();
}

Value Calls::site() {
  std::string text = describe(place);
  auto [entry, isNew] = siteOf.try_emplace(text, siteTexts.size());
  if (isNew)
    siteTexts.push_back(text);
  return constant(entry->second);
}

/// A function that calls what the slot of that name holds.
LLVM::LLVMFuncOp Calls::trampoline(StringRef name,
                                   LLVM::LLVMFunctionType type) {
  LLVM::LLVMFuncOp &function = functionOf[name];
  if (function)
    return function;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(host.getBody());
  auto slot = LLVM::GlobalOp::create(b, pointer(), /*isConstant=*/false,
                                     LLVM::Linkage::Internal,
                                     (name + "_slot").str(), Attribute());
  slotOf[b.getStringAttr(name)] = slot;
  Block *body = b.createBlock(&slot.getInitializer());
  b.setInsertionPointToStart(body);
  LLVM::ReturnOp::create(b, LLVM::ZeroOp::create(b, pointer()).getResult());

  b.setInsertionPointToEnd(host.getBody());
  function = LLVM::LLVMFuncOp::create(b, name, type, LLVM::Linkage::Internal);
  b.setInsertionPointToStart(function.addEntryBlock(b));
  Value address = LLVM::AddressOfOp::create(b, slot);
  Value target = LLVM::LoadOp::create(b, pointer(), address);
  SmallVector<Value> operands{target};
  llvm::append_range(operands, function.getArguments());
  auto call = LLVM::CallOp::create(b, type, operands);
  LLVM::ReturnOp::create(b, call.getResults());
  return function;
}

Value Calls::call(StringRef name, Type result, ValueRange operands) {
  auto type = LLVM::LLVMFunctionType::get(
      result ? result : LLVM::LLVMVoidType::get(b.getContext()),
      llvm::to_vector(operands.getTypes()));
  // Address spaces go when all calls are made; a function has none yet.
  SmallVector<Type> inputs;
  for (Type input : type.getParams())
    inputs.push_back(isa<LLVM::LLVMPointerType>(input) ? Type(pointer())
                                                       : input);
  SmallVector<Value> values;
  for (Value operand : operands)
    values.push_back(
        isa<LLVM::LLVMPointerType>(operand.getType()) &&
                operand.getType() != pointer()
            ? LLVM::AddrSpaceCastOp::create(b, pointer(), operand).getResult()
            : operand);
  LLVM::LLVMFuncOp function = trampoline(
      name, LLVM::LLVMFunctionType::get(type.getReturnType(), inputs));
  auto call = LLVM::CallOp::create(b, function.getFunctionType(),
                                   function.getName(), values);
  return result ? call.getResult() : Value();
}

Value Calls::scratch(int64_t offset) {
  auto function = place->getParentOfType<LLVM::LLVMFuncOp>();
  Value &memory = scratchOf[function];
  if (!memory) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&function.getBody().front());
    memory = LLVM::AllocaOp::create(b, pointer(), b.getI8Type(),
                                    constant(scratchBytes), /*alignment=*/16);
  }
  if (offset == 0)
    return memory;
  return LLVM::GEPOp::create(b, pointer(), b.getI8Type(), memory,
                             ArrayRef<LLVM::GEPArg>{int32_t(offset)});
}

Value Calls::words(ArrayRef<uint32_t> values) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(host.getBody());
  auto type = LLVM::LLVMArrayType::get(b.getI32Type(), values.size());
  auto shape = RankedTensorType::get({int64_t(values.size())}, b.getI32Type());
  auto global = LLVM::GlobalOp::create(
      b, type, /*isConstant=*/true, LLVM::Linkage::Internal,
      "moe_sim_words_" + std::to_string(constants++),
      DenseElementsAttr::get(shape, values));
  b.setInsertionPoint(place);
  return LLVM::AddressOfOp::create(b, global);
}

void moe::sim::putUnder(Value condition, Operation *op) {
  if (!condition)
    return;
  Block *before = op->getBlock();
  Block *after = before->splitBlock(op->getNextNode());
  Block *under = before->splitBlock(op);
  OpBuilder b(op->getContext());
  b.setInsertionPointToEnd(before);
  LLVM::CondBrOp::create(b, op->getLoc(), condition, under, after);
  b.setInsertionPointToEnd(under);
  LLVM::BrOp::create(b, op->getLoc(), after);
}
