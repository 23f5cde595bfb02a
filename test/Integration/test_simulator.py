"""Layers on the simulated GPU agree with the reference, with nothing to report.

    python3 test_simulator.py

Random specs are sweep.py's: --device sim.
"""

import json
import tempfile
import unittest
from pathlib import Path

from command import command

SEEDS = (1, 2, 3)

BF16 = {
    "name": "half",
    "hidden": 64,
    "dtype": {"weights": "bf16", "activation": "bf16"},
    "router": {"experts": 4, "top_k": 2},
    "experts": {"intermediate": 96},
}


class Simulator(unittest.TestCase):
    def check(self, spec, tokens, seeds=SEEDS, arch="sm_90a"):
        """Packages of a spec, and runs that agree whatever chance decides."""
        with tempfile.TemporaryDirectory(prefix="moe-sim-") as scratch:
            path = Path(scratch) / "layer.json"
            path.write_text(json.dumps(spec))
            for target, extra in (("sim", [f"--gpu-arch={arch}"]), ("reference", [])):
                made = command("moe-opt", path, "--emit=package", f"--target={target}",
                               "-o", Path(scratch) / target, *extra)  # fmt: skip
                self.assertEqual(made.returncode, 0, f"{json.dumps(spec)}\n{made.stdout}")
            for count in tokens:
                for seed in seeds:
                    run = command(
                        "moe-run", Path(scratch) / "sim", "--tokens", str(count),
                        "--exact", str(seed), "--against", Path(scratch) / "reference",
                        MOE_SIM_SEED=str(seed), MOE_SIM_ARCH=arch,
                    )  # fmt: skip
                    words = f"{json.dumps(spec)}\n--tokens {count}, seed {seed}\n{run.stdout}"
                    self.assertEqual(run.returncode, 0, words)

    def test_matrix_products(self):
        self.check(BF16, (0, 1, 70))

    def test_tf32(self):
        """Products of f32 on matrix units, where the spec lets them round."""
        spec = {**BF16, "dtype": {"products": "tf32"}}
        self.check(spec, (0, 70), seeds=(1,), arch="sm_80")
        self.assertIn("m16n8k8.row.col.f32.tf32.tf32.f32", self.ptx(spec))

    def test_tf32_of_codes(self):
        """The same with weights that are decoded on the way."""
        for kind, arch in (("int8", "sm_80"), ("mxfp4", "sm_90a")):
            with self.subTest(kind=kind):
                experts = {"intermediate": 96, "quantization": {"kind": kind}}
                spec = {**BF16, "hidden": 128, "experts": experts, "dtype": {"products": "tf32"}}
                self.check(spec, (9,), seeds=(2,), arch=arch)

    def test_products_of_codes(self):
        """Matrix instructions with weights of every format, which they decode."""
        formats = [
            {"kind": "int8", "block": [1, 64]},
            {"kind": "int4", "block": [1, 32], "zero_points": True},
            {"kind": "fp8_e4m3", "block": [128, 128]},
            {"kind": "mxfp4"},
            {"kind": "nvfp4"},
        ]
        for number, quantization in enumerate(formats):
            with self.subTest(quantization=quantization):
                experts = {"intermediate": 96, "quantization": quantization}
                spec = {**BF16, "hidden": 128, "experts": experts}
                arch = ("sm_80", "sm_90a")[number % 2]
                self.check(spec, (9,), seeds=(1 + number % 3,), arch=arch)
                self.assertIn("mma.sync", self.ptx(spec))

    def ptx(self, spec):
        with tempfile.TemporaryDirectory(prefix="moe-sim-") as scratch:
            path = Path(scratch) / "layer.json"
            path.write_text(json.dumps(spec))
            made = command("moe-opt", path, "--target=cuda", "--gpu-arch=sm_80", "--emit=ptx")
            return made.stdout.split("grouped_matmul", 1)[1]

    def test_older_device(self):
        with tempfile.TemporaryDirectory(prefix="moe-sim-") as scratch:
            path = Path(scratch) / "layer.json"
            path.write_text(json.dumps(BF16))
            package = Path(scratch) / "sim"
            command("moe-opt", path, "--emit=package", "--target=sim", "--gpu-arch=sm_90a",
                    "-o", package)  # fmt: skip
            run = command("moe-run", package, "--tokens", "1", "--random", "1",
                          MOE_SIM_ARCH="sm_80")  # fmt: skip
            self.assertNotEqual(run.returncode, 0)
            self.assertIn("has no code for moe-mlir simulator, sm_80", run.stdout)


if __name__ == "__main__":
    unittest.main()
