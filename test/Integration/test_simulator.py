"""Layers on the simulated GPU: random specs agree with the reference, with nothing to report.

    python3 test_simulator.py [COUNT]

MOE_SIM_SWEEP is a number of specs, in place of COUNT.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import random_spec

COUNT = int(os.environ.get("MOE_SIM_SWEEP", "12"))
SEEDS = (1, 2, 3)

BF16 = {
    "name": "half",
    "hidden": 64,
    "dtype": {"weights": "bf16", "activation": "bf16"},
    "router": {"experts": 4, "top_k": 2},
    "experts": {"intermediate": 96},
}


def command(*arguments, **environment):
    return subprocess.run(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
    )


class Simulator(unittest.TestCase):
    def check(self, spec, tokens, seeds=SEEDS, extra=()):
        """Packages of a spec, and runs that agree whatever chance decides."""
        with tempfile.TemporaryDirectory(prefix="moe-sim-") as scratch:
            path = Path(scratch) / "layer.json"
            path.write_text(json.dumps(spec))
            for target in ("sim", "reference"):
                made = command(
                    "moe-opt", path, "--emit=package", f"--target={target}", "-o",
                    Path(scratch) / target, *(extra if target == "sim" else ()),
                )  # fmt: skip
                self.assertEqual(made.returncode, 0, f"{json.dumps(spec)}\n{made.stdout}")
            for count in tokens:
                for seed in seeds:
                    run = command(
                        "moe-run", Path(scratch) / "sim", "--tokens", str(count),
                        "--exact", str(seed), "--against", Path(scratch) / "reference",
                        MOE_SIM_SEED=str(seed),
                    )  # fmt: skip
                    words = f"{json.dumps(spec)}\n--tokens {count}, seed {seed}\n{run.stdout}"
                    self.assertEqual(run.returncode, 0, words)

    def test_random_specs(self):
        for number in range(COUNT):
            with self.subTest(number=number):
                self.check(random_spec.random_spec(number), (13,), seeds=(1 + number % 3,))

    def test_matrix_products(self):
        self.check(BF16, (0, 1, 70))

    def test_newer_device(self):
        self.check(BF16, (5,), seeds=(1,), extra=("--gpu-arch=sm_90a",))

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
    if len(sys.argv) > 1:
        COUNT = int(sys.argv.pop(1))
    unittest.main()
