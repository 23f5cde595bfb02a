"""Rows sorted by expert, and two matrix products for each expert that has any."""

from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F

from ._torch import TorchSystem, plain


class TorchLoop(TorchSystem):
    def prepare(self) -> None:
        self.projections = {
            name: plain(self.weights, "experts." + name) for name in ("gate_up", "down")
        }
        self.biases = {name: self.bias("experts." + name) for name in self.projections}

    def experts(self, rows, counts, slots):
        results, start = [], 0
        for expert, count in enumerate(counts.tolist()):
            if count:
                both = self.product("gate_up", expert, rows[start : start + count])
                results.append(self.product("down", expert, self.activate(both)))
                start += count
        return torch.cat(results)

    def product(self, name: str, expert: int, rows: torch.Tensor) -> torch.Tensor:
        return F.linear(rows, self.projections[name][expert], self.bias_of(name, expert))

    def bias_of(self, name: str, expert: int) -> Optional[torch.Tensor]:
        biases = self.biases[name]
        return None if biases is None else biases[expert]
