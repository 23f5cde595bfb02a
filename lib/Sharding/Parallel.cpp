//===- Parallel.cpp - How a program is spread over ranks ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Sharding/Parallel.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace moe;

StringRef moe::name(Axis axis) {
  return axis == Axis::dp ? "dp" : axis == Axis::ep ? "ep" : "tp";
}

DictionaryAttr Parallel::toAttr(MLIRContext *context) const {
  Builder b(context);
  NamedAttrList list;
  auto number = [&](StringRef key, int64_t value) {
    if (value != 1)
      list.append(key, b.getI64IntegerAttr(value));
  };
  auto flag = [&](StringRef key, bool value) {
    if (value)
      list.append(key, b.getUnitAttr());
  };
  number("dp", dp);
  number("ep", ep);
  number("tp", tp);
  flag("experts_on_tp", expertsOnTp);
  flag("sequence_parallel", sequenceParallel);
  flag("fsdp", fsdp);
  flag("local_capacity", !globalCapacity);
  if (exchange != "all_to_all")
    list.append("exchange", b.getStringAttr(exchange));
  if (rows != "exact")
    list.append("rows", b.getStringAttr(rows));
  if (wire != "none")
    list.append("wire", b.getStringAttr(wire));
  if (wire != "none" && wireBlock != 128)
    list.append("wire_block", b.getI64IntegerAttr(wireBlock));
  number("chunks", chunks);
  if (!placement.empty()) {
    SmallVector<Attribute> members;
    for (const std::vector<int64_t> &experts : placement)
      members.push_back(b.getDenseI64ArrayAttr(experts));
    list.append("placement", b.getArrayAttr(members));
  }
  return list.getDictionary(context);
}

namespace {
/// Reads the entries one by one, so that an unknown one is an error.
class ParallelReader {
public:
  ParallelReader(ModuleOp module, Parallel &parallel)
      : module(module), parallel(parallel) {}

  LogicalResult read(DictionaryAttr attr) {
    for (NamedAttribute entry : attr)
      if (failed(readEntry(entry.getName(), entry.getValue())))
        return failure();
    return checkPlacement();
  }

private:
  ModuleOp module;
  Parallel &parallel;

  LogicalResult wrong(StringRef key, Attribute value, StringRef expected) {
    return module.emitError("'") << Parallel::kName << "': found " << key
                                 << " = " << value << ", expected " << expected;
  }

  LogicalResult readEntry(StringRef key, Attribute value) {
    int64_t *size = llvm::StringSwitch<int64_t *>(key)
                        .Case("dp", &parallel.dp)
                        .Case("ep", &parallel.ep)
                        .Case("tp", &parallel.tp)
                        .Case("chunks", &parallel.chunks)
                        .Case("wire_block", &parallel.wireBlock)
                        .Default(nullptr);
    if (size) {
      auto number = dyn_cast<IntegerAttr>(value);
      if (!number || number.getInt() < 1 || number.getInt() > 1 << 20)
        return wrong(key, value, "a number from 1 to 1048576");
      *size = number.getInt();
      return success();
    }
    bool *flag = llvm::StringSwitch<bool *>(key)
                     .Case("experts_on_tp", &parallel.expertsOnTp)
                     .Case("sequence_parallel", &parallel.sequenceParallel)
                     .Case("fsdp", &parallel.fsdp)
                     .Case("local_capacity", &parallel.globalCapacity)
                     .Default(nullptr);
    if (flag) {
      *flag = key != "local_capacity";
      return isa<UnitAttr>(value) ? success() : wrong(key, value, "a unit");
    }
    std::string *choice = llvm::StringSwitch<std::string *>(key)
                              .Case("exchange", &parallel.exchange)
                              .Case("rows", &parallel.rows)
                              .Case("wire", &parallel.wire)
                              .Default(nullptr);
    if (choice) {
      auto text = dyn_cast<StringAttr>(value);
      ArrayRef<StringRef> known = choices(key);
      if (!text || !llvm::is_contained(known, text.getValue()))
        return wrong(key, value, "one of " + llvm::join(known, ", "));
      *choice = text.str();
      return success();
    }
    if (key == "placement")
      return readPlacement(value);
    return module.emitError("'")
           << Parallel::kName << "': found the unknown key '" << key << "'";
  }

  static ArrayRef<StringRef> choices(StringRef key) {
    static constexpr StringRef patterns[] = {"all_to_all", "point_to_point",
                                             "hierarchical", "ring"};
    static constexpr StringRef modes[] = {"exact", "padded"};
    static constexpr StringRef wires[] = {"none", "bf16", "fp8_e4m3", "int8"};
    if (key == "rows")
      return modes;
    return key == "wire" ? ArrayRef(wires) : ArrayRef(patterns);
  }

  LogicalResult readPlacement(Attribute value) {
    auto members = dyn_cast<ArrayAttr>(value);
    if (!members)
      return wrong("placement", value, "an array of arrays");
    for (Attribute member : members) {
      auto experts = dyn_cast<DenseI64ArrayAttr>(member);
      if (!experts)
        return wrong("placement", value, "arrays of i64");
      parallel.placement.emplace_back(experts.asArrayRef());
    }
    return success();
  }

  LogicalResult checkPlacement() {
    if (!parallel.placement.empty() &&
        int64_t(parallel.placement.size()) != parallel.ep)
      return module.emitError("'")
             << Parallel::kName << "': found the experts of "
             << parallel.placement.size()
             << " members in 'placement', expected those of " << parallel.ep
             << ", the size of ep";
    return success();
  }
};
} // namespace

FailureOr<Parallel> Parallel::of(ModuleOp module) {
  Parallel parallel;
  Attribute attr = module->getAttr(kName);
  if (!attr)
    return parallel;
  auto entries = dyn_cast<DictionaryAttr>(attr);
  if (!entries)
    return module.emitError("'")
           << kName << "': found " << attr << ", expected a dictionary";
  if (failed(ParallelReader(module, parallel).read(entries)))
    return failure();
  return parallel;
}
