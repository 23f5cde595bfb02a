"""A fused layer in Triton: tiles of groups that gather their rows, gate and up with the activation
in one kernel, the down projection in another, and the sum of a token's slots in a third.

TRITON_INTERPRET=1 runs it without a GPU.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Optional

import torch
import triton
import triton.language as tl

from ..problem import LayerProblem, Problem
from ._torch import DEVICE, DeviceLayer, Product, System

#: Sizes of tiles, of which the fastest is kept: rows, outputs, depth, warps, stages.
_FEW = ((16, 64, 128, 4, 4), (16, 128, 64, 4, 5), (32, 64, 128, 4, 4))
_MANY = ((64, 128, 64, 4, 4), (128, 128, 64, 8, 3), (128, 64, 64, 4, 4))
_NONE, _SILU, _SWIGLUOAI = 0, 1, 2


@triton.jit
def _grouped(
    x, w, bias, y, rows, tile_group, tile_begin, tile_end, outputs, depth,
    gathers: tl.constexpr, has_bias: tl.constexpr, activation: tl.constexpr,
    block_m: tl.constexpr, block_n: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    """Rows of `tile_begin` to before `tile_end`, with the matrix of their group."""
    begin = tl.load(tile_begin + tl.program_id(0))
    end = tl.load(tile_end + tl.program_id(0))
    if begin >= end:
        return
    group = tl.load(tile_group + tl.program_id(0)).to(tl.int64)
    m = begin + tl.arange(0, block_m)
    n = tl.program_id(1) * block_n + tl.arange(0, block_n)
    k = tl.arange(0, block_k)
    is_row, is_output = m < end, n < outputs
    source = m.to(tl.int64)
    if gathers:
        source = tl.load(rows + m, mask=is_row, other=0).to(tl.int64)
    is_glu: tl.constexpr = activation != 0
    weights = w + group * outputs * depth * (2 if is_glu else 1)
    left = x + source[:, None] * depth + k[None, :]
    right = weights + n[None, :].to(tl.int64) * depth + k[:, None]
    gate = tl.zeros((block_m, block_n), tl.float32)
    up = tl.zeros((block_m, block_n), tl.float32)
    for at in range(0, depth, block_k):
        is_depth = k < depth - at
        a = tl.load(left + at, mask=is_row[:, None] & is_depth[None, :], other=0.0)
        b = tl.load(right + at, mask=is_output[None, :] & is_depth[:, None], other=0.0)
        gate = tl.dot(a, b, gate)
        if is_glu:
            above = right + outputs.to(tl.int64) * depth + at
            b = tl.load(above, mask=is_output[None, :] & is_depth[:, None], other=0.0)
            up = tl.dot(a, b, up)
    if has_bias:
        first = bias + group * outputs * (2 if is_glu else 1)
        gate += tl.load(first + n, mask=is_output, other=0.0).to(tl.float32)[None, :]
        if is_glu:
            up += tl.load(first + outputs + n, mask=is_output, other=0.0).to(tl.float32)[None, :]
    if activation == 1:
        gate = gate * tl.sigmoid(gate) * up
    if activation == 2:
        gate = tl.minimum(gate, 7.0)
        up = tl.minimum(tl.maximum(up, -7.0), 7.0)
        gate = gate * tl.sigmoid(1.702 * gate) * (up + 1)
    to = y + m[:, None].to(tl.int64) * outputs + n[None, :]
    tl.store(to, gate.to(y.dtype.element_ty), mask=is_row[:, None] & is_output[None, :])


@triton.jit
def _combine(rows, places, scores, y, width, top_k: tl.constexpr, block: tl.constexpr):
    """The weighted sum of a token's rows."""
    token = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * block + tl.arange(0, block)
    total = tl.zeros((block,), tl.float32)
    for j in range(top_k):
        place = tl.load(places + token * top_k + j)
        score = tl.load(scores + token * top_k + j)
        total += score * tl.load(rows + place * width + at, mask=at < width, other=0.0).to(
            tl.float32
        )
    tl.store(y + token * width + at, total.to(y.dtype.element_ty), mask=at < width)


def _tiles(offsets: torch.Tensor, rows: int, block: int) -> Any:
    """Group, begin and end of as many tiles as there may be; found on the device."""
    groups = len(offsets) - 1
    counts = offsets[1:] - offsets[:-1]
    last = ((counts + block - 1) // block).cumsum(0)
    first = torch.cat([last.new_zeros(1), last])
    tile = torch.arange(rows // block + min(rows, groups) + 1, device=offsets.device)
    group = torch.searchsorted(last, tile, right=True).clamp(max=groups - 1)
    begin = offsets[group] + (tile - first[group]) * block
    # Past the last tile there is nothing left of the last group.
    return group.int(), begin.int(), torch.minimum(begin + block, offsets[group + 1]).int()


def _multiply(
    x, w, offsets, sizes, *, rows=None, bias: Optional[torch.Tensor] = None, activation: int = _NONE
) -> torch.Tensor:
    block_m, block_n, block_k, warps, stages = sizes
    total = len(x) if rows is None else len(rows)
    outputs, depth = w.shape[1] // (2 if activation else 1), w.shape[2]
    y = x.new_empty(total, outputs)
    group, begin, end = _tiles(offsets, total, block_m)
    grid = (len(group), triton.cdiv(outputs, block_n))
    _grouped[grid](
        x, w, bias, y, rows, group, begin, end, outputs, depth,
        gathers=rows is not None, has_bias=bias is not None, activation=activation,
        block_m=block_m, block_n=block_n, block_k=block_k, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return y


def _fastest(call: Any, per_group: float) -> Any:
    """The sizes with which it takes the least time; the first one compiles."""
    sizes = _FEW if per_group <= 16 else _MANY
    if DEVICE == "cpu":
        return sizes[0]
    found: Dict[Any, float] = {}
    for one in sizes:
        try:
            call(one)
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(3):
                call(one)
            torch.cuda.synchronize()
            found[one] = time.perf_counter() - start
        except triton.runtime.errors.OutOfResources:
            continue
    return min(found, key=found.get)


def _interpretable(owner: Any, *names: str) -> None:
    """The interpreter multiplies bf16 wrongly; f32 it does right."""
    for name in names:
        if DEVICE == "cpu" and getattr(owner, name) is not None:
            setattr(owner, name, getattr(owner, name).float())


class _Layer(DeviceLayer):
    def __init__(self, problem: LayerProblem):
        super().__init__(problem)
        _interpretable(self, "x", "router", "router_bias", "gate_up", "down")
        _interpretable(self, "gate_up_bias", "down_bias")
        oai = self.shape.activation == "swigluoai"
        self.activation = _SWIGLUOAI if oai else _SILU
        slots = problem.row.tokens * self.shape.top_k
        with torch.inference_mode():
            self.sizes = _fastest(lambda s: self._with(self.x, s), slots / problem.experts_hit)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._with(x, self.sizes)

    def _with(self, x: torch.Tensor, sizes: Any) -> torch.Tensor:
        scores, indices = self.route(x)
        slots = indices.reshape(-1)
        order = slots.argsort(stable=True)
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order), device=order.device)
        counts = torch.zeros(self.shape.experts, dtype=torch.int64, device=x.device)
        counts.scatter_add_(0, slots, torch.ones_like(slots))
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        inner = _multiply(
            x, self.gate_up, offsets, sizes, rows=(order // self.shape.top_k).int(),
            bias=self.gate_up_bias, activation=self.activation,
        )  # fmt: skip
        outer = _multiply(inner, self.down, offsets, sizes, bias=self.down_bias)
        y = torch.empty_like(x)
        tokens, width = x.shape
        _combine[(tokens, triton.cdiv(width, 512))](
            outer, places, scores.contiguous(), y, width, top_k=self.shape.top_k, block=512
        )
        return y


class _Product(Product):
    def __init__(self, problem: Problem):
        super().__init__(problem)
        _interpretable(self, "rows", "weight")
        with torch.inference_mode():
            self.sizes = _fastest(
                lambda s: _multiply(self.rows, self.weight, self.offsets, s),
                self.row.rows / self.row.groups,
            )

    def multiply(self) -> torch.Tensor:
        return _multiply(self.rows, self.weight, self.offsets, self.sizes)


class TritonMoe(System):
    layer, product = _Layer, _Product
