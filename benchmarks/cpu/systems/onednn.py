"""The loop over experts with oneDNN's products, their weights packed as oneDNN wants them."""

from __future__ import annotations

import torch

from ._torch import plain
from .torch_loop import TorchLoop
from .unsupported import Unsupported


class OneDnn(TorchLoop):
    def prepare(self) -> None:
        if self.weights.dtype not in ("f32", "bf16"):
            raise Unsupported("with decoded weights it is as for bf16")
        self.biases = {name: self.bias("experts." + name) for name in ("gate_up", "down")}
        self.packed = {
            name: [_pack(expert) for expert in plain(self.weights, "experts." + name)]
            for name in self.biases
        }

    def product(self, name, expert, rows):
        linear = torch.ops.mkldnn._linear_pointwise
        bias = self.bias_of(name, expert)
        return linear(rows, self.packed[name][expert], bias, "none", [], "")


def _pack(weight: torch.Tensor) -> torch.Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight, None)
