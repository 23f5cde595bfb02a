//===- Signature.cpp - The functions of a package -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Package/Package.h"

#include "Calls.h"

#include "moe/Graph/Graph.h"
#include "moe/Kernels/Entry.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"

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
  if (!isa<Float32Type, Float64Type, BFloat16Type, Float16Type>(type))
    return "";
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

static std::string text(Attribute attr) {
  auto string = dyn_cast_or_null<StringAttr>(attr);
  return string ? string.str() : std::string();
}

static bool isIdentifier(StringRef name, StringRef more = "_") {
  return !name.empty() && llvm::isAlpha(name.front()) && name.size() <= 64 &&
         llvm::all_of(name, [&](char c) {
           return llvm::isAlnum(c) || more.contains(c);
         });
}

bool moe::isPackageName(StringRef name) { return isIdentifier(name); }

/// What the runtime and a C compiler will ask of it. Programs made of a spec
/// keep to it; others may not.
static llvm::Error check(const Signature &signature) {
  auto refuse = [&](const llvm::Twine &message) {
    return llvm::createStringError("function '" + signature.name +
                                   "': " + message.str());
  };
  if (!isIdentifier(signature.name))
    return refuse("expected an identifier of at most 64 characters as its "
                  "name");
  for (const Call &call : calls)
    if (signature.name == call.suffix)
      return refuse("every package has a function of that name already");
  llvm::StringSet<> names;
  for (const Argument &argument : signature.arguments) {
    std::string who = "'" + argument.name + "'";
    StringRef role = argument.role;
    if (!isIdentifier(argument.name, "_."))
      return refuse("expected a name of letters, digits, '_' and '.', found " +
                    who);
    if (!names.insert(argument.name).second)
      return refuse("name " + who + " is used twice");
    bool isKept = role == "weight" || role == "state";
    if (!isKept && role != "input" && role != "output" && role != "plan")
      return refuse("expected input, output, weight, state or plan as role "
                    "of " +
                    who + ", found '" + role + "'");
    if (argument.type.empty())
      return refuse("expected f32, f64, bf16, f16, i8, i32 or i64 as element "
                    "type of " +
                    who);
    for (StringRef size : argument.shape)
      if (isKept && !llvm::all_of(size, llvm::isDigit))
        return refuse("expected a static shape of the " + role + " " + who);
  }
  return llvm::Error::success();
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
  if (argument.name.empty() || argument.role.empty())
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
    if (llvm::Error error = check(signature))
      return error;
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
