//===- Lowering.h - The lowering of one function --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_LOWERING_H
#define MOE_LIB_KERNELS_LOWERING_H

#include "Emitter.h"

#include "moe/Dialect/Coll/Coll.h"
#include "moe/Dialect/MoE/MoE.h"
#include "moe/Kernels/Extent.h"
#include "moe/Schedule/GpuClusters.h"
#include "moe/Schedule/Machine.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace moe {

class Row;
struct RowPart;

/// What the code is to run on.
enum class Device {
  reference, // one after another, in f64
  cpu,       // threads with vectors
  gpu        // many threads with scalars
};

/// Where a kind of instructions is used.
enum class Presence { nowhere, whereFound, everywhere };

/// What the target's vectors can do.
struct VectorUnit {
  Machine core;
  bool bf16Dot = false;    // has sums of products of bf16 pairs
  std::string blocks = {}; // that chooseBlocks is to choose
};

/// What the lowerings of operations share: where each tensor lives, how large
/// it is, and room for what is in between.
class Lowering {
public:
  Lowering(mlir::ModuleOp module, mlir::Location loc, Device device,
           const VectorUnit &unit);

  Emitter e;
  const bool reference, gpu;
  const VectorUnit unit;
  const int64_t lanes; // of f32

  /// On a gpu: the runtime's pointer that launches are made with, for the host.
  /// For products of warpgroups, and of codes of 8 bits.
  Presence wgmma = Presence::nowhere, fp8 = Presence::nowhere;
  GpuClusters clusters = GpuClusters::whereTheyPay;
  mlir::Value launches;

  /// Reports why the operation at hand cannot be lowered.
  void fail(const llvm::Twine &message);
  bool hasFailed() const { return failedOnce; }

  /// The buffer of a tensor that was already lowered, or of an argument.
  mlir::Value operator[](mlir::Value tensor) const {
    return buffers.lookup(tensor);
  }
  void bind(mlir::Value tensor, mlir::Value buffer,
            llvm::ArrayRef<Extent> shape);
  /// That a buffer has its outputs in strips.
  void setPacked(mlir::Value buffer) { packed.insert(buffer); }
  bool isPacked(mlir::Value buffer) const { return packed.contains(buffer); }

  llvm::ArrayRef<Extent> shape(mlir::Value tensor) const {
    return shapes.find(tensor)->second;
  }
  const Extent &extent(mlir::Value tensor, unsigned dim) const {
    return shape(tensor)[dim];
  }
  Val size(mlir::Value tensor, unsigned dim) {
    return size(extent(tensor, dim));
  }
  Val size(const Extent &extent);
  bool isKnown(const Extent &extent) const {
    return extent.isConstant() || sizes.contains(extent.size);
  }
  /// The sizes of the function, in the order of the `sizes` argument.
  void setSizes(llvm::ArrayRef<std::string> names, llvm::ArrayRef<Val> values);

  /// A size that the function itself finds out: part of `whole`, which all such
  /// parts of a kind are no more than together.
  void addPart(llvm::StringRef name, Val value, const Extent &whole) {
    sizes[name] = value;
    parts[name] = whole;
  }

  /// The same where nobody can wait for the number: the code goes through
  /// `whole`.
  void addBounded(llvm::StringRef name, const Extent &whole) {
    sizes[name] = size(whole);
    bounds[name] = whole;
  }

  /// The buffer that `tensor` is computed into: the caller's where the tensor
  /// leaves the function, else room in the workspace. `leading` gives the
  /// extents of its first dimensions; the others are static.
  mlir::Value result(mlir::Value tensor, llvm::ArrayRef<Extent> leading = {});
  /// Gives the caller a result before the function has ended.
  void publish(mlir::Value tensor);
  /// `body` at every index of `shape`, in order.
  void forEach(llvm::ArrayRef<Extent> shape,
               llvm::function_ref<void(llvm::ArrayRef<Val>)> body);
  /// `body(row, column)` in parallel; threads of a gpu take a value each.
  void eachValue(Val rows, Val columns,
                 llvm::function_ref<void(Val row, Val column)> body);
  /// The same at every index of `shape`.
  void eachValue(llvm::ArrayRef<Extent> shape,
                 llvm::function_ref<void(llvm::ArrayRef<Val>)> body);
  /// `body(row)` in parallel; on a gpu a warp shares a row of `width` values,
  /// if it has work for its lanes.
  void eachRow(Val rows, int64_t width, llvm::function_ref<void(Val row)> body);
  /// The same of rows that are long whatever their width.
  void eachLongRow(Val rows, llvm::function_ref<void(Val row)> body);
  /// `body` once; on a gpu a warp shares what it does with rows.
  void together(llvm::function_ref<void()> body);
  /// Element by element, to the type of the copy.
  void copy(mlir::Value from, mlir::Value to, llvm::ArrayRef<Extent> shape);
  /// Room in the workspace.
  mlir::Value scratch(mlir::Type element, llvm::ArrayRef<Extent> shape);
  /// What is in the workspace since this was made is free again when it ends.
  class TemporaryRoom {
  public:
    explicit TemporaryRoom(Lowering &l)
        : l(l), end(l.workspaceEnd), inUse(l.inUse) {}
    TemporaryRoom(const TemporaryRoom &) = delete;
    TemporaryRoom &operator=(const TemporaryRoom &) = delete;
    ~TemporaryRoom() {
      l.workspaceEnd = end;
      l.inUse = std::move(inUse);
    }

  private:
    Lowering &l;
    Val end;
    WorkspaceSize inUse;
  };
  /// Constants in memory, the same wherever the name is.
  mlir::Value table(llvm::StringRef name, llvm::ArrayRef<float> values);
  /// The same with a number after the name, one for each content.
  mlir::Value table(llvm::StringRef name, llvm::ArrayRef<int32_t> values);
  /// What a function of the runtime returns.
  Val callRuntime(llvm::StringRef name, mlir::Type result,
                  mlir::ValueRange operands = {});
  void callRuntime(llvm::StringRef name, mlir::ValueRange operands);
  /// How many threads loops may be run on.
  Val threads() {
    return e.asIndex(callRuntime("moe_thread_count", e.getI64Type()));
  }
  /// The caller's buffer for a result, and its extents.
  void expose(mlir::Value tensor, mlir::Value buffer,
              llvm::ArrayRef<Extent> shape);
  /// An extent that the type or the boundary of a result names.
  std::optional<Extent> knownExtent(mlir::Value tensor, unsigned dim) const;
  /// The first extent of a result, which `text` says where its type does not.
  Extent namedExtent(std::optional<llvm::StringRef> text,
                     mlir::Value tensor) const;

  /// The runtime's pointer that collectives are called with, those called so
  /// far, and how many are yet to come. Until the last one has succeeded no
  /// result is computed in the caller's buffer, so that none is half written.
  mlir::Value exchange;
  llvm::SmallVector<mlir::Attribute> collectives;
  int64_t collectivesLeft = 0;
  /// Those that were started; of padded ones on a device, where blocks come
  /// in, and what they hold.
  struct PendingRows {
    int64_t number;
    mlir::Value blocks, counts;
  };
  llvm::DenseMap<mlir::Value, PendingRows> pending;
  /// The runtime's pointer for what is asked of a device.
  mlir::Value device;

  /// The type in which a tensor of `element` is kept between operations.
  mlir::Type storage(mlir::Type element) const {
    return element.isF32() ? mlir::Type(e.real) : element;
  }

  void setWorkspace(mlir::Value bytes) { workspace = bytes; }
  /// Enough for what was in use at any time.
  const WorkspaceSize &workspaceSize() const { return needed; }

private:
  mlir::ModuleOp module; // code at hand may be in no module yet
  llvm::DenseMap<mlir::Value, mlir::Value> buffers, exposed;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Extent, 3>> shapes,
      exposedShapes;
  llvm::DenseSet<mlir::Value> packed;
  llvm::StringMap<Val> sizes;
  llvm::StringMap<Extent> parts, bounds;
  mlir::Value workspace;
  Val workspaceEnd;
  WorkspaceSize inUse, needed;
  bool failedOnce = false;

  WorkspaceSize withoutParts(const WorkspaceSize &bytes);
};

/// Whether the extents of an operation's tensors fit together in ways that its
/// verifier cannot see: which may vary, and which are those of others.
mlir::LogicalResult checkShapes(Lowering &l, mlir::Operation *op);

void lower(Lowering &l, RouterOp op);
void lower(Lowering &l, AddScaledOp op);
void lower(Lowering &l, SelectOp op);
void lower(Lowering &l, CheckFiniteOp op);
void lower(Lowering &l, GroupOp op);
void lower(Lowering &l, PlaceOp op);
void lower(Lowering &l, ArrivalsOp op);
void lower(Lowering &l, RowNumbersOp op);
void lower(Lowering &l, TakeRowsOp op);
void lower(Lowering &l, KeepPlacedOp op);
void lower(Lowering &l, KeepLocalOp op);
void lower(Lowering &l, PackRowsOp op);
void lower(Lowering &l, UnpackRowsOp op);
void lower(Lowering &l, DispatchOp op);
void lower(Lowering &l, GroupSizesOp op);
void lower(Lowering &l, DecodeOp op);
void lower(Lowering &l, GroupedMatmulOp op);
void lower(Lowering &l, GroupedOuterOp op);
void lower(Lowering &l, FeedForwardOp op);
void lower(Lowering &l, ActivateOp op);
void lower(Lowering &l, CombineOp op);
void lower(Lowering &l, RMSNormOp op);
void lower(Lowering &l, MixOp op);
void lower(Lowering &l, LossOp op);
void lower(Lowering &l, ImbalanceOp op);
void lower(Lowering &l, RebalanceOp op);
void lower(Lowering &l, ClockOp op);
void lower(Lowering &l, QuantizeOp op);
void lower(Lowering &l, DequantizeOp op);
void lower(Lowering &l, AccumulateOp op);
void lower(Lowering &l, AverageOp op);
void lower(Lowering &l, ResizeOp op);
void lower(Lowering &l, SliceMeanOp op);
void lower(Lowering &l, ResidualOp op);
void lower(Lowering &l, RequireOp op);
void lower(Lowering &l, coll::AllReduceOp op);
void lower(Lowering &l, coll::ReduceScatterOp op);
void lower(Lowering &l, coll::AllGatherOp op);
void lower(Lowering &l, coll::BroadcastOp op);
void lower(Lowering &l, coll::AllToAllOp op);
void lower(Lowering &l, coll::AllToAllVOp op);
void lower(Lowering &l, coll::StartAllToAllVOp op);
void lower(Lowering &l, coll::WaitOp op);
void lower(Lowering &l, coll::SendOp op);
void lower(Lowering &l, coll::RecvOp op);
void lower(Lowering &l, coll::BarrierOp op);
void lower(Lowering &l, coll::IndexOp op);

/// Binds a slice to a view of its source; fails where there can be none.
mlir::LogicalResult lowerSlice(Lowering &l, mlir::tensor::ExtractSliceOp op);

/// The address of a buffer's first element; of none, null.
mlir::Value pointerTo(Emitter &e, mlir::Value buffer);

/// Fills a buffer with one value; fails for any other constant.
mlir::LogicalResult lowerConstant(Lowering &l, mlir::arith::ConstantOp op);

/// The strategies of `select` that look at no logits.
void lowerUnlearned(Lowering &l, SelectOp op);

/// The sum of the squares of a row, in f64.
Val emitSquares(const Row &row, mlir::Value matrix, Val index);

/// softmax of a row, `read(part)` to `write(part, value)`, which may be in the
/// same place; f64 or f32 as what is read.
void emitSoftmax(const Row &row, llvm::function_ref<Val(RowPart)> read,
                 llvm::function_ref<void(RowPart, Val)> write);

/// min(ceil(factor * tokens * k / experts), most), in f64 from left to right.
Val emitShare(Emitter &e, double factor, Val tokens, int64_t k, int64_t experts,
              Val most);

/// 1 + the first of `count` items that is bad, or 0; i32. Items are looked at
/// in parallel, on a CPU `chunk` of them at a time.
Val emitFirstBad(Lowering &l, const Extent &count, int64_t chunk,
                 llvm::function_ref<Val(Val)> isBad);

/// 1 + the first row of a matrix with a value that is not finite, or 0; i32.
Val emitFirstNotFinite(Lowering &l, mlir::Value matrix, const Extent &rows,
                       int64_t columns);

/// `value`, or -inf for NaN: how values are ordered.
Val emitOrdered(Emitter &e, Val value);

/// A signed integer as wide that orders as the float does; NaN is -inf.
Val emitOrderedKey(Emitter &e, Val value);

/// Calls `visit(i, kept, before)`, in ascending order but for lanes of a warp;
/// kept are the `limit` largest of the ordered keys `keys[begin + i]`,
/// i < count; of equal keys the lower index wins. `before` are those kept
/// before i. Linear in `count`.
void emitKeepLargest(
    Lowering &l, mlir::Value keys, Val begin, Val count, Val limit,
    llvm::function_ref<void(Val index, Val kept, Val before)> visit);

} // namespace moe

#endif // MOE_LIB_KERNELS_LOWERING_H
