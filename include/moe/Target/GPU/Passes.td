//===- Passes.td - From loops to kernels and launches ------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TARGET_GPU_PASSES
#define MOE_TARGET_GPU_PASSES

include "mlir/Pass/PassBase.td"

def MapToKernelsPass : Pass<"moe-map-to-kernels", "::mlir::func::FuncOp"> {
  let summary = "Make every loop over buffers a launch";
  let description = [{
    Each `scf.parallel` becomes a `gpu.launch` with a thread for each iteration,
    and each run of other code that touches buffers one of a single thread. What
    remains for the host are launches, and the arithmetic of their sizes. Views
    are made anew in each launch, so that kernels take pointers and numbers.

    A value that one launch makes and a later one needs passes through the first
    64 values of the workspace. The host never waits, so a value that it would
    need is an error.

    ```mlir
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
      memref.store %zero, %view[%i] : memref<?xf32>
    }
    ```
    becomes
    ```mlir
    gpu.launch blocks(...) in (%blocks, %c1, %c1) threads(...) in (%c128, %c1, %c1)
        module(@kernels) function(@forward_0_group) {
      %view = ... // from a pointer
      %inside = arith.cmpi slt, %i, %n
      scf.if %inside {
        memref.store %zero, %view[%i] : memref<?xf32>
      }
    }
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"];
}

def MathToIntrinsicsPass : Pass<"moe-math-to-intrinsics"> {
  let summary = "Call intrinsics for functions that the machine has";
  let description = [{
    Upstream's conversion makes calls of CUDA's own library of all of `math`; what
    NVPTX has instructions for needs none. Functions that it has none for are
    errors: `moe-approximate-math` and `moe-expand-math` come before.

    ```mlir
    %y = math.sqrt %x : f32
    ```
    becomes
    ```mlir
    %y = llvm.call_intrinsic "llvm.sqrt"(%x) : (f32) -> f32
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def CallKernelsPass : Pass<"moe-call-kernels", "::mlir::ModuleOp"> {
  let summary = "Launch kernels through the runtime";
  let description = [{
    A launch becomes a call of `moe_gpu_launch`, with the runtime's pointer for
    launches, which is the second after the workspace, the number of the kernel
    in its module, and an array of pointers to the arguments. A pointer to
    memory of the host's function is for the kernel a parameter by value. How
    many blocks a cluster has becomes an attribute of the kernel.

    ```mlir
    gpu.launch_func @kernels::@forward_0_group
        blocks in (%b, %c1, %c1) threads in (%c128, %c1, %c1) args(%p : !llvm.ptr)
    ```
    becomes
    ```mlir
    func.call @moe_gpu_launch(%device, %kernel, %bx, %by, %bz, %tx, %ty, %tz,
                              %shared, %arguments)
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect"];
}

#endif // MOE_TARGET_GPU_PASSES
