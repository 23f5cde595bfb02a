"""Tensors on a GPU in Python: what goes in, comes out and is ordered by streams, without copies.

The device is simulated, and another library's arrays are those of this file.
"""

import ctypes
import gc
import tempfile
import types
import unittest
import weakref
from pathlib import Path

import numpy as np

import moe_mlir
from moe_mlir._library import DLDevice, DLManagedTensor, DLTensor
from test_gpu_calls import CUDA, F32, SIM, Device

SPEC = {
    "name": "tensors",
    "hidden": 64,
    "router": {"experts": 8, "top_k": 2},
    "experts": {"intermediate": 32},
}
Destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
new_capsule = ctypes.pythonapi["PyCapsule_New"]
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, Destructor]
new_capsule.restype = ctypes.py_object
pointer_of = ctypes.pythonapi["PyCapsule_GetPointer"]
pointer_of.argtypes, pointer_of.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
rename = ctypes.pythonapi["PyCapsule_SetName"]
rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
USED = b"used_dltensor"
KEPT = []  # what capsules point to


class Array:
    """An array of a library that works in a stream of its own."""

    def __init__(self, values):
        values = np.asarray(values)
        self.shape, self.own = values.shape, DEVICE.stream()
        self.address = DEVICE.put(np.zeros_like(values))
        DEVICE.set(self.address, values, self.own)  # not done before somebody waits
        self.asked, self.held = [], 0

    def __dlpack_device__(self):
        return CUDA, 0

    def __dlpack__(self, stream=None):
        self.asked.append(stream)
        event = ctypes.c_void_p()
        assert SIM.cuEventCreate(ctypes.byref(event), 2) == 0
        assert SIM.cuEventRecord(event, ctypes.c_void_p(self.own)) == 0
        assert SIM.cuStreamWaitEvent(ctypes.c_void_p(stream), event, 0) == 0
        sizes = (ctypes.c_int64 * len(self.shape))(*self.shape)
        shape = ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64))
        tensor = DLTensor(self.address, DLDevice(CUDA, 0), len(self.shape), F32, shape, None, 0)
        managed, gone = DLManagedTensor(tensor), Destructor(self.give_back)
        KEPT.extend((sizes, managed, gone))
        self.held += 1
        return new_capsule(ctypes.addressof(managed), b"dltensor", gone)

    def give_back(self, _):
        self.held -= 1

    def values(self):
        values = DEVICE.get(self.address, self.shape)
        assert SIM.cuStreamSynchronize(None) == 0
        return values


def take(array, stream=1):
    """What `from_dlpack` of a library does: the tensor, and a function that gives it back."""
    capsule = array.__dlpack__(stream=stream)
    managed = ctypes.cast(pointer_of(capsule, b"dltensor"), ctypes.POINTER(DLManagedTensor))
    rename(capsule, USED)
    return managed.contents.dl_tensor, lambda: managed.contents.deleter(managed)


def read(array):
    """The values of any tensor on the device."""
    tensor, give_back = take(array)
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    values = DEVICE.get(tensor.data, shape)
    assert SIM.cuStreamSynchronize(None) == 0
    give_back()
    return values


def is_memory(address):
    kind = ctypes.c_uint()
    return SIM.cuPointerGetAttribute(ctypes.byref(kind), 2, ctypes.c_uint64(address)) == 0


def setUpModule():
    global FOLDER, PACKAGE, DEVICE
    FOLDER = tempfile.TemporaryDirectory(prefix="moe-gpu-tensors-")
    PACKAGE = moe_mlir.compile(SPEC, target="sim", output=Path(FOLDER.name) / "tensors")
    DEVICE = Device()


class Tensors(unittest.TestCase):
    def setUp(self):
        self.layer = PACKAGE.layer()
        self.layer.randomize(seed=1)
        self.x = np.random.default_rng(5).standard_normal((6, 64)).astype(np.float32)
        self.expected = self.layer(self.x)

    def test_device_in_device_out(self):
        for count in (6, 1, 0):
            x = Array(self.x[:count])
            y = self.layer(x)
            self.assertEqual(x.asked, [self.layer.stream])
            self.assertIsInstance(y, moe_mlir.DeviceTensor)
            self.assertEqual((y.shape, y.dtype), ((count, 64), "f32"))
            self.assertEqual(y.__dlpack_device__(), (CUDA, 0))
            np.testing.assert_array_equal(read(y), self.expected[:count])
            self.assertEqual(x.held, 0)

    def test_out(self):
        """Wherever the input is, the result goes where it is wanted."""
        for make in (lambda x: x, Array):
            y = np.empty_like(self.x)
            self.assertIs(self.layer(make(self.x), out=y), y)
            np.testing.assert_array_equal(y, self.expected)
            y = Array(np.zeros_like(self.x))
            self.assertIs(self.layer(make(self.x), out={"y": y}), y)
            np.testing.assert_array_equal(y.values(), self.expected)

    def test_from_layer_to_layer(self):
        second = PACKAGE.layer()
        second.randomize(seed=2)
        between = self.layer.empty(self.x.shape)
        self.layer(self.x, out=between)
        y = second(between, out=np.empty_like(self.x))
        np.testing.assert_array_equal(y, second(self.expected))

    def test_bad_out(self):
        read_only = np.empty_like(self.x)
        read_only.flags.writeable = False
        for out, error, words in (
            (read_only, ValueError, "read-only"),
            (np.empty((64, 6), np.float32).T, ValueError, "not compact"),
            ([0.0], TypeError, "has no memory to use"),
            ({"z": read_only}, TypeError, "forward has no result .'z'., only y"),
            (np.empty((6, 63), np.float32), moe_mlir.Error, "tensor 'y': expected"),
            (np.empty((6, 64), np.float16), moe_mlir.Error, "expected f32, found f16"),
            (self.layer.empty((6, 64), "bf16"), moe_mlir.Error, "expected f32, found bf16"),
        ):
            with self.assertRaisesRegex(error, words):
                self.layer(self.x, out=out)
        with self.assertRaisesRegex(moe_mlir.Error, "is negative or too large"):
            self.layer.empty((6, -1))

    def test_layer_without_a_gpu(self):
        layer = moe_mlir.compile(SPEC).layer()
        layer.randomize(seed=1)
        self.assertIsNone(layer.stream)
        words = "tensor 'x': expected memory of the CPU, found device type 2"
        with self.assertRaisesRegex(moe_mlir.Error, words):
            layer(Array(self.x), out=np.empty_like(self.x))
        self.assertEqual(layer.empty((2, 3)).__dlpack_device__(), (1, 0))
        y = layer.empty(self.x.shape)
        layer(self.x, out=y)
        np.testing.assert_allclose(np.from_dlpack(y), self.expected, rtol=1e-4, atol=1e-5)

    def test_streams_of_libraries(self):
        number = DEVICE.stream()
        for stream in (
            number,
            types.SimpleNamespace(cuda_stream=number),
            types.SimpleNamespace(ptr=number),
            types.SimpleNamespace(__cuda_stream__=lambda: (0, number)),
        ):
            self.layer.use_stream(stream)
            self.assertEqual(self.layer.stream, number)
        self.layer.use_stream(types.SimpleNamespace(cuda_stream=0))
        self.assertEqual(self.layer.stream, 1)
        with self.assertRaisesRegex(TypeError, "a str is no stream of CUDA"):
            self.layer.use_stream("fast")
        self.layer.use_stream(None)
        np.testing.assert_array_equal(self.layer(self.x), self.expected)

    def test_tensors_are_held_until_the_end(self):
        self.layer.use_stream(DEVICE.stream())
        x, out = Array(self.x), Array(np.zeros_like(self.x))
        self.layer(x, out=out)
        self.layer(x, out=out)
        self.assertEqual((x.held, out.held), (2, 2))
        self.layer.wait()
        self.assertEqual((x.held, out.held), (0, 0))
        np.testing.assert_array_equal(out.values(), self.expected)
        y = self.layer(x)  # of which a library asks before its end
        np.testing.assert_array_equal(read(y), self.expected)
        self.assertEqual(x.held, 0)
        self.layer(x, out=out)
        del self.layer, y
        gc.collect()
        self.assertEqual((x.held, out.held), (0, 0))

    def test_results_do_not_hold_their_layer(self):
        self.layer.use_stream(DEVICE.stream())
        y, layer = self.layer(Array(self.x)), weakref.ref(self.layer)
        del self.layer, y
        gc.collect()
        self.assertIsNone(layer())

    def test_whoever_never_waits(self):
        self.layer.use_stream(DEVICE.stream())
        x, out = Array(self.x[:0]), Array(self.x[:0])
        for _ in range(140):
            self.layer(x, out=out)
        self.assertLess(x.held, 140)

    def test_graph(self):
        self.layer.use_graph()
        x, out = Array(self.x), Array(np.zeros_like(self.x))
        for factor in (1, -1, 0.5):
            DEVICE.set(x.address, self.x * np.float32(factor), x.own)
            before = SIM.moe_sim_launch_calls()
            self.layer(x, out=out)
            launched = SIM.moe_sim_launch_calls() - before
            other = PACKAGE.layer()
            other.randomize(seed=1)
            np.testing.assert_array_equal(out.values(), other(self.x * np.float32(factor)))
        self.assertEqual(launched, 0)

    def test_weights(self):
        layer, arrays = PACKAGE.layer(), {}
        for i, (name, value) in enumerate(self.layer.weights.items()):
            arrays[name] = Array(value)
            (layer.set_weight if i % 2 else layer.borrow_weight)(name, arrays[name])
        np.testing.assert_array_equal(layer(self.x), self.expected)

    def test_memory_goes_with_the_last(self):
        y = self.layer(Array(self.x))
        tensor, give_back = take(y)
        y.__dlpack__()  # which nobody takes
        del y, self.layer
        gc.collect()
        np.testing.assert_array_equal(DEVICE.get(tensor.data, (6, 64)), self.expected)
        address = tensor.data
        self.assertTrue(is_memory(address))
        give_back()
        self.assertFalse(is_memory(address))

    def test_library_of_the_input(self):
        """Where a library says how it takes tensors, results are its own."""
        taken = []
        library = types.SimpleNamespace(from_dlpack=lambda y: taken.append(y) or "its own")
        x = Array(self.x)
        x.__array_namespace__ = lambda: library
        self.assertEqual(self.layer(x), "its own")
        np.testing.assert_array_equal(read(taken[0]), self.expected)

    def test_what_is_not_finite(self):
        x = self.x.copy()
        x[2, 1] = np.inf
        with self.assertRaisesRegex(moe_mlir.Error, "token 2 is not finite"):
            self.layer(Array(x))


if __name__ == "__main__":
    unittest.main(verbosity=2)
