//===- Signature.cpp - The functions of a package -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Package/Package.h"

#include "moe/Graph/Graph.h"
#include "moe/Kernels/Entry.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace moe;

std::vector<Argument> Signature::withRole(StringRef role) const {
  std::vector<Argument> found;
  for (const Argument &argument : arguments)
    if (argument.role == role)
      found.push_back(argument);
  return found;
}

/// The manifest's name of an element type; empty if it has none.
static std::string typeName(Type type) {
  if (type.isInteger(32))
    return "i32";
  if (type.isInteger(64))
    return "i64";
  if (type.isInteger(8))
    return "i8";
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return isa<FloatType>(type) ? text : std::string();
}

static std::string text(Attribute attr) {
  auto string = dyn_cast_or_null<StringAttr>(attr);
  return string ? string.str() : std::string();
}

static llvm::Expected<Argument> readArgument(DictionaryAttr attrs) {
  Argument argument;
  argument.name = text(attrs.get(boundary::kName));
  argument.role = text(attrs.get(boundary::kRole));
  argument.startsAsWeight = attrs.contains(boundary::kInitial);
  if (auto type = attrs.getAs<TypeAttr>(entryAttr::kType))
    argument.type = typeName(type.getValue());
  if (attrs.contains(boundary::kUnsigned) && argument.type[0] == 'i')
    argument.type[0] = 'u';
  if (auto shape = attrs.getAs<ArrayAttr>(entryAttr::kShape))
    for (Attribute dim : shape)
      argument.shape.push_back(text(dim));
  if (argument.name.empty() || argument.role.empty() || argument.type.empty())
    return llvm::createStringError(
        "every argument and result of a packaged function needs the attributes "
        "'moe.name' and 'moe.role'");
  return argument;
}

llvm::Expected<std::vector<Signature>> moe::readSignatures(ModuleOp module) {
  std::vector<Signature> signatures;
  for (auto func : module.getOps<func::FuncOp>()) {
    auto name = func->getAttrOfType<StringAttr>(entryAttr::kFunction);
    if (!name)
      continue;
    Signature &signature = signatures.emplace_back();
    signature.name = name.str();
    signature.symbol = func.getName().str();
    for (Attribute size : func->getAttrOfType<ArrayAttr>(entryAttr::kSizes))
      signature.sizes.push_back(text(size));
    for (auto attrs : func->getAttrOfType<ArrayAttr>(entryAttr::kArguments)
                          .getAsRange<DictionaryAttr>()) {
      llvm::Expected<Argument> argument = readArgument(attrs);
      if (!argument)
        return argument.takeError();
      signature.arguments.push_back(std::move(*argument));
    }
    auto workspace = func->getAttrOfType<DictionaryAttr>(entryAttr::kWorkspace);
    signature.workspaceConstant =
        workspace.getAs<IntegerAttr>("constant").getInt();
    for (NamedAttribute bytes : workspace.getAs<DictionaryAttr>("per"))
      signature.workspacePer.emplace_back(
          bytes.getName().str(), cast<IntegerAttr>(bytes.getValue()).getInt());
  }
  if (signatures.empty())
    return llvm::createStringError("the module has no function to package");
  return signatures;
}
