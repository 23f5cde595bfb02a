// RUN: moe-opt %s --moe-simulate-kernels --split-input-file --verify-diagnostics
// RUN: not moe-opt %s --moe-simulate-kernels=architecture=70 --split-input-file 2>&1 | FileCheck %s
// CHECK: error: 'architecture' is 70, expected 80 or 90

gpu.module @kernels {
  llvm.func @unknown_operation() attributes {gpu.kernel, nvvm.kernel} {
    // expected-error @+1 {{'nvvm.breakpoint' op is not known to the simulator}}
    nvvm.breakpoint
    llvm.return
  }
}

// -----

gpu.module @kernels {
  llvm.func @unknown_ptx() attributes {gpu.kernel, nvvm.kernel} {
    // expected-error @+1 {{the simulator does not know 'brkpt;'}}
    llvm.inline_asm has_side_effects "brkpt;", "" : () -> ()
    llvm.return
  }
}

// -----

gpu.module @kernels {
  // expected-error @+1 {{the simulator does not know the function '__nv_expf'}}
  llvm.func @__nv_expf(f32) -> f32
  llvm.func @unknown_function(%x: f32) attributes {gpu.kernel, nvvm.kernel} {
    %y = llvm.call @__nv_expf(%x) : (f32) -> f32
    llvm.return
  }
}

// -----

gpu.module @kernels {
  llvm.func @unknown_shape(%a: f64, %b: f64, %c: f64) attributes {gpu.kernel, nvvm.kernel} {
    // expected-error @+1 {{of this shape and these types is not known to the simulator}}
    %d = nvvm.mma.sync A[%a] B[%b] C[%c, %c]
      {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>,
       shape = #nvvm.shape<m = 8, n = 8, k = 4>} : (f64, f64, f64) -> !llvm.struct<(f64, f64)>
    llvm.return
  }
}

// -----

gpu.module @kernels {
  llvm.func @unknown_rounding(%x: f32) attributes {gpu.kernel, nvvm.kernel} {
    // expected-error @+1 {{of this rounding is not known to the simulator}}
    %y = nvvm.convert.float.to.tf32 %x {relu = true, rnd = #nvvm.fp_rnd_mode<rn>}
    llvm.return
  }
}

// -----

gpu.module @kernels {
}
// expected-error @+1 {{a second module of kernels, expected one}}
gpu.module @others {
}
