"""Arrays of any library as DLPack tensors, without copies."""

from __future__ import annotations

import ctypes
from typing import Any, Optional, Sequence

import numpy as np

from ._library import DLDataType, DLDevice, DLTensor

try:
    import ml_dtypes

    _BF16 = np.dtype(ml_dtypes.bfloat16)
except ImportError:
    _BF16 = np.dtype(np.uint16)

_KINDS = {"i": 0, "u": 1, "f": 2}
_BFLOAT = 4
_CUDA = 2  # kDLCUDA

_NUMPY = {
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "f16": np.dtype(np.float16),
    "bf16": _BF16,
    "i8": np.dtype(np.int8),
    "u8": np.dtype(np.uint8),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
}

_LONG = {"f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16"}
_LONG.update(i8="int8", u8="uint8", i32="int32", i64="int64")
_SHORT = {long: short for short, long in _LONG.items()}

_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_capsule_pointer.restype = ctypes.c_void_p


def numpy_type(name: str) -> np.dtype:
    """The numpy type of an element type of the manifest; bf16 is uint16 without ml_dtypes.

    >>> numpy_type("i32")
    dtype('int32')
    """
    return _NUMPY[name]


def long_name(name: str) -> str:
    """What array libraries call an element type of the manifest.

    >>> long_name("bf16")
    'bfloat16'
    """
    return _LONG[name]


def is_torch(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "torch"


def element_type(value: Any) -> str:
    """The manifest's name of an array's element type, or the library's where it has none.

    >>> element_type(np.zeros(1, np.float16)), element_type(np.zeros(1, bool))
    ('f16', 'bool')
    """
    name = str(value.dtype).split(".")[-1]
    return _SHORT.get(name, name)


def is_on_gpu(value: Any) -> bool:
    """Whether an array of any library is in memory of CUDA."""
    return hasattr(value, "__dlpack_device__") and value.__dlpack_device__()[0] == _CUDA


def is_compact(value: Any) -> bool:
    """Whether the elements lie row by row without gaps."""
    return bool(value.is_contiguous() if is_torch(value) else value.flags.c_contiguous)


class Tensor:
    """A DLTensor over memory that `owner` keeps alive."""

    def __init__(self, dl: DLTensor, owner: Any):
        self.dl, self.owner = dl, owner

    @property
    def shape(self) -> tuple:
        return tuple(self.dl.shape[i] for i in range(self.dl.ndim))


def as_tensor(
    value: Any, dtype: str, copy: bool = True, stream: Optional[int] = None
) -> Tensor:
    """`value` as the runtime takes it. Compact arrays are not copied.

    `dtype` is what the callee expects: bf16 in numpy is told from uint16 by it, and
    lists become arrays of it. Without `copy` what would have to be copied is refused.
    What is on a GPU is there for what comes into `stream` from now on.
    """
    if not copy and not (is_torch(value) or isinstance(value, np.ndarray)):
        if not hasattr(value, "__dlpack__"):
            raise TypeError(f"a {type(value).__name__} has no memory to use, expected an array")
    if is_torch(value):
        if not copy and not value.is_contiguous():
            raise ValueError("the tensor is not compact, so that its memory cannot be used")
        return _from_capsule(value.detach().contiguous(), stream)
    if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
        return _from_capsule(value, stream)
    wanted = numpy_type(dtype)
    if not isinstance(value, np.ndarray):
        value = np.asarray(value, wanted)
    if not copy and not value.flags.c_contiguous:
        raise ValueError("the array is not compact, so that its memory cannot be used")
    return _from_numpy(np.ascontiguousarray(value).reshape(value.shape), dtype)


def _from_numpy(array: np.ndarray, dtype: str) -> Tensor:
    if dtype == "bf16" and array.dtype in (_BF16, np.dtype(np.uint16)):
        code = _BFLOAT
    elif array.dtype == _BF16 and _BF16 != np.uint16:
        code = _BFLOAT
    elif array.dtype.kind in _KINDS and array.dtype.isnative:
        code = _KINDS[array.dtype.kind]
    else:
        raise TypeError(f"arrays of {array.dtype} are not supported")
    shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    dl = DLTensor(
        array.ctypes.data,
        DLDevice(1, 0),
        array.ndim,
        DLDataType(code, array.dtype.itemsize * 8, 1),
        ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64)),
        None,
        0,
    )
    return Tensor(dl, (array, shape))


def _from_capsule(value: Any, stream: Optional[int]) -> Tensor:
    # The capsule stays ours: it holds the memory, and frees its tensor when it goes.
    ordered = stream is not None and is_on_gpu(value)
    capsule = value.__dlpack__(stream=stream) if ordered else value.__dlpack__()
    pointer = _capsule_pointer(capsule, b"dltensor")
    dl = DLTensor.from_buffer_copy(ctypes.cast(pointer, ctypes.POINTER(DLTensor)).contents)
    return Tensor(dl, capsule)


def dlpack_type(dtype: str) -> DLDataType:
    """An element type of the manifest as DLPack has it."""
    if dtype == "bf16":
        return DLDataType(_BFLOAT, 16, 1)
    return DLDataType(_KINDS[dtype[0]], int(dtype[1:]), 1)


def empty(shape: Sequence[int], dtype: str, like: Any = None) -> Any:
    """An array for a result: of torch where `like` is, on the same device, else of numpy."""
    if is_torch(like):
        import torch

        return torch.empty(tuple(shape), dtype=getattr(torch, _LONG[dtype]), device=like.device)
    kept_bits = isinstance(like, np.ndarray) and dtype == "bf16" and like.dtype == np.uint16
    return np.empty(shape, np.uint16 if kept_bits else numpy_type(dtype))


def like_input(result: Any, like: Any) -> Any:
    """`result` in the array library of `like`, where that is neither numpy nor torch."""
    if isinstance(like, np.ndarray) or is_torch(like) or not hasattr(like, "__array_namespace__"):
        return result
    library = like.__array_namespace__()
    return library.from_dlpack(result) if is_on_gpu(result) else library.asarray(result)


def copy_out(dl: DLTensor, dtype: str) -> np.ndarray:
    """A numpy copy of a compact view that belongs to the runtime."""
    shape = tuple(dl.shape[i] for i in range(dl.ndim))
    result = np.empty(shape, numpy_type(dtype))
    if result.nbytes:
        ctypes.memmove(result.ctypes.data, dl.data + dl.byte_offset, result.nbytes)
    return result


def type_name(dl: DLTensor) -> str:
    """The manifest's name of a tensor's element type."""
    if dl.dtype.code == _BFLOAT:
        return "bf16"
    return {0: "i", 1: "u", 2: "f"}[dl.dtype.code] + str(dl.dtype.bits)
