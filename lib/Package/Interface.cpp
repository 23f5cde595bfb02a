//===- Interface.cpp - The C functions of a package -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "moe/Package/Package.h"
#include "moe/Runtime/moe.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

using namespace llvm;
using namespace moe;

namespace {

/// Builds the globals and functions that Runtime/Package.h and NAME.h declare.
class Interface {
public:
  Interface(Module &module, StringRef name)
      : module(module), name(name), b(module.getContext()),
        pointer(b.getPtrTy()) {}

  void addPackage(StringRef manifest, const PackageInfo &info,
                  ArrayRef<Signature> signatures);
  void addCall(const Call &call);
  void addFunction(const Signature &signature);

private:
  Module &module;
  StringRef name;
  IRBuilder<> b;
  PointerType *pointer;
  GlobalVariable *package = nullptr;

  llvm::Function *define(const Twine &suffix, Type *result,
                         unsigned numParameters);
  Value *stackArray(llvm::Function *function, unsigned first, size_t count);
  GlobalVariable *constant(const Twine &symbol, Constant *value,
                           GlobalValue::LinkageTypes linkage);
  GlobalVariable *local(Constant *value) {
    return constant("", value, GlobalValue::PrivateLinkage);
  }
  GlobalVariable *local(StringRef text) {
    return local(ConstantDataArray::getString(module.getContext(), text));
  }
  /// An array of structures of the same type.
  Constant *kernels(const PackageKernels &code);
  GlobalVariable *table(ArrayRef<Constant *> rows) {
    return local(ConstantArray::get(
        ArrayType::get(rows.front()->getType(), rows.size()), rows));
  }
};

llvm::Function *Interface::define(const Twine &suffix, Type *result,
                                  unsigned numParameters) {
  auto *type = FunctionType::get(
      result, SmallVector<Type *>(numParameters, pointer), false);
  auto *function = llvm::Function::Create(type, GlobalValue::ExternalLinkage,
                                          name + "_" + suffix, module);
  function->setDoesNotThrow();
  b.SetInsertPoint(BasicBlock::Create(module.getContext(), "", function));
  return function;
}

GlobalVariable *Interface::constant(const Twine &symbol, Constant *value,
                                    GlobalValue::LinkageTypes linkage) {
  return new GlobalVariable(module, value->getType(), /*isConstant=*/true,
                            linkage, value, symbol);
}

/// A moe_kernels; null where there are none.
Constant *Interface::kernels(const PackageKernels &code) {
  if (code.images.empty())
    return ConstantPointerNull::get(pointer);
  SmallVector<Constant *> images, names;
  for (const PackageKernels::Image &image : code.images) {
    GlobalVariable *bytes = image.symbol.empty()
                                ? local(image.bytes)
                                : module.getNamedGlobal(image.symbol);
    if (image.symbol.empty())
      bytes->setAlignment(Align(64));
    else
      bytes->setLinkage(GlobalValue::InternalLinkage);
    images.push_back(ConstantStruct::getAnon(
        {local(image.arch), bytes, b.getInt64(image.bytes.size())}));
  }
  for (const std::string &kernel : code.names)
    names.push_back(local(kernel));
  return local(ConstantStruct::getAnon({table(images), table(names),
                                        b.getInt32(images.size()),
                                        b.getInt32(names.size())}));
}

void Interface::addPackage(StringRef manifest, const PackageInfo &info,
                           ArrayRef<Signature> signatures) {
  SmallVector<GlobalVariable *> names;
  for (const Signature &signature : signatures)
    names.push_back(local(signature.name));
  SmallVector<Constant *> variantRows;
  for (const PackageVariant &variant : info.variants) {
    SmallVector<Constant *> rows;
    for (auto [signature, functionName] : zip_equal(signatures, names)) {
      llvm::Function *entry =
          module.getFunction(signature.symbol + variant.suffix);
      entry->setLinkage(GlobalValue::InternalLinkage);
      rows.push_back(ConstantStruct::getAnon({functionName, entry}));
    }
    variantRows.push_back(ConstantStruct::getAnon(
        {local(variant.cpu), table(rows), kernels(variant.kernels),
         b.getInt32(rows.size())}));
  }
  package =
      constant(name + "_package",
               ConstantStruct::getAnon({b.getInt32(MOE_ABI_VERSION),
                                        b.getInt32(variantRows.size()),
                                        local(manifest), table(variantRows)}),
               GlobalValue::ExternalLinkage);
  define("get_package", pointer, 0);
  b.CreateRet(package);
}

void Interface::addCall(const Call &call) {
  Type *result = pointer;
  if (call.result == "void")
    result = b.getVoidTy();
  else if (call.result == "moe_status")
    result = b.getInt32Ty();
  llvm::Function *function = define(call.suffix, result, call.numParameters);
  SmallVector<Value *> arguments;
  if (call.passesPackage)
    arguments.push_back(package);
  if (call.passesParameters)
    for (llvm::Argument &argument : function->args())
      arguments.push_back(&argument);
  SmallVector<Type *> types(arguments.size(), pointer);
  FunctionCallee runtime = module.getOrInsertFunction(
      call.runtime, FunctionType::get(result, types, false));
  Value *status = b.CreateCall(runtime, arguments);
  if (result->isVoidTy())
    b.CreateRetVoid();
  else
    b.CreateRet(status);
}

/// The function's parameters from `first` on, as an array.
Value *Interface::stackArray(llvm::Function *function, unsigned first,
                             size_t count) {
  Value *array =
      b.CreateAlloca(pointer, b.getInt32(std::max<size_t>(count, 1)));
  for (size_t i = 0; i < count; ++i)
    b.CreateStore(function->getArg(first + i),
                  b.CreateConstGEP1_64(pointer, array, i));
  return array;
}

void Interface::addFunction(const Signature &signature) {
  size_t inputs = signature.withRole("input").size();
  size_t outputs = signature.withRole("output").size();
  llvm::Function *function =
      define(signature.name, b.getInt32Ty(), 1 + inputs + outputs);
  Value *inputArray = stackArray(function, 1, inputs);
  Value *outputArray = stackArray(function, 1 + inputs, outputs);
  FunctionCallee run = module.getOrInsertFunction(
      "moe_layer_run", b.getInt32Ty(), pointer, pointer, pointer, pointer);
  b.CreateRet(b.CreateCall(run, {function->getArg(0),
                                 b.CreateGlobalString(signature.name),
                                 inputArray, outputArray}));
}

} // namespace

void moe::nameEntries(Module &code, const PackageVariant &variant,
                      ArrayRef<Signature> signatures) {
  auto isImage = [&](const GlobalVariable &global) {
    return any_of(variant.kernels.images,
                  [&](const PackageKernels::Image &image) {
                    return global.getName() == image.symbol;
                  });
  };
  for (GlobalVariable &global : code.globals())
    if (!global.isDeclaration() && !isImage(global))
      global.setLinkage(GlobalValue::InternalLinkage);
  for (llvm::Function &function : code) {
    if (function.isDeclaration())
      continue;
    function.setLinkage(GlobalValue::InternalLinkage);
    function.setName(function.getName() + variant.suffix);
  }
  for (const Signature &signature : signatures)
    code.getFunction(signature.symbol + variant.suffix)
        ->setLinkage(GlobalValue::ExternalLinkage);
}

void moe::addInterface(Module &code, const PackageInfo &info,
                       StringRef manifest, ArrayRef<Signature> signatures) {
  Interface interface(code, info.name);
  interface.addPackage(manifest, info, signatures);
  for (const Call &call : calls)
    interface.addCall(call);
  for (const Signature &signature : signatures)
    interface.addFunction(signature);
}
