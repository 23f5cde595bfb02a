"""torch's product of groups of rows with a matrix each."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ._torch import DeviceLayer, Product, System

# Its older name is that of a private function.
_grouped_mm = getattr(F, "grouped_mm", None) or torch._grouped_mm


class _Layer(DeviceLayer):
    def experts(self, rows, counts, slots):
        ends = counts.cumsum(0).int()
        both = _grouped_mm(rows, self.gate_up.transpose(-1, -2), offs=ends)
        if self.gate_up_bias is not None:
            both += self.gate_up_bias[slots]
        y = _grouped_mm(self.activate(both), self.down.transpose(-1, -2), offs=ends)
        return y if self.down_bias is None else y + self.down_bias[slots]


class _Product(Product):
    def multiply(self) -> torch.Tensor:
        return _grouped_mm(self.rows, self.weight.transpose(-1, -2), offs=self.offsets[1:])


class TorchGrouped(System):
    layer, product = _Layer, _Product
