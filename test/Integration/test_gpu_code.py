"""Machine code for GPUs of all example specs: no kernel has a stack frame or spills registers,
products are those of matrix units, and the compiler does not take long.

Without ptxas it is skipped, with status 77. benchmarks/gpu_code.py makes tables of the same.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import NamedTuple

SPECS = sorted((Path(__file__).resolve().parents[2] / "examples" / "specs").glob("*.json"))
ARCHITECTURES = ("sm_80", "sm_90a")
# Of ptxas: of wgmma that is made one after another, or of registers that stay.
COMPLAINTS = r"\(C75\d\d\)|Performance Loss"
SECONDS = 20  # of processors: 10 s on two of them
BF16 = """{"name": "half", "hidden": 64, "dtype": {"activation": "bf16", "weights": "bf16"},
           "router": {"experts": 4, "top_k": 2}, "experts": {"intermediate": 128}}"""

# Of each kind that gradients need, and as tf32: factors along the depth and across it.
PRODUCTS = """
module attributes {{moe.name = "products"}} {{
  func.func @back(%x: tensor<?x96x{t}> {{moe.name = "x", moe.role = "input", moe.sizes = ["R"]}},
                  %w: tensor<4x96x64x{t}> {{moe.name = "w", moe.role = "weight"}},
                  %o: tensor<5xi32> {{moe.name = "offsets", moe.role = "input"}})
      -> (tensor<?x64xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["R"]}}) {{
    %y = moe.grouped_matmul %x, %w offsets %o {{transposed{option}}}
        : (tensor<?x96x{t}>, tensor<4x96x64x{t}>, tensor<5xi32>) -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }}
  func.func @ahead(%x: tensor<?x96x{t}> {{moe.name = "x", moe.role = "input", moe.sizes = ["R"]}},
                   %g: tensor<4x64x96x{t}> {{moe.name = "g", moe.role = "weight"}},
                   %u: tensor<4x64x96x{t}> {{moe.name = "u", moe.role = "weight"}},
                   %o: tensor<5xi32> {{moe.name = "offsets", moe.role = "input"}})
      -> (tensor<?x64xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["R"]}}) {{
    %y = moe.grouped_matmul %x, %g, %u offsets %o {{slots = 1 : i64{option}}}
        : (tensor<?x96x{t}>, tensor<4x64x96x{t}>, tensor<4x64x96x{t}>, tensor<5xi32>)
        -> tensor<?x64xf32> {{
    ^bb0(%a: f32, %b: f32):
      %p = arith.mulf %a, %b : f32
      moe.yield %p
    }}
    return %y : tensor<?x64xf32>
  }}
  func.func @outer(%x: tensor<?x96x{t}> {{moe.name = "x", moe.role = "input", moe.sizes = ["R"]}},
                   %y: tensor<?x64x{t}> {{moe.name = "y", moe.role = "input", moe.sizes = ["R"]}},
                   %o: tensor<5xi32> {{moe.name = "offsets", moe.role = "input"}})
      -> (tensor<4x96x64xf32> {{moe.name = "sums", moe.role = "output"}}) {{
    %s = moe.grouped_outer %x, %y offsets %o {{{braced}}}
        : (tensor<?x96x{t}>, tensor<?x64x{t}>, tensor<5xi32>) -> tensor<4x96x64xf32>
    return %s : tensor<4x96x64xf32>
  }}
}}
"""


def find_ptxas():
    names = [os.environ.get("MOE_PTXAS")]
    names += [os.environ[v] + "/bin/ptxas" for v in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(v)]
    return next(filter(None, (shutil.which(name) for name in [*names, "ptxas"] if name)), None)


class Kernel(NamedTuple):
    name: str
    registers: int
    stack: int
    spills: int


def kernels(log):
    """Those that ptxas tells about."""
    for entry in re.split(r"Compiling entry function '", log)[1:]:

        def total(pattern):
            return sum(int(found) for found in re.findall(pattern, entry))

        yield Kernel(
            entry.split("'")[0],
            total(r"Used (\d+) registers"),
            total(r"(\d+) bytes stack frame"),
            total(r"(\d+) bytes spill (?:stores|loads)"),
        )


def find_nvdisasm():
    """On the path, or in the Triton package that benchmarks use."""
    environment = Path(__file__).resolve().parents[2] / "build" / "bench-venv"
    packaged = environment.glob("lib/python*/site-packages/triton/backends/nvidia/bin/nvdisasm")
    names = [os.environ.get("MOE_NVDISASM"), "nvdisasm", *packaged]
    return next(filter(None, (shutil.which(name) for name in names if name)), None)


def processor_seconds():
    """That programs which were called have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def assemble(spec, arch):
    """What ptxas says about the kernels of a spec."""
    with tempfile.TemporaryDirectory() as folder:
        ptx = f"{folder}/kernels.ptx"
        command = ["moe-opt", spec, "--target=cuda", "--emit=ptx", f"--gpu-arch={arch}", "-o", ptx]
        subprocess.run(command, check=True)
        command = [PTXAS, "-v", f"-arch={arch}", ptx, "-o", f"{folder}/kernels.cubin"]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            raise AssertionError(run.stderr)
        return run.stdout + run.stderr


class GPUCode(unittest.TestCase):
    def test_kernels_fit_into_registers(self):
        for spec in SPECS:
            start = processor_seconds()
            for arch in ARCHITECTURES:
                with self.subTest(arch=arch, spec=spec.stem):
                    log = assemble(spec, arch)
                    found = list(kernels(log))
                    self.assertNotRegex(log, COMPLAINTS)
                    self.assertGreater(len(found), 5)
                    self.assertEqual([k for k in found if k.stack or k.spills], [])
                    self.assertLess(max(k.registers for k in found), 256)
                    self.assertGreater(min(k.registers for k in found), 0)
            with self.subTest(spec=spec.stem, seconds=True):
                self.assertLess(processor_seconds() - start, SECONDS)

    def test_products_are_those_of_matrix_units(self):
        """HMMA where there is mma.sync, HGMMA where there is wgmma."""
        disassembler = find_nvdisasm()
        if not disassembler:
            self.skipTest("no nvdisasm")
        with tempfile.TemporaryDirectory() as folder:
            spec, cubin = Path(folder) / "half.json", Path(folder) / "half.cubin"
            spec.write_text(BF16)
            for arch, wanted in (
                ("sm_80", r"HMMA\.16816\.F32\.BF16"),
                ("sm_90a", r"HGMMA\.64x\d+x16\.F32\.BF16"),
            ):
                command = ["moe-opt", spec, "--target=cuda", "--emit=cubin", f"--gpu-arch={arch}"]
                subprocess.run([*command, "-o", cubin], check=True)
                run = subprocess.run([disassembler, cubin], capture_output=True, text=True)
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertRegex(run.stdout, wanted)

    def test_products_of_gradients(self):
        """By matrix units too, which turn values of 16 bits round where they are read."""
        for kind, option, shape in (
            ("bf16", "", "m16n8k16.row.col.f32.bf16.bf16.f32"),
            ("f32", "tf32", "m16n8k8.row.col.f32.tf32.tf32.f32"),
        ):
            program = PRODUCTS.format(t=kind, option=option and ", tf32", braced=option)
            with tempfile.TemporaryDirectory() as folder:
                path, ptx = Path(folder) / "products.mlir", Path(folder) / "products.ptx"
                path.write_text(program)
                for arch in ARCHITECTURES:
                    with self.subTest(arch=arch, kind=kind):
                        found = list(kernels(assemble(path, arch)))
                        self.assertGreaterEqual(len(found), 3)
                        self.assertEqual([k for k in found if k.stack or k.spills], [])
                command = ["moe-opt", path, "--target=cuda", "--emit=ptx", "--gpu-arch=sm_80"]
                subprocess.run([*command, "-o", ptx], check=True)
                for body in ptx.read_text().split(".visible .entry")[1:]:
                    with self.subTest(kind=kind, kernel=body[:40]):
                        self.assertIn(f"mma.sync.aligned.{shape}", body)
                        turned = "ahead" not in body[:40] and kind == "bf16"
                        self.assertEqual(turned, ".trans.shared.b16" in body)
                        self.assertEqual(kind == "f32", "cvt.rna.tf32.f32" in body)

    def test_several_architectures_in_one_file(self):
        with tempfile.TemporaryDirectory() as folder:
            fatbin = Path(folder) / "tiny.fatbin"
            command = ["moe-opt", SPECS[-1], "--target=cuda", "--emit=fatbin"]
            command += ["--gpu-arch=sm_80,sm_90a,compute_80", "-o", fatbin]
            subprocess.run(command, check=True)
            self.assertEqual(fatbin.read_bytes()[:4], b"\x50\xed\x55\xba")

    def test_a_package_with_machine_code(self):
        with tempfile.TemporaryDirectory() as folder:
            command = ["moe-opt", SPECS[-1], "--target=cuda", "--emit=package"]
            command += ["--gpu-arch=sm_80,sm_90a,compute_80", "-o", folder]
            subprocess.run(command, check=True)
            library = next(Path(folder).glob("*.so")).read_bytes()
            for mark in (b"sm_80\0", b"sm_90a\0", b"compute_80\0", b"\x7fELF", b".target sm_80"):
                self.assertIn(mark, library)


PTXAS = find_ptxas()

if __name__ == "__main__":
    if not PTXAS:
        print("no ptxas")
        sys.exit(77)
    unittest.main()
