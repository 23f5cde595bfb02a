"""Runs a MoE block of transformers in f64 and in its own type, and records what it does."""

import contextlib
import copy
from dataclasses import dataclass

import numpy as np
import torch

import golden


class NearTie(Exception):
    """Rounding could decide a choice: another seed is needed."""


@contextlib.contextmanager
def tie_rule():
    """torch.topk with the lower index first among equals, which torch leaves open.

    Equal is what is equal in f32. Values that differ by little more are refused.
    """
    real, method = torch.topk, torch.Tensor.topk

    def topk(input, k, dim=-1, largest=True, sorted=True):
        values = input.float()
        order = torch.sort(values, dim=dim, descending=True, stable=True)
        dim_size = values.shape[dim]
        if k < dim_size:
            inside = order.values.narrow(dim, k - 1, 1)
            outside = order.values.narrow(dim, k, 1)
            gap = (inside - outside) / inside.abs().clamp(min=1e-3)
            if ((gap > 0) & (gap < 1e-5)).any():
                raise NearTie
        indices = order.indices.narrow(dim, 0, k)
        result = torch.gather(input, dim, indices), indices
        return torch.return_types.topk(result)

    torch.topk, torch.Tensor.topk = topk, lambda self, *a, **k: topk(self, *a, **k)
    try:
        yield
    finally:
        torch.topk, torch.Tensor.topk = real, method


@dataclass
class Outcome:
    y: torch.Tensor
    indices: torch.Tensor
    weights: torch.Tensor
    router_state_next: torch.Tensor | None = None


def run_block(block, x, **extra):
    """The usual block: called with x, its `experts` are given indices and weights."""
    seen = {}

    def before_experts(_, arguments, keywords):
        given = list(arguments) + list(keywords.values())
        seen["indices"], seen["weights"] = given[1], given[2]

    handle = block.experts.register_forward_pre_hook(before_experts, with_kwargs=True)
    try:
        y = block(x[None], **extra)
    finally:
        handle.remove()
    y = y[0] if isinstance(y, tuple) else y
    return Outcome(y.reshape(x.shape), seen["indices"], seen["weights"])


def as_numpy(tensor):
    return tensor.detach().to(torch.float64 if tensor.is_floating_point() else torch.int64).numpy()


def by_expert(indices, *others):
    """Slots of each token in order of the expert."""
    order = np.argsort(indices, axis=1, kind="stable")
    return [np.take_along_axis(array, order, 1) for array in (indices, *others)]


@torch.no_grad()
def record(family, block, inputs):
    """A golden.Case of one block and inputs, and how many tokens had ties that fell otherwise."""
    x, extra = inputs
    wide = copy.deepcopy(block).double()
    with tie_rule():
        exact = run(family, wide, inputs, torch.float64)
    free = run(family, wide, inputs, torch.float64)
    with tie_rule():
        own = run(family, block, inputs, torch.bfloat16)
    indices, weights = by_expert(as_numpy(exact.indices), as_numpy(exact.weights))
    (free_indices,) = by_expert(as_numpy(free.indices))
    (own_indices,) = by_expert(as_numpy(own.indices))
    ties = int((free_indices != indices).any(axis=1).sum())
    case = golden.Case(
        x=x,
        indices=indices,
        weights=weights * family.factor,
        y=as_numpy(exact.y),
        own_y=as_numpy(own.y),
        own_indices=own_indices,
        token_ids=extra.get("token_ids"),
        router_state=extra.get("router_state"),
    )
    if exact.router_state_next is not None:
        case.router_state_next = as_numpy(exact.router_state_next)
    return case, ties


def run(family, block, inputs, dtype):
    x, extra = inputs
    given = {"x": x} | extra
    given = {n: torch.from_numpy(v) for n, v in given.items()}
    given = {n: v.to(dtype) if v.is_floating_point() else v for n, v in given.items()}
    return family.run(block, given.pop("x"), **given)
