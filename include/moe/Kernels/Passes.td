//===- Passes.td - From moe operations to loops ------------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_KERNELS_PASSES
#define MOE_KERNELS_PASSES

include "mlir/Pass/PassBase.td"

def FusePass : Pass<"moe-fuse", "::mlir::func::FuncOp"> {
  let summary = "Make one operation of dispatch, experts and combination";
  let description = [{
    A gather becomes an operand of the product that reads it, and an activation
    becomes its epilogue, so that neither costs a pass over memory. Two products
    and the sum of what they give become a `feed_forward`.

    ```mlir
    %xs = moe.dispatch %x, %rows {slots = 2}
    %g = moe.grouped_matmul %xs, %wg offsets %o
    %u = moe.grouped_matmul %xs, %wu offsets %o
    %h = moe.activate %g, %u { ... }
    ```
    becomes
    ```mlir
    %h = moe.grouped_matmul %x, %wg, %wu offsets %o gather %rows {slots = 2} { ... }
    ```
    and that, with what follows,
    ```mlir
    %y = moe.feed_forward %x up %wg, %wu down %wd
        offsets %o rows %rows weights %w {hidden = f32, slots = 2} { ... }
    ```
    With `bf16-step`, what lies between a product of bf16 rows and one whose
    weight is multiplied as pairs of bf16 is bf16 too, and so is what a shared
    expert adds, as in the models' own code. With `separate`, for targets on
    which each product is a kernel, no `feed_forward` is made.
  }];
  let options = [
    Option<"bf16Step", "bf16-step", "int64_t", "0",
           "values in a vector of pairs of bf16 that the target multiplies">,
    Option<"separate", "separate", "bool", "false",
           "leave the two products of experts by themselves">
  ];
  let dependentDialects = ["::moe::MoEDialect"];
}

def PackWeightsPass : Pass<"moe-pack-weights", "::mlir::ModuleOp"> {
  let summary = "Choose the weights whose outputs lie in strips";
  let description = [{
    A CPU multiplies fastest where a vector of weights has one value of each of
    many outputs. A weight of f32, bf16, int8 or mxfp4 that all functions use for
    nothing but products gets `moe.packed`, if its outputs are whole strips of 64
    and its depth whole turns of 16 bytes: the runtime then keeps it as the
    manifest's `packed` says. So do the scales of int8 and mxfp4. Slices of whole
    strips, such as the halves of a gate and up that are one weight, are
    products' weights as well; so are halves whose outputs take turns, of which
    each is every other strip (`paired_words`).

    ```mlir
    %w: tensor<8x64x32xbf16> {moe.name = "experts.gate.weight", moe.role = "weight"}
    ```
    becomes
    ```mlir
    %w: tensor<8x64x32xbf16> {moe.name = "experts.gate.weight", moe.packed = "words", moe.role = "weight"}
    ```
  }];
  let dependentDialects = ["::moe::MoEDialect"];
}

def LowerToLoopsPass : Pass<"moe-lower-to-loops", "::mlir::ModuleOp"> {
  let summary = "Turn moe functions into loops over buffers";
  let description = [{
    Each function on tensors becomes one on memrefs that writes its results to
    buffers given by the caller; everything in between lives in one workspace.
    A `tensor.extract_slice` of a constant place is a view, and nothing is copied.
    Operations of `coll` become calls of the runtime, whose pointer for them is
    after the workspace; `moe.collectives` has what each call is, and all that
    follows one is under its success. Until the last one has succeeded no result
    is in the caller's buffers.
    `reference` makes plain sequential f64 loops; otherwise loops over tokens,
    rows and experts are `scf.parallel`, products use `vector`, and arithmetic
    is f32.

    ```mlir
    func.func @forward(%x: tensor<?x64xf32> {moe.name = "x", ...}, ...)
        -> (tensor<?x64xf32> {moe.name = "y", ...})
    ```
    becomes
    ```mlir
    func.func @tiny_forward_entry(%sizes: !llvm.ptr, %buffers: !llvm.ptr)
    ```
  }];
  let options = [
    Option<"reference", "reference", "bool", "false",
           "sequential loops in f64, the oracle of every other lowering">,
    Option<"gpu", "gpu", "bool", "false",
           "loops whose iterations become threads of a GPU">,
    Option<"wgmma", "wgmma", "bool", "false",
           "products of warpgroups where the runtime finds an sm_90a">,
    Option<"alwaysWgmma", "always-wgmma", "bool", "false",
           "products of warpgroups without asking">,
    Option<"fp8", "fp8", "bool", "false",
           "products of codes of 8 bits where the runtime finds an sm_89 or newer">,
    Option<"alwaysFp8", "always-fp8", "bool", "false",
           "products of codes of 8 bits without asking">,
    Option<"clusters", "clusters", "::moe::GpuClusters",
           "::moe::GpuClusters::whereTheyPay",
           "where blocks of products of warpgroups share weights in clusters",
           [{::llvm::cl::values(
             clEnumValN(::moe::GpuClusters::whereTheyPay, "auto",
                        "with many rows for each expert"),
             clEnumValN(::moe::GpuClusters::always, "always",
                        "with 128 rows or more in a tile"),
             clEnumValN(::moe::GpuClusters::never, "never", "nowhere"))}]>,
    Option<"vectorWidth", "vector-width", "int64_t", "16",
           "f32 lanes of the target's vectors">,
    Option<"registers", "registers", "int64_t", "32",
           "vector registers of the target">,
    Option<"bf16Dot", "bf16-dot", "bool", "false",
           "whether the target has sums of products of bf16 pairs (AVX-512)">,
    Option<"l1", "l1", "int64_t", "32768", "bytes of a core's first-level cache">,
    Option<"l2", "l2", "int64_t", "1048576",
           "bytes of a core's second-level cache">,
    Option<"blocks", "blocks", "std::string", "\"\"",
           "sizes of blocks that lib/Schedule would not choose, such as rows=96">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::nvgpu::NVGPUDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect",
    "::mlir::x86vector::X86VectorDialect"];
}

def ApproximateMathPass : Pass<"moe-approximate-math"> {
  let summary = "Compute exp and the like in arithmetic";
  let description = [{
    `exp`, `tanh` and `erf` of f32 become polynomials, within six units in the
    last place. Unlike calls of a library they are computed for as many values
    at once as a vector has.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect"];
}

def ExpandMathPass : Pass<"moe-expand-math"> {
  let summary = "Compute what a library would in arithmetic";
  let description = [{
    For targets without one: `exp` and `log` of f64 become series, within two
    units in the last place; `log`, `log1p` and `powf` of f32 are computed as f64.
    Vectors are computed lane by lane.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect"];
}

def OutlineParallelPass : Pass<"moe-outline-parallel", "::mlir::ModuleOp"> {
  let summary = "Call the runtime's thread pool for parallel loops";
  let description = [{
    The body of each outermost one-dimensional `scf.parallel` becomes a function
    over a range, called through `moe_parallel_for`, which an application may
    replace. What the body uses is passed in a struct on the stack.

    ```mlir
    scf.parallel (%i) = (%c0) to (%n) step (%c1) { ... }
    ```
    becomes
    ```mlir
    llvm.call @moe_parallel_for(%body, %context, %n)
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::scf::SCFDialect"];
}

#endif // MOE_KERNELS_PASSES
