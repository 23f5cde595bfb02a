//===- Help.cpp - What moe-opt --help prints ------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Driver.h"

using namespace llvm;
using namespace moe;

StringRef moe::helpText() {
  return R"(moe-opt: compiles Mixture-of-Experts layers

usage: moe-opt SPEC.json [options]     from a spec to the moe dialect or beyond
       moe-opt config.json [options]   the same for a layer of a model of Hugging
                                       Face, of which this is the configuration
       moe-opt FILE.mlir [options]     the same from the moe dialect
       moe-opt FILE.mlir --moe-fuse …  single passes, as mlir-opt runs them

  --emit=WHAT        what to write (default: mlir)
                       spec     the spec with every default written out
                       mlir     the program at the phase of --compile-to
                       llvm     LLVM IR, optimised
                       asm      assembly
                       object   an object file
                       header   the C header of the package
                       package  a directory with library, archive, header,
                                manifest, CMake and pkg-config files
                       ptx      kernels as text, for --target=cuda
                       cubin    kernels as machine code, by ptxas
                       fatbin   the same for several architectures
  --target=KIND      cpu (default), cuda: kernels for NVIDIA GPUs, sim: the same
                     for a simulator that checks what they do, or reference:
                     plain f64 loops that every other target must agree with;
                     cpu,cuda: a package that picks where it is loaded
  --gpu-arch=NAME,…  architectures of GPUs: sm_80, sm_90a, … machine code, by
                     the ptxas of MOE_PTXAS, CUDA_HOME or PATH, compute_80, …
                     PTX, which drivers compile for what is newer too
                     (default: sm_80,compute_80, or one of them)
  --gpu-clusters=C   where pairs of blocks share the weights of products that
                     sm_90a has: auto (default), with many rows for each expert,
                     always, if tiles have 128 rows, or never
  --cpu=NAME,…       native (default), x86-64-v3, x86-64-v4, znver4, …; of
                     several, a package runs the best that the machine can
  --compile-to=PHASE stop after import, graph (default), autodiff, sharding,
                     kernels or target
  --dump-dir=DIR     write the program after each phase to DIR
  --grid=dp=1,ep=4,tp=2
                     the devices that a package is for, instead of those of
                     the spec: one package, which each of them runs; with
                     ,chunks=N rows are exchanged beside the experts
  --layer=L          the layer of a config.json (default: its first MoE layer)
  --layers           print the layers of a config.json, in groups of which one
                     package serves all; --json prints them for programs
  --dequantize       plain weights for a config.json whose weights are quantised
  --plan             print how the products are cut into blocks, and the time
                     that a forward is expected to take beside what the machine
                     could do at best; --json prints it for programs
  --tokens=T,…       the numbers of tokens of a plan (default: 1,16,256,4096)
  --devices=N        a plan for N devices: how to place the layer on them, what
                     that takes and sends, and what cannot be; of all devices
                     together --tokens is one number (default: 8192)
  --nodes=N          machines that the devices are in (default: of 8 each)
  --device-memory=M  such as 80GiB (default)
  --link=LINKS       intra:900GB/s,inter:50GB/s: what a device sends within a
                     node and between nodes; intra:900GB/s:3us with a latency
  --device-flops=F   such as 989TFLOP/s; --device-bandwidth=B, such as 3.35TB/s
                     (defaults: those of an H100)
  --layer-count=N    layers like this one that the devices hold (default: 1)
  --ceilings=FILE    what the machine does at best, for a plan, as measured:
                     {"threads": 2, "bandwidth": 3.5e10, "f32": 5.2e11,
                     "bf16": 1.0e12}, in bytes and operations a second
  --blocks=SIZES     other blocks of products than those that are chosen, such
                     as rows=96,outs=64,depth=2048,task=128
  --unpacked         weights stay as they are stored, which makes products on
                     CPUs slower, and borrowed ones need no memory of their own
  --families         print the families of models that are known
  -o PATH            where to write (default: standard output)
  --help             this; --help-passes lists every pass
  --version          the version of this and of LLVM

examples:
  moe-opt examples/specs/tiny.json
  moe-opt examples/specs/olmoe.json --emit=package -o out/
  moe-opt examples/specs/olmoe.json --emit=package --cpu=x86-64-v3,x86-64-v4 -o out/
  moe-opt examples/specs/olmoe.json --emit=package --target=cpu,cuda -o out/
  moe-opt examples/specs/tiny.json --compile-to=kernels --target=reference
  moe-opt config.json --layers
)";
}
