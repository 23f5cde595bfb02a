"""The layers that are measured, and what computing them takes at least."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

#: Bytes of one projection weight, with the scales of `mxfp4`; scales per output are not counted.
WEIGHT_BYTES = {"f32": 4, "bf16": 2, "int8": 1, "mxfp4": 17 / 32}
#: The type of the fastest instruction that computes with such weights and bf16 or f32 rows.
COMPUTE = {"f32": "f32", "bf16": "bf16", "int8": "bf16", "mxfp4": "bf16"}


@dataclasses.dataclass(frozen=True)
class Shape:
    """One layer of a model. Router and shared expert are those of the model, too."""

    name: str
    title: str
    hidden: int
    intermediate: int
    experts: int
    top_k: int
    renormalize: bool = False
    selected: bool = False  #: softmax over the chosen alone
    bias: bool = False
    activation: str = "silu"
    shared: int = 0  #: width of the shared expert

    def spec(self, dtype: str) -> Dict[str, Any]:
        """The layer with its projections in `dtype`, as docs/Spec.md has it."""
        quantization: Dict[str, Any] = {}
        if dtype in ("int8", "mxfp4"):
            quantization = {"quantization": {"kind": dtype}}
        router: Dict[str, Any] = {"experts": self.experts, "top_k": self.top_k}
        if self.renormalize:
            router["renormalize"] = True
        if self.selected:
            router["score_on"] = "selected"
        if self.bias:
            router["projection"] = {"bias": True}
        spec: Dict[str, Any] = {
            "name": f"{self.name}_{dtype}",
            "hidden": self.hidden,
            "router": router,
            "experts": {
                "intermediate": self.intermediate,
                "activation": self.activation,
                "bias": self.bias,
                "gate_up": "concatenated",  # what torch wants, so that its memory can be shared
                **quantization,
            },
            "dtype": {"activation": "f32" if dtype == "f32" else "bf16"},
        }
        if self.shared:
            spec["shared"] = {
                "intermediate": self.shared,
                "gate_up": "concatenated",
                **quantization,
            }
        return spec

    def bytes(self, dtype: str, experts_hit: float) -> float:
        """Of the weights that a forward must read in which so many experts have tokens."""
        values = 3 * self.hidden * (self.intermediate * experts_hit + self.shared)
        router = self.hidden * self.experts * (4 if dtype == "f32" else 2)
        return values * WEIGHT_BYTES[dtype] + router

    def operations(self, tokens: int) -> float:
        """Of the projections; a multiplication and an addition are two."""
        each = 3 * (self.intermediate * self.top_k + self.shared) + self.experts
        return 2.0 * tokens * self.hidden * each


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("olmoe", "OLMoE-1B-7B", 2048, 1024, 64, 8),
        Shape("qwen3", "Qwen3-30B-A3B", 2048, 768, 128, 8, renormalize=True),
        Shape(
            "gpt_oss", "gpt-oss-20b", 2880, 2880, 32, 4, selected=True, bias=True,
            activation="swigluoai",
        ),
        Shape("deepseek", "DeepSeek-V2-Lite", 2048, 1408, 64, 6, shared=2816),
        Shape("mixtral", "Mixtral-8x7B", 4096, 14336, 8, 2, renormalize=True),
    )
}  # fmt: skip


def seconds(shape: Shape, dtype: str, tokens: int, hit: float, ceilings: Dict[str, float]) -> float:
    """The roofline: what reading or computing takes at the machine's best, whichever is more.

    >>> ceilings = {"read": 40.0, "peak": 1000.0}
    >>> round(seconds(SHAPES["olmoe"], "f32", 1, 8, ceilings) * 1e3, 2)  # 202 MB at 40 GB/s
    5.05
    >>> round(seconds(SHAPES["olmoe"], "bf16", 4096, 64, ceilings) * 1e3, 1)  # 413 Gflop
    413.4
    """
    reading = shape.bytes(dtype, hit) / ceilings["read"]
    return max(reading, shape.operations(tokens) / ceilings["peak"]) * 1e-9
