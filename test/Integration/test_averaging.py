"""Section 7 of docs/Spec.md, to the bit: quantize, dequantize, accumulate and average.

The expected values are those of test/Oracle/quantisation.py.
"""

import sys
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "test" / "Oracle")]

import moe_mlir
import quantisation
from moe_mlir import Error, Status

TARGETS = ("cpu", "reference")
FORMATS = [
    (kind, block)
    for kind in ("blockwise_int8", "fp8_e4m3", "fp8_e5m2")
    for block in (1, 2, 31, 32, 64)
] + [("mxfp4", 32)]
SIZES = (0, 1, 31, 32, 33, 1001)
MAX = np.finfo(np.float32).max
SMALLEST = np.float32(2.0**-149)


def compiled(target, functions, kind="blockwise_int8", block=64):
    spec = {
        "hidden": 1,
        "router": {"experts": 1, "top_k": 1},
        "experts": {"intermediate": 1},
        "averaging": {"compression": {"kind": kind, "block": block}},
        "functions": functions,
    }
    return moe_mlir.compile(spec, target=target).layer()


def layers(*arguments):
    return {target: compiled(target, *arguments) for target in TARGETS}


def some_values(n, seed):
    """40 orders of magnitude and more, zeros of both signs, denormals and the largest."""
    rng = np.random.default_rng(seed)
    # Neighbours are of one magnitude, give or take, so that blocks are not all zeros but one.
    scale = np.repeat(rng.uniform(-45, 38, n // 50 + 1), 50)[:n] + rng.uniform(-3, 0.5, n)
    with np.errstate(over="ignore", under="ignore"):
        values = (rng.choice([-1.0, 1.0], n) * 10.0 ** np.clip(scale, -46, 38)).astype(np.float32)
    values = np.clip(values, -MAX, MAX)
    for special in (0.0, -0.0, SMALLEST, -SMALLEST, 2.0**-126, -(2.0**-127)):
        values[rng.random(n) < 0.01] = special
    if n > 900:
        values[100:300] = 0  # whole blocks of nothing
        values[300:500] = -0.0
        values[500:564] = rng.integers(-200, 201, 64) * SMALLEST
        values[564:600:5], values[565:600:5] = MAX, -MAX
        ties = np.concatenate([np.arange(-127, 128) / 2, np.arange(-12, 13) / 8])
        values[600 : 600 + len(ties)] = ties  # half ways between codes
    return values


def run(layer, function, inputs, outputs):
    """Like `layer.run`, into arrays that are there even if it fails. The status or None."""
    from moe_mlir import _arguments, _tensors

    given, wanted = (
        _arguments.pointers([_tensors.as_tensor(array, "f32") for array in arrays])
        for arrays in (inputs, outputs)
    )
    try:
        layer._runtime.moe_layer_run(layer._handle, function.encode(), given, wanted)
    except Error as error:
        return error
    return None


class Quantisation(unittest.TestCase):
    def same(self, got, expected, where):
        expected = expected.astype(got.dtype) if got.dtype != expected.dtype else expected
        self.assertEqual(got.shape, expected.shape, where)
        bits = lambda a: np.ascontiguousarray(a).view(f"u{a.dtype.itemsize}")
        wrong = np.flatnonzero(bits(got) != bits(expected))
        if len(wrong):
            i = wrong[0]
            self.fail(f"{where}: {len(wrong)} differ, first [{i}]: {got[i]!r} != {expected[i]!r}")

    def check(self, layer, kind, block, values, where):
        data, scales, status = quantisation.quantize(kind, block, values)
        data, n = data.view(np.int8 if kind == "blockwise_int8" else np.uint8), len(values)
        if kind == "mxfp4":
            scales = scales.view(np.uint8)
        got_data, got_scales = np.full_like(data, 77), np.full_like(scales, 77)
        error = run(layer, "quantize", [values], [got_data, got_scales])
        if status:
            self.assertIsNotNone(error, where)
            self.assertEqual(error.status, Status.NOT_FINITE, where)
            message = f"NOT_FINITE: function 'quantize': element {status - 1} is not finite"
            self.assertEqual(str(error), message, where)
        else:
            self.assertIsNone(error, where)
        self.assertEqual(int(layer.get("status")), status, where)
        self.same(got_data, data, f"{where}: data")
        self.same(got_scales, scales, f"{where}: scales")
        back = np.full(n, 77, np.float32)
        self.assertIsNone(run(layer, "dequantize", [got_data, got_scales], [back]), where)
        unsigned = data if kind == "blockwise_int8" else data.view(np.uint8)
        exponents = scales.view(np.uint8) if kind == "mxfp4" else scales
        with np.errstate(over="ignore"):  # the largest value may come back as infinity
            expected = quantisation.dequantize(kind, block, unsigned, exponents, n)
        self.same(back, expected, f"{where}: values")

    def test_all_formats(self):
        for number, (kind, block) in enumerate(FORMATS):
            compiled_for = layers(["quantize", "dequantize"], kind, block)
            large = 10007 if block < 31 else 100001  # the oracle goes block by block
            for n in (*SIZES, large):
                values = some_values(n, 1000 * number + n)
                for target, layer in compiled_for.items():
                    self.check(layer, kind, block, values, f"{target} {kind} {block} n={n}")

    def test_simulated_device(self):
        """Blocks that the lanes of a warp share, and such that a thread has by itself."""
        for kind, block in (
            ("blockwise_int8", 33),
            ("fp8_e4m3", 2),
            ("fp8_e5m2", 64),
            ("mxfp4", 32),
        ):
            layer = compiled("sim", ["quantize", "dequantize"], kind, block)
            for n in SIZES:
                self.check(layer, kind, block, some_values(n, n), f"sim {kind} {block} n={n}")
            values = some_values(101, 7)
            values[64] = np.inf
            self.check(layer, kind, block, values, f"sim {kind} {block} not finite")

    def test_every_code(self):
        """Values that are codes already come back as they were."""
        for kind, (table, _) in quantisation.FP8.items():
            codes = np.flatnonzero(np.isfinite(table)).astype(np.uint8)
            values = table[codes].astype(np.float32)
            for target, layer in layers(["quantize", "dequantize"], kind, 256).items():
                packed = layer.run("quantize", values=values)
                self.same(packed["data"].view(np.uint8), codes, f"{target} {kind}")
                self.assertEqual(packed["scales"].tolist(), [1.0])
                back = layer.run("dequantize", **packed)
                self.same(back, values, f"{target} {kind}")

    def test_not_finite(self):
        formats = (("blockwise_int8", 31), ("fp8_e4m3", 2), ("fp8_e5m2", 64), ("mxfp4", 32))
        for kind, block in formats:
            for target, layer in layers(["quantize", "dequantize"], kind, block).items():
                for first, special in ((0, np.nan), (31, np.inf), (64, -np.inf), (100, np.nan)):
                    values = some_values(101, first)
                    values[first] = special
                    values[100] = np.nan
                    where = f"{target} {kind} {special} at {first}"
                    self.check(layer, kind, block, values, where)
                everything = np.full(65, np.nan, np.float32)
                self.check(layer, kind, block, everything, f"{target} {kind} all NaN")

    def test_bound_of_int8(self):
        """No error is above half a step: |e| <= absmax / 254, but for rounding in f32.

        The scale, the quotient and the product are each rounded. Relative to half a step of 254
        to absmax that is 3 * 254 * 2^-24 < 2^-14.
        """
        rng = np.random.default_rng(5)
        n, block = 10**6, 64
        magnitudes = np.repeat(10.0 ** rng.uniform(-30, 30, n // block), block)
        values = (rng.uniform(-1, 1, n) * magnitudes).astype(np.float32)
        largest = np.abs(values.astype(np.float64)).reshape(-1, block).max(axis=1)
        bound = np.repeat(largest / 254, block)
        for target, layer in layers(["quantize", "dequantize"], "blockwise_int8", block).items():
            packed = layer.run("quantize", values=values)
            back = layer.run("dequantize", **packed)
            error = np.abs(back.astype(np.float64) - values) / bound
            self.assertLessEqual(error.max(), 1 + 2.0**-14, target)
            # In exact arithmetic on the same codes only scale and quotient are rounded.
            exact = packed["data"] * np.repeat(packed["scales"].astype(np.float64), block)
            self.assertLessEqual((np.abs(exact - values) / bound).max(), 1 + 2.0**-15, target)
            self.assertGreater(error.max(), 0.999, target)


class Sums(unittest.TestCase):
    def bits(self, array):
        return np.ascontiguousarray(array).view(np.uint32)

    def test_average(self):
        compiled_for = layers(["average"])
        for m in range(1, 6):
            for n in (*SIZES, 100001):
                sets = np.stack([some_values(n, 10 * n + i) for i in range(m)])
                expected, _ = quantisation.average(sets)
                for target, layer in compiled_for.items():
                    mean = layer.run("average", sets=sets)
                    np.testing.assert_array_equal(
                        self.bits(mean), self.bits(expected), f"{target} m={m} n={n}"
                    )

    def test_average_is_of_the_sum_in_order(self):
        """2^60 + 1 - 2^60 is 0 in f64, not 1."""
        sets = np.array([[2.0**60], [1.0], [-(2.0**60)]], np.float32)
        for target, layer in layers(["average"]).items():
            self.assertEqual(layer.run("average", sets=sets).tolist(), [0.0], target)
            turned = layer.run("average", sets=sets[[0, 2, 1]])
            self.assertEqual(turned.tolist(), [np.float32(1 / 3)], target)

    def test_average_of_the_largest(self):
        sets = np.full((5, 3), MAX, np.float32)
        for target, layer in layers(["average"]).items():
            self.assertEqual(layer.run("average", sets=sets).tolist(), [MAX] * 3, target)

    def test_average_not_finite(self):
        for target, layer in layers(["average"]).items():
            for special in (np.nan, np.inf, -np.inf):
                sets = np.stack([some_values(101, i) for i in range(3)])
                sets[2, 40] = sets[0, 41] = special
                mean = np.zeros(101, np.float32)
                error = run(layer, "average", [sets], [mean])
                message = "NOT_FINITE: function 'average': element 40 is not finite"
                self.assertEqual(str(error), message, target)
                expected, _ = quantisation.average(sets)
                finite = np.isfinite(expected)
                np.testing.assert_array_equal(mean[finite], expected[finite], target)
                self.assertFalse(np.isfinite(mean[40:42]).any(), target)

    def test_accumulate(self):
        compiled_for = layers(["accumulate"])
        for n in (*SIZES, 100001):
            total, values = some_values(n, n + 1), some_values(n, n + 2)
            with np.errstate(over="ignore"):
                expected = quantisation.accumulate(total, values)
            for target, layer in compiled_for.items():
                result = layer.run("accumulate", sum=total, values=values)
                np.testing.assert_array_equal(
                    self.bits(result), self.bits(expected), f"{target} n={n}"
                )

    def test_accumulate_many(self):
        """Four sums in a row, each rounded to f32."""
        for target, layer in layers(["accumulate"]).items():
            total = expected = some_values(1001, 1)
            for seed in range(2, 6):
                values = some_values(1001, seed)
                total = layer.run("accumulate", sum=total, values=values)
                with np.errstate(over="ignore", invalid="ignore"):
                    expected = quantisation.accumulate(expected, values)
            np.testing.assert_array_equal(total, expected, target)

    def test_simulated_device(self):
        layer = compiled("sim", ["average", "accumulate"])
        for n in SIZES:
            sets = np.stack([some_values(n, 10 * n + i) for i in range(3)])
            expected, _ = quantisation.average(sets)
            mean = layer.run("average", sets=sets)
            np.testing.assert_array_equal(self.bits(mean), self.bits(expected), f"n={n}")
            with np.errstate(over="ignore"):
                expected = quantisation.accumulate(*sets[:2])
            total = layer.run("accumulate", sum=sets[0], values=sets[1])
            np.testing.assert_array_equal(self.bits(total), self.bits(expected), f"n={n}")
        sets = np.stack([some_values(101, i) for i in range(3)])
        sets[2, 40] = np.nan
        error = run(layer, "average", [sets], [np.zeros(101, np.float32)])
        message = "NOT_FINITE: function 'average': element 40 is not finite"
        self.assertEqual(str(error), message)


if __name__ == "__main__":
    unittest.main()
