"""The golden files are whole and small, and what packs, rounds and compares them is right."""

import dataclasses
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import compare
import golden
import notes
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
        """One token leaves experts without any; of each crowd, some have many and others few.

        Token ids crowd on nobody.
        """
        for name, made in ALL.items():
            one, crowd = (
                np.bincount(chosen[chosen >= 0], minlength=made.experts)[: made.experts]
                for chosen in (made.cases[label].indices for label in ("one", "crowd"))
            )
            self.assertIn(0, one, name)
            if name != "deepseek_v4_hash":
                self.assertGreaterEqual(crowd.max(), 2 * crowd.min(), name)
                self.assertGreater(crowd.max(), 1.25 * crowd.mean(), name)

    def test_ties(self):
        """A tie decides a choice, and equal tokens are there twice."""
        for name, made in ALL.items():
            self.assertTrue(golden.has_ties(made), name)
            for label, one, other in ("seven", 2, 5), ("crowd", 3, 30):
                x = made.cases[label].x
                self.assertTrue((x[one] == x[other]).all(), name)
            self.assertFalse(made.cases["seven"].x[6].any(), name)

    def test_scales_and_biases(self):
        """Those of the file are neither all 0 nor all 1, nor the same for all experts."""
        for name in ALL:
            for file in (golden.GOLDEN / name).glob("model*.safetensors"):
                for tensor, (array, dtype) in golden.files.read_safetensors(file).items():
                    if array.size < 2 or dtype not in ("F32", "BF16"):
                        continue
                    values = golden.from_bf16(array) if dtype == "BF16" else array
                    self.assertGreater(values.std(), 0, f"{name}: {tensor}")

    def test_notes(self):
        """They are of goldens that are here."""
        for names, note in notes.NOTES:
            self.assertLessEqual(set(names.split(", ")), set(ALL))
            self.assertRegex(note, r"\.$")

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

    def judge(self, name, change=lambda case, out: None):
        """What the comparison says of a layer that finds all of a golden, but for a change."""
        made, outputs = ALL[name], []
        for label, case in made.cases.items():
            positions = np.where(case.indices < 0, -1, 0)
            indices = np.maximum(case.indices, 0).astype(np.int32)
            plan = {"indices": indices, "weights": case.weights.copy(), "positions": positions}
            out = {"y": golden.round_bf16(case.y), "plan": plan}
            out["following"] = case.router_state_next
            if label == "crowd":
                change(case, out)
            outputs.append(tuple(out.values()))
        return compare.judge(made, {"router": {"experts": made.experts}}, outputs, compare.rounded)

    def test_right_everywhere(self):
        for name in ALL:
            error, _ = self.judge(name)
            self.assertLess(error, 3e-3, name)

    def test_wrong_everywhere(self):
        """Each golden, with one of its cases spoilt."""

        def flip_sign(case, out):
            order = np.argsort(abs(out["y"]).ravel())
            median = order[np.count_nonzero(out["y"] == 0) :][np.count_nonzero(out["y"]) // 2]
            out["y"].flat[median] *= -1

        def scale_output(case, out):
            out["y"] *= 1.01

        def no_output(case, out):
            out["y"][:] = 0

        def not_a_number(case, out):
            out["y"][3, 3] = np.nan

        def another_token(case, out):
            out["y"][[0, 25]] = out["y"][[25, 0]]

        def scale_weights(case, out):
            out["plan"]["weights"] *= 1.01

        def swap_indices(case, out):
            """Within a token, whose weights stay; of two tokens where there is one each."""
            i = out["plan"]["indices"]
            if i.shape[1] > 1:
                i[24:, [0, 1]] = i[24:, [1, 0]]
            else:
                other = np.flatnonzero((i != i[0]).ravel() & (case.indices >= 0).ravel())[0]
                i[[0, other]] = i[[other, 0]]

        def swap_tokens(case, out):
            i = out["plan"]["indices"]
            other = np.flatnonzero((i != i[0]).any(axis=1) & (case.indices >= 0).all(axis=1))[0]
            i[[0, other]] = i[[other, 0]]

        wrong = "error of y"
        for change, message in [
            (flip_sign, wrong),
            (scale_output, wrong),
            (no_output, wrong),
            (not_a_number, wrong),
            (another_token, wrong),
            (scale_weights, "error of weights"),
            (swap_indices, "error of weights|experts of token"),
            (swap_tokens, "experts of token"),
        ]:
            for name in ALL:
                with self.subTest(name=name, change=change.__name__):
                    with self.assertRaisesRegex(compare.Mismatch, f"case crowd: .*({message})"):
                        self.judge(name, change)

    def test_wrong_state(self):
        def change(case, out):
            out["following"] = out["following"] * 1.01

        with self.assertRaisesRegex(compare.Mismatch, "error of router_state_next"):
            self.judge("zaya", change)

    def test_no_worse_than_the_module(self):
        made = ALL["mixtral"]
        cases = {n: dataclasses.replace(case, own_y=case.y) for n, case in made.cases.items()}
        with unittest.mock.patch.dict(ALL, mixtral=dataclasses.replace(made, cases=cases)):
            with self.assertRaisesRegex(compare.Mismatch, "above the module's"):
                self.judge("mixtral")

    def test_equal_specs_are_compiled_once(self):
        with tempfile.TemporaryDirectory() as work, unittest.mock.patch("compare.run_tool") as run:
            run.side_effect = lambda *command: Path(command[-1]).mkdir()
            packages = compare.Packages(Path(work))
            one, other = {"name": "a", "hidden": 8}, {"name": "b", "hidden": 8}
            first = packages.get(one, ["a.json", "--layer=1"])
            self.assertEqual(packages.get(other, ["b.json", "--layer=1"]), first)
            self.assertNotEqual(packages.get({"hidden": 9}, ["b.json", "--layer=1"]), first)
            self.assertNotEqual(packages.get(one, ["a.json", "--layer=1", "--dequantize"]), first)
            self.assertEqual(run.call_count, 3)

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
