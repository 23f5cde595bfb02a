// Blocks in pairs that share the weights of products of warpgroups.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true always-wgmma=true clusters=always},canonicalize,cse)' | FileCheck %s
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true always-wgmma=true},canonicalize,cse)' | FileCheck %s --check-prefix=AUTO
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true always-wgmma=true clusters=never},canonicalize,cse)' | FileCheck %s --check-prefix=NEVER
// RUN: not moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true clusters=often})' 2>&1 | FileCheck %s --check-prefix=WRONG
// WRONG: for the --clusters option: Cannot find option named 'often'

// CHECK-LABEL: func.func @layer_grouped_entry(
// CHECK: gpu.launch blocks
// CHECK: gpu.launch blocks
// Descriptions of the weights for boxes of half of the 112 outputs of a tile,
// and as many pairs of blocks as run at once or as there are tiles of 256 rows.
// CHECK: call @moe_gpu_tensor_map(%{{.*}}, %c64_i32, %c56_i32)
// CHECK: call @moe_gpu_tensor_map(%{{.*}}, %c64_i32, %c56_i32)
// CHECK: %[[P:.*]] = {{.*}}call @moe_gpu_processors
// CHECK: arith.divui %{{.*}}, %c256
// CHECK: %[[PAIRS:.*]] = arith.minsi
// CHECK: %[[BLOCKS:.*]] = arith.muli %[[PAIRS]], %c2 : index
// CHECK: gpu.launch clusters(%{{.*}}) in (%{{.*}} = %c2, %{{.*}} = %c1, %{{.*}} = %c1) blocks(%[[B:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %[[BLOCKS]],
// CHECK: %[[RANK:.*]] = arith.remui %[[B]], %c2 : index
// The eight warps of each block that multiply say that a stage is empty.
// CHECK: nvvm.mbarrier.init %{{.*}}, %c129_i32
// CHECK: nvvm.mbarrier.init %{{.*}}, %c16_i32
// CHECK: nvvm.fence.mbarrier.init
// CHECK-NOT: gpu.barrier
// CHECK: nvvm.cluster.arrive {aligned}
// CHECK-NEXT: nvvm.cluster.wait {aligned}
// The tiles are those of a pair, of which a block has its rows.
// CHECK: scf.for
// CHECK: %[[OWN:.*]] = arith.muli %[[RANK]], %c128 : index
// CHECK: scf.while
// CHECK: nvvm.mbarrier.try_wait %{{.*}} {scope = #nvvm.mem_scope<cluster>}
// All bytes are waited for, and the block's half of them goes to both.
// CHECK: nvvm.mbarrier.arrive.expect_tx %{{.*}}, %c28672_i32
// CHECK: nvvm.cp.async.bulk.tensor.shared.cluster.global {{.*}} multicast_mask = %c3_i16
// CHECK: nvvm.cp.async.bulk.tensor.shared.cluster.global {{.*}} multicast_mask = %c3_i16
// CHECK-COUNT-8: nvgpu.device_async_copy
// CHECK: nvvm.cp.async.mbarrier.arrive {{.*}} {noinc = true}
// CHECK: nvvm.wgmma.wait.group.sync.aligned 1
// A lane for each block tells it.
// CHECK: arith.cmpi slt, %[[LANE:.*]], %c2 : index
// CHECK: %[[BLOCK:.*]] = arith.index_cast %[[LANE]] : index to i32
// CHECK: %[[THERE:.*]] = nvvm.mapa %{{.*}}, %[[BLOCK]] : !llvm.ptr<3> -> !llvm.ptr<7>
// CHECK: nvvm.mbarrier.arrive %[[THERE]] {scope = #nvvm.mem_scope<cluster>} : !llvm.ptr<7>
// CHECK: nvvm.wgmma.wait.group.sync.aligned 0
// CHECK: nvvm.mapa
// CHECK: nvvm.cluster.arrive {aligned}
// CHECK-NEXT: nvvm.cluster.wait {aligned}
// CHECK-NEXT: gpu.terminator
// CHECK-NOT: gpu.launch

// Where they pay by the model: for more than 306 rows of each of four experts.
// AUTO: %[[FEW:.*]] = arith.cmpi sle, %{{.*}}, %c32 : index
// AUTO: %[[SOME:.*]] = arith.cmpi sle, %{{.*}}, %c128 : index
// AUTO: %[[MANY:.*]] = arith.cmpi sle, %{{.*}}, %c1224 : index
// AUTO: scf.if %[[MANY]] {
// AUTO: gpu.launch blocks
// AUTO: gpu.launch clusters

// NEVER-COUNT-3: gpu.launch blocks
// NEVER-NOT: gpu.launch
// NEVER-NOT: nvvm.cluster
func.func @grouped(
    %x: tensor<?x200xbf16> {moe.name = "x", moe.role = "input", moe.sizes = ["T"]},
    %g: tensor<4x320x200xbf16> {moe.name = "g", moe.role = "weight"},
    %u: tensor<4x320x200xbf16> {moe.name = "u", moe.role = "weight"},
    %rows: tensor<?xi32> {moe.name = "rows", moe.role = "input", moe.sizes = ["2*T"]},
    %offsets: tensor<5xi32> {moe.name = "offsets", moe.role = "input"})
    -> (tensor<?x320xbf16> {moe.name = "y", moe.role = "output", moe.sizes = ["2*T"]}) {
  %y = moe.grouped_matmul %x, %g, %u offsets %offsets gather %rows {slots = 2 : i64}
      : (tensor<?x200xbf16>, tensor<4x320x200xbf16>, tensor<4x320x200xbf16>, tensor<5xi32>, tensor<?xi32>)
      -> tensor<?x320xbf16> {
  ^bb0(%a: f32, %b: f32):
    %p = arith.mulf %a, %b : f32
    moe.yield %p
  }
  return %y : tensor<?x320xbf16>
}
