"""Memory of a GPU as DLPack tensors, and streams."""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any, Optional, Sequence, Tuple

from ._library import DLManagedTensor, runtime
from ._tensors import dlpack_type

if TYPE_CHECKING:
    from ._layer import Layer

_NAME = b"dltensor"
_DEFAULT, _UNORDERED = 1, -1  # of the streams that DLPack has numbers for

_Destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_new = ctypes.pythonapi["PyCapsule_New"]
_new.argtypes, _new.restype = [ctypes.c_void_p, ctypes.c_char_p, _Destructor], ctypes.py_object
# By address: a capsule that is going must not be counted again.
_is_valid = ctypes.pythonapi["PyCapsule_IsValid"]
_is_valid.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_pointer = ctypes.pythonapi["PyCapsule_GetPointer"]
_pointer.argtypes, _pointer.restype = [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_void_p


def stream_handle(stream: Any) -> Optional[int]:
    """The CUstream of a stream of torch, of another library, or of a number; None for None.

    CUDA's default stream is 0 for others, and 1 here and in DLPack.

    >>> stream_handle(None), stream_handle(0), stream_handle(4096)
    (None, 1, 4096)
    """
    if stream is None or isinstance(stream, int):
        return stream if stream is None else stream or _DEFAULT
    if hasattr(stream, "__cuda_stream__"):
        return stream.__cuda_stream__()[1] or _DEFAULT
    for name in ("cuda_stream", "ptr"):  # of torch, of cupy
        if isinstance(number := getattr(stream, name, None), int):
            return number or _DEFAULT
    raise TypeError(f"a {type(stream).__name__} is no stream of CUDA")


class DeviceTensor:
    """A compact tensor in memory of a layer's GPU.

    Other libraries take it by their `from_dlpack`, layers as an input, a weight or a result, all
    without a copy. The memory goes with the last of them.
    """

    def __init__(self, layer: "Layer", shape: Sequence[int], dtype: str):
        self.shape: Tuple[int, ...] = tuple(shape)
        self.dtype = dtype
        self._layer = layer
        extents = (ctypes.c_int64 * max(len(self.shape), 1))(*self.shape)
        self._managed = ctypes.POINTER(DLManagedTensor)()
        runtime().moe_layer_new_tensor(
            layer._handle, dlpack_type(dtype), len(self.shape), extents, ctypes.byref(self._managed)
        )
        weakref.finalize(self, self._managed.contents.deleter, self._managed)

    def __dlpack_device__(self) -> Tuple[int, int]:
        device = self._managed.contents.dl_tensor.device
        return device.device_type, device.device_id

    def __dlpack__(self, *, stream: Optional[int] = None, **_: Any) -> Any:
        """A capsule. Work of the layer has ended, unless what is put into `stream` follows it."""
        if stream not in (_UNORDERED, self._layer.stream):
            self._layer.wait()
        shared = ctypes.POINTER(DLManagedTensor)()
        runtime().moe_tensor_share(self._managed, ctypes.byref(shared))
        return _new(shared, _NAME, _free_unused)

    def __repr__(self) -> str:
        return f"<moe_mlir.DeviceTensor {self.dtype}{list(self.shape)}>"


@_Destructor
def _free_unused(capsule: int) -> None:
    # Whoever has taken the tensor has given the capsule another name.
    if _is_valid(capsule, _NAME):
        tensor = ctypes.cast(_pointer(capsule, _NAME), ctypes.POINTER(DLManagedTensor))
        tensor.contents.deleter(tensor)
