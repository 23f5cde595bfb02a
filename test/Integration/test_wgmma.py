"""Products of warpgroups on the simulated sm_90a: tiles for few rows and for many, sizes that are
no multiples of tiles, experts without rows and one that has them all, blocks that take many tiles.
"""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path


def spec(hidden, intermediate, experts, top_k, dtype="bf16", **others):
    return {
        "name": "wide",
        "hidden": hidden,
        "dtype": {"weights": dtype, "activation": dtype},
        "router": {"experts": experts, "top_k": top_k},
        "experts": {"intermediate": intermediate, **others},
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

    def test_biases_and_functions(self):
        # An activation whose functions no library has on a GPU.
        activation = "log1p(abs(g)) * u + log(abs(u) + 1)"
        self.check(spec(64, 72, 4, 2, bias=True, activation=activation), (5, 90))


if __name__ == "__main__":
    unittest.main()
