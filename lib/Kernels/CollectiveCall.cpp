//===- CollectiveCall.cpp - A call of the runtime between ranks -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CollectiveCall.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace moe;

Value moe::pointerTo(Emitter &e, Value buffer) {
  auto pointer = LLVM::LLVMPointerType::get(e.getContext());
  if (!buffer)
    return LLVM::ZeroOp::create(e, pointer);
  LLVMTypeConverter converter(e.getContext());
  auto type = cast<MemRefType>(buffer.getType());
  Value cast =
      UnrealizedConversionCastOp::create(e, converter.convertType(type), buffer)
          .getResult(0);
  return MemRefDescriptor(cast).bufferPtr(e, e.getLoc(), converter, type);
}

void CollectiveCall::setKind(MLIRContext *context, StringRef operation) {
  about.set(entryAttr::kKind,
            StringAttr::get(context, operation.split('.').second));
}

Value CollectiveCall::result(Lowering &l, Value y,
                             std::optional<StringRef> text) {
  if (cast<RankedTensorType>(y.getType()).getRank() == 0)
    return l.result(y);
  Extent rows = l.namedExtent(text, y);
  about.set(entryAttr::kRows, l.e.getStringAttr(rows.str()));
  return l.result(y, rows);
}

Val CollectiveCall::enter(Lowering &l) {
  Emitter &e = l.e;
  Value buffer = send ? send : receive;
  if (buffer) {
    auto type = cast<MemRefType>(buffer.getType());
    int64_t row = 1;
    for (int64_t size : type.getShape().drop_front(type.getRank() != 0))
      row *= size;
    about.set(entryAttr::kDtype, TypeAttr::get(type.getElementType()));
    about.set(entryAttr::kRow, e.getI64IntegerAttr(row));
  }
  int64_t number = l.collectives.size();
  l.collectives.push_back(about.getDictionary(e.getContext()));
  return e.bits(e.getI32Type(), number);
}

void moe::callForStatus(Lowering &l, StringRef function, ValueRange operands) {
  Emitter &e = l.e;
  Val status = l.callRuntime(function, e.getI32Type(), operands);
  auto branch = scf::IfOp::create(e, status == 0, /*withElseRegion=*/false);
  e.setInsertionPoint(branch.thenBlock()->getTerminator());
}

void CollectiveCall::call(Lowering &l) {
  Emitter &e = l.e;
  Val number = enter(l);
  Value count = rows.value ? e.cast(rows, e.getI64Type()).value
                           : e.bits(e.getI64Type(), 0).value;
  callForStatus(l, "moe_collective",
                {l.exchange, number, pointerTo(e, send), pointerTo(e, receive),
                 count, pointerTo(e, sendCounts), pointerTo(e, receiveCounts)});
}

Value moe::toSend(Lowering &l, Value x) {
  Value buffer = l[x];
  auto type = cast<MemRefType>(buffer.getType());
  Type element =
      l.storage(cast<RankedTensorType>(x.getType()).getElementType());
  if (type.getElementType() == element && type.getLayout().isIdentity())
    return buffer;
  Value copy = l.scratch(element, l.shape(x));
  l.copy(buffer, copy, l.shape(x));
  return copy;
}

Val moe::rowsOf(Lowering &l, Value tensor) {
  return l.shape(tensor).empty() ? l.e.index(1) : l.size(tensor, 0);
}
