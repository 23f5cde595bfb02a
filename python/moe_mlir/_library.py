"""Finds moe-opt and libmoe_runtime.so and declares the C interface of moe.h."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import sys
from pathlib import Path
from typing import Iterator

from ._errors import Error

c_void_pp = ctypes.POINTER(ctypes.c_void_p)


class DLDevice(ctypes.Structure):
    _fields_ = [("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32)]


class DLDataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", DLDevice),
        ("ndim", ctypes.c_int32),
        ("dtype", DLDataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class DLManagedTensor(ctypes.Structure):
    pass


DLManagedTensor._fields_ = [
    ("dl_tensor", DLTensor),
    ("manager_ctx", ctypes.c_void_p),
    ("deleter", ctypes.CFUNCTYPE(None, ctypes.POINTER(DLManagedTensor))),
]


class LayerOptions(ctypes.Structure):
    _fields_ = [
        ("device", ctypes.c_char_p),
        ("cpu", ctypes.c_char_p),
        ("world", ctypes.c_void_p),
    ]


class MoeStatistics(ctypes.Structure):
    _fields_ = [
        ("loads", ctypes.POINTER(ctypes.c_int32)),
        ("experts", ctypes.c_int64),
        ("imbalance", ctypes.c_float),
        ("tokens", ctypes.c_int64),
        ("routed", ctypes.c_int64),
        ("dropped", ctypes.c_int64),
        ("seconds", ctypes.c_double),
        ("routing_fraction", ctypes.c_double),
    ]


Progress = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64
)

_tensor = ctypes.POINTER(DLTensor)
_managed = ctypes.POINTER(DLManagedTensor)
_managed_p = ctypes.POINTER(_managed)
_tensors = ctypes.POINTER(_tensor)
_extents = ctypes.POINTER(ctypes.c_int64)
_text = ctypes.c_char_p
_handle = ctypes.c_void_p

# Functions that return a status, with their arguments.
_CHECKED = {
    "moe_package_open": [_text, c_void_pp],
    "moe_package_close": [_handle],
    "moe_layer_create_with": [_handle, ctypes.POINTER(LayerOptions), c_void_pp],
    "moe_layer_share": [_handle, c_void_pp],
    "moe_layer_load_weights": [_handle, _text, Progress, ctypes.c_void_p],
    "moe_layer_load_weights_of": [_handle, _text, ctypes.c_int64, Progress, ctypes.c_void_p],
    "moe_layer_set_weight": [_handle, _text, _tensor],
    "moe_layer_borrow_weight": [_handle, _text, _tensor],
    "moe_layer_randomize": [_handle, ctypes.c_uint64, ctypes.c_int],
    "moe_layer_save_weights": [_handle, _text],
    "moe_layer_run": [_handle, _text, _tensors, _tensors],
    "moe_layer_get": [_handle, _text, _tensor],
    "moe_layer_reset": [_handle],
    "moe_layer_set_graph": [_handle, ctypes.c_int],
    "moe_layer_set_stream": [_handle, ctypes.c_void_p],
    "moe_layer_wait": [_handle],
    "moe_layer_new_tensor": [_handle, DLDataType, ctypes.c_int32, _extents, _managed_p],
    "moe_tensor_share": [_managed, _managed_p],
    "moe_layer_statistics": [_handle, ctypes.POINTER(MoeStatistics)],
}
_PLAIN = {
    "moe_last_error": ([], _text),
    "moe_package_manifest": ([_handle], _text),
    "moe_layer_cpu": ([_handle], _text),
    "moe_layer_device": ([_handle], _text),
    "moe_layer_stream": ([_handle], ctypes.c_void_p),
    "moe_layer_destroy": ([_handle], None),
    "moe_set_threads": ([ctypes.c_int], None),
}


def homes() -> Iterator[Path]:
    """Folders that may hold `bin/moe-opt` and `lib/libmoe_runtime.so`, best first."""
    if home := os.environ.get("MOE_MLIR_HOME"):
        yield Path(home).resolve()  # tools are run in other folders
    here = Path(__file__).resolve().parent
    yield here
    build = here.parent.parent / "build"
    yield build / "release"
    if build.is_dir():
        yield from sorted(folder for folder in build.iterdir() if folder.name != "release")
    if tool := shutil.which("moe-opt"):
        yield Path(tool).resolve().parent.parent
    yield Path(sys.prefix)


def _missing(what: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"{what} is neither in $MOE_MLIR_HOME nor beside this package, in a build folder or on "
        "the PATH; build the project with scripts/test.sh, or set MOE_MLIR_HOME to where it is"
    )


@functools.lru_cache(maxsize=None)
def compiler() -> Path:
    """The path of moe-opt."""
    for home in homes():
        if (path := home / "bin" / "moe-opt").is_file():
            return path
    raise _missing("moe-opt")


@functools.lru_cache(maxsize=None)
def runtime() -> ctypes.CDLL:
    """libmoe_runtime.so, loaded once; its checked functions raise `Error`."""
    for home in homes():
        for folder in ("lib", "lib64", f"lib/{os.uname().machine}-linux-gnu"):
            if (path := home / folder / "libmoe_runtime.so").is_file():
                return _load(str(path))
    try:
        return _load("libmoe_runtime.so")
    except OSError:
        raise _missing("libmoe_runtime.so") from None


def _load(path: str) -> ctypes.CDLL:
    # Packages find the runtime's functions in the program, as if it were linked.
    return _declare(ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL))


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    for name, (arguments, result) in _PLAIN.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result

    def check(status: int, function, arguments) -> int:
        if status:
            raise Error(status, library.moe_last_error().decode(errors="replace"))
        return status

    for name, arguments in _CHECKED.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_int
        function.errcheck = check
    return library
