"""Products that gradients need, and those of f32 as tf32: what packages of the dialect's own
operations compute, on the CPU, the reference and simulated GPUs, is compared with numpy in f64.
"""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np

# x [R, M] times w [E, M, O], and for each expert x' y of its rows.
PROGRAM = """
module attributes {{moe.name = "products"}} {{
  func.func @back(%x: tensor<?x{m}x{t}> {{moe.name = "x", moe.role = "input", moe.sizes = ["R"]}},
                  %w: tensor<{e}x{m}x{o}x{t}> {{moe.name = "w", moe.role = "input"}},
                  %offsets: tensor<{e1}xi32> {{moe.name = "offsets", moe.role = "input"}})
      -> (tensor<?x{o}xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["R"]}}) {{
    %y = moe.grouped_matmul %x, %w offsets %offsets {{transposed{option}}}
        : (tensor<?x{m}x{t}>, tensor<{e}x{m}x{o}x{t}>, tensor<{e1}xi32>) -> tensor<?x{o}xf32>
    return %y : tensor<?x{o}xf32>
  }}
  func.func @outer(%x: tensor<?x{m}x{t}> {{moe.name = "x", moe.role = "input", moe.sizes = ["R"]}},
                   %y: tensor<?x{o}x{t}> {{moe.name = "y", moe.role = "input", moe.sizes = ["R"]}},
                   %offsets: tensor<{e1}xi32> {{moe.name = "offsets", moe.role = "input"}})
      -> (tensor<{e}x{m}x{o}xf32> {{moe.name = "sums", moe.role = "output"}}) {{
    %s = moe.grouped_outer %x, %y offsets %offsets{braced}
        : (tensor<?x{m}x{t}>, tensor<?x{o}x{t}>, tensor<{e1}xi32>) -> tensor<{e}x{m}x{o}xf32>
    return %s : tensor<{e}x{m}x{o}xf32>
  }}
  func.func @ahead(%x: tensor<?x{m}x{t}> {{moe.name = "x", moe.role = "input", moe.sizes = ["R"]}},
                   %w: tensor<{e}x{o}x{m}x{t}> {{moe.name = "w", moe.role = "input"}},
                   %offsets: tensor<{e1}xi32> {{moe.name = "offsets", moe.role = "input"}})
      -> (tensor<?x{o}xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["R"]}}) {{
    %y = moe.grouped_matmul %x, %w offsets %offsets{braced}
        : (tensor<?x{m}x{t}>, tensor<{e}x{o}x{m}x{t}>, tensor<{e1}xi32>) -> tensor<?x{o}xf32>
    return %y : tensor<?x{o}xf32>
  }}
}}
"""

TARGETS = {
    "reference": ["--target=reference"],
    "cpu": ["--target=cpu"],
    "narrow": ["--target=cpu", "--cpu=x86-64-v3"],
    "sm_80": ["--target=sim", "--gpu-arch=sm_80"],
    "sm_90a": ["--target=sim", "--gpu-arch=sm_90a"],
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


def rounded(values, kept):
    """Values of f32 with so many bits of mantissa, halves away from zero, as cvt.rna does."""
    bits = values.astype(np.float32).view(np.uint32)
    half, mask = np.uint32(1 << (22 - kept)), np.uint32(0xFFFFFFFF << (23 - kept) & 0xFFFFFFFF)
    return ((bits + half) & mask).view(np.float32)


def save(path, values, kind):
    if kind == "bf16":
        values = (values.view(np.uint32) >> 16).astype(np.uint16).view("V2")
    elif kind == "f16":
        values = values.astype(np.float16)
    np.save(path, values)


class Products(unittest.TestCase):
    def check(self, m, o, rows, kind="f32", tf32=False, targets=tuple(TARGETS)):
        """Of so many rows for each expert, and some more that are nobody's."""
        rng = np.random.default_rng(m * 1000 + o + sum(rows))
        offsets = np.cumsum([0, *rows]).astype(np.int32)
        count, spare, experts = int(offsets[-1]), 3, len(rows)
        kept = {"f32": 23, "bf16": 7, "f16": 10}[kind]

        def values(*shape):
            drawn = rng.standard_normal(shape).astype(np.float32)
            return drawn if kept == 23 else rounded(drawn, kept)

        inputs = {
            "x": values(count + spare, m), "y": values(count + spare, o),
            "back": values(experts, m, o), "ahead": values(experts, o, m),
        }  # fmt: skip
        for name in ("x", "y"):
            inputs[name][count:] = np.nan  # not to be read
        seen = {name: value.astype(np.float64) for name, value in inputs.items()}
        as_tf32 = {n: rounded(v, 10).astype(np.float64) for n, v in inputs.items()}
        option = "tf32" if tf32 else ""
        text = PROGRAM.format(m=m, o=o, e=experts, e1=experts + 1, t=kind,
                              option=tf32 and ", tf32" or "",
                              braced=option and f" {{{option}}}")  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="moe-products-") as scratch:
            scratch = Path(scratch)
            (scratch / "products.mlir").write_text(text)
            np.save(scratch / "offsets.npy", offsets)
            for name, value in inputs.items():
                save(scratch / f"{name}.npy", value, kind)
            for target in targets:
                made = command("moe-opt", scratch / "products.mlir", "--emit=package",
                               *TARGETS[target], "-o", scratch / target)  # fmt: skip
                self.assertEqual(made.returncode, 0, made.stdout)
                gpu = target.startswith("sm_")
                exact = as_tf32 if tf32 and gpu else seen
                for function in ("back", "outer", "ahead"):
                    found = self.run_function(scratch, target, function, count + spare)
                    for expert, size in enumerate(rows):
                        own = slice(offsets[expert], offsets[expert] + size)
                        x, y = exact["x"][own], exact["y"][own]
                        if function == "outer":
                            ours, theirs, depth = found[expert], x.T @ y, size
                        elif function == "back":
                            ours, theirs, depth = found[own], x @ exact["back"][expert], m
                        else:
                            ours, theirs, depth = found[own], x @ exact["ahead"][expert].T, m
                        error = np.linalg.norm(ours - theirs)
                        bound = 2e-7 * np.sqrt(max(depth, 1)) * np.linalg.norm(theirs)
                        self.assertLessEqual(error, bound, f"{target}, {function}, {expert}")

    def run_function(self, scratch, target, function, rows):
        """Its result, of which every number of threads and every seed gives the same bits."""
        result = scratch / "result.npy"
        sets = ["x=x.npy", "offsets=offsets.npy"]
        sets.append("y=y.npy" if function == "outer" else f"w={function}.npy")
        bits = set()
        for seed in ("1", "2"):
            arch = target if target.startswith("sm_") else ""
            run = command(
                "moe-run", scratch / target, "--function", function, "--size", f"R={rows}",
                *[word for each in sets for word in ("--set", each.replace("=", f"={scratch}/"))],
                "--output", result, "--threads", seed,
                MOE_SIM_ARCH=arch, MOE_SIM_SEED=seed,
            )  # fmt: skip
            self.assertEqual(run.returncode, 0, f"{target}, {function}\n{run.stdout}")
            found = np.load(result)
            kept = found if function == "outer" else found[: rows - 3]
            bits.add(kept.tobytes())
        self.assertEqual(len(bits), 1, f"{target}, {function}")
        return found.astype(np.float64)

    def test_whole_tiles(self):
        self.check(64, 64, [64, 0, 128], "bf16")

    def test_parts_of_tiles(self):
        self.check(40, 72, [1, 33, 0, 70], "bf16")

    def test_f16(self):
        self.check(72, 24, [5, 66], "f16")

    def test_odd_sizes(self):
        self.check(37, 51, [9, 0, 2, 70], "bf16")

    def test_f32(self):
        self.check(48, 65, [3, 17, 0])

    def test_no_rows(self):
        self.check(16, 24, [0, 0, 0], "bf16")

    def test_one_expert_has_all(self):
        self.check(136, 24, [0, 150, 0], "bf16")

    def test_tf32(self):
        self.check(36, 68, [1, 80, 0, 20], tf32=True)

    def test_tf32_of_odd_sizes(self):
        self.check(13, 7, [4, 0], tf32=True)


if __name__ == "__main__":
    unittest.main()
