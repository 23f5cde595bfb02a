"""Rows and weights of e4m3, section 5.1 of docs/Spec.md: codes to the bit against numpy, layers on
all targets against the reference, and what ptxas makes of the products.
"""

import json
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "test" / "Oracle")]

from command import command
import moe_mlir
from quantisation import round_rows

ARCHS = ("sm_80", "sm_89", "sm_90a")
PRODUCTS = {
    "sm_80": r"mma\.sync\.aligned\.m16n8k16\.row\.col\.f32\.bf16\.bf16",
    "sm_89": r"mma\.sync\.aligned\.m16n8k32\.row\.col\.f32\.e4m3\.e4m3",
    "sm_90a": r"wgmma\.mma_async\.sync\.aligned\.m64n\d+k32\.f32\.e4m3\.e4m3",
}


def spec(hidden, intermediate, experts, top_k, block=(128, 128), dtype="bf16", **others):
    quantization = {"kind": "fp8_e4m3", "block": list(block), "activations": "fp8_e4m3"}
    return {
        "name": "codes",
        "hidden": hidden,
        "dtype": {"weights": dtype, "activation": dtype},
        "router": {"experts": experts, "top_k": top_k},
        "experts": {"intermediate": intermediate, "quantization": quantization, **others},
    }


class Fp8(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="moe-fp8-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def compile(self, layer, target, *extra):
        path = self.folder / "layer.json"
        path.write_text(json.dumps(layer))
        out = self.folder / "-".join([target, *extra]).replace("=", "-")
        made = command("moe-opt", path, "--emit=package", f"--target={target}", "-o", out, *extra)
        self.assertEqual(made.returncode, 0, f"{layer}\n{made.stdout}")
        return out

    def check(self, layer, tokens, archs=ARCHS, cpu=True):
        reference = self.compile(layer, "reference")
        packages = [(self.compile(layer, "cpu"), "")] if cpu else []
        packages += [(self.compile(layer, "sim", f"--gpu-arch={arch}"), arch) for arch in archs]
        for seed, count in enumerate(tokens, 1):
            for package, arch in packages:
                run = command(
                    "moe-run", package, "--tokens", str(count), "--random", str(seed),
                    "--against", reference, MOE_SIM_SEED=str(seed),
                    MOE_SIM_ARCH=arch or "sm_90a", MOE_SIM_MULTIPROCESSORS=str(seed),
                )  # fmt: skip
                self.assertEqual(run.returncode, 0, f"{layer}\n{package}, {count}\n{run.stdout}")

    def test_sizes(self):
        # Two blocks of the depth and half of one, more tiles than one, and experts without rows.
        self.check(spec(320, 160, 5, 2), (0, 1, 45))

    def test_many_rows(self):
        # Of one expert that has them all: tiles of 64 rows and of 128.
        self.check(spec(128, 256, 1, 1, form="mlp", bias=True), (30, 140), ("sm_90a",), cpu=False)

    def test_other_blocks(self):
        # A block for all outputs, one for each, and depths that no instruction takes.
        self.check(spec(256, 64, 3, 2, (0, 128), gate_up="concatenated"), (7,), ("sm_90a",))
        self.check(spec(64, 96, 3, 2, (1, 32), "f32"), (7,), ("sm_90a",))
        self.check(spec(50, 36, 3, 2, (16, 24)), (7,), ("sm_80",))

    def test_shared_expert_and_weights_on_rows(self):
        layer = spec(128, 128, 4, 2)
        layer["router"]["weight_on"] = "input"
        layer["shared"] = {
            "intermediate": 64,
            "quantization": layer["experts"]["quantization"],
        }
        self.check(layer, (9,), ("sm_89", "sm_90a"))

    def test_codes(self):
        """Rows times one: every value of a row, rounded, to the bit."""
        depth, block, rows = 160, 64, 24
        quantization = {"kind": "fp8_e4m3", "block": [1, block], "activations": "fp8_e4m3"}
        path = self.folder / "rows.mlir"
        path.write_text(f"""module attributes {{moe.name = "rows"}} {{
func.func @forward(
    %x: tensor<?x{depth}xf32> {{moe.name = "x", moe.role = "input", moe.sizes = ["T"]}},
    %d: tensor<{depth}x{depth}xi8> {{moe.name = "d", moe.role = "input", moe.unsigned}},
    %s: tensor<{depth}x3xf32> {{moe.name = "s", moe.role = "input"}})
    -> (tensor<?x{depth}xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["T"]}}) {{
  %w = moe.decode %d, %s <kind = fp8_e4m3, outputs = 1, inputs = {block}>
      : (tensor<{depth}x{depth}xi8>, tensor<{depth}x3xf32>) -> tensor<{depth}x{depth}xf32>
  %y = moe.grouped_matmul %x as <kind = fp8_e4m3, block = {block}>, %w
      : (tensor<?x{depth}xf32>, tensor<{depth}x{depth}xf32>) -> tensor<?x{depth}xf32>
  return %y : tensor<?x{depth}xf32>
}}
}}
""")
        rng = np.random.default_rng(7)
        x = rng.standard_normal((rows, depth)) * 10.0 ** rng.integers(-20, 30, (rows, 1))
        x[0] = 0
        x[1, :64] = np.arange(64) / 4  # ties, and the largest code
        x[2] = 2.0**-142  # whose scale rounds to 0
        x = x.astype(np.float32)
        given = {
            "d": np.where(np.eye(depth), 0x38, 0).astype(np.uint8),
            "s": np.ones((depth, 3), np.float32),
        }
        expected = round_rows(quantization, x).astype(np.float32)
        bad = x.copy()
        bad[3, 70], bad[4, 0] = np.nan, np.inf
        # A block that is not a number makes all sums of its row so.
        numbers = np.delete(np.arange(rows), [3, 4])
        for target in ("reference", "cpu", "sim"):
            layer = moe_mlir.compile(path, target).layer()
            with self.subTest(target):
                got = layer.run("forward", x=x, **given)
                self.assertTrue(np.array_equal(got, expected))
                got = layer.run("forward", x=bad, **given)
                self.assertTrue(np.isnan(got[[3, 4]]).all())
                self.assertTrue(np.array_equal(got[numbers], expected[numbers]))

    def test_instructions(self):
        path = self.folder / "layer.json"
        path.write_text(json.dumps(spec(256, 256, 4, 2)))
        for arch, product in PRODUCTS.items():
            with self.subTest(arch):
                ptx = self.folder / f"{arch}.ptx"
                made = command("moe-opt", path, "--target=cuda", f"--gpu-arch={arch}",
                               "--emit=ptx", "-o", ptx)  # fmt: skip
                self.assertEqual(made.returncode, 0, made.stdout)
                self.assertTrue(re.search(product, ptx.read_text()))
                if not shutil.which("ptxas"):
                    continue
                made = command("ptxas", "-v", f"-arch={arch}", ptx, "-o", self.folder / "cubin")
                self.assertEqual(made.returncode, 0, made.stdout)
                self.assertNotRegex(made.stdout, r"[1-9]\d* bytes (spill|stack)")
                self.assertNotRegex(made.stdout, "(?i)wgmma.*serial|setmaxnreg.*ignored")


if __name__ == "__main__":
    unittest.main()
