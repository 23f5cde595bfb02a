"""Calls on a simulated GPU: graphs, streams of callers, weights that are on the device."""

import ctypes
import os
import tempfile
import unittest
from pathlib import Path

import numpy as np

import moe_mlir
from moe_mlir import _library
from moe_mlir._library import DLDataType, DLDevice, DLTensor

SPEC = {
    "name": "calls",
    "hidden": 64,
    "router": {"experts": 8, "top_k": 2},
    "experts": {"intermediate": 32},
}
SIM = ctypes.CDLL(str(Path(os.environ["MOE_MLIR_HOME"]) / "lib" / "libmoe_sim.so"))
F32 = DLDataType(2, 32, 1)
CUDA = 2


def on_device(address, shape):
    sizes = (ctypes.c_int64 * len(shape))(*shape)
    tensor = DLTensor(address, DLDevice(CUDA, 0), len(shape), F32,
                      ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64)), None, 0)  # fmt: skip
    tensor.sizes = sizes
    return tensor


class Device:
    """What a program does with the driver."""

    def __init__(self):
        self.context = ctypes.c_void_p()
        assert SIM.cuInit(0) == 0
        assert SIM.cuDevicePrimaryCtxRetain(ctypes.byref(self.context), 0) == 0
        assert SIM.cuCtxSetCurrent(self.context) == 0

    def stream(self):
        made = ctypes.c_void_p()
        assert SIM.cuStreamCreate(ctypes.byref(made), 1) == 0
        return made.value

    def put(self, values, stream=None):
        values = np.ascontiguousarray(values, np.float32)
        address = ctypes.c_uint64()
        assert SIM.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(values.nbytes or 1)) == 0
        self.set(address.value, values, stream)
        return address.value

    def set(self, address, values, stream=None):
        values = np.ascontiguousarray(values, np.float32)
        assert SIM.cuMemcpyHtoDAsync_v2(
            ctypes.c_uint64(address), ctypes.c_void_p(values.ctypes.data),
            ctypes.c_size_t(values.nbytes), ctypes.c_void_p(stream)) == 0  # fmt: skip
        if stream is None:
            assert SIM.cuStreamSynchronize(None) == 0

    def get(self, address, shape, stream=None):
        values = np.empty(shape, np.float32)
        assert SIM.cuMemcpyDtoHAsync_v2(
            ctypes.c_void_p(values.ctypes.data), ctypes.c_uint64(address),
            ctypes.c_size_t(values.nbytes), ctypes.c_void_p(stream)) == 0  # fmt: skip
        return values


def setUpModule():
    global FOLDER, PACKAGE, DEVICE
    FOLDER = tempfile.TemporaryDirectory(prefix="moe-gpu-calls-")
    PACKAGE = moe_mlir.compile(SPEC, target="sim", output=Path(FOLDER.name) / "calls")
    DEVICE = Device()


def run(layer, x, y):
    pointers = [(ctypes.POINTER(DLTensor) * 1)(ctypes.pointer(each)) for each in (x, y)]
    _library.runtime().moe_layer_run(layer._handle, b"forward", *pointers)


class Calls(unittest.TestCase):
    def setUp(self):
        self.layer = PACKAGE.layer()
        self.layer.randomize(seed=1)
        self.rng = np.random.default_rng(3)

    def tokens(self, count):
        return self.rng.standard_normal((count, SPEC["hidden"])).astype(np.float32)

    def test_graphs_are_repeated(self):
        recorded = PACKAGE.layer()
        recorded.randomize(seed=1)
        recorded.use_graph()
        for count in (5, 0, 5, 7, 5):
            for _ in range(2):
                x = self.tokens(count)
                before = SIM.moe_sim_launch_calls()
                y = recorded(x)
                launched = SIM.moe_sim_launch_calls() - before
                np.testing.assert_array_equal(y, self.layer(x))
                np.testing.assert_array_equal(recorded.plan["counts"], self.layer.plan["counts"])
        self.assertEqual(launched, 0)  # the last call was a repetition
        recorded.use_graph(False)
        before = SIM.moe_sim_launch_calls()
        np.testing.assert_array_equal(recorded(x), y)
        self.assertGreater(SIM.moe_sim_launch_calls(), before)

    def test_graph_says_what_is_not_finite(self):
        self.layer.use_graph()
        x = self.tokens(3)
        good = self.layer(x)
        x[1, 0] = np.nan
        with self.assertRaisesRegex(moe_mlir.Error, "token 1 is not finite"):
            self.layer(x)
        x[1, 0] = 0
        self.assertTrue(np.isfinite(self.layer(x)).all())
        self.assertEqual(good.shape, x.shape)

    def test_stream_of_the_caller(self):
        x, stream = self.tokens(5), DEVICE.stream()
        expected = self.layer(x)
        for graph in (False, True, True):
            self.layer.use_graph(graph)
            self.layer.use_stream(stream)
            a, b = DEVICE.put(np.zeros_like(x)), DEVICE.put(np.zeros_like(x))
            DEVICE.set(a, x, stream)  # which the layer comes after
            run(self.layer, on_device(a, x.shape), on_device(b, x.shape))
            np.testing.assert_array_equal(DEVICE.get(b, x.shape, stream), expected)
            self.layer.wait()
        self.layer.use_stream(None)
        np.testing.assert_array_equal(self.layer(x), expected)

    def test_wait_has_the_status(self):
        stream = DEVICE.stream()
        self.layer.use_stream(stream)
        x = self.tokens(4)
        x[2, 3] = np.inf
        a, b = DEVICE.put(x), DEVICE.put(x)
        run(self.layer, on_device(a, x.shape), on_device(b, x.shape))
        with self.assertRaisesRegex(moe_mlir.Error, "token 2 is not finite"):
            self.layer.wait()
        self.layer.wait()

    def test_pinned_input_in_a_stream(self):
        """It is copied when the stream comes to it, and has been when the call returns."""
        x = self.tokens(4)
        expected, memory = self.layer(x), ctypes.c_void_p()
        assert SIM.cuMemHostAlloc(ctypes.byref(memory), ctypes.c_size_t(x.nbytes), 0) == 0
        floats = ctypes.cast(memory, ctypes.POINTER(ctypes.c_float))
        pinned = np.ctypeslib.as_array(floats, x.shape)
        pinned[:] = x
        stream, b = DEVICE.stream(), DEVICE.put(np.zeros_like(x))
        self.layer.use_stream(stream)
        given = on_device(memory.value, x.shape)
        given.device.device_type = 3  # kDLCUDAHost
        run(self.layer, given, on_device(b, x.shape))
        pinned[:] = 0
        np.testing.assert_array_equal(DEVICE.get(b, x.shape, stream), expected)

    def test_weights_on_the_device(self):
        x = self.tokens(6)
        expected, weights = self.layer(x), self.layer.weights
        other = PACKAGE.layer()
        for name, values in weights.items():
            tensor = on_device(DEVICE.put(values), values.shape)
            _library.runtime().moe_layer_borrow_weight(
                other._handle, name.encode(), ctypes.byref(tensor))  # fmt: skip
        np.testing.assert_array_equal(other(x), expected)
        for name, values in weights.items():
            np.testing.assert_array_equal(other.get(name), values)
        third = PACKAGE.layer()
        for name, values in weights.items():
            tensor = on_device(DEVICE.put(values), values.shape)
            _library.runtime().moe_layer_set_weight(
                third._handle, name.encode(), ctypes.byref(tensor))  # fmt: skip
        np.testing.assert_array_equal(third(x), expected)

    def test_weights_elsewhere(self):
        name, values = next(iter(self.layer.weights.items()))
        host = on_device(values.ctypes.data, values.shape)
        beside = on_device(DEVICE.put(np.zeros(values.size + 1)) + 4, values.shape)
        for tensor, words in (
            (host, "it says that it is on a GPU, but its data is not"),
            (beside, "expected data on the device aligned to 16 bytes"),
        ):
            with self.assertRaisesRegex(moe_mlir.Error, words):
                _library.runtime().moe_layer_borrow_weight(
                    self.layer._handle, name.encode(), ctypes.byref(tensor))  # fmt: skip

    def test_no_gpu(self):
        layer = moe_mlir.compile(SPEC).layer()
        for call in (layer.use_graph, lambda: layer.use_stream(None)):
            with self.assertRaisesRegex(moe_mlir.Error, "'calls' has no code for a GPU"):
                call()
        layer.wait()


if __name__ == "__main__":
    unittest.main(verbosity=2)
