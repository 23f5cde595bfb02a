"""Weights in strips: callers see rows, and results are those of weights as they are stored."""

import tempfile
import unittest
from pathlib import Path

import numpy as np

import moe_mlir

HIDDEN, INNER, EXPERTS = 192, 128, 6
FORMS = {"f32": "separate", "bf16": "concatenated"}  # of gates and ups


def spec(dtype, **more):
    return {
        "moe_spec": 1,
        "name": f"packed_{dtype}",
        "hidden": HIDDEN,
        "dtype": {"activation": dtype},
        "router": {"experts": EXPERTS, "top_k": 2},
        **more,
    }


def values(name, shape, seed):
    numbers = np.random.default_rng([seed, len(name)]).uniform(-0.1, 0.1, shape)
    return numbers.astype(np.float32)


def fill(layer, seed=1, borrow=False):
    """The weights, as they were given."""
    given = {}
    for weight in layer.package.manifest["weights"]:
        array = values(weight["name"], weight["shape"], seed)
        if weight["dtype"] == "bf16":
            array = (array.view(np.uint32) >> 16).astype(np.uint16)
        given[weight["name"]] = array
        if borrow and weight["dtype"] == "f32":
            layer.borrow_weight(weight["name"], array)
        else:
            layer.set_weight(weight["name"], array)
    return given


def bits(array):
    return np.asarray(array).view(np.uint8)


class Packed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.packages, cls.rows = {}, {}
        for dtype, form in FORMS.items():
            experts = {"intermediate": INNER, "gate_up": form}
            shared = {"intermediate": 64, "gate_up": form}
            both = spec(dtype, experts=experts, shared=shared)
            cls.packages[dtype] = moe_mlir.compile(both)
            cls.rows[dtype] = moe_mlir.compile(both, unpacked=True)

    def packed(self, package):
        return [w["name"] for w in package.manifest["weights"] if w.get("packed")]

    def test_which(self):
        """Those of experts, and not the router's; none if they are to stay in rows."""
        for dtype, package in self.packages.items():
            names = self.packed(package)
            self.assertEqual(6 if FORMS[dtype] == "separate" else 4, len(names), names)
            self.assertTrue(all("router" not in name for name in names), names)
            self.assertEqual([], self.packed(self.rows[dtype]))

    def test_callers_see_rows(self):
        """What was set or borrowed comes back, and goes to files and from there."""
        for package in self.packages.values():
            for borrow in (False, True):
                layer, again = package.layer(), package.layer()
                given = fill(layer, borrow=borrow)
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "weights.safetensors"
                    layer.save_weights(path)
                    again.load_weights(path)
                for name, array in given.items():
                    for one in (layer, again):
                        np.testing.assert_array_equal(bits(one.get(name)), bits(array), name)

    def test_set_anew(self):
        """A view ends with what it is of; values that are set later are those that count."""
        layer = self.packages["f32"].layer()
        fill(layer, seed=1)
        name = self.packed(self.packages["f32"])[0]
        layer.get(name)
        given = fill(layer, seed=2)
        np.testing.assert_array_equal(layer.get(name), given[name])

    def test_results(self):
        """Of any number of rows: of one tile, of wide ones, of many, with some left."""
        for dtype, package in self.packages.items():
            packed, rows = package.layer(), self.rows[dtype].layer()
            fill(packed), fill(rows)
            x = values("x", (400, HIDDEN), 3) * 10
            if dtype == "bf16":
                x = (x.view(np.uint32) >> 16).astype(np.uint16)
            all_rows = None
            for tokens in (400, 0, 1, 2, 3, 5, 7, 13, 17, 24, 37, 38, 100):
                y, expected = packed(x[:tokens]), rows(x[:tokens])
                if all_rows is None:
                    all_rows = y
                np.testing.assert_array_equal(bits(y), bits(all_rows[:tokens]))
                wide = [self.numbers(a, dtype) for a in (y, expected)]
                error = np.linalg.norm(wide[0] - wide[1]) / (np.linalg.norm(wide[1]) or 1)
                self.assertLess(error, 4e-3 if dtype == "bf16" else 2e-6, (dtype, tokens))

    @staticmethod
    def numbers(array, dtype):
        array = np.asarray(array)
        if dtype == "f32":
            return array
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


if __name__ == "__main__":
    unittest.main()
