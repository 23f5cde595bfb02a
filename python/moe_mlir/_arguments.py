"""The tensors of a call: what is given, where results go, and their shapes."""

from __future__ import annotations

import ctypes
import re
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

from ._library import DLTensor
from ._tensors import Tensor, as_tensor, is_on_gpu


def wanted_places(function: str, results: List[dict], out: Any) -> Dict[str, Any]:
    """Where the caller wants results, by name."""
    names = [a["name"] for a in results]
    if out is None or isinstance(out, dict):
        given = dict(out or {})
    elif len(names) == 1:
        given = {names[0]: out}
    else:
        raise TypeError(f"{function} has the results {', '.join(names)}: expected a dict for 'out'")
    if unknown := set(given) - set(names):
        raise TypeError(f"{function} has no result {sorted(unknown)}, only {', '.join(names)}")
    return given


def as_input(value: Any, dtype: str, stream: Optional[int]) -> Tensor:
    if dtype in ("i32", "i64") and not is_on_gpu(value):  # few and small, often of another width
        value = np.asarray(value, dtype.replace("i", "int"))
    return as_tensor(value, dtype, stream=stream)


def as_output(value: Any, dtype: str, stream: Optional[int]) -> Tensor:
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        raise ValueError("the array is read-only, so that no result can be written to it")
    return as_tensor(value, dtype, copy=False, stream=stream)


def pointers(tensors: List[Tensor]):
    array = (ctypes.POINTER(DLTensor) * max(len(tensors), 1))()
    for i, tensor in enumerate(tensors):
        array[i] = ctypes.pointer(tensor.dl)
    return array


_EXTENT = re.compile(r"(ceil\()?(?:(\d+)\*)?([A-Za-z_]\w*)(?(1)/(\d+)\))")


def _extent(entry: Union[int, str]) -> Tuple[Optional[str], int, int]:
    """A shape entry of the manifest: a size (None: 1), times a number, over a number.

    >>> _extent(4), _extent("T"), _extent("2*T"), _extent("ceil(2*n/64)")
    ((None, 4, 1), ('T', 1, 1), ('T', 2, 1), ('n', 2, 64))
    """
    if isinstance(entry, int):
        return None, entry, 1
    match = _EXTENT.fullmatch(entry)
    if not match:
        raise ValueError(f"{entry!r} is no extent of a shape")
    _, times, name, over = match.groups()
    return name, int(times or 1), int(over or 1)


def bind_sizes(arguments: List[dict], tensors: List[Tensor], given: Dict[str, int]):
    """The symbolic sizes that the shapes of the inputs imply."""
    bound = dict(given)
    for argument, tensor in zip(arguments, tensors):
        for entry, extent in zip(argument["shape"], tensor.shape):
            name, times, over = _extent(entry)
            if name is not None and over == 1:
                bound.setdefault(name, extent // times)
    return bound


def shape_of(shape: List[Union[int, str]], bound: Dict[str, int]) -> List[int]:
    extents = []
    for entry in shape:
        name, times, over = _extent(entry)
        if name is not None and name not in bound:
            raise TypeError(f"no input tells the size {name}; pass sizes={{{name!r}: …}}")
        size = 1 if name is None else bound[name]
        extents.append(-(-size * times // over))
    return extents
