//===- OverlapPass.cpp - Rows travel while experts compute ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/Coll/Coll.h"
#include "moe/Dialect/MoE/MoE.h"
#include "moe/Sharding/Parallel.h"
#include "moe/Sharding/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/SetVector.h"

namespace moe {
#define GEN_PASS_DEF_OVERLAPPASS
#include "moe/Sharding/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;

namespace {

/// The rows of one group of experts, from the exchange that brings them to the
/// one that carries their results back.
class Journey {
public:
  Journey(ArrivalsOp arrivals, int64_t chunks)
      : b(arrivals.getLoc(), arrivals.getContext()), arrivals(arrivals),
        arrived(arrivals.getCounts()), chunks(chunks) {}

  LogicalResult run(int64_t &sizes);

private:
  /// Places from `first` to before `end` of each member.
  struct Chunk {
    int64_t first, end;
    std::string number, size;
    Value local;
    SmallVector<Value> rows; // under way
  };

  ImplicitLocOpBuilder b;
  ArrivalsOp arrivals;
  const Value arrived;
  const int64_t chunks;
  /// Exchanges of rows, of results, and what is in between.
  SmallVector<coll::AllToAllVOp> in, out;
  llvm::SetVector<Operation *> experts;

  LogicalResult find();
  LogicalResult check(coll::AllToAllVOp op);
  SmallVector<Chunk> divide(int64_t &sizes);
  Value start(coll::AllToAllVOp op, Value x, const Chunk &chunk,
              coll::WholeKind whole);
  void startRows(MutableArrayRef<Chunk> all);
  void computeOthers();
  Value compute(const Chunk &chunk);
};

} // namespace

LogicalResult Journey::check(coll::AllToAllVOp op) {
  if (op.getPattern() == coll::PatternKind::all_to_all)
    return success();
  return op.emitOpError("cannot be done in chunks in the pattern ")
         << coll::stringifyPatternKind(op.getPattern())
         << ", whose steps wait for each other; expected all_to_all";
}

LogicalResult Journey::find() {
  for (Operation *user : arrived.getUsers()) {
    auto exchange = dyn_cast<coll::AllToAllVOp>(user);
    if (!exchange)
      continue;
    if (failed(check(exchange)))
      return failure();
    (exchange.getReceive() == arrived ? in : out).push_back(exchange);
  }
  if (in.empty() || out.size() != 1)
    return arrivals.emitOpError("expected rows that come and one exchange of "
                                "their results to be done in chunks");
  // What depends on the rows that come, in the order of the block.
  llvm::SmallDenseSet<Value> values = {arrivals.getLocal()};
  for (coll::AllToAllVOp op : in)
    values.insert(op.getY());
  for (Operation *op = arrivals->getNextNode(); op != out[0];
       op = op->getNextNode()) {
    bool depends = llvm::any_of(op->getOperands(), [&](Value operand) {
      return values.contains(operand);
    });
    if (!depends || llvm::is_contained(in, op))
      continue;
    experts.insert(op);
    values.insert_range(op->getResults());
  }
  for (Operation *op : experts)
    for (Operation *user : op->getUsers())
      if (user != out[0] && !experts.contains(user))
        return user->emitOpError("uses rows of others, which are computed in "
                                 "chunks; expected only their results to");
  return success();
}

SmallVector<Journey::Chunk> Journey::divide(int64_t &sizes) {
  int64_t members = arrivals.getMembers();
  int64_t places =
      cast<RankedTensorType>(arrived.getType()).getDimSize(0) / members;
  SmallVector<Chunk> result;
  for (int64_t i = 0; i < chunks; ++i) {
    int64_t first = i * places / chunks, end = (i + 1) * places / chunks;
    if (first == end) {
      arrivals.emitOpError("cannot be divided into ")
          << chunks << " chunks; expected at most " << places
          << ", the places of a rank";
      return {};
    }
    result.push_back(
        {first,
         end,
         ", " + std::to_string(i + 1) + " of " + std::to_string(chunks),
         "C" + std::to_string(sizes++),
         Value(),
         {}});
  }
  return result;
}

Value Journey::start(coll::AllToAllVOp op, Value x, const Chunk &chunk,
                     coll::WholeKind whole) {
  return coll::StartAllToAllVOp::create(
      b, b.getType<coll::PendingType>(), x, op.getSend(), op.getReceive(),
      b.getI64IntegerAttr(chunk.first), b.getI64IntegerAttr(chunk.end),
      coll::WholeKindAttr::get(b.getContext(), whole), op.getModeAttr(),
      op.getPairAttr(), op.getAxes(),
      b.getStringAttr(op.getName() + chunk.number));
}

/// All at once, each where its rows are ready.
void Journey::startRows(MutableArrayRef<Chunk> all) {
  b.setInsertionPoint(arrivals);
  for (Chunk &chunk : all)
    chunk.local = ArrivalsOp::create(
        b, arrivals.getLocal().getType(), arrived, arrivals.getMembersAttr(),
        arrivals.getRowsAttr(), b.getI64IntegerAttr(chunk.first),
        b.getI64IntegerAttr(chunk.end), b.getStringAttr(chunk.size));
  for (coll::AllToAllVOp op : in) {
    b.setInsertionPoint(op);
    b.setLoc(op.getLoc());
    for (Chunk &chunk : all)
      chunk.rows.push_back(start(op, op.getX(), chunk, coll::WholeKind::send));
  }
}

/// Moves what needs no rows of others to before them.
void Journey::computeOthers() {
  llvm::SmallDenseSet<Operation *> stays(experts.begin(), experts.end());
  stays.insert(out[0]);
  Operation *last = out[0]->getBlock()->getTerminator();
  for (Operation *op = out[0]->getNextNode(); op != last;) {
    Operation *next = op->getNextNode();
    bool waits = llvm::any_of(op->getOperands(), [&](Value operand) {
      return stays.contains(operand.getDefiningOp());
    });
    if (waits || !isMemoryEffectFree(op))
      stays.insert(op);
    else
      op->moveBefore(out[0]);
    op = next;
  }
}

/// Computes results, and returns them under way.
Value Journey::compute(const Chunk &chunk) {
  IRMapping map;
  map.map(arrivals.getLocal(), chunk.local);
  // Rows are waited for where they are read: what sorts them needs counts
  // alone.
  auto waitFor = [&](Value operand) {
    auto *op = llvm::find(in, operand.getDefiningOp());
    if (op == in.end() || map.contains(operand))
      return;
    b.setLoc(operand.getLoc());
    map.map(operand, coll::WaitOp::create(b, operand.getType(),
                                          chunk.rows[op - in.begin()],
                                          b.getStringAttr(chunk.size))
                         .getY());
  };
  Value counts;
  for (Operation *op : experts) {
    llvm::for_each(op->getOperands(), waitFor);
    Operation *copy = b.clone(*op, map);
    if (auto group = dyn_cast<GroupOp>(copy))
      counts = group.getCounts();
    // A chunk may have room for more rows than come.
    if (auto pack = dyn_cast<PackRowsOp>(copy))
      pack.getCountsMutable().assign(counts);
    if (auto unpack = dyn_cast<UnpackRowsOp>(copy))
      unpack.getCountsMutable().assign(counts);
  }
  b.setLoc(out[0].getLoc());
  return start(out[0], map.lookup(out[0].getX()), chunk,
               coll::WholeKind::receive);
}

LogicalResult Journey::run(int64_t &sizes) {
  if (failed(find()))
    return failure();
  SmallVector<Chunk> all = divide(sizes);
  if (all.empty())
    return failure();
  startRows(all);
  computeOthers();
  b.setInsertionPoint(out[0]);
  SmallVector<Value> results;
  for (const Chunk &chunk : all)
    results.push_back(compute(chunk));
  Value back =
      coll::WaitOp::create(b, out[0].getType(), results, out[0].getBoundAttr());
  out[0].getY().replaceAllUsesWith(back);
  out[0].erase();
  for (Operation *op : llvm::reverse(experts))
    op->erase();
  for (coll::AllToAllVOp op : in)
    op.erase();
  arrivals.erase();
  return success();
}

namespace {
struct Overlap : moe::impl::OverlapPassBase<Overlap> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    Attribute attr = module->removeAttr(shardAttr::kChunks);
    if (!attr)
      return;
    auto chunks = dyn_cast<IntegerAttr>(attr);
    if (!chunks || chunks.getInt() < 1 || chunks.getInt() > kMostChunks) {
      module.emitError("'") << shardAttr::kChunks << "': found " << attr
                            << ", expected a number from 1 to " << kMostChunks;
      return signalPassFailure();
    }
    if (chunks.getInt() == 1)
      return;
    for (func::FuncOp func : module.getOps<func::FuncOp>()) {
      SmallVector<ArrivalsOp> all(func.getOps<ArrivalsOp>());
      int64_t sizes = 0;
      for (ArrivalsOp arrivals : all)
        if (failed(Journey(arrivals, chunks.getInt()).run(sizes)))
          return signalPassFailure();
    }
  }
};
} // namespace
