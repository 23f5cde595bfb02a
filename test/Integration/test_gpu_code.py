"""Machine code for GPUs of all example specs: no kernel has a stack frame or spills registers.

Skipped, with status 77, where there is no ptxas.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SPECS = sorted((Path(__file__).resolve().parents[2] / "examples" / "specs").glob("*.json"))
ARCHITECTURES = ("sm_80", "sm_90a")


def find_ptxas():
    names = [os.environ.get("MOE_PTXAS")]
    names += [os.environ[v] + "/bin/ptxas" for v in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(v)]
    return next(filter(None, (shutil.which(name) for name in [*names, "ptxas"] if name)), None)


def kernels(log):
    """Name, stack frame and registers of each kernel that ptxas tells about."""
    entries = re.split(r"Compiling entry function '", log)[1:]
    for entry in entries:
        frame, stores, loads = re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", entry
        ).groups()
        registers = re.search(r"Used (\d+) registers", entry).group(1)
        yield entry.split("'")[0], int(frame) + int(stores) + int(loads), int(registers)


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
        for arch in ARCHITECTURES:
            for spec in SPECS:
                with self.subTest(arch=arch, spec=spec.stem):
                    log = assemble(spec, arch)
                    found = list(kernels(log))
                    # Of wgmma that is made one after another, or of registers that stay.
                    self.assertNotRegex(log, r"\(C75\d\d\)|Performance Loss")
                    self.assertGreater(len(found), 5)
                    self.assertEqual([k for k in found if k[1]], [])
                    self.assertLess(max(k[2] for k in found), 256)

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


if __name__ == "__main__":
    PTXAS = find_ptxas()
    if not PTXAS:
        print("no ptxas")
        sys.exit(77)
    unittest.main()
