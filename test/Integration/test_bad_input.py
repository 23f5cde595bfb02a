"""Bad weights, inputs and packages, through moe-run and Python: each is refused with one message.

What is refused earlier has its tests elsewhere: specs and configurations in
test/Unit/Import/Bad*Test.cpp, checkpoints in test/Unit/Runtime/BadCheckpointTest.cpp, command
lines, programs and outputs of moe-opt in test/Driver.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "python")]

import files
import moe_mlir
from moe_mlir import Error, Status

BIN = Path(os.environ["MOE_MLIR_HOME"]) / "bin"
SPEC = {
    "name": "tiny",
    "hidden": 8,
    "router": {"experts": 4, "top_k": 2},
    "experts": {"intermediate": 6},
    "functions": ["forward", "average"],
}


def setUpModule():
    global WORK, PACKAGE, WEIGHTS
    WORK = Path(tempfile.mkdtemp(prefix="moe-bad-input-"))
    PACKAGE = WORK / "tiny"
    layer = moe_mlir.compile(SPEC, output=PACKAGE).layer()
    layer.randomize(1)
    WEIGHTS = WORK / "good.safetensors"
    layer.save_weights(WEIGHTS)


def tearDownModule():
    shutil.rmtree(WORK, ignore_errors=True)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(dir=WORK))

    def moe_run(self, *arguments):
        command = [BIN / "moe-run", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def refused(self, message, *arguments):
        """Status 1, this message alone, and no output."""
        y = self.folder / "y.npy"
        run = self.moe_run(*arguments, "--output", y)
        prefix = "" if ": error: " in message else "moe-run: error: "
        self.assertEqual(run.stderr, f"{prefix}{message}\n")
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertFalse(y.exists())

    def reported(self, message, *arguments):
        """What is not finite is written and reported, with status 1 and this message."""
        y = self.folder / "y.npy"
        run = self.moe_run(*arguments, "--output", y)
        self.assertEqual(run.stderr, f"moe-run: error: {message}\n")
        self.assertEqual(run.returncode, 1)
        self.assertIn("function", run.stdout)
        self.assertTrue(y.exists())

    def raises(self, status, message, function, *arguments):
        with self.assertRaises(Error) as caught:
            function(*arguments)
        self.assertEqual(str(caught.exception), f"{status.name}: {message}")


class Weights(Case):
    """Both moe-run and load_weights refuse them; the layer keeps the weights that it had."""

    def check(self, path, status, message):
        self.refused(f"{message} (MOE_{status.name})", PACKAGE, "--weights", path)
        layer = moe_mlir.load(PACKAGE)
        layer.load_weights(WEIGHTS)
        before = layer.weights
        self.raises(status, message, layer.load_weights, path)
        for name, value in layer.weights.items():
            np.testing.assert_array_equal(value, before[name])

    def changed(self, change):
        """The good file after a change to its tensors."""
        tensors = files.read_safetensors(WEIGHTS)
        change(tensors)
        path = self.folder / "model.safetensors"
        files.write_safetensors(path, tensors)
        return path

    def raw(self, change=lambda header, data: data, length=None):
        """The good file after a change to its header and data."""
        bytes_ = WEIGHTS.read_bytes()
        (size,) = struct.unpack_from("<Q", bytes_)
        header, data = json.loads(bytes_[8 : 8 + size]), bytes_[8 + size :]
        data = change(header, data)
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path = self.folder / "model.safetensors"
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
        return path, len(text), len(data)

    def test_missing_tensor(self):
        path = self.changed(lambda tensors: tensors.pop("experts.up.weight"))
        message = f"{path}: error: there is no tensor 'experts.up.weight'"
        self.check(path, Status.WEIGHT_MISSING, message)

    def test_wrong_shape(self):
        def change(tensors):
            tensors["router.weight"] = (np.zeros((8, 5), np.float32), "F32")

        path = self.changed(change)
        message = f"{path}: error: 'router.weight': expected [4, 8] or [8, 4], found [8, 5]"
        self.check(path, Status.SHAPE_MISMATCH, message)

    def test_wrong_rank(self):
        def change(tensors):
            tensors["router.weight"] = (np.zeros(32, np.float32), "F32")

        path = self.changed(change)
        message = f"{path}: error: 'router.weight': expected [4, 8] or [8, 4], found [32]"
        self.check(path, Status.SHAPE_MISMATCH, message)

    def test_wrong_type(self):
        def change(tensors):
            tensors["router.weight"] = (np.zeros((4, 8), np.float64), "F64")

        path = self.changed(change)
        message = (
            f"{path}: error: 'router.weight': expected F32, found F64, whose values need not fit"
        )
        self.check(path, Status.DTYPE_MISMATCH, message)

    def test_unknown_type(self):
        def change(header, data):
            header["router.weight"]["dtype"] = "F33"
            return data

        path, _, _ = self.raw(change)
        message = f"{path}: error: 'router.weight': expected a known element type, found 'F33'"
        self.check(path, Status.BAD_FILE, message)

    def test_size_and_shape_disagree(self):
        def change(header, data):
            header["router.weight"]["shape"] = [4, 9]
            return data

        path, _, _ = self.raw(change)
        message = f"{path}: error: 'router.weight': expected 144 bytes for [4, 9] F32, found 128"
        self.check(path, Status.BAD_FILE, message)

    def test_shape_overflows(self):
        def change(header, data):
            header["router.weight"]["shape"] = [2**62, 2**62]
            return data

        path, _, _ = self.raw(change)
        shape = f"[{2**62}, {2**62}]"
        message = f"{path}: error: 'router.weight': the size of {shape} F32 overflows"
        self.check(path, Status.BAD_FILE, message)

    def test_overlapping_offsets(self):
        def change(header, data):
            header["more"] = dict(header["router.weight"])
            return data

        path, _, _ = self.raw(change)
        message = f"{path}: error: 'more' and 'router.weight' overlap"
        self.check(path, Status.BAD_FILE, message)

    def test_offsets_out_of_range(self):
        def change(header, data):
            header["router.weight"]["data_offsets"] = [10**15, 10**15 + 128]
            return data

        path, _, size = self.raw(change)
        message = (
            f"{path}: error: 'router.weight': expected offsets within {size} bytes of data, "
            f"found [{10**15}, {10**15 + 128}]"
        )
        self.check(path, Status.BAD_FILE, message)

    def test_offsets_backwards(self):
        def change(header, data):
            header["router.weight"]["data_offsets"].reverse()
            return data

        path, _, size = self.raw(change)
        offsets = files_offsets(WEIGHTS)["router.weight"]
        message = (
            f"{path}: error: 'router.weight': expected offsets within {size} bytes of data, "
            f"found [{offsets[1]}, {offsets[0]}]"
        )
        self.check(path, Status.BAD_FILE, message)

    def test_data_of_no_tensor(self):
        path, _, size = self.raw(lambda header, data: data + b"more")
        message = f"{path}: error: expected {size - 4} bytes of data, found {size}"
        self.check(path, Status.BAD_FILE, message)

    def test_truncated(self):
        path, _, size = self.raw(lambda header, data: data[:-1])
        last = max(files_offsets(WEIGHTS).items(), key=lambda item: item[1])
        message = (
            f"{path}: error: '{last[0]}': expected offsets within {size} bytes of data, "
            f"found [{last[1][0]}, {last[1][1]}]"
        )
        self.check(path, Status.BAD_FILE, message)

    def test_header_larger_than_file(self):
        path, length, size = self.raw(length=9999)
        message = f"{path}: error: the header has 9999 bytes, but the file only {length + size}"
        self.check(path, Status.BAD_FILE, message)

    def test_header_of_more_than_100_mebibytes(self):
        path = self.folder / "model.safetensors"
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", 100 * 2**20 + 1) + b"{")
            file.truncate(101 * 2**20)
        message = (
            f"{path}: error: expected a header of at most {100 * 2**20} bytes, found 104857601"
        )
        self.check(path, Status.BAD_FILE, message)

    def test_header_of_100_mebibytes_is_none(self):
        path = self.folder / "model.safetensors"
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", 100 * 2**20))
            file.truncate(8 + 100 * 2**20)
        message = f"{path}: error: header: expected it to start with '{{'"
        self.check(path, Status.BAD_FILE, message)

    def test_header_of_2_to_the_63(self):
        path, _, _ = self.raw(length=2**63)
        message = f"{path}: error: expected a header of at most {100 * 2**20} bytes, found {2**63}"
        self.check(path, Status.BAD_FILE, message)

    def test_not_safetensors(self):
        path = self.folder / "model.safetensors"
        path.write_bytes(b"PK\3\4\0\0\0\x80" + bytes(200))
        found = int.from_bytes(b"PK\3\4\0\0\0\x80", "little")
        message = f"{path}: error: expected a header of at most {100 * 2**20} bytes, found {found}"
        self.check(path, Status.BAD_FILE, message)
        path.write_bytes(struct.pack("<Q", 3) + b"abc")
        message = f"{path}: error: header: expected it to start with '{{'"
        self.check(path, Status.BAD_FILE, message)

    def test_empty_file(self):
        path = self.folder / "model.safetensors"
        path.write_bytes(b"")
        message = f"{path}: error: expected at least 8 bytes, found 0"
        self.check(path, Status.BAD_FILE, message)

    def test_no_such_file(self):
        path = self.folder / "model.safetensors"
        self.check(path, Status.NOT_FOUND, f"{path}: error: No such file or directory")

    def test_folder(self):
        message = (
            f"{self.folder}: error: expected model.safetensors.index.json, model.safetensors or "
            "one other .safetensors file, found none"
        )
        self.check(self.folder, Status.NOT_FOUND, message)

    def index(self, weight_map):
        path = self.folder / "model.safetensors.index.json"
        path.write_text(json.dumps({"weight_map": weight_map}))
        return path

    def names(self, shard):
        return {name: shard for name in files.read_safetensors(WEIGHTS)}

    def test_index_leaves_the_folder(self):
        for shard in ("../good.safetensors", str(WEIGHTS), "a/../../good.safetensors"):
            path = self.index(self.names(shard))
            message = f"{path}: error: the shard '{shard}' is not inside the folder"
            self.check(path, Status.BAD_FILE, message)

    def test_index_leaves_the_folder_by_a_link(self):
        (self.folder / "link").symlink_to(WEIGHTS.parent)
        path = self.index(self.names(f"link/{WEIGHTS.name}"))
        message = (
            f"{path}: error: the shard 'link/{WEIGHTS.name}' is in a folder that is a link to one "
            "outside"
        )
        self.check(path, Status.BAD_FILE, message)

    def test_index_without_shard(self):
        path = self.index(self.names("none.safetensors"))
        message = f"{self.folder / 'none.safetensors'}: error: No such file or directory"
        self.check(path, Status.NOT_FOUND, message)

    def test_index_without_tensor(self):
        shutil.copy(WEIGHTS, self.folder / "a.safetensors")
        names = self.names("a.safetensors")
        del names["router.weight"]
        path = self.index(names)
        message = f"{path}: error: there is no tensor 'router.weight'"
        self.check(path, Status.WEIGHT_MISSING, message)


def files_offsets(path):
    bytes_ = Path(path).read_bytes()
    (size,) = struct.unpack_from("<Q", bytes_)
    header = json.loads(bytes_[8 : 8 + size])
    return {n: e["data_offsets"] for n, e in header.items() if n != "__metadata__"}


class Inputs(Case):
    def input(self, array, name="x.npy"):
        path = self.folder / name
        np.save(path, array)
        return path

    def layer(self):
        layer = moe_mlir.load(PACKAGE)
        layer.load_weights(WEIGHTS)
        return layer

    def test_wrong_width(self):
        x = np.zeros((3, 7), np.float32)
        message = "tensor 'x': expected [T, 8] with T = 3, found [3, 7]"
        self.refused(f"{message} (MOE_SHAPE_MISMATCH)", PACKAGE, "--input", self.input(x))
        self.raises(Status.SHAPE_MISMATCH, message, self.layer(), x)

    def test_wrong_rank(self):
        for x in (np.zeros(8, np.float32), np.zeros((1, 3, 8), np.float32), np.float32(1)):
            shape = ", ".join(str(size) for size in np.shape(x))
            message = f"tensor 'x': expected [T, 8], found [{shape}]"
            self.refused(f"{message} (MOE_SHAPE_MISMATCH)", PACKAGE, "--input", self.input(x))

    def test_wrong_type(self):
        layer = self.layer()
        for dtype, name in ((np.float64, "f64"), (np.int32, "i32"), (np.float16, "f16")):
            x = np.zeros((3, 8), dtype)
            message = f"tensor 'x': expected f32, found {name}"
            self.raises(Status.DTYPE_MISMATCH, message, layer, x)

    def test_complex(self):
        with self.assertRaisesRegex(TypeError, "^arrays of complex64 are not supported$"):
            self.layer()(np.zeros((3, 8), np.complex64))

    def test_other_byte_order(self):
        with self.assertRaisesRegex(TypeError, "^arrays of >f4 are not supported$"):
            self.layer()(np.zeros((3, 8), ">f4"))

    def test_not_finite(self):
        """The token is named; the other tokens' results are what they are without it."""
        layer = self.layer()
        x = np.random.default_rng(0).standard_normal((7, 8)).astype(np.float32)
        good = x.copy()
        good[[3, 5]] = 0
        expected = layer(good)
        for special in (np.nan, np.inf, -np.inf):
            x[[3, 5], 2] = special
            message = "function 'forward': token 3 is not finite"
            self.reported(f"{message} (MOE_NOT_FINITE)", PACKAGE, "--input", self.input(x))
            y = np.full_like(x, 7)
            self.raises(Status.NOT_FINITE, message, run_into, layer, x, y)
            rest = [0, 1, 2, 4, 6]
            np.testing.assert_array_equal(y[rest], expected[rest])
            np.testing.assert_array_equal(y[[3, 5]], 0)  # they have no experts
            self.assertEqual(int(layer.get("status")), 4)
            np.testing.assert_array_equal(layer.get("indices")[[3, 5]], -1)
            np.testing.assert_array_equal(layer.get("positions")[[3, 5]], -1)
            self.assertEqual(layer.get("counts").sum(), 10)

    def test_table(self):
        """A token whose id or whose row of the table is out of range has no experts."""
        router = {"experts": 4, "top_k": 2, "strategy": "table", "vocabulary": 3}
        package = self.folder / "table"
        layer = moe_mlir.compile({**SPEC, "router": router}, output=package).layer()
        layer.randomize(1)
        layer.set_weight("router.table", np.array([[3, 1], [2, 2], [0, 4]], np.int32))
        weights = self.folder / "table.safetensors"
        layer.save_weights(weights)
        x = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
        good = layer(x, np.array([0, 1, 0, 1, 0]))
        for ids in ([0, 1, 3, 1, -1], [0, 1, 2, 1, 2**62], [0, 1, -(2**63), 1, 2]):
            message = (
                "function 'forward': token 2 has no experts: its id, or an expert that the "
                "table has for it, is out of range"
            )
            y = np.full_like(x, 7)
            ids = np.array(ids)
            self.raises(Status.INVALID_ARGUMENT, message, run_into, layer, x, y, ids)
            np.testing.assert_array_equal(y[[0, 1, 3]], good[[0, 1, 3]])
            np.testing.assert_array_equal(y[[2, 4]], 0)
            np.testing.assert_array_equal(layer.get("indices")[[2, 4]], -1)
            self.assertEqual(int(layer.get("status")), -3)
            file = self.folder / "ids.npy"
            np.save(file, ids)
            inputs = ("--weights", weights, "--input", self.input(x), "--token-ids", file)
            self.refused(f"{message} (MOE_INVALID_ARGUMENT)", package, *inputs)

    def test_first_and_last_token(self):
        layer = self.layer()
        for token in (0, 4):
            x = np.ones((5, 8), np.float32)
            x[token] = np.nan
            message = f"function 'forward': token {token} is not finite"
            self.raises(Status.NOT_FINITE, message, layer, x)

    def test_element(self):
        sets = np.ones((2, 5), np.float32)
        sets[1, 4] = np.inf
        message = "function 'average': element 4 is not finite"
        arguments = (PACKAGE, "--function", "average", "--input", self.input(sets))
        self.reported(f"{message} (MOE_NOT_FINITE)", *arguments)

    def test_no_tokens(self):
        """Nothing to do is no error."""
        x = np.zeros((0, 8), np.float32)
        y = self.folder / "y.npy"
        run = self.moe_run(PACKAGE, "--input", self.input(x), "--output", y)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertEqual(np.load(y).shape, (0, 8))
        self.assertEqual(self.layer()(x).shape, (0, 8))

    def test_not_contiguous(self):
        """Arrays are made contiguous in Python; the interface itself asks for it."""
        layer = self.layer()
        wide = np.random.default_rng(0).standard_normal((6, 16)).astype(np.float32)
        expected = layer(np.ascontiguousarray(wide[::2, ::2]))
        np.testing.assert_array_equal(layer(wide[::2, ::2]), expected)
        np.testing.assert_array_equal(layer(np.asfortranarray(wide[::2, ::2])), expected)
        message = "tensor 'x': expected compact row-major strides, found [32, 2] for shape [3, 8]"
        strided = Strided(wide[::2, ::2])
        self.raises(Status.INVALID_ARGUMENT, message, layer, strided)

    def test_no_such_input(self):
        path = self.input(np.zeros((3, 8), np.float32))
        message = "'forward' has no input 'z'"
        self.refused(message, PACKAGE, "--set", f"z={path}")

    def test_no_such_file(self):
        path = self.folder / "none.npy"
        self.refused(f"{path}: error: No such file or directory", PACKAGE, "--input", path)

    def test_not_npy(self):
        path = self.folder / "x.npy"
        path.write_bytes(b"not an array at all")
        run = self.moe_run(PACKAGE, "--input", path)
        self.assertEqual(run.returncode, 1)
        self.assertTrue(run.stderr.startswith(f"{path}: error: "), run.stderr)

    def test_no_such_function(self):
        message = "the package has no function 'backward'; it has forward, average"
        self.refused(message, PACKAGE, "--function", "backward")

    def test_no_weights(self):
        message = "function 'forward': weight 'router.weight' was never set"
        x = np.zeros((1, 8), np.float32)
        self.raises(Status.WEIGHT_MISSING, message, moe_mlir.load(PACKAGE), x)


class Strided:
    """An array of some other library that does not copy."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self):
        return self.array.__dlpack__()


def run_into(layer, x, y, *ids):
    """The forward into an array that is there even if it fails."""
    from moe_mlir import _arguments, _tensors

    given = [_tensors.as_tensor(x, "f32"), *(_tensors.as_tensor(i, "i64") for i in ids)]
    given, wanted = (_arguments.pointers(t) for t in (given, [_tensors.as_tensor(y, "f32")]))
    layer._runtime.moe_layer_run(layer._handle, b"forward", given, wanted)


class Packages(Case):
    """A damaged copy of a package is not loaded."""

    def setUp(self):
        super().setUp()
        self.package = self.folder / "p"
        shutil.copytree(PACKAGE, self.package)
        self.path = self.package / "tiny.json"
        self.library = self.package / "libtiny.so"

    def edit(self, change):
        manifest = json.loads(self.path.read_text())
        change(manifest)
        self.path.write_text(json.dumps(manifest))

    def check(self, status, message):
        self.refused(f"{message} (MOE_{status.name})", self.package)
        self.raises(status, message, moe_mlir.load, self.package)

    def test_other_abi(self):
        self.edit(lambda manifest: manifest.update(abi=1))
        message = "made for interface version 1, but this runtime has version 5"
        self.check(Status.ABI_MISMATCH, f"{self.path}: error: {message}")

    def test_other_format(self):
        self.edit(lambda manifest: manifest.update(moe_package=2))
        message = f"{self.path}: error: manifest format 2, but this runtime reads format 1"
        self.check(Status.ABI_MISMATCH, message)

    def test_features_this_cpu_lacks(self):
        features = ["avx2048", "sse9"]
        self.edit(lambda manifest: manifest["target"]["variants"][0].update(features=features))
        message = f"{self.path}: error: this CPU lacks avx2048, sse9"
        self.check(Status.CPU_MISMATCH, message)

    def test_features_of_no_variant(self):
        variants = [
            {"kind": "cpu", "cpu": "old", "features": ["sse9"]},
            {"kind": "cpu", "cpu": "new", "features": ["avx2048"]},
        ]
        self.edit(lambda manifest: manifest["target"].update(variants=variants))
        message = "this CPU can run none of its variants, as it lacks for 'old' sse9; for 'new' "
        self.check(Status.CPU_MISMATCH, f"{self.path}: error: {message}avx2048")

    def test_a_variant_that_is_not_there(self):
        text = self.path.read_text()
        cpu = json.loads(text)["target"]["variants"][0]["cpu"]
        message = f"'tiny' has no code for cpu 'toaster'; it has {cpu}"
        self.refused(f"{message} (MOE_NOT_FOUND)", self.package, "--cpu", "toaster")
        package = moe_mlir.Package(self.package)
        self.raises(Status.NOT_FOUND, message, package.layer, "toaster")

    def test_other_architecture(self):
        self.edit(lambda manifest: manifest["target"].update(triple="sparc-linux-gnu"))
        here = json.loads((PACKAGE / "tiny.json").read_text())["target"]["triple"].split("-")[0]
        message = f"{self.path}: error: made for sparc, but this machine is {here}"
        self.check(Status.CPU_MISMATCH, message)

    def test_manifest_and_library_disagree(self):
        self.edit(lambda manifest: manifest.update(compiler="another"))
        message = f"{self.library}: error: its manifest is not that of {self.path}"
        self.check(Status.BAD_FILE, message)

    def test_missing_library(self):
        self.library.unlink()
        self.check(Status.NOT_FOUND, f"{self.library}: error: no such file")

    def test_library_is_none(self):
        self.library.write_bytes(b"no library")
        message = f"{self.library}: error: {self.library}: file too short"
        self.check(Status.IO, message)

    def test_two_manifests(self):
        shutil.copy(self.path, self.package / "other.json")
        message = f"{self.package}: error: expected one package, found other.json and tiny.json"
        self.check(Status.INVALID_ARGUMENT, message)

    def test_empty_folder(self):
        shutil.rmtree(self.package)
        self.package.mkdir()
        message = 'expected a package, found no .json file with "moe_package"'
        self.check(Status.NOT_FOUND, f"{self.package}: error: {message}")

    def test_no_folder(self):
        shutil.rmtree(self.package)
        self.check(Status.NOT_FOUND, f"{self.package}: error: no such directory")

    def test_file_for_a_folder(self):
        shutil.rmtree(self.package)
        self.package.write_text("")
        self.check(Status.IO, f"{self.package}: error: Not a directory")

    def test_truncated_manifest(self):
        text = self.path.read_text()
        self.path.write_text(text[: len(text) // 2])
        run = self.moe_run(self.package)
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn(f"{self.path}: error: ", run.stderr)
        self.assertIn("(MOE_BAD_FILE)\n", run.stderr)

    def test_no_arguments(self):
        run = self.moe_run()
        message = "moe-run: error: expected the directory of a package; see --help\n"
        self.assertEqual((run.returncode, run.stdout, run.stderr), (1, "", message))

    def test_unknown_option(self):
        run = self.moe_run(self.package, "--tokes", "4")
        message = "moe-run: error: unknown option '--tokes'; did you mean '--tokens'?\n"
        self.assertEqual((run.returncode, run.stdout, run.stderr), (1, "", message))


if __name__ == "__main__":
    unittest.main()
