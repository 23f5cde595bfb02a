"""Weights in strips: callers see rows, and results are those of weights as they are stored."""

import tempfile
import unittest
from pathlib import Path

import numpy as np

import moe_mlir

HIDDEN, INNER, EXPERTS = 192, 128, 6

# Of each, what rows and what weights are, and how gates and ups lie.
KINDS = {
    "f32": ("f32", None, "interleaved"),
    "bf16": ("bf16", None, "interleaved"),
    "int8": ("bf16", "int8", "interleaved"),
    "mxfp4": ("bf16", "mxfp4", "interleaved"),
    "int8_f32": ("f32", "int8", "concatenated"),
    "mxfp4_f32": ("f32", "mxfp4", "separate"),
}


def spec(kind, form=None):
    rows, codes, usual = KINDS[kind]
    form = form or usual
    stored = {"quantization": {"kind": codes}} if codes else {}
    return {
        "moe_spec": 1,
        "name": f"packed_{kind}_{form}",
        "hidden": HIDDEN,
        "dtype": {"activation": rows},
        "router": {"experts": EXPERTS, "top_k": 2},
        "experts": {"intermediate": INNER, "gate_up": form, "bias": True, **stored},
        "shared": {"intermediate": 64, "gate_up": form},
    }


def to_bf16(array):
    return (array.view(np.uint32) >> 16).astype(np.uint16)


def values(name, shape, seed):
    numbers = np.random.default_rng([seed, len(name)]).uniform(-0.1, 0.1, shape)
    return numbers.astype(np.float32)


def codes(weight, seed):
    dice = np.random.default_rng([seed, len(weight["name"])])
    least, end = (118, 126) if weight["name"].endswith("scales") else (0, 256)
    found = dice.integers(least, end, weight["shape"], np.uint8)
    return found.view(np.int8 if weight["dtype"] == "i8" else np.uint8)


def fill(layer, seed=1, borrow=False):
    """The weights, as they were given."""
    given = {}
    for weight in layer.package.manifest["weights"]:
        if weight["dtype"] in ("i8", "u8"):
            array = codes(weight, seed)
        else:
            array = values(weight["name"], weight["shape"], seed)
        if weight["dtype"] == "bf16":
            array = to_bf16(array)
        given[weight["name"]] = array
        if borrow and weight["dtype"] == "f32":
            layer.borrow_weight(weight["name"], array)
        else:
            layer.set_weight(weight["name"], array)
    return given


def by_turns(name, array):
    """The rows of a gate and those of an up after them, one of each after the other."""
    axis = -1 if name.endswith("bias") else -2
    halves = np.split(array, 2, axis)
    return np.stack(halves, array.ndim + axis + 1).reshape(array.shape)


def shifted(array, by):
    """A copy that begins so many bytes after a cache line."""
    raw = np.empty(array.nbytes + 128, np.uint8)
    begin = -raw.ctypes.data % 64 + by
    copy = raw[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def resident():
    """Bytes of memory that this process has."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


def bits(array):
    return np.asarray(array).view(np.uint8)


class Packed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.packages = {kind: moe_mlir.compile(spec(kind)) for kind in KINDS}
        cls.rows = {kind: moe_mlir.compile(spec(kind), unpacked=True) for kind in KINDS}

    def packed(self, package):
        return [w["name"] for w in package.manifest["weights"] if w.get("packed")]

    def test_rows_anywhere(self):
        for kind, package in self.packages.items():
            layer = package.layer()
            fill(layer)
            x = values("x", (7, HIDDEN), 5)
            x = x if KINDS[kind][0] == "f32" else to_bf16(x)
            whole = bits(layer(shifted(x, 0)))
            for by in (x.itemsize, 4, 16, 60):
                with self.subTest(kind=kind, by=by):
                    np.testing.assert_array_equal(bits(layer(shifted(x, by))), whole)

    def test_rows_are_not_copied(self):
        x = to_bf16(values("x", (1 << 16, HIDDEN), 5))
        for package, is_copied in ((self.packages["bf16"], False), (self.rows["bf16"], True)):
            layer = package.layer()
            fill(layer)
            moved = shifted(x, 16)
            y = layer(shifted(x, 0))
            before = resident()
            layer(moved, out=y)
            with self.subTest(copied=is_copied):
                self.assertEqual(resident() - before > x.nbytes // 2, is_copied)

    def test_which(self):
        """Those of experts, and not the router's; none if they are to stay in rows."""
        for kind, package in self.packages.items():
            names = self.packed(package)
            joined = KINDS[kind][2] != "separate"
            count = (4 if joined else 6) + (2 if joined else 3) * (KINDS[kind][1] is not None)
            self.assertEqual(count, len(names), names)
            self.assertTrue(all("router" not in name for name in names), names)
            self.assertEqual([], self.packed(self.rows[kind]))

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
        for kind, package in self.packages.items():
            dtype = KINDS[kind][0]
            packed, rows = package.layer(), self.rows[kind].layer()
            fill(packed), fill(rows)
            x = values("x", (400, HIDDEN), 3) * 10
            if dtype == "bf16":
                x = to_bf16(x)
            all_rows = None
            for tokens in (400, 0, 1, 2, 3, 5, 7, 13, 17, 24, 37, 38, 100):
                y, expected = packed(x[:tokens]), rows(x[:tokens])
                if all_rows is None:
                    all_rows = y
                np.testing.assert_array_equal(bits(y), bits(all_rows[:tokens]))
                wide = [self.numbers(a, dtype) for a in (y, expected)]
                error = np.linalg.norm(wide[0] - wide[1]) / (np.linalg.norm(wide[1]) or 1)
                self.assertLess(error, 4e-3 if dtype == "bf16" else 2e-6, (kind, tokens))

    def test_turns(self):
        """Gates and ups that take turns have the bits of those that follow each other."""
        for kind in ("bf16", "int8", "mxfp4"):
            turns, halves = self.packages[kind], moe_mlir.compile(spec(kind, "concatenated"))
            self.assertEqual(self.packed(halves), self.packed(turns))
            orders = {w["name"]: w.get("packed", "") for w in turns.manifest["weights"]}
            halves, turns = halves.layer(), turns.layer()
            for name, array in fill(halves).items():
                is_joined = ".gate_up." in name
                is_paired = is_joined and not name.endswith("bias")
                self.assertEqual(orders[name].startswith("paired_"), is_paired, name)
                turns.set_weight(name, by_turns(name, array) if is_joined else array)
            x = values("x", (100, HIDDEN), 3) * 10
            if KINDS[kind][0] == "bf16":
                x = to_bf16(x)
            for tokens in (1, 3, 8, 100):
                y = bits(turns(x[:tokens]))
                self.assertGreater(len(np.unique(y)), 64)
                np.testing.assert_array_equal(y, bits(halves(x[:tokens])), kind)

    def test_unusual_scales(self):
        """Powers of two that bf16 cannot hold, and one that is no number."""
        for kind in ("mxfp4", "mxfp4_f32"):
            packed, rows = self.packages[kind].layer(), self.rows[kind].layer()
            given = fill(packed)
            fill(rows)
            scales, down = given["experts.down.scales"], given["experts.down.weight"]
            scales[:, :64, 1] = 0
            scales[:, 5, 0] = 255
            scales[:, 70, 2] = 254  # of one and zeros
            down[:, 70, 32:48] = 0
            down[:, 70, 32] = 2
            for layer in (packed, rows):
                layer.set_weight("experts.down.scales", scales)
                layer.set_weight("experts.down.weight", down)
            dtype = KINDS[kind][0]
            x = values("x", (40, HIDDEN), 3)
            x = to_bf16(x) if dtype == "bf16" else x
            for tokens in (2, 40):
                y, expected = (self.numbers(layer(x[:tokens]), dtype) for layer in (packed, rows))
                self.assertTrue(np.isnan(y[:, 5]).all())
                self.assertTrue(np.isfinite(y[:, 6:64]).all())
                self.assertTrue((np.abs(y[:, 70]) > 1e30).all())
                np.testing.assert_allclose(y, expected, rtol=1e-2, atol=1e-3, equal_nan=True)

    @staticmethod
    def numbers(array, dtype):
        array = np.asarray(array)
        if dtype == "f32":
            return array
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


if __name__ == "__main__":
    unittest.main()
