//===- Passes.td - Kernels for the simulator ---------------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SIM_PASSES
#define MOE_SIM_PASSES

include "mlir/Pass/PassBase.td"

def SimulateKernelsPass : Pass<"moe-simulate-kernels", "::mlir::ModuleOp"> {
  let summary = "Turn kernels of a GPU into functions of the host";
  let description = [{
    Each `gpu.module` in LLVM and NVVM operations, as PTX would be made of it,
    becomes functions of the host and a table of them, `NAME_image`, that the
    simulator's `cuModuleLoadData` takes. A function is one thread of its kernel:

    - an operation that no host has is a call of the simulator,
    - a call before each load and store checks it, and says where it is from,
    - all memory is in one address space.

    The calls go through slots that are filled when the table is loaded, so that
    what is made needs no library. An operation that the simulator does not know
    is an error.

    ```mlir
    gpu.module @kernels {
      llvm.func @fill(%p: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel} {
        %t = nvvm.read.ptx.sreg.tid.x : i32
        %q = llvm.getelementptr %p[%t] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
        llvm.store %t, %q : i32, !llvm.ptr<1>
        llvm.return
      }
    }
    ```
    becomes
    ```mlir
    llvm.func internal @kernels_fill(%p: !llvm.ptr) {
      %t = llvm.call @moe_sim_register(%tidX) : (i32) -> i32
      %q = llvm.getelementptr %p[%t] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      llvm.call @moe_sim_store(%q, %bytes, %alignment, %global, %site)
      llvm.store %t, %q : i32, !llvm.ptr
      llvm.return
    }
    llvm.mlir.global constant @kernels_image() : !llvm.struct<...> { ... }
    ```
  }];
  let options = [
    Option<"architecture", "architecture", "int64_t", "80",
           "what a simulated device must have at least: 80 or 90">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // MOE_SIM_PASSES
