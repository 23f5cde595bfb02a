"""What the systems made with torch share: weights in its terms, router and shared expert."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F

from ..problem import Batch, Weights
from ..reference import decoded


def tensor(array: np.ndarray) -> torch.Tensor:
    """The array's memory as a tensor; uint16 are bf16."""
    shared = torch.from_numpy(array)
    return shared.view(torch.bfloat16) if array.dtype == np.uint16 else shared


def plain(weights: Weights, name: str) -> torch.Tensor:
    """A projection as f32 or bf16; what has few bits is decoded once, for all systems."""
    if weights.dtype in ("f32", "bf16"):
        return tensor(weights.arrays[name + ".weight"])
    cached: Dict[str, torch.Tensor] = weights.decoded
    if name not in cached:
        data = weights.arrays[name + ".weight"]
        if data.ndim == 2:
            cached[name] = torch.from_numpy(decoded(weights, name)).bfloat16()
        else:
            experts = (torch.from_numpy(decoded(weights, name, e)) for e in range(len(data)))
            cached[name] = torch.stack([expert.bfloat16() for expert in experts])
    return cached[name]


class TorchSystem:
    """A layer of which subclasses compute the experts."""

    def __init__(self, weights: Weights, threads: int):
        self.weights, self.shape = weights, weights.shape
        self.router = tensor(weights.arrays["router.weight"])
        self.router_bias = self.bias("router")
        self.prepare()
        self.set_threads(threads)

    def prepare(self) -> None:
        """Makes what is kept between calls."""

    def set_threads(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def bias(self, name: str) -> Optional[torch.Tensor]:
        array = self.weights.arrays.get(name + ".bias")
        return None if array is None else torch.from_numpy(array).to(self.router.dtype)

    def bind(self, batch: Batch) -> Callable[[], torch.Tensor]:
        x = tensor(batch.x)

        def call() -> torch.Tensor:
            with torch.inference_mode():
                return self.forward(x)

        return call

    @staticmethod
    def to_numpy(y: torch.Tensor) -> np.ndarray:
        return y.float().numpy()

    def route(self, x: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Weights in f32 and experts of each token's slots."""
        logits = F.linear(x, self.router, self.router_bias).float()
        if self.shape.selected:
            chosen, indices = logits.topk(self.shape.top_k)
            return chosen.softmax(-1), indices
        scores, indices = logits.softmax(-1).topk(self.shape.top_k)
        if self.shape.renormalize:
            scores = scores / scores.sum(-1, keepdim=True)
        return scores, indices

    def activate(self, both: torch.Tensor) -> torch.Tensor:
        gate, up = both.chunk(2, dim=-1)
        if self.shape.activation == "swigluoai":
            gate = gate.clamp(max=7)
            return gate * torch.sigmoid(1.702 * gate) * (up.clamp(-7, 7) + 1)
        return F.silu(gate) * up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores, indices = self.route(x)
        slots = indices.reshape(-1)
        order = slots.argsort(stable=True)
        counts = torch.bincount(slots, minlength=self.shape.experts)
        sorted_y = self.experts(x[order // self.shape.top_k], counts, slots[order])
        y = torch.empty_like(sorted_y)
        y[order] = sorted_y
        y = (y.view(*indices.shape, -1) * scores[..., None]).sum(1).to(x.dtype)
        return y + self.shared(x) if self.shape.shared else y

    def experts(self, rows: torch.Tensor, counts: torch.Tensor, slots: torch.Tensor) -> Any:
        """The experts' results for rows in the order of experts."""
        raise NotImplementedError

    def shared(self, x: torch.Tensor) -> torch.Tensor:
        both = F.linear(x, plain(self.weights, "shared.gate_up"))
        return F.linear(self.activate(both), plain(self.weights, "shared.down"))
