"""Compile Mixture-of-Experts layers and run them on arrays.

>>> import numpy as np
>>> spec = {"hidden": 8, "router": {"experts": 4, "top_k": 2}, "experts": {"intermediate": 16}}
>>> layer = compile(spec).layer()
>>> layer.randomize(seed=1)
>>> y = layer(np.ones((3, 8), np.float32))
>>> y.shape, y.dtype
((3, 8), dtype('float32'))
>>> layer.plan["indices"].shape
(3, 2)
"""

from ._accelerate import AccelerateError, BlockReport, Report, accelerate, refresh, restore
from ._device import DeviceTensor
from ._errors import CompileError, Error, Status
from ._layer import Layer, Statistics
from ._package import Package, compile, load, set_threads

__all__ = [
    "AccelerateError",
    "BlockReport",
    "CompileError",
    "DeviceTensor",
    "Error",
    "Layer",
    "Package",
    "Report",
    "Statistics",
    "Status",
    "accelerate",
    "compile",
    "load",
    "refresh",
    "restore",
    "set_threads",
]
