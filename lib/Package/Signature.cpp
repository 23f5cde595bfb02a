//===- Signature.cpp - The functions of a package -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"
#include "Sharding.h"

#include "moe/Package/Package.h"

#include "moe/Graph/Graph.h"
#include "moe/Import/Import.h"
#include "moe/Kernels/Entry.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/ConvertUTF.h"

using namespace mlir;
using namespace moe;

std::vector<Argument> Signature::withRole(StringRef role) const {
  std::vector<Argument> found;
  for (const Argument &argument : arguments)
    if (argument.role == role)
      found.push_back(argument);
  return found;
}

// The limits of docs/Manifest.md.
static constexpr size_t kMaxFunctions = 64, kMaxSizes = 16,
                        kMaxArguments = 1024, kMaxRank = 8, kMaxIdentifier = 64,
                        kMaxName = 512;

std::string moe::typeName(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  for (StringRef known : {"f32", "f64", "bf16", "f16", "i8", "i32", "i64"})
    if (text == known)
      return text;
  return "";
}

static std::string text(Attribute attr) {
  auto string = dyn_cast_or_null<StringAttr>(attr);
  return string ? string.str() : std::string();
}

/// A name in a message, with nothing in it that a terminal would obey.
static std::string shown(StringRef name) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "'";
  llvm::printEscapedString(name, os);
  os << "'";
  return text;
}

static bool isIdentifier(StringRef name) {
  return !name.empty() && name.size() <= kMaxIdentifier &&
         !llvm::isDigit(name.front()) && llvm::all_of(name, [](char c) {
           return llvm::isAlnum(c) || c == '_';
         });
}

static bool isTensorName(StringRef name) {
  const auto *begin = reinterpret_cast<const llvm::UTF8 *>(name.data());
  return !name.empty() && name.size() <= kMaxName &&
         llvm::isLegalUTF8String(&begin, begin + name.size()) &&
         llvm::none_of(name,
                       [](char c) { return (c >= 0 && c < 32) || c == 127; });
}

/// Whether a size stands by itself or in a product, so that it can be found.
static bool givesSize(const Argument &argument, StringRef size) {
  return llvm::any_of(argument.shape, [&](StringRef dim) {
    return dim == size || (dim.consume_back(size) && dim.ends_with("*"));
  });
}

/// What a parameter of a C or C++ function cannot be called, beside `layer`.
static constexpr StringLiteral kNoParameters[] = {
    "DLTensor",    "NULL",
    "alignas",     "alignof",
    "and",         "and_eq",
    "asm",         "auto",
    "bitand",      "bitor",
    "bool",        "break",
    "case",        "catch",
    "char",        "char16_t",
    "char32_t",    "char8_t",
    "class",       "co_await",
    "co_return",   "co_yield",
    "compl",       "concept",
    "const",       "const_cast",
    "consteval",   "constexpr",
    "constinit",   "continue",
    "decltype",    "default",
    "delete",      "do",
    "double",      "dynamic_cast",
    "else",        "enum",
    "explicit",    "export",
    "extern",      "false",
    "float",       "for",
    "friend",      "goto",
    "if",          "inline",
    "int",         "layer",
    "long",        "mutable",
    "namespace",   "new",
    "noexcept",    "not",
    "not_eq",      "nullptr",
    "operator",    "or",
    "or_eq",       "private",
    "protected",   "public",
    "register",    "reinterpret_cast",
    "requires",    "restrict",
    "return",      "short",
    "signed",      "sizeof",
    "static",      "static_assert",
    "static_cast", "struct",
    "switch",      "template",
    "this",        "thread_local",
    "throw",       "true",
    "try",         "typedef",
    "typeid",      "typename",
    "typeof",      "typeof_unqual",
    "union",       "unsigned",
    "using",       "virtual",
    "void",        "volatile",
    "wchar_t",     "while",
    "xor",         "xor_eq"};

namespace {
/// Reads one function and refuses what the runtime would.
class Reader {
public:
  explicit Reader(func::FuncOp func) : func(func) {}
  LogicalResult read(Signature &signature);

private:
  func::FuncOp func;
  llvm::StringSet<> names;

  LogicalResult readName(Signature &signature);
  LogicalResult readSizes(Signature &signature);
  LogicalResult readArgument(DictionaryAttr attrs, Argument &argument);
  LogicalResult checkArgument(const Argument &argument);
  LogicalResult checkPlan(const Argument &argument);
};
} // namespace

LogicalResult Reader::readName(Signature &signature) {
  signature.name = text(func->getAttr(entryAttr::kFunction));
  signature.symbol = func.getName().str();
  StringRef name = signature.name;
  if (!isIdentifier(name))
    return func.emitError("function ")
           << shown(name) << ": expected an identifier of at most "
           << kMaxIdentifier << " characters";
  // NAME_t is a type, NAME_package and NAME_get_package lead to the code.
  bool taken = name == "t" || name == "package" || name == "get_package" ||
               name.ends_with("_entry") ||
               llvm::any_of(calls, [&](const Call &call) {
                 return call.suffix == name;
               });
  if (taken)
    return func.emitError("function ")
           << shown(name) << ": every package has something else of that name";
  return success();
}

LogicalResult Reader::readSizes(Signature &signature) {
  for (Attribute size : func->getAttrOfType<ArrayAttr>(entryAttr::kSizes))
    signature.sizes.push_back(text(size));
  if (signature.sizes.size() > kMaxSizes)
    return func.emitError("expected at most ")
           << kMaxSizes << " sizes, found " << signature.sizes.size();
  for (StringRef size : signature.sizes)
    if (!isIdentifier(size))
      return func.emitError("size '")
             << size << "': expected an identifier of at most "
             << kMaxIdentifier << " characters";
  return success();
}

LogicalResult Reader::readArgument(DictionaryAttr attrs, Argument &argument) {
  argument.name = text(attrs.get(boundary::kName));
  argument.role = text(attrs.get(boundary::kRole));
  argument.startsAsWeight = attrs.contains(boundary::kInitial);
  argument.packed = text(attrs.get(boundary::kPacked));
  if (auto fanIn = attrs.getAs<IntegerAttr>(boundary::kFanIn))
    argument.fanIn = std::max<int64_t>(fanIn.getInt(), 0);
  Type type;
  if (auto attr = attrs.getAs<TypeAttr>(entryAttr::kType))
    type = attr.getValue();
  argument.type = typeName(type);
  if (attrs.contains(boundary::kUnsigned) && argument.type == "i8")
    argument.type = "u8";
  if (auto shape = attrs.getAs<ArrayAttr>(entryAttr::kShape))
    for (Attribute dim : shape)
      argument.shape.push_back(text(dim));
  if (argument.name.empty() || argument.role.empty())
    return func.emitError("every argument and result of a packaged function "
                          "needs the attributes 'moe.name' and 'moe.role'");
  if (argument.type.empty())
    return func.emitError("argument ")
           << shown(argument.name)
           << ": expected one of f32 f64 bf16 f16 i8 i32 i64, found " << type;
  if (failed(checkArgument(argument)))
    return failure();
  return readShard(func, attrs.get(boundary::kShard), argument);
}

LogicalResult Reader::checkArgument(const Argument &argument) {
  auto fail = [&](const Twine &message) {
    return func.emitError("argument ")
           << shown(argument.name) << ": " << message;
  };
  StringRef role = argument.role;
  bool given = role == "input" || role == "output";
  bool kept = role == "weight" || role == "state";
  if (!given && !kept && role != "plan")
    return fail("expected a role of input output weight state plan, found " +
                shown(role));
  if (!isTensorName(argument.name))
    return fail("expected a name of 1 to 512 printable characters");
  std::string parameter = argument.name;
  llvm::replace(parameter, '.', '_');
  // What the caller gives is a parameter in C.
  if (given && !isIdentifier(parameter))
    return fail("expected the name of an input or output to be of letters, "
                "digits, '_' and '.'");
  if (given && llvm::is_contained(kNoParameters, parameter))
    return fail("expected a name that can be a parameter in C and C++");
  if (!names.insert(given ? parameter : argument.name).second)
    return fail("the name is used twice");
  if (argument.shape.size() > kMaxRank)
    return fail("expected at most 8 dimensions");
  int64_t number;
  for (StringRef dim : argument.shape)
    if (kept && dim.getAsInteger(10, number))
      return fail("expected a static shape, as weights and state have");
  return checkPlan(argument);
}

/// The runtime reads two of the plan's tensors itself.
LogicalResult Reader::checkPlan(const Argument &argument) {
  if (argument.role != "plan")
    return success();
  if (argument.name == "status" &&
      (argument.type != "i32" || !argument.shape.empty()))
    return func.emitError("expected the plan's 'status' to be a tensor<i32>");
  if (argument.name == "clock" &&
      (argument.type != "i64" ||
       argument.shape != std::vector<std::string>{"3"}))
    return func.emitError("expected the plan's 'clock' to be a tensor<3xi64>");
  return success();
}

/// Whether the runtime adds a size up instead of finding it.
static bool isSum(const Signature &signature, StringRef size) {
  return llvm::any_of(signature.sums,
                      [&](const SizeSum &sum) { return sum.size == size; });
}

LogicalResult Reader::read(Signature &signature) {
  if (failed(readName(signature)) || failed(readSizes(signature)))
    return failure();
  auto arguments = func->getAttrOfType<ArrayAttr>(entryAttr::kArguments);
  if (arguments.size() > kMaxArguments)
    return func.emitError("expected at most ")
           << kMaxArguments << " arguments and results, found "
           << arguments.size();
  for (auto attrs : arguments.getAsRange<DictionaryAttr>())
    if (failed(readArgument(attrs, signature.arguments.emplace_back())))
      return failure();
  if (failed(readExchanges(func, signature)))
    return failure();
  for (StringRef size : signature.sizes)
    if (!isSum(signature, size) &&
        llvm::none_of(signature.arguments, [&](const Argument &argument) {
          return (argument.role == "input" || argument.role == "output") &&
                 givesSize(argument, size);
        }))
      return func.emitError("no input or output has the size '") << size << "'";
  auto workspace = func->getAttrOfType<DictionaryAttr>(entryAttr::kWorkspace);
  signature.workspaceConstant =
      workspace.getAs<IntegerAttr>("constant").getInt();
  for (NamedAttribute bytes : workspace.getAs<DictionaryAttr>("per"))
    signature.workspacePer.emplace_back(
        bytes.getName().str(), cast<IntegerAttr>(bytes.getValue()).getInt());
  return success();
}

/// A weight or state is the same in every function.
static LogicalResult checkShared(ModuleOp module,
                                 ArrayRef<Signature> signatures) {
  llvm::StringMap<const Argument *> seen;
  for (const Signature &signature : signatures)
    for (const Argument &argument : signature.arguments) {
      if (argument.role != "weight" && argument.role != "state")
        continue;
      const Argument *first =
          seen.try_emplace(argument.name, &argument).first->second;
      if (first->type != argument.type || first->shape != argument.shape ||
          first->role != argument.role || first->fanIn != argument.fanIn ||
          first->startsAsWeight != argument.startsAsWeight ||
          first->shard != argument.shard)
        return module.lookupSymbol(signature.symbol)->emitError("argument ")
               << shown(argument.name)
               << ": it is not the same in another function";
    }
  return success();
}

/// Functions of the runtime that loops call.
static constexpr StringLiteral kRuntime[] = {
    "moe_clock",           "moe_collective",     "moe_collective_start",
    "moe_collective_wait", "moe_gpu_has_fp8",    "moe_gpu_has_wgmma",
    "moe_gpu_processors",  "moe_gpu_tensor_map", "moe_gpu_value",
    "moe_member",          "moe_thread_count"};

FailureOr<std::vector<Signature>> moe::readSignatures(ModuleOp module) {
  if (auto name = module->getAttrOfType<StringAttr>(kPackageName)) {
    std::string_view problem = packageNameProblem(name.getValue());
    if (!problem.empty())
      return module.emitError("'")
             << kPackageName << "': found " << shown(name.getValue())
             << ", expected " << StringRef(problem);
  }
  std::vector<Signature> signatures;
  for (Operation &op : *module.getBody()) {
    auto func = dyn_cast<func::FuncOp>(op);
    // The lowering declares what it calls of the runtime.
    if (func && func.isExternal() &&
        llvm::is_contained(kRuntime, func.getName()))
      continue;
    // It also leaves tables.
    if (isa<memref::GlobalOp>(op))
      continue;
    if (!func || !func->hasAttr(entryAttr::kFunction))
      return op.emitError("expected nothing but functions with a body in a "
                          "module to package");
    if (failed(Reader(func).read(signatures.emplace_back())))
      return failure();
  }
  if (signatures.empty())
    return module.emitError("the module has no function to package");
  if (signatures.size() > kMaxFunctions)
    return module.emitError("expected at most ")
           << kMaxFunctions << " functions, found " << signatures.size();
  if (failed(checkShared(module, signatures)))
    return failure();
  return signatures;
}
