//===- Image.cpp - The table of kernels -----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Image.h"

#include "moe/Sim/Image.h"

using namespace mlir;
using namespace moe::sim;

namespace {
/// Makes constants of C structs, field by field.
class Table {
public:
  Table(ModuleOp host, StringRef prefix)
      : host(host), b(host.getLoc(), host), prefix(prefix) {
    b.setInsertionPointToEnd(host.getBody());
  }

  using Fields = SmallVector<std::function<Value()>>;

  /// An array of structs that all have fields of the same types; an empty one
  /// is null.
  LLVM::GlobalOp structs(StringRef name, ArrayRef<Fields> rows,
                         ArrayRef<Type> types, LLVM::Linkage linkage) {
    if (rows.empty())
      return {};
    auto row = LLVM::LLVMStructType::getLiteral(b.getContext(), types);
    Type type = rows.size() == 1
                    ? Type(row)
                    : Type(LLVM::LLVMArrayType::get(row, rows.size()));
    return global(name, type, linkage, [&] {
      Value all = LLVM::UndefOp::create(b, type);
      for (auto [i, fields] : llvm::enumerate(rows))
        for (auto [j, field] : llvm::enumerate(fields)) {
          SmallVector<int64_t> at{int64_t(j)};
          if (rows.size() > 1)
            at.insert(at.begin(), int64_t(i));
          all = LLVM::InsertValueOp::create(b, all, field(), at);
        }
      return all;
    });
  }

  std::function<Value()> number(int64_t value) {
    return [=] {
      return LLVM::ConstantOp::create(b, b.getI64Type(), value).getResult();
    };
  }
  std::function<Value()> address(Operation *symbol) {
    return [=]() -> Value {
      if (!symbol)
        return LLVM::ZeroOp::create(b, pointer());
      return LLVM::AddressOfOp::create(
          b, pointer(), SymbolTable::getSymbolName(symbol).getValue());
    };
  }
  std::function<Value()> text(StringRef value) {
    std::string bytes = value.str();
    bytes.push_back('\0');
    return address(data("text_" + std::to_string(count++),
                        LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size()),
                        b.getStringAttr(bytes)));
  }
  template <typename T> std::function<Value()> numbers(ArrayRef<T> values) {
    if (values.empty())
      return address(nullptr);
    Type element = b.getIntegerType(8 * sizeof(T));
    auto shape = RankedTensorType::get({int64_t(values.size())}, element);
    return address(data("numbers_" + std::to_string(count++),
                        LLVM::LLVMArrayType::get(element, values.size()),
                        DenseElementsAttr::get(shape, values)));
  }

  LLVM::LLVMPointerType pointer() {
    return LLVM::LLVMPointerType::get(b.getContext());
  }
  Type i64() { return b.getI64Type(); }
  std::function<Value()> bytes(StringRef value) {
    return [this, value = value.str()] {
      auto type = LLVM::LLVMArrayType::get(b.getI8Type(), value.size());
      return LLVM::ConstantOp::create(b, type, b.getStringAttr(value))
          .getResult();
    };
  }
  Type bytesType(size_t size) {
    return LLVM::LLVMArrayType::get(b.getI8Type(), size);
  }

private:
  LLVM::GlobalOp data(const std::string &name, Type type, Attribute value) {
    b.setInsertionPointToEnd(host.getBody());
    return LLVM::GlobalOp::create(b, type, /*isConstant=*/true,
                                  LLVM::Linkage::Internal, prefix + name,
                                  value);
  }
  template <typename Body>
  LLVM::GlobalOp global(StringRef name, Type type, LLVM::Linkage linkage,
                        Body &&body) {
    b.setInsertionPointToEnd(host.getBody());
    auto op = LLVM::GlobalOp::create(b, type, /*isConstant=*/true, linkage,
                                     prefix + name.str(), Attribute());
    Block *block = b.createBlock(&op.getInitializer());
    b.setInsertionPointToStart(block);
    LLVM::ReturnOp::create(b, body());
    b.setInsertionPointToEnd(host.getBody());
    return op;
  }

  ModuleOp host;
  ImplicitLocOpBuilder b;
  std::string prefix;
  int64_t count = 0;
};
} // namespace

static LLVM::GlobalOp kernelTable(Table &table, ArrayRef<KernelEntry> kernels) {
  SmallVector<Table::Fields> rows;
  for (const KernelEntry &kernel : kernels) {
    Table::Fields row = {table.text(kernel.name),
                         table.address(kernel.body),
                         table.number(int64_t(kernel.parameterSizes.size())),
                         table.numbers<int64_t>(kernel.parameterSizes),
                         table.number(kernel.staticShared),
                         table.number(kernel.staticAlignment),
                         table.number(kernel.dynamicAlignment),
                         table.number(kernel.maxThreads)};
    for (int64_t extent : kernel.cluster)
      row.push_back(table.number(extent));
    rows.push_back(std::move(row));
  }
  Type p = table.pointer(), n = table.i64();
  return table.structs("kernels", rows, {p, p, n, p, n, n, n, n, n, n, n},
                       LLVM::Linkage::Internal);
}

void moe::sim::makeImage(ModuleOp host, StringRef name, int64_t architecture,
                         ArrayRef<KernelEntry> kernels,
                         ArrayRef<GlobalEntry> globals, const Calls &calls) {
  Table table(host, (name + "_").str());
  Type p = table.pointer(), n = table.i64();

  SmallVector<Table::Fields> globalRows, callRows;
  for (const GlobalEntry &global : globals)
    globalRows.push_back({table.text(global.name), table.address(global.global),
                          table.number(global.bytes)});
  for (auto &[called, slot] : calls.slots())
    callRows.push_back({table.text(called), table.address(slot)});
  std::string siteText;
  SmallVector<int32_t> siteOffsets;
  for (const std::string &site : calls.sites()) {
    siteOffsets.push_back(int32_t(siteText.size()));
    siteText += site;
    siteText.push_back('\0');
  }
  auto internal = LLVM::Linkage::Internal;
  LLVM::GlobalOp kernelRows = kernelTable(table, kernels);
  LLVM::GlobalOp globalTable =
      table.structs("globals", globalRows, {p, p, n}, internal);
  LLVM::GlobalOp callTable = table.structs("calls", callRows, {p, p}, internal);
  Table::Fields image = {table.bytes(StringRef(MOE_SIM_MAGIC, 8)),
                         table.number(architecture),
                         table.number(int64_t(kernels.size())),
                         table.address(kernelRows),
                         table.number(int64_t(globals.size())),
                         table.address(globalTable),
                         table.number(int64_t(callRows.size())),
                         table.address(callTable),
                         table.number(int64_t(siteOffsets.size())),
                         table.numbers<int32_t>(siteOffsets),
                         table.text(siteText)};
  table.structs("image", {image},
                {table.bytesType(8), n, n, p, n, p, n, p, n, p, p},
                LLVM::Linkage::External);
}
