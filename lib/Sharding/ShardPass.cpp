//===- ShardPass.cpp - From a whole program to that of a rank -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RankProgram.h"

#include "moe/Sharding/Passes.h"

namespace moe {
#define GEN_PASS_DEF_SHARDPASS
#include "moe/Sharding/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;

ArrayAttr RankProgram::axes(ArrayRef<Axis> list) {
  SmallVector<Attribute> names;
  for (Axis axis : list)
    names.push_back(b.getStringAttr(name(axis)));
  return b.getArrayAttr(names);
}

StringAttr RankProgram::times(int64_t number, StringRef size) {
  return b.getStringAttr(
      number == 1 ? size.str() : std::to_string(number) + "*" + size.str());
}

LogicalResult RankProgram::run() {
  gatherSequence();
  chooseTogether();
  spreadExperts();
  if (failed(splitProducts()))
    return failure();
  addParts();
  seeAllTokens();
  gatherWeights();
  nameSizes();
  weights.finish();
  return success();
}

namespace {
struct Shard : moe::impl::ShardPassBase<Shard> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Parallel> parallel = Parallel::of(module);
    if (failed(parallel))
      return signalPassFailure();
    module->removeAttr(Parallel::kName);
    if (parallel->ranks() == 1)
      return;
    for (func::FuncOp func : module.getOps<func::FuncOp>()) {
      RankProgram program(func, *parallel);
      if (program.hasTokens() && failed(program.run()))
        return signalPassFailure();
    }
    Builder b(module.getContext());
    SmallVector<NamedAttribute> grid;
    for (Axis axis : {Axis::dp, Axis::ep, Axis::tp})
      grid.push_back(b.getNamedAttr(name(axis),
                                    b.getI64IntegerAttr(parallel->size(axis))));
    module->setAttr(shardAttr::kGrid, b.getDictionaryAttr(grid));
    if (parallel->chunks != 1 && parallel->ep != 1)
      module->setAttr(shardAttr::kChunks,
                      b.getI64IntegerAttr(parallel->chunks));
  }
};
} // namespace
