"""Rows that are exchanged in fewer bytes: moe.pack_rows to the bit, and what ranks send."""

import itertools
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "Oracle")]

import quantisation

TARGETS = ("x86-64-v3", "native", "reference")
# And blocks.
WIDTHS = [(1, 4), (5, 128), (33, 32), (49, 128), (200, 64), (256, 128)]
KINDS = {"int8": "blockwise_int8", "fp8_e4m3": "fp8_e4m3"}
MAX = np.finfo(np.float32).max

PROGRAM = """
module attributes {{moe.name = "pack"}} {{
  func.func @forward(
      %x: tensor<?x{width}xf32> {{moe.name = "x", moe.role = "input", moe.sizes = ["T"]}},
      %n: tensor<2xi32> {{moe.name = "n", moe.role = "input"}})
      -> (tensor<?x{bytes}x{element}>
            {{moe.name = "packed", moe.role = "output", moe.sizes = ["T"]}},
          tensor<?x{width}xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["T"]}}) {{
    %packed = moe.pack_rows %x {format}
        : (tensor<?x{width}xf32>) -> tensor<?x{bytes}x{element}>
    %y = moe.unpack_rows %packed counts %n {format}
        : (tensor<?x{bytes}x{element}>, tensor<2xi32>) -> tensor<?x{width}xf32>
    return %packed, %y : tensor<?x{bytes}x{element}>, tensor<?x{width}xf32>
  }}
}}
"""  # noqa: E501


def row_bytes(width, block):
    return width + 4 * -(-width // block)


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stderr or done.stdout}")
    return done.stdout


class Packages:
    """One for each width and format, compiled when it is first asked for."""

    def __init__(self, folder):
        self.folder, self.made = folder, {}

    def get(self, target, width, format, bytes, element):
        key = (target, width, format)
        if key not in self.made:
            place = self.made[key] = self.folder / str(len(self.made))
            text = PROGRAM.format(width=width, format=format, bytes=bytes, element=element)
            (self.folder / "pack.mlir").write_text(text)
            chosen = "--target=reference" if target == "reference" else f"--cpu={target}"
            run("moe-opt", self.folder / "pack.mlir", chosen, "--emit=package", "-o", place)
        return self.made[key]

    def round_trip(self, target, x, format, bytes, element, counts=None):
        """packed and y of the rows of x."""
        package = self.get(target, x.shape[1], format, bytes, element)
        place = lambda name: self.folder / f"{name}.npy"  # noqa: E731
        np.save(place("x"), x)
        np.save(place("n"), np.array([len(x), 0] if counts is None else counts, np.int32))
        command = ["moe-run", package, "--size", f"T={len(x)}"]
        for flag, names in (("--set", "xn"), ("--get", ("packed", "y"))):
            for name in names:
                command += [flag, f"{name}={place(name)}"]
        run(*command)
        return np.load(place("packed")), np.load(place("y"))


def some_rows(width):
    """Of all magnitudes, with blocks of nothing, ties, denormals and the largest."""
    rng = np.random.default_rng(width)
    rows = rng.normal(size=(24, width)) * 10.0 ** rng.integers(-30, 30, (24, 1))
    rows[1] = 0
    rows[2] = -0.0
    rows[3] = rng.integers(-254, 255, width) / 2
    rows[4] = rng.integers(-200, 201, width) * 2.0**-149
    rows[5, 0] = MAX
    rows[6] = rng.choice([-MAX, MAX], width)
    return rows.astype(np.float32)


class Packing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.packages = Packages(Path(folder.name))

    def each(self, check):
        for target, kind, (width, block) in itertools.product(TARGETS, KINDS, WIDTHS):
            with self.subTest(target=target, kind=kind, width=width, block=block):
                check(target, kind, width, block)

    def trip(self, target, kind, block, x, counts=None):
        width = x.shape[1]
        format = f"as <kind = {kind}, block = {block}>"
        bytes = row_bytes(width, block)
        packed, y = self.packages.round_trip(target, x, format, bytes, "i8", counts)
        scales = np.ascontiguousarray(packed[:, width:]).view(np.float32)
        return packed[:, :width], scales, y

    def test_bytes_are_those_of_the_format(self):
        def check(target, kind, width, block):
            x = some_rows(width)
            data, scales, y = self.trip(target, kind, block, x)
            for row in range(len(x)):
                want, want_scales, _ = quantisation.quantize(KINDS[kind], block, x[row])
                np.testing.assert_array_equal(data[row].view(np.uint8), want.view(np.uint8))
                np.testing.assert_array_equal(scales[row], want_scales)
                with np.errstate(over="ignore"):
                    back = quantisation.dequantize(KINDS[kind], block, want, want_scales, width)
                np.testing.assert_array_equal(y[row], back)

        self.each(check)

    def test_errors_are_bounded(self):
        def check(target, kind, width, block):
            x = some_rows(width)
            # Scales that are not denormal, and whose largest value is not infinity.
            largest = np.abs(x).max(axis=1)
            normal = (largest > 1e-30) & (largest < MAX)
            _, _, y = self.trip(target, kind, block, x)
            for first in range(0, width, block):
                v = x[normal, first : first + block].astype(np.float64)
                error = np.abs(y[normal, first : first + block] - v)
                most = np.abs(v).max(axis=1, keepdims=True) * (1 + 2.0**-20)
                if kind == "int8":
                    self.assertTrue((error <= most / 254).all())
                else:
                    near = most / 448 / 1024
                    self.assertTrue((error <= np.maximum(np.abs(v) / 16, near) * 1.000001).all())

        self.each(check)

    def test_what_is_not_finite_makes_its_block_nan(self):
        def check(target, kind, width, block):
            x = np.ones((3, width), np.float32)
            x[0, 0], x[1, 0], x[2, width - 1] = np.inf, np.nan, -np.inf
            _, _, y = self.trip(target, kind, block, x)
            last = (width - 1) // block * block
            self.assertTrue(np.isnan(y[:2, : min(block, width)]).all())
            self.assertTrue(np.isnan(y[2, last:]).all())
            np.testing.assert_array_equal(y[:2, block:], x[:2, block:])
            np.testing.assert_array_equal(y[2, :last], x[2, :last])

        self.each(check)

    def test_rows_that_count(self):
        """Others are not touched: an output begins as zeros."""
        x = some_rows(33)
        for target in TARGETS:
            for counts in ([2, 3], [0, 0], [24, 0], [20, 20]):
                count = min(sum(counts), len(x))
                _, _, y = self.trip(target, "int8", 32, x, counts)
                _, _, whole = self.trip(target, "int8", 32, x)
                np.testing.assert_array_equal(y[:count], whole[:count])
                np.testing.assert_array_equal(y[count:], 0)

    def test_bf16(self):
        x = some_rows(33)
        x[6] = 1
        x[5, 0] = 3.0
        for target in TARGETS:
            packed, y = self.packages.round_trip(target, x, "", 33, "bf16")
            self.assertEqual(packed.dtype.itemsize, 2)
            v = x[np.abs(x).max(axis=1) > 1e-30].astype(np.float64)
            error = np.abs(y[np.abs(x).max(axis=1) > 1e-30] - v)
            self.assertTrue((error <= np.abs(v) * 2.0**-8).all())
            self.assertTrue((error > 0).any())


class Bytes(unittest.TestCase):
    SPEC = {
        "hidden": 200,
        "router": {"experts": 6, "top_k": 2},
        "experts": {"intermediate": 16},
    }

    def test_bytes_of_ranks(self):
        """Both exchanges send a row for each slot whose expert is elsewhere."""
        ranks, tokens = 3, 41
        widths = {"none": 800, "bf16": 400, "int8": 208, "fp8_e4m3": 200 + 4 * 4}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            sent = {}
            for wire in widths:
                parallel = {"grid": {"ep": ranks}, "wire": wire}
                if wire == "fp8_e4m3":
                    parallel["wire_block"] = 64
                (folder / "spec.json").write_text(json.dumps({**self.SPEC, "parallel": parallel}))
                run("moe-opt", folder / "spec.json", "--emit=package", "-o", folder / wire)
                report = json.loads(
                    run("moe-run", folder / wire, "--ranks", ranks, "--tokens", tokens, "--json",
                        "--get", f"indices={folder / 'indices.npy'}")
                )  # fmt: skip
                sent[wire] = sum(report["ranks"]["sent_bytes"])
            experts = np.load(folder / "indices.npy")
        home = np.repeat(np.arange(ranks), np.diff(np.arange(ranks + 1) * tokens // ranks))
        moved = int((experts // 2 != home[:, None]).sum())
        self.assertGreater(moved, 10)
        for wire, width in widths.items():
            self.assertEqual(sent["none"] - sent[wire], 2 * moved * (800 - width), wire)


if __name__ == "__main__":
    unittest.main()
