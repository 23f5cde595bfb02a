// What the lanes of a warp share: rows, sums over them, the largest of them.

// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-lower-to-loops{gpu=true},canonicalize,cse)' --split-input-file | FileCheck %s

// A warp for each token: lanes have every 32nd expert, from their own on. The
// largest key of all is found by halves, and one lane writes it down. Who reads
// what others have written waits for them.

// CHECK-LABEL: func.func @layer_select_entry(
// CHECK-NOT: scf.parallel
// CHECK: gpu.launch {{.*}} threads({{.*}}) in (%{{.*}} = %c128
// CHECK: %[[LANE:.*]] = arith.remui %{{.*}}, %c32
// CHECK: scf.for {{.*}} = %[[LANE]] to %c40 step %c32
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: scf.for {{.*}} = %c0 to %c4 step %c1
// CHECK: scf.for {{.*}} = %[[LANE]] to %c40 step %c32 {{.*}} -> (i64)
// CHECK-COUNT-10: nvvm.shfl.sync bfly
// CHECK: arith.cmpi eq, %[[LANE]], %c0
// CHECK: nvvm.bar.warp.sync
// CHECK: scf.for {{.*}} = %[[LANE]] to %c4 step %c32
// CHECK: return
func.func @select(%logits: tensor<?x40xf32> {moe.name = "logits", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?x4xi32> {moe.name = "indices", moe.role = "output", moe.sizes = ["T"]},
        tensor<?x4xf32> {moe.name = "weights", moe.role = "output", moe.sizes = ["T"]}) {
  %i, %w = moe.select %logits <experts = 40, top_k = 4>
      : (tensor<?x40xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>)
  return %i, %w : tensor<?x4xi32>, tensor<?x4xf32>
}

// -----

// Few experts leave most lanes without work: a thread for each token.

// CHECK-LABEL: func.func @layer_few_entry(
// CHECK-NOT: gpu.launch
// CHECK: scf.parallel
// CHECK-NOT: nvvm.shfl
// CHECK: return
func.func @few(%logits: tensor<?x4xf32> {moe.name = "logits", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?x2xi32> {moe.name = "indices", moe.role = "output", moe.sizes = ["T"]},
        tensor<?x2xf32> {moe.name = "weights", moe.role = "output", moe.sizes = ["T"]}) {
  %i, %w = moe.select %logits <experts = 4, top_k = 2>
      : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}

// -----

// Of equal keys at the limit the first ones stay: lanes count those before them.

// CHECK-LABEL: func.func @layer_choice_entry(
// CHECK: nvvm.vote.sync ballot
// CHECK: llvm.intr.ctpop
// CHECK: return
func.func @choice(%logits: tensor<?x40xf32> {moe.name = "logits", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?x40xi32> {moe.name = "indices", moe.role = "output", moe.sizes = ["T"]},
        tensor<?x40xf32> {moe.name = "weights", moe.role = "output", moe.sizes = ["T"]}) {
  %i, %w = moe.select %logits <experts = 40, top_k = 2, balancing = expert_choice>
      : (tensor<?x40xf32>) -> (tensor<?x40xi32>, tensor<?x40xf32>)
  return %i, %w : tensor<?x40xi32>, tensor<?x40xf32>
}

// -----

// Tokens are added up in ranges, a warp for each; a warp for each expert adds
// up the ranges, and one more all experts. No kernel is of one thread.

// CHECK-LABEL: func.func @layer_loss_entry(
// CHECK-COUNT-4: gpu.launch
// CHECK-NOT: gpu.launch
// CHECK: return
func.func @loss(
    %logits: tensor<?x40xf32> {moe.name = "logits", moe.role = "input", moe.sizes = ["T"]},
    %indices: tensor<?x4xi32> {moe.name = "indices", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<f32> {moe.name = "loss", moe.role = "output"}) {
  %loss = moe.loss load_balance_hf %logits, %indices {coefficient = 1.000000e-02 : f64}
      : (tensor<?x40xf32>, tensor<?x4xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// In the order of choices slots are counted by ranges as well: first of choices,
// to see who stays, and then of tokens.

// CHECK-LABEL: func.func @layer_group_entry(
// CHECK: arith.divui %{{.*}}, %[[T:.*]] : index
// CHECK: gpu.barrier
// CHECK: gpu.barrier
// CHECK: gpu.barrier
// CHECK: gpu.barrier
// CHECK: return
func.func @group(
    %indices: tensor<?x2xi32> {moe.name = "indices", moe.role = "input", moe.sizes = ["T"]},
    %weights: tensor<?x2xf32> {moe.name = "weights", moe.role = "input", moe.sizes = ["T"]})
    -> (tensor<?xi32> {moe.name = "rows", moe.role = "output", moe.sizes = ["2*T"]}) {
  %r, %o, %p, %c = moe.group %indices, %weights
      {experts = 3 : i64, capacity = #moe.capacity<tokens = 4, priority = choice_order>}
      : (tensor<?x2xi32>, tensor<?x2xf32>) -> (tensor<?xi32>, tensor<4xi32>, tensor<?x2xi32>, tensor<3xi32>)
  return %r : tensor<?xi32>
}
