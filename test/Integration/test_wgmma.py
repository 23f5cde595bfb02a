"""Products of warpgroups on the simulated sm_90a: tiles for few rows and for many, sizes that are
no multiples of tiles, experts without rows and one that has them all, blocks that take many tiles.
"""

import json
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "test" / "Oracle")]

from command import command
import moe_mlir
import oracle


def spec(hidden, intermediate, experts, top_k, dtype="bf16", **others):
    return {
        "name": "wide",
        "hidden": hidden,
        "dtype": {"weights": dtype, "activation": dtype},
        "router": {"experts": experts, "top_k": top_k},
        "experts": {"intermediate": intermediate, **others},
    }


class Wgmma(unittest.TestCase):
    def check(self, layer, tokens):
        """What the layer makes of so many tokens, and with another seed of chance for each."""
        with tempfile.TemporaryDirectory(prefix="moe-wgmma-") as scratch:
            path = Path(scratch) / "layer.json"
            path.write_text(json.dumps(layer))
            for target in ("sim", "reference"):
                made = command(
                    "moe-opt", path, "--emit=package", f"--target={target}", "-o",
                    Path(scratch) / target, *(["--gpu-arch=sm_90a"] if target == "sim" else []),
                )  # fmt: skip
                self.assertEqual(made.returncode, 0, f"{layer}\n{made.stdout}")
            for seed, count in enumerate(tokens, 1):
                run = command(
                    "moe-run", Path(scratch) / "sim", "--tokens", str(count),
                    "--exact", str(seed), "--against", Path(scratch) / "reference",
                    MOE_SIM_SEED=str(seed), MOE_SIM_MULTIPROCESSORS=str(seed),
                )  # fmt: skip
                self.assertEqual(run.returncode, 0, f"{layer}\n{count} tokens\n{run.stdout}")

    def test_tiles_of_every_size(self):
        # Two weights; ends in the middle of a stage, of a line of copies and of a tile of outputs.
        self.check(spec(200, 136, 5, 2), (0, 3, 61, 200))

    def test_outputs_one_by_one(self):
        # 44 outputs are no multiple of 8: the second product reads them by other means.
        self.check(spec(72, 44, 3, 2), (2, 70))

    def test_one_expert_has_all(self):
        self.check(spec(64, 520, 1, 1, form="mlp"), (1, 20, 150))

    def test_most_experts_have_none(self):
        self.check(spec(64, 64, 40, 1, "f16"), (1, 9))

    def test_more_steps_than_stages(self):
        # Warpgroups that take tiles in turns meet stages of a later round at first.
        self.check(spec(712, 64, 2, 1), (40,))

    def test_same_bits_in_tiles_of_every_shape(self):
        codes = {"kind": "fp8_e4m3", "block": [128, 128], "activations": "fp8_e4m3"}
        layers = (spec(712, 72, 1, 1), spec(704, 128, 1, 1, quantization=codes))
        x = np.random.default_rng(3).standard_normal((90, 712)).astype(np.float32)
        for layer in layers:
            with self.subTest(layer), tempfile.TemporaryDirectory(prefix="moe-wgmma-") as scratch:
                path = Path(scratch) / "layer.json"
                path.write_text(json.dumps(layer))
                made = command("moe-opt", path, "--emit=package", "--target=sim",
                               "--gpu-arch=sm_90a", "-o", Path(scratch) / "sim")  # fmt: skip
                self.assertEqual(made.returncode, 0, made.stdout)
                package = moe_mlir.load(Path(scratch) / "sim")
                package.randomize(seed=1)
                rows = oracle.to_storage(x[:, : layer["hidden"]], "bf16")
                # 16, 64 and 128 rows.
                few, some, many = (
                    np.asarray(package.run("forward", x=rows[:count])) for count in (5, 20, 90)
                )
                self.assertTrue(few.any())
                self.assertEqual(few.tobytes(), some[:5].tobytes())
                self.assertEqual(some.tobytes(), many[:20].tobytes())

    def test_biases_and_functions(self):
        # An activation whose functions no library has on a GPU.
        activation = "log1p(abs(g)) * u + log(abs(u) + 1)"
        self.check(spec(64, 72, 4, 2, bias=True, activation=activation), (5, 90))


if __name__ == "__main__":
    unittest.main()
