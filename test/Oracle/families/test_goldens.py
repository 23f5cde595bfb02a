"""The golden files are whole and small, and what packs, rounds and compares them is right."""

import sys
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import compare
import golden
import quantise as q

ALL = {name: golden.load(golden.GOLDEN / name) for name in golden.names()}


def matrix(rows=48, columns=64):
    return np.random.default_rng(1).normal(0, 1, (rows, columns))


def nibbles(packed):
    """The eight of each i32, from below."""
    return packed.view(np.uint32)[..., None] >> np.arange(0, 32, 4, dtype=np.uint32) & 15


class Goldens(unittest.TestCase):
    def test_size(self):
        size = sum(p.stat().st_size for p in golden.GOLDEN.rglob("*") if p.is_file())
        self.assertLess(size, 8 << 20)

    def test_cases(self):
        for name, made in ALL.items():
            sizes = {label: len(case.x) for label, case in made.cases.items()}
            self.assertEqual(sizes, {"one": 1, "seven": 7, "crowd": 33}, name)
            for case in made.cases.values():
                self.assertEqual(case.y.shape, case.x.shape, name)
                self.assertTrue(np.isfinite(case.y).all(), name)
                self.assertEqual(case.indices.shape, case.weights.shape, name)
                ascending = np.diff(case.indices, axis=1) > 0
                self.assertTrue(ascending[case.indices[:, 1:] >= 0].all(), name)

    def test_experts_starve(self):
        """Of each crowd, some experts have most tokens and others few; ids crowd on nobody."""
        for name, made in ALL.items():
            chosen = made.cases["crowd"].indices
            loads = np.bincount(chosen[chosen >= 0], minlength=made.experts)[: made.experts]
            if name != "deepseek_v4_hash":
                self.assertGreaterEqual(loads.max(), 2 * loads.min(), name)

    def test_layers(self):
        for name, made in ALL.items():
            self.assertIn(made.layer, made.moe_layers, name)
            tensors = golden.files.read_safetensors(
                next((golden.GOLDEN / name).glob("model*.safetensors"))
            )
            self.assertTrue(all(f".{made.layer}." in tensor for tensor in tensors), name)


class Formats(unittest.TestCase):
    def test_fp8(self):
        self.assertEqual(q.FP8[[1, 8, 0x38, 126]].tolist(), [2.0**-9, 2.0**-6, 1.0, 448.0])
        codes, values = q.nearest(np.array([1.0, -1.0, 500.0, 0.0, -(2.0**-9)]), q.FP8)
        self.assertEqual(codes.tolist(), [0x38, 0xB8, 126, 0, 0x81])
        self.assertEqual(values.tolist(), [1, -1, 448, 0, -(2.0**-9)])

    def test_fp4(self):
        codes, values = q.nearest(np.array([0.3, -0.8, 6.1, -2.4]), q.FP4)
        self.assertEqual(codes.tolist(), [1, 10, 7, 12])
        self.assertEqual(values.tolist(), [0.5, -1, 6, -2])

    def test_errors(self):
        """Of each format, relative to the largest of a group."""
        w = matrix()
        for encode, bound in [
            (lambda w: q.fp8_blocks(w, 32), 0.04),
            (lambda w: q.fp8_blocks(w, 32, powers=True), 0.04),
            (q.fp8_tensor, 0.04),
            (q.fp8_channels, 0.04),
            (q.int8_channels, 0.01),
            (q.mxfp4, 0.2),
            (q.mxfp4_blocks, 0.2),
            (q.nvfp4, 0.15),
            (q.int4_packed, 0.12),
            (q.gptq, 0.1),
            (q.awq, 0.1),
        ]:
            _, values = encode(w)
            self.assertLess(compare.relative_error([(values, w, slice(None))]), bound)

    def test_tiles_at_edges(self):
        stored, values = q.fp8_blocks(matrix(40, 33), 32)
        scales = stored["weight_scale_inv"][0]
        self.assertEqual(scales.shape, (2, 2))
        code = int(stored["weight"][0][39, 32])
        value = q.FP8[code & 127] * (-1 if code & 128 else 1)
        self.assertEqual(values[39, 32], value * scales[1, 1])

    def test_gptq(self):
        w = matrix()
        stored, values = q.gptq(w)
        codes = nibbles(stored["qweight"][0].T).reshape(w.shape)
        zeros = nibbles(stored["qzeros"][0]).reshape(2, -1) + 1
        scales, group = stored["scales"][0], stored["g_idx"][0]
        decoded = (codes.T.astype(int) - zeros[group]) * scales[group]
        self.assertTrue(np.array_equal(decoded.T, values))

    def test_awq(self):
        w = matrix()
        stored, values = q.awq(w)
        from_below = np.argsort(q.AWQ)
        codes = nibbles(stored["qweight"][0])[..., from_below].reshape(64, 48)
        zeros = nibbles(stored["qzeros"][0])[..., from_below].reshape(2, 48)
        group = np.arange(64) // 32
        decoded = (codes.astype(int) - zeros[group]) * stored["scales"][0][group]
        self.assertTrue(np.array_equal(decoded.T, values))

    def test_int4(self):
        stored, values = q.int4_packed(matrix())
        codes = nibbles(stored["weight_packed"][0]).reshape(48, 2, 32).astype(int) - 8
        scales = golden.from_bf16(stored["weight_scale"][0])[..., None]
        self.assertTrue(np.array_equal((codes * scales).reshape(48, 64), values))


class Comparison(unittest.TestCase):
    """A comparison that accepts what is wrong would be worth nothing."""

    def result(self, change=lambda plan: None):
        case = ALL["mixtral"].cases["seven"]
        plan = {
            "indices": case.indices.copy(),
            "weights": case.weights.copy(),
            "positions": np.zeros_like(case.indices),
        }
        change(plan)
        return compare.Result(case, {"router": {"experts": 8}}, case.y, plan, None)

    def test_right(self):
        result = self.result(lambda plan: plan.update({n: v[:, ::-1] for n, v in plan.items()}))
        result.check_choice("seven")
        result.check_weights("seven")

    def test_wrong_expert(self):
        def change(plan):
            plan["indices"][3, 0] = 7 - plan["indices"][3, 0]

        with self.assertRaisesRegex(compare.Mismatch, "experts of token 3"):
            self.result(change).check_choice("seven")

    def test_wrong_weight(self):
        def change(plan):
            plan["weights"][2, 1] *= 1 + 1e-4

        with self.assertRaisesRegex(compare.Mismatch, "relative error of weights"):
            self.result(change).check_weights("seven")

    def test_dropped(self):
        def change(plan):
            plan["positions"][0, 0] = -1

        self.assertEqual(self.result(change).indices[0, 0], -1)

    def test_relative_error(self):
        got, expected = np.array([[3.0, 4.0], [9, 9]]), np.array([[3.0, 0.0], [1, 1]])
        self.assertEqual(compare.relative_error([(got, expected, [0])]), 4 / 3)


if __name__ == "__main__":
    unittest.main()
