"""The compiled layer or product, through the C interface, on tensors of the device."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, List, Optional

import numpy as np
import torch

import moe_mlir
from moe_mlir._library import DLDataType, DLDevice, DLTensor, runtime

from ..problem import LayerProblem, Problem
from ._torch import DEVICE, on_device
from . import Unsupported

_CODES = {torch.bfloat16: (4, 16), torch.float32: (2, 32), torch.int32: (0, 32)}


def _dlpack(tensor: torch.Tensor) -> DLTensor:
    """A tensor's memory as the runtime takes it; the tensor has to stay."""
    made = DLTensor()
    made.data = tensor.data_ptr()
    made.device = DLDevice(2 if tensor.is_cuda else 1, tensor.device.index or 0)
    made.ndim = tensor.dim()
    made.dtype = DLDataType(*_CODES[tensor.dtype], 1)
    made.shape = (ctypes.c_int64 * tensor.dim())(*tensor.shape)
    return made


def _pointers(tensors: List[DLTensor]) -> Any:
    return (ctypes.POINTER(DLTensor) * len(tensors))(*map(ctypes.pointer, tensors))


class Ours:
    """Weights are borrowed from the host, and copied to the device by the first call."""

    def __init__(self, problem: Problem, packages: Optional[Path]):
        folder = (packages or Path()) / problem.row.package
        if not any(folder.glob("*.so")):
            raise Unsupported(f"there is no package in {folder}")
        self.layer = moe_mlir.Package(folder).layer(device=DEVICE)
        if isinstance(problem, LayerProblem):
            for name, array in problem.weights.arrays.items():
                self.layer.borrow_weight(name, array)
            inputs, width = [problem.batch.x], problem.shape.hidden
        else:
            self.layer.borrow_weight("weight", problem.weight)
            inputs, width = [problem.rows, problem.offsets], problem.row.outputs
        self.inputs = [on_device(array) for array in inputs]
        rows = len(self.inputs[0])
        self.y = torch.zeros(rows, width, dtype=torch.bfloat16, device=DEVICE)
        self._in = _pointers([_dlpack(tensor) for tensor in self.inputs])
        self._out = _pointers([_dlpack(self.y)])

    def __call__(self) -> torch.Tensor:
        runtime().moe_layer_run(self.layer._handle, b"forward", self._in, self._out)
        return self.y

    @staticmethod
    def to_numpy(y: torch.Tensor) -> np.ndarray:
        return y.float().cpu().numpy()
