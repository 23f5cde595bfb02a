"""Section 5.1 of docs/Spec.md, to the bit: every code of every format, alone and in a product.

The expected values are those of test/Oracle/weight_formats.py.
"""

import platform
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "test" / "Oracle")]

import moe_mlir
import oracle
import weight_formats

TARGETS = [("reference", "native"), ("cpu", "native")]
if platform.machine() == "x86_64":  # vectors of 8 lanes and of 4
    TARGETS += [("cpu", "x86-64-v3"), ("cpu", "x86-64")]
TYPES = {"u8": "i8", "i8": "i8", "f32": "f32"}
NUMPY = {"u8": np.uint8, "i8": np.int8, "f32": np.float32}
FLOATS = [2.0**-149, 2.0**-126, 0.75, 1.0, -3.0, 2.0**100, float.fromhex("0x1.fffffep127")]


class Case:
    """A weight [experts, outputs, inputs], or without experts if they are 0."""

    def __init__(self, kind, experts, outputs, inputs, block=None, zero_points=False):
        block = block or weight_formats.default_block(kind)
        self.quantization = {"kind": kind, "block": block, "zero_points": zero_points}
        self.shape = (*[experts] * (experts > 0), outputs, inputs)
        self.parts = weight_formats.parts("weight", self.shape, self.quantization)

    def text(self):
        return f"{self.quantization} {self.shape}"

    def arguments(self):
        """The parts as inputs of a function, and the decode of them."""
        declared, types, words = [], [], {"zeros": " zeros", "global_scale": " global"}
        use = ""
        for name, (shape, dtype) in self.parts.items():
            kind = "tensor<" + "".join(f"{size}x" for size in shape) + TYPES[dtype] + ">"
            flag = ", moe.unsigned" if dtype == "u8" else ""
            declared.append(f'%{name}: {kind} {{moe.name = "{name}", moe.role = "input"{flag}}}')
            types.append(kind)
            use += f"{words.get(name, ',')} %{name}"
        kind, (o, i) = self.quantization["kind"], self.quantization["block"]
        values = "tensor<" + "x".join(map(str, self.shape)) + "xf32>"
        decode = (
            f"%w = moe.decode {use.lstrip(', ')} <kind = {kind}, outputs = {o}, inputs = {i}>"
            f" : ({', '.join(types)}) -> {values}"
        )
        return ", ".join(declared), decode, values

    def fill(self, rng, without_nan):
        """Data with every code, in disorder; scales of all sizes, or such as keep sums exact."""
        values = {}
        for name, (shape, dtype) in self.parts.items():
            count = int(np.prod(shape))
            if dtype == "f32":
                some = [0.25, 1.0, -2.0, 0.5] if without_nan else FLOATS
                array = rng.choice(some, count)
            elif name == "scales" and without_nan:
                array = 120 + np.arange(count) % 5 if self.is_mx() else 0x30 + np.arange(count) % 16
            else:
                array = rng.permutation(np.arange(count) % 256)
            if without_nan and self.quantization["kind"] == "fp8_e4m3" and name == "weight":
                array[array % 128 == 127] = 0
            values[name] = array.astype(NUMPY[dtype]).reshape(shape)
        return values

    def is_mx(self):
        return self.quantization["kind"] == "mxfp4"

    def expected(self, values):
        data, *_ = values.values()
        names = ("scales", "zeros", "global_scale")
        others = {name: values.get(name) for name in names}
        with np.errstate(over="ignore", invalid="ignore"):
            return weight_formats.decode(self.quantization, data, **others).astype(np.float32)


CASES = [
    Case("fp8_e4m3", 2, 5, 131, [2, 40]),
    Case("fp8_e4m3", 0, 3, 260, [0, 0]),
    Case("fp8_e4m3", 0, 300, 7, [128, 3]),
    Case("int8", 2, 5, 131, [3, 33]),
    Case("int8", 0, 1, 300),
    Case("int8", 3, 100, 1, [1, 1]),
    Case("int4", 2, 5, 130, [1, 64]),
    Case("int4", 2, 5, 130, [2, 22], zero_points=True),
    Case("int4", 0, 7, 128, [0, 2], zero_points=True),
    Case("int4", 0, 256, 2, [1, 0]),
    Case("mxfp4", 2, 9, 96),
    Case("mxfp4", 0, 16, 32),
    Case("nvfp4", 2, 9, 112),
    Case("nvfp4", 0, 35, 16),
]


# Depths and blocks that matrix instructions of a GPU take.
STEPS = [
    Case("fp8_e4m3", 2, 9, 128, [2, 64]),
    Case("fp8_e4m3", 0, 70, 64, [0, 0]),
    Case("int8", 2, 5, 128, [3, 32]),
    Case("int4", 2, 9, 64, [1, 32], zero_points=True),
    Case("int4", 0, 7, 96, [2, 0]),
    Case("mxfp4", 2, 9, 96),
    Case("nvfp4", 2, 9, 64),
]


def module(case, rows="f32"):
    """The weight as a result, and its product with rows."""
    arguments, decode, values = case.arguments()
    *experts, outputs, inputs = case.shape
    x = f'%x: tensor<?x{inputs}x{rows}> {{moe.name = "x", moe.role = "input", moe.sizes = ["T"]}}'
    y = f'tensor<?x{outputs}xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["T"]}}'
    offsets, use, kind = "", "", ""
    if experts:
        kind = f", tensor<{experts[0] + 1}xi32>"
        offsets = f', %offsets: {kind[2:]} {{moe.name = "offsets", moe.role = "input"}}'
        use = " offsets %offsets"
    return f"""module attributes {{moe.name = "formats"}} {{
func.func @values({arguments})
    -> ({values} {{moe.name = "values", moe.role = "output"}}) {{
  {decode}
  return %w : {values}
}}
func.func @product({x}{offsets}, {arguments}) -> ({y}) {{
  {decode}
  %y = moe.grouped_matmul %x, %w{use}
      : (tensor<?x{inputs}x{rows}>, {values}{kind}) -> tensor<?x{outputs}xf32>
  return %y : tensor<?x{outputs}xf32>
}}
}}
"""


def same(got, expected):
    return np.array_equal(got, expected, equal_nan=True)


class WeightFormats(unittest.TestCase):
    def check(self, case, layer, where, dtype="f32"):
        rng = np.random.default_rng(5)
        values = case.fill(rng, without_nan=False)
        got, expected = layer.run("values", **values), case.expected(values)
        self.assertTrue(same(got, expected), where)

        values = case.fill(rng, without_nan=True)
        expected = case.expected(values)
        self.assertTrue(np.isfinite(expected).all())
        *experts, _, inputs = case.shape
        rows, extra = np.eye(inputs, dtype=np.float32), {}
        if experts:
            rows = np.tile(rows, (experts[0], 1))
            extra["offsets"] = np.arange(experts[0] + 1, dtype=np.int32) * inputs
        rows = oracle.to_storage(rows, dtype)
        got = layer.run("product", x=rows, **extra, **values)
        wanted = np.concatenate(list(np.swapaxes(expected.reshape(-1, *case.shape[-2:]), 1, 2)))
        self.assertTrue(same(got, wanted), f"{where}: product")

        # What is not a number makes every sum that it is in one, and no other.
        values = case.fill(rng, without_nan=False)
        for name in ("scales", "global_scale"):
            if name in values and values[name].dtype == np.float32:
                values[name][...] = 1
        bad = np.isnan(case.expected(values)).any(axis=-1)
        got = layer.run("product", x=rows, **extra, **values)
        got = np.isnan(got.reshape(bad.size // bad.shape[-1], inputs, -1)).all(axis=1)
        self.assertTrue(same(got, bad.reshape(got.shape)), f"{where}: NaN")

    def test_all_codes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "formats.mlir"
            for case in CASES:
                path.write_text(module(case))
                for target, cpu in TARGETS:
                    # Small floats pass through f16, which the baseline cannot convert.
                    if cpu == "x86-64" and not case.quantization["kind"].startswith("int"):
                        continue
                    where = f"{case.text()} on {target} {cpu}"
                    with self.subTest(where):
                        self.check(case, moe_mlir.compile(path, target, cpu=cpu).layer(), where)

    def test_matrix_instructions(self):
        """On a simulated device, where bf16 and f16 hold what codes stand for."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "formats.mlir"
            for case in STEPS:
                for dtype in ("bf16", "f16"):
                    path.write_text(module(case, dtype))
                    where = f"{case.text()} times {dtype}"
                    with self.subTest(where):
                        layer = moe_mlir.compile(path, "sim").layer()
                        self.check(case, layer, where, dtype)


if __name__ == "__main__":
    unittest.main()
