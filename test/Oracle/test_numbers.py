"""Numbers, formulas and weight formats by hand, and what numpy and torch say."""

import math
import unittest

import numpy as np

import oracle
import weight_formats
from cases import make_spec, random_weights

try:
    import torch
except ImportError:
    torch = None


class WeightFormats(unittest.TestCase):
    def decode(self, kind, data, scales, block=None, **others):
        block = block or weight_formats.default_block(kind)
        quantization = {"kind": kind, "block": block}
        return weight_formats.decode(quantization, np.array(data), np.array(scales), **others)

    def test_by_hand(self):
        # 1.0 and -1.125 in e4m3; the largest and the smallest
        got = self.decode("fp8_e4m3", [[0x38, 0xB9], [0x7E, 0x01]], [[2.0], [1.0]])
        np.testing.assert_array_equal(got, [[2.0, -2.25], [448.0, 2.0**-9]])
        got = self.decode("int8", [[-128, 127, 3]], [[0.5, 2.0]], [0, 2])
        np.testing.assert_array_equal(got, [[-64.0, 63.5, 6.0]])
        got = self.decode("int4", [[0xF0, 0x8A]], [[1.0, 0.5]], [1, 2])
        np.testing.assert_array_equal(got, [[-8.0, 7.0, 1.0, 0.0]])
        zeros = np.array([[1, 200]])
        got = self.decode("int4", [[0xF0, 0x8A]], [[1.0, 0.5]], [1, 2], zeros=zeros)
        np.testing.assert_array_equal(got, [[-1.0, 14.0, -95.0, -96.0]])
        got = self.decode("mxfp4", [[0xF1] * 16 + [0x52] * 16], [[128, 126]])
        np.testing.assert_array_equal(got[0, [0, 1, 32, 33]], [1.0, -12.0, 0.5, 1.5])
        got = self.decode("nvfp4", [[[0x24] * 8]], [[[0x40]]], global_scale=np.array([0.25]))
        np.testing.assert_array_equal(got[0, 0, :2], [1.0, 0.5])

    def test_tables(self):
        self.assertTrue(np.isnan(weight_formats.E4M3[[127, 255]]).all())
        self.assertEqual(np.isnan(weight_formats.E4M3).sum(), 2)
        np.testing.assert_array_equal(weight_formats.E2M1[:8], [0, 0.5, 1, 1.5, 2, 3, 4, 6])
        self.assertEqual(weight_formats.E8M0[0], 2.0**-127)
        if torch:
            codes = torch.arange(256, dtype=torch.uint8)
            expected = codes.view(torch.float8_e4m3fn).double().numpy()
            np.testing.assert_array_equal(weight_formats.E4M3, expected)

    def test_a_layer_of_few_bits(self):
        quantization = {"kind": "int8", "block": [0, 0]}
        plain = make_spec(experts=1, top_k=1)
        coded = make_spec(experts=1, top_k=1, experts_section={"quantization": quantization})
        weights, rng = random_weights(plain), np.random.default_rng(3)
        encoded = {"router.weight": weights["router.weight"]}
        for name in ("gate", "up", "down"):
            data = rng.integers(-128, 128, weights[f"experts.{name}.weight"].shape)
            weights[f"experts.{name}.weight"] = data * 0.25
            encoded[f"experts.{name}.weight"] = data
            encoded[f"experts.{name}.scales"] = np.full((1, 1, 1), 0.25)
        self.assertEqual(
            {name: value.shape for name, value in encoded.items()},
            {name: shape for name, (shape, _) in oracle.weight_table(coded).items()},
        )
        x = rng.uniform(-1, 1, (4, 3))
        expected = oracle.forward(plain, weights, x).y
        np.testing.assert_array_equal(oracle.forward(coded, encoded, x).y, expected)


class Formulas(unittest.TestCase):
    def test_precedence(self):
        for text, expected in [
            ("1 + 2 * 3", 7),
            ("8 / 4 / 2", 1),
            ("8 - 4 - 2", 2),
            ("-2 * -3", 6),
            ("--2", 2),
            ("-(1 + 2)", -3),
            ("1.5e1 + .5", 15.5),
            ("clamp(5, 0, 1)", 1),
            ("max(1, min(2, 3))", 2),
            ("pow(2, 10)", 1024),
            ("abs(-3) + sqrt(9)", 6),
        ]:
            self.assertEqual(float(oracle.evaluate(text, x=0.0)), expected, text)

    def test_errors(self):
        for text in ["", "1 +", "y", "exp()", "exp(1, 2)", "(1", "1)", "1 2", "2 ^ 3"]:
            with self.assertRaises(ValueError, msg=text):
                oracle.evaluate(text, x=0.0)

    def test_functions(self):
        self.assertEqual(float(oracle.evaluate("sigmoid(x)", x=0.0)), 0.5)
        self.assertAlmostEqual(float(oracle.evaluate("softplus(x)", x=0.0)), math.log(2))
        self.assertAlmostEqual(float(oracle.evaluate("gelu(x)", x=1.0)), 0.8413447460685429)
        self.assertEqual(float(oracle.evaluate("relu(x)", x=-1.0)), 0)
        self.assertEqual(float(oracle.evaluate("sigmoid(x)", x=-1e6)), 0)

    def test_activations(self):
        g, u = np.array([9.0, -1.0]), np.array([-9.0, 0.5])
        silu = 7 / (1 + math.exp(-1.702 * 7))
        np.testing.assert_allclose(oracle.activate("swigluoai", g, u)[0], silu * (-7 + 1))
        np.testing.assert_allclose(oracle.activate("relu2", g), [81, 0])
        np.testing.assert_allclose(oracle.activate("relu", g, u), [-81, 0])
        np.testing.assert_allclose(oracle.activate("g + u", g, u), [0, -0.5])


class Rounding(unittest.TestCase):
    def test_f32_and_f16_agree_with_numpy(self):
        rng = np.random.default_rng(1)
        values = rng.standard_normal(1000) * 10.0 ** rng.integers(-50, 45, 1000)
        with np.errstate(over="ignore"):
            for name, dtype in [("f32", np.float32), ("f16", np.float16)]:
                expected = values.astype(dtype).astype(np.float64)
                np.testing.assert_array_equal(oracle.round_to(values, name), expected)

    def test_bf16_ties_to_even(self):
        values = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, -1e39])
        expected = [1, 1 + 2.0**-6, 1 + 2.0**-7, -np.inf]
        np.testing.assert_array_equal(oracle.round_to(values, "bf16"), expected)

    def test_storage_round_trip(self):
        for dtype in ("f32", "bf16", "f16"):
            values = oracle.round_to(np.linspace(-3, 3, 41), dtype)
            stored = oracle.to_storage(values, dtype)
            np.testing.assert_array_equal(oracle.from_storage(stored, dtype), values)


class Quantisation(unittest.TestCase):
    kinds = ("blockwise_int8", "fp8_e4m3", "fp8_e5m2", "mxfp4")

    def test_int8(self):
        data, scales, status = oracle.quantize("blockwise_int8", 2, [127, -1.5, 0, 0, 254])
        np.testing.assert_array_equal(data, [127, -2, 0, 0, 127])
        np.testing.assert_array_equal(scales, [1, 0, 2])
        self.assertEqual(status, 0)

    def test_fp8_values(self):
        e4m3, e5m2 = oracle.FP8["fp8_e4m3"][0], oracle.FP8["fp8_e5m2"][0]
        self.assertEqual((e4m3[0x7E], e4m3[0x38], e4m3[1]), (448, 1, 2.0**-9))
        self.assertEqual((e5m2[0x7B], e5m2[0x3C], e5m2[1]), (57344, 1, 2.0**-16))
        data, scales, _ = oracle.quantize("fp8_e4m3", 4, [448, -448, 17, 19])
        np.testing.assert_array_equal(data, [0x7E, 0xFE, 0x58, 0x5A])
        np.testing.assert_array_equal(scales, [1])

    def test_mxfp4(self):
        values = [6, -0.25, 2.5, 5, 1.75, 0.75]
        data, scales, _ = oracle.quantize("mxfp4", 32, values)
        np.testing.assert_array_equal(scales, [127])
        # 6, −0, 2, 4, 2, 1 with ties to the even code
        np.testing.assert_array_equal(data, [0x87, 0x64, 0x24])
        back = oracle.dequantize("mxfp4", 32, data, scales, 6)
        np.testing.assert_array_equal(back, [6, 0, 2, 4, 2, 1])

    def test_round_trip(self):
        values = np.random.default_rng(5).standard_normal(203).astype(np.float32)
        for kind, bound in zip(self.kinds, (1 / 254, 1 / 16, 1 / 8, 1 / 4)):
            data, scales, _ = oracle.quantize(kind, 32, values)
            back = oracle.dequantize(kind, 32, data, scales, len(values))
            largest = [np.max(np.abs(values[i : i + 32])) for i in range(0, 203, 32)]
            error = np.abs(back - values) / np.repeat(largest, 32)[:203]
            self.assertLessEqual(error.max(), bound * 1.01, kind)
            again, scales_again, _ = oracle.quantize(kind, 32, back)
            if kind != "mxfp4":
                np.testing.assert_allclose(scales_again, scales, rtol=1e-6)
            self.assertEqual(len(again), len(data))

    def test_not_finite(self):
        values = np.array([1, np.nan, 2, np.inf], np.float32)
        for kind in self.kinds:
            data, scales, status = oracle.quantize(kind, 4, values)
            self.assertEqual(status, 2)
            back = oracle.dequantize(kind, 4, data, scales, 4)
            np.testing.assert_allclose(back, [1, 0, 2, 0], rtol=1e-2)

    def test_average(self):
        sets = np.array([[1, 2, np.inf], [3, 5, 0]], np.float32)
        mean, status = oracle.average(sets)
        np.testing.assert_array_equal(mean, [2, 3.5, np.inf])
        self.assertEqual(status, 3)
        np.testing.assert_array_equal(oracle.accumulate(sets[0, :2], sets[1, :2]), [4, 7])


@unittest.skipUnless(torch, "torch is not installed")
class Torch(unittest.TestCase):
    """The same layers written with torch."""

    def layer(self, normalise):
        spec = make_spec(8, 2, 16, 12, router={"renormalize": normalise})
        weights = random_weights(spec)
        x = np.random.default_rng(9).uniform(-1, 1, (11, 16))
        tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
        return spec, weights, x, tensors

    def test_softmax_top_k(self):
        for normalise in (True, False):
            spec, weights, x, w = self.layer(normalise)
            hidden = torch.from_numpy(x)
            p = torch.softmax(hidden @ w["router.weight"].T, dim=-1)
            value, index = torch.topk(p, 2, dim=-1)
            if normalise:
                value = value / value.sum(dim=-1, keepdim=True)
            y = torch.zeros_like(hidden)
            for t in range(len(x)):
                for j in range(2):
                    e = int(index[t, j])
                    gate = torch.nn.functional.silu(w["experts.gate.weight"][e] @ hidden[t])
                    inner = gate * (w["experts.up.weight"][e] @ hidden[t])
                    y[t] += value[t, j] * (w["experts.down.weight"][e] @ inner)
            result = oracle.forward(spec, weights, x)
            np.testing.assert_array_equal(result.indices, index.numpy())
            np.testing.assert_allclose(result.y, y.numpy(), rtol=1e-12, atol=1e-12)

    def test_activations(self):
        g = torch.linspace(-4, 4, 33, dtype=torch.float64)
        functional = torch.nn.functional
        for name, function in [
            ("silu", functional.silu),
            ("gelu", functional.gelu),
            ("gelu_tanh", lambda v: functional.gelu(v, approximate="tanh")),
            ("relu", functional.relu),
        ]:
            ours = oracle.activate(name, g.numpy())
            np.testing.assert_allclose(ours, function(g).numpy(), rtol=1e-12, atol=1e-12)

    def test_bf16(self):
        values = np.random.default_rng(2).standard_normal(1000)
        ours = oracle.round_to(oracle.round_to(values, "f32"), "bf16")
        theirs = torch.from_numpy(values).float().bfloat16().double().numpy()
        np.testing.assert_array_equal(ours, theirs)


if __name__ == "__main__":
    unittest.main()
