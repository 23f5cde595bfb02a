"""Just enough of .safetensors and .npy for the tests."""

import json
import struct
from pathlib import Path

import numpy as np

_TYPES = {
    "F32": np.float32,
    "F64": np.float64,
    "F16": np.float16,
    "BF16": np.uint16,
    "I8": np.int8,
    "U8": np.uint8,
    "F8_E4M3": np.uint8,
    "F8_E8M0": np.uint8,
    "I32": np.int32,
    "I64": np.int64,
}


def read_safetensors(path):
    """Name -> (array, type name); bf16 arrays are uint16."""
    raw = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        data = np.frombuffer(raw[8 + length + begin : 8 + length + end], _TYPES[entry["dtype"]])
        tensors[name] = (data.reshape(entry["shape"]), entry["dtype"])
    return tensors


def write_safetensors(path, tensors):
    """The inverse of `read_safetensors`."""
    header, at, parts = {}, 0, []
    for name, (array, dtype) in tensors.items():
        data = np.ascontiguousarray(array, _TYPES[dtype]).tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [at, at + len(data)],
        }
        at += len(data)
        parts.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
