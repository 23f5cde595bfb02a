"""Products of warpgroups whose blocks share weights, on the simulated sm_90a: the same bits as by
blocks alone, and what numpy makes of them.
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

# Ends in the middle of a stage, and of a block's half of the weights.
EXPERTS, DEPTH, OUTPUTS = 3, 136, 200
WEIGHT = f"tensor<{EXPERTS}x{OUTPUTS}x{DEPTH}xbf16>"
OFFSETS = f"tensor<{EXPERTS + 1}xi32>"
PRODUCT = f"""
module attributes {{moe.name = "product"}} {{
  func.func @forward(
      %x: tensor<?x{DEPTH}xbf16> {{moe.name = "x", moe.role = "input", moe.sizes = ["R"]}},
      %g: {WEIGHT} {{moe.name = "g", moe.role = "weight"}},
      %u: {WEIGHT} {{moe.name = "u", moe.role = "weight"}},
      %offsets: {OFFSETS} {{moe.name = "offsets", moe.role = "input"}})
      -> (tensor<?x{OUTPUTS}xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["R"]}}) {{
    %y = moe.grouped_matmul %x, %g, %u offsets %offsets
        : (tensor<?x{DEPTH}xbf16>, {WEIGHT}, {WEIGHT}, {OFFSETS})
        -> tensor<?x{OUTPUTS}xf32> {{
    ^bb0(%a: f32, %b: f32):
      %p = arith.mulf %a, %b : f32
      moe.yield %p
    }}
    return %y : tensor<?x{OUTPUTS}xf32>
  }}
}}
"""
# Where experts end. Pairs of blocks take 256 rows of one, and there are more than 32 for each.
CASES = [
    (97, 97, 97),  # one has all; the second block of the pair has no rows
    (0, 129, 130),  # one more than a block takes, and a single one
    (1, 1, 257),  # a whole pair, and an expert without rows in between
    (0, 0, 300),  # a pair whose second block is empty, after a full one
    (100, 230, 390),
]


class WgmmaClusters(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="moe-clusters-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def compile(self, source, clusters):
        target = self.folder / clusters
        made = command("moe-opt", source, "--emit=package", "--target=sim", "--gpu-arch=sm_90a",
                       f"--gpu-clusters={clusters}", "-o", target)  # fmt: skip
        self.assertEqual(made.returncode, 0, made.stdout)
        return target

    def load(self, source, clusters):
        return moe_mlir.load(self.compile(source, clusters))

    def test_experts_of_every_size(self):
        source = self.folder / "product.mlir"
        source.write_text(PRODUCT)
        both = [self.load(source, clusters) for clusters in ("always", "never")]
        random = np.random.default_rng(1)
        shape = (EXPERTS, OUTPUTS, DEPTH)
        weights = {
            name: oracle.to_storage(random.standard_normal(shape).astype(np.float32), "bf16")
            for name in "gu"
        }
        for package in both:
            for name, weight in weights.items():
                package.set_weight(name, weight)
        g, u = (oracle.from_storage(weights[name], "bf16") for name in "gu")
        for ends in CASES:
            with self.subTest(ends):
                x = oracle.to_storage(
                    random.standard_normal((ends[-1], DEPTH)).astype(np.float32), "bf16"
                )
                offsets = np.array((0, *ends), np.int32)
                paired, alone = (
                    np.asarray(package.run("forward", x=x, offsets=offsets)) for package in both
                )
                self.assertEqual(paired.tobytes(), alone.tobytes())
                rows = oracle.from_storage(x, "bf16")
                for expert in range(EXPERTS):
                    mine = slice(*offsets[expert : expert + 2])
                    wanted = (rows[mine] @ g[expert].T) * (rows[mine] @ u[expert].T)
                    np.testing.assert_allclose(paired[mine], wanted, rtol=1e-4, atol=1e-3)

    def check_layer(self, experts):
        """With other choices left to chance, and multiprocessors that are no whole pairs."""
        layer = {
            "name": "wide",
            "hidden": 256,
            "dtype": {"weights": "bf16", "activation": "bf16"},
            "router": {"experts": 3, "top_k": 2},
            "experts": experts,
        }
        source = self.folder / "layer.json"
        source.write_text(json.dumps(layer))
        always, never = (self.compile(source, each) for each in ("always", "never"))
        for seed, tokens in enumerate((0, 50, 220), 1):
            run = command(
                "moe-run", always, "--tokens", str(tokens), "--random", str(seed), "--json",
                "--against", never, MOE_SIM_SEED=str(seed),
                MOE_SIM_MULTIPROCESSORS=str(2 * seed - 1),
            )  # fmt: skip
            self.assertEqual(run.returncode, 0, f"{layer}\n{tokens} tokens\n{run.stdout}")
            y = json.loads(run.stdout)["against"]["outputs"]["y"]
            self.assertEqual(y["largest_error"], 0, f"{layer}\n{tokens} tokens")

    def test_layer(self):
        self.check_layer({"intermediate": 136})

    def test_layer_of_codes(self):
        codes = {"kind": "fp8_e4m3", "block": [128, 128], "activations": "fp8_e4m3"}
        self.check_layer({"intermediate": 128, "quantization": codes})


if __name__ == "__main__":
    unittest.main()
