"""Dense products of as many operations, by cuBLAS: what a layer of one expert would take."""

from __future__ import annotations

import torch

from ..problem import LayerProblem
from ._torch import DEVICE, Product, System


def _random(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, device=DEVICE, dtype=torch.bfloat16)


class _Layer:
    def __init__(self, problem: LayerProblem):
        shape = problem.shape
        rows = problem.row.tokens * shape.top_k
        self.x, self.gate_up = _random(rows, shape.hidden), _random(
            2 * shape.intermediate, shape.hidden
        )
        self.inner, self.down = _random(rows, shape.intermediate), _random(
            shape.hidden, shape.intermediate
        )

    def __call__(self) -> torch.Tensor:
        self.x @ self.gate_up.T
        return self.inner @ self.down.T


class _Product(Product):
    def multiply(self) -> torch.Tensor:
        return self.rows @ self.weight[0].T


class Dense(System):
    layer, product = _Layer, _Product
