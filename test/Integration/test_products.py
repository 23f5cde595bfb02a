"""Products that gradients need, and those of f32 as tf32: what packages of the dialect's own
operations compute, on the CPU, the reference and simulated GPUs, is compared with numpy in f64.
"""

import tempfile
import unittest
from pathlib import Path

import numpy as np

from command import command

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

# What a package is compiled for, and what is run of it: a device, and its architecture.
PACKAGES = {
    "reference": (["--target=reference"], [("cpu", "")]),
    "either": (["--target=cpu,sim", "--gpu-arch=sm_80"], [("cpu", ""), ("sim", "sm_80")]),
    "newer": (["--target=sim", "--gpu-arch=sm_90a"], [("sim", "sm_90a")]),
    "narrow": (["--target=cpu", "--cpu=x86-64-v3"], [("cpu", "")]),
}


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
    def check(self, m, o, rows, kind="f32", tf32=False, packages=("reference", "either")):
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
        text = PROGRAM.format(m=m, o=o, e=experts, e1=experts + 1, t=kind,
                              option=", tf32" if tf32 else "",
                              braced=" {tf32}" if tf32 else "")  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="moe-products-") as scratch:
            scratch = Path(scratch)
            (scratch / "products.mlir").write_text(text)
            np.save(scratch / "offsets.npy", offsets)
            for name, value in inputs.items():
                save(scratch / f"{name}.npy", value, kind)
            for package in packages:
                target, devices = PACKAGES[package]
                made = command("moe-opt", scratch / "products.mlir", "--emit=package",
                               *target, "-o", scratch / package)  # fmt: skip
                self.assertEqual(made.returncode, 0, made.stdout)
                for device, arch in devices:
                    # Matrix instructions take lines of 16 bytes.
                    rounds = tf32 and arch and m % 4 == o % 4 == 0
                    seen = {
                        name: (rounded(value, 10) if rounds else value).astype(np.float64)
                        for name, value in inputs.items()
                    }
                    for function in ("back", "outer") + ("ahead",) * tf32:
                        found = self.run_function(
                            scratch, package, device, arch, function, count + spare
                        )
                        self.compare(found, seen, offsets, function, f"{package}, {device} {arch}")

    def compare(self, found, seen, offsets, function, where):
        for expert, (begin, end) in enumerate(zip(offsets, offsets[1:])):
            x, y = seen["x"][begin:end], seen["y"][begin:end]
            if function == "outer":
                ours, theirs, depth = found[expert], x.T @ y, end - begin
            elif function == "back":
                ours, theirs, depth = found[begin:end], x @ seen["back"][expert], x.shape[1]
            else:
                ours, theirs, depth = found[begin:end], x @ seen["ahead"][expert].T, x.shape[1]
            error = np.linalg.norm(ours - theirs)
            bound = 2e-7 * np.sqrt(max(depth, 1)) * np.linalg.norm(theirs)
            self.assertLessEqual(error, bound, f"{where}, {function}, expert {expert}")

    def run_function(self, scratch, package, device, arch, function, rows):
        """Its result, which has the same bits on any number of threads and with any seed."""
        result = scratch / "result.npy"
        sets = {"x": "x", "offsets": "offsets"}
        sets.update({"y": "y"} if function == "outer" else {"w": function})
        bits = set()
        for seed in ("1", "2"):
            run = command(
                "moe-run", scratch / package, "--function", function, "--size", f"R={rows}",
                *[w for n, f in sets.items() for w in ("--set", f"{n}={scratch}/{f}.npy")],
                "--output", result, "--threads", seed, "--device", device,
                MOE_SIM_ARCH=arch, MOE_SIM_SEED=seed,
            )  # fmt: skip
            self.assertEqual(run.returncode, 0, f"{device} {arch}, {function}\n{run.stdout}")
            found = np.load(result)
            kept = found if function == "outer" else found[: rows - 3]
            bits.add(kept.tobytes())
        self.assertEqual(len(bits), 1, f"{device} {arch}, {function}")
        return found.astype(np.float64)

    def test_parts_of_tiles(self):
        self.check(40, 72, [1, 33, 0, 64], "bf16", packages=PACKAGES)

    def test_odd_sizes(self):
        self.check(37, 51, [9, 0, 70], "bf16")

    def test_f32(self):
        self.check(48, 65, [3, 17, 0], packages=PACKAGES)

    def test_no_rows(self):
        self.check(16, 24, [0, 0, 0], "f16", packages=PACKAGES)

    def test_one_expert_has_all(self):
        self.check(136, 24, [0, 150, 0], "f16")

    def test_tf32(self):
        self.check(36, 68, [1, 80, 0], tf32=True, packages=("either", "newer"))

    def test_tf32_of_odd_sizes(self):
        self.check(13, 7, [4, 0], tf32=True, packages=["either"])


if __name__ == "__main__":
    unittest.main()
