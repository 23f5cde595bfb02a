"""What is measured: layers, forward, and products of groups alone, all in bf16."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Dict, List, Optional, Union

from ..cpu.shapes import Shape


@dataclasses.dataclass(frozen=True)
class Layer:
    """A whole layer, from x to the combined y."""

    id: str
    shape: Shape
    tokens: int
    target: Optional[float] = None  #: seconds that are wanted
    routing: str = "uniform"

    @property
    def package(self) -> str:
        return self.shape.name

    @property
    def sizes(self) -> str:
        s = self.shape
        return f"T={self.tokens} H={s.hidden} I={s.intermediate} E={s.experts} k={s.top_k}"

    def program(self) -> str:
        return json.dumps(self.shape.spec("bf16"))

    def operations(self) -> float:
        """Of the projections of experts, as published rates count them."""
        s = self.shape
        return 6.0 * self.tokens * s.top_k * s.hidden * s.intermediate

    def bytes(self, experts_hit: float) -> float:
        """That have to be read or written: weights, x and y."""
        return self.shape.bytes("bf16", experts_hit) + 4.0 * self.tokens * self.shape.hidden


@dataclasses.dataclass(frozen=True)
class Product:
    """Groups of rows, each with a matrix of its own."""

    id: str
    groups: int
    rows: int
    outputs: int
    depth: int
    target: Optional[float] = None
    routing: str = "uniform"

    @property
    def package(self) -> str:
        return f"product_{self.groups}_{self.outputs}_{self.depth}"

    @property
    def sizes(self) -> str:
        return f"G={self.groups} M={self.rows} N={self.outputs} K={self.depth}"

    def program(self) -> str:
        rows, y = f"tensor<?x{self.depth}xbf16>", f"tensor<?x{self.outputs}xbf16>"
        weight = f"tensor<{self.groups}x{self.outputs}x{self.depth}xbf16>"
        offsets = f"tensor<{self.groups + 1}xi32>"
        return (
            f'module attributes {{moe.name = "{self.package}"}} {{\n'
            f'  func.func @forward(%rows: {rows} {{moe.name = "rows", moe.role = "input",'
            f' moe.sizes = ["R"]}}, %weight: {weight} {{moe.name = "weight", moe.role = "weight"}},'
            f' %offsets: {offsets} {{moe.name = "offsets", moe.role = "input"}})'
            f' -> ({y} {{moe.name = "y", moe.role = "output", moe.sizes = ["R"]}}) {{\n'
            "    %y = moe.grouped_matmul %rows, %weight offsets %offsets :"
            f" ({rows}, {weight}, {offsets}) -> {y}\n"
            f"    return %y : {y}\n  }}\n}}\n"
        )

    def operations(self) -> float:
        return 2.0 * self.rows * self.outputs * self.depth

    def bytes(self, groups_hit: float) -> float:
        each = groups_hit * self.outputs * self.depth + self.rows * (self.outputs + self.depth)
        return 2.0 * each


Row = Union[Layer, Product]


def _shape(hidden: int, intermediate: int, experts: int, top_k: int) -> Shape:
    name = f"layer_{hidden}_{intermediate}_{experts}_{top_k}"
    return Shape(name, "", hidden, intermediate, experts, top_k, renormalize=True)


def _at_rate(row: Row, teraflops: float) -> Row:
    return dataclasses.replace(row, target=row.operations() / (teraflops * 1e12))


def _make() -> List[Row]:
    rows: List[Row] = []
    for number, (tokens, hidden, inner, experts, top_k, rate) in enumerate(
        (
            (40960, 768, 256, 128, 8, 370),
            (40960, 768, 1024, 32, 2, 440),
            (24576, 1536, 256, 128, 8, 400),
            (24576, 1536, 512, 64, 4, 470),
            (24576, 1536, 1024, 32, 2, 510),
            (32768, 4096, 256, 256, 16, 470),
            (32768, 4096, 512, 128, 8, 550),
            (32768, 4096, 1024, 64, 4, 600),
            (32768, 4096, 512, 256, 16, 560),
            (32768, 4096, 1024, 128, 8, 610),
            (32768, 4096, 2048, 64, 4, 650),
        ),
        start=1,
    ):
        layer = Layer(f"S{number}", _shape(hidden, inner, experts, top_k), tokens)
        rows.append(_at_rate(layer, rate))
    rows.append(Layer("V1", _shape(2048, 768, 128, 8), 32768, 5.5e-3))
    rows.append(Layer("V2", _shape(2048, 512, 512, 10), 32768, 5.5e-3))
    gemma = _shape(2816, 704, 128, 8)
    for number, (tokens, wanted) in enumerate(
        zip((1, 8, 32, 128, 512, 1024, 2048, 4096), (40, 150, 310, 340, 350, 370, 520, 800)), 1
    ):
        rows.append(Layer(f"G{number}", gemma, tokens, wanted * 1e-6))
    qwen = _shape(2048, 768, 128, 8)
    for tokens, wanted in zip(
        (1, 4, 16, 64, 256, 1024, 4096),
        (35, 1.25 * 57, 1.25 * 162, 1.25 * 248, 1.25 * 252, 1.25 * 252, 1.25 * 313),
    ):
        rows.append(Layer(f"Q1-{tokens}", qwen, tokens, wanted * 1e-6))
    for experts in (32, 128):
        shape = Shape(
            f"gpt_oss_{experts}", "", 2880, 2880, experts, 4, selected=True, bias=True,
            activation="swigluoai",
        )  # fmt: skip
        for tokens in (1, 32, 128, 1024, 8192):
            rows.append(Layer(f"O1-{experts}-{tokens}", shape, tokens))
    rows += [
        Product("P1", 32, 32768, 6144, 2048, 1.30e-3),
        Product("P2-up", 32, 65536, 6144, 2048, 2.45e-3),
        Product("P2-down", 32, 65536, 2048, 6144, 2.45e-3),
        Product("P3", 16, 128000, 7168, 7168, 280e-3),
        Product("P4", 128, 128, 2048, 7168, 0.95e-3),
        _at_rate(Product("P5-uniform", 128, 65536, 1536, 2048), 500),
        _at_rate(Product("P5-zipf", 128, 65536, 1536, 2048, routing="zipf"), 450),
        _at_rate(Product("P6", 4, 32768, 7168, 4096), 700),
    ]
    return rows


ROWS: Dict[str, Row] = {row.id: row for row in _make()}


def find(name: str) -> List[Row]:
    """A row, those of a number such as Q1, or of a letter.

    >>> [row.id for row in find("P2")], len(find("S")), [row.id for row in find("S1")]
    (['P2-up', 'P2-down'], 11, ['S1'])
    >>> find("X")
    []
    """
    group = re.compile(re.escape(name) + (r"\d.*" if name.isalpha() else r"(-.*)?"))
    return [row for key, row in ROWS.items() if group.fullmatch(key)]


def about(row: Row) -> Dict[str, Any]:
    """What a result says of its row."""
    return {
        "row": row.id,
        "sizes": row.sizes,
        "routing": row.routing,
        "operations": row.operations(),
        "target_seconds": row.target,
    }
