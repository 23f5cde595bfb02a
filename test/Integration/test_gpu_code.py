"""Machine code for GPUs of all example specs, and of what these do not have: no kernel has a stack
frame or spills registers, products are those of matrix units, and the compiler does not take long.

Without ptxas it is skipped, with status 77. benchmarks/gpu_code.py makes tables of the same.
"""

import importlib.util
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

from gpu_programs import PROGRAMS, write_programs

SPECS = sorted((Path(__file__).resolve().parents[2] / "examples" / "specs").glob("*.json"))
ARCHITECTURES = ("sm_80", "sm_90a")
# Of ptxas: of wgmma that is made one after another, or of registers that stay.
COMPLAINTS = r"\(C75\d\d\)|Performance Loss"
SECONDS = 20  # of processors: 10 s on two of them
# Of machine code: what each program of gpu_programs.py multiplies with, on sm_80 and on sm_90a.
HALVES = r"HMMA\.16816\.F32"
INSTRUCTIONS = {
    "bf16_int8": (rf"{HALVES}\.BF16", r"HGMMA\.64x\d+x16\.F32\.BF16"),
    "f16_int4": (HALVES, r"HGMMA\.64x\d+x16\.F32"),
    "int4_mxfp4": (rf"{HALVES}\.BF16", rf"{HALVES}\.BF16"),
    "nvfp4_fp8": (rf"{HALVES}\.BF16", rf"{HALVES}\.BF16"),
    "fp8_rows": (rf"{HALVES}\.BF16", r"QGMMA\.64x\d+x32\.F32\.E4M3\.E4M3"),
    "gradients_bf16": (rf"{HALVES}\.BF16", rf"{HALVES}\.BF16"),
    "gradients_tf32": (r"HMMA\.1688\.F32\.TF32", r"HMMA\.1688\.F32\.TF32"),
}
# Kernels of products without any: f16 has too few exponents for what is between two products, which
# stays f32, and rows are rounded to e4m3 by kernels of their own.
WITHOUT = {"f16_int4": 2, "fp8_rows": 2}


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
    """On the path, or in a package of Triton: one that is installed, or that of benchmarks."""
    environment = Path(__file__).resolve().parents[2] / "build" / "bench-venv"
    folders = list(environment.glob("lib/python*/site-packages/triton"))
    triton = importlib.util.find_spec("triton")
    folders += triton.submodule_search_locations if triton else []
    packaged = [Path(folder) / "backends" / "nvidia" / "bin" / "nvdisasm" for folder in folders]
    names = [os.environ.get("MOE_NVDISASM"), "nvdisasm", *packaged]
    return next(filter(None, (shutil.which(name) for name in names if name)), None)


def processor_seconds():
    """That programs which were called have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def multiplies_with(cubin):
    """Each product of machine code, and the instructions of matrix units that it has."""
    run = subprocess.run([find_nvdisasm(), cubin], capture_output=True, text=True, check=True)
    found = {}
    for body in re.split(r"^\.text\.", run.stdout, flags=re.MULTILINE)[1:]:
        name = body.split(":", 1)[0]
        if re.search("_(router|grouped_matmul|grouped_outer)", name):
            found[name] = set(re.findall(r"\b[HQ]G?MMA\.[.\w]+", body))
    return found


def assemble(spec, arch, cubin=os.devnull):
    """What ptxas says about the kernels of a spec."""
    with tempfile.TemporaryDirectory() as folder:
        ptx = f"{folder}/kernels.ptx"
        command = ["moe-opt", spec, "--target=cuda", "--emit=ptx", f"--gpu-arch={arch}", "-o", ptx]
        subprocess.run(command, check=True)
        command = [PTXAS, "-v", f"-arch={arch}", ptx, "-o", cubin]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            raise AssertionError(run.stderr)
        return run.stdout + run.stderr


class GPUCode(unittest.TestCase):
    def fits_into_registers(self, log, least):
        found = list(kernels(log))
        self.assertNotRegex(log, COMPLAINTS)
        self.assertGreater(len(found), least)
        self.assertEqual([k for k in found if k.stack or k.spills], [])
        self.assertLess(max(k.registers for k in found), 256)
        self.assertGreater(min(k.registers for k in found), 0)

    def test_example_specs(self):
        for spec in SPECS:
            start = processor_seconds()
            for arch in ARCHITECTURES:
                with self.subTest(arch=arch, spec=spec.stem):
                    self.fits_into_registers(assemble(spec, arch), least=5)
            with self.subTest(spec=spec.stem, seconds=True):
                self.assertLess(processor_seconds() - start, SECONDS)

    def test_products_are_those_of_matrix_units(self):
        """Of each format: HMMA where there is mma.sync, HGMMA or QGMMA where there is wgmma."""
        with tempfile.TemporaryDirectory() as folder:
            for path in write_programs(folder):
                for number, arch in enumerate(ARCHITECTURES):
                    with self.subTest(arch=arch, program=path.stem):
                        cubin = path.with_suffix(".cubin")
                        self.fits_into_registers(assemble(path, arch, cubin), least=2)
                        if find_nvdisasm():
                            wanted = INSTRUCTIONS[path.stem][number]
                            self.multiplies(cubin, wanted, WITHOUT.get(path.stem, 0))

    def multiplies(self, cubin, wanted, without):
        found = multiplies_with(cubin)
        self.assertEqual(list(found.values()).count(set()), without)
        self.assertGreater(len(found), 2)
        for kernel, instructions in found.items():
            unit = r"[HQ]GMMA\." if "_wgmma" in kernel else r"[HQ]MMA\."
            for instruction in instructions:
                self.assertRegex(instruction, unit, kernel)
        products = [found[kernel] for kernel in found if "_grouped_" in kernel]
        self.assertRegex("\n".join(set.union(*products)), wanted)

    def test_products_of_gradients(self):
        """Values of 16 bits are turned round where they are read, and those of f32 rounded."""
        for kind, shape in (
            ("bf16", "m16n8k16.row.col.f32.bf16.bf16.f32"),
            ("tf32", "m16n8k8.row.col.f32.tf32.tf32.f32"),
        ):
            with tempfile.TemporaryDirectory() as folder:
                path, ptx = Path(folder) / "products.mlir", Path(folder) / "products.ptx"
                path.write_text(PROGRAMS[f"gradients_{kind}.mlir"])
                command = ["moe-opt", path, "--target=cuda", "--emit=ptx", "--gpu-arch=sm_80"]
                subprocess.run([*command, "-o", ptx], check=True)
                for body in ptx.read_text().split(".visible .entry")[1:]:
                    with self.subTest(kind=kind, kernel=body[:40]):
                        self.assertIn(f"mma.sync.aligned.{shape}", body)
                        turned = "ahead" not in body[:40] and kind == "bf16"
                        self.assertEqual(turned, ".trans.shared.b16" in body)
                        self.assertEqual(kind == "tf32", "cvt.rna.tf32.f32" in body)

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
