"""torch's product of groups of rows with a matrix each."""

from __future__ import annotations

import torch.nn.functional as F

from ._torch import TorchSystem, plain


class TorchGrouped(TorchSystem):
    def prepare(self) -> None:
        self.gate_up = plain(self.weights, "experts.gate_up").transpose(-1, -2)
        self.down = plain(self.weights, "experts.down").transpose(-1, -2)
        self.gate_up_bias, self.down_bias = map(self.bias, ("experts.gate_up", "experts.down"))

    def experts(self, rows, counts, slots):
        ends = counts.cumsum(0).int()
        both = F.grouped_mm(rows, self.gate_up, offs=ends)
        if self.gate_up_bias is not None:
            both += self.gate_up_bias[slots]
        y = F.grouped_mm(self.activate(both), self.down, offs=ends)
        return y if self.down_bias is None else y + self.down_bias[slots]
