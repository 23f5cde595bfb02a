"""What systems on torch tensors share: a layer's steps but for the experts, on the device."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import torch

from ...cpu.systems._torch import TorchSystem, tensor
from ..problem import LayerProblem, Problem

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def on_device(array: np.ndarray) -> torch.Tensor:
    return tensor(array).to(DEVICE)


class DeviceLayer(TorchSystem):
    """A layer of which subclasses compute the experts; weights are copied to the device."""

    def __init__(self, problem: LayerProblem):
        super().__init__(problem.weights, torch.get_num_threads())
        self.router = self.router.to(DEVICE)
        if self.router_bias is not None:
            self.router_bias = self.router_bias.to(DEVICE)
        self.gate_up = on_device(self.weights.arrays["experts.gate_up.weight"])
        self.down = on_device(self.weights.arrays["experts.down.weight"])
        self.gate_up_bias, self.down_bias = (
            None if bias is None else bias.to(DEVICE)
            for bias in map(self.bias, ("experts.gate_up", "experts.down"))
        )
        self.x = on_device(problem.batch.x)

    def __call__(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.forward(self.x)


class Product:
    """Rows, a matrix for each group, and where groups begin, on the device."""

    def __init__(self, problem: Problem):
        self.row = problem.row
        self.rows, self.weight = on_device(problem.rows), on_device(problem.weight)
        self.offsets = torch.from_numpy(problem.offsets).to(DEVICE)

    def __call__(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.multiply()

    def multiply(self) -> torch.Tensor:
        raise NotImplementedError


class System:
    """One of two kinds, as the problem is; calls may return before they have ended."""

    layer: Callable[[LayerProblem], Any]
    product: Callable[[Problem], Any]

    def __init__(self, problem: Problem):
        kind = type(self).layer if isinstance(problem, LayerProblem) else type(self).product
        self._call = kind(problem)

    def __call__(self) -> Any:
        return self._call()

    @staticmethod
    def to_numpy(y: torch.Tensor) -> np.ndarray:
        return y.float().cpu().numpy()
