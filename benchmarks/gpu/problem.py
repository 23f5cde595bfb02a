"""Weights and inputs of a row, and what a few rows of the result have to be."""

from __future__ import annotations

from typing import Union

import numpy as np

from ..cpu import problem, reference
from .rows import Layer, Product, Row

ALLOWED = 3e-2  #: relative errors that rounding of bf16 explains


class LayerProblem:
    """A layer of which the router chooses what is wanted."""

    def __init__(self, row: Layer):
        self.row, self.shape = row, row.shape
        self.weights = problem.Weights(row.shape, "bf16")
        self.batch = problem.batches(row.shape, "bf16", row.tokens, row.routing, 1)[0]
        self.experts_hit = float(len(np.unique(self.batch.indices)))
        self._tokens = sorted({0, row.tokens // 2, row.tokens - 1})
        self._expected = [reference.forward(self.weights, self.batch, t) for t in self._tokens]

    def error(self, y: np.ndarray) -> float:
        return reference.error(y[self._tokens], np.stack(self._expected))


class ProductProblem:
    """Rows that are in the order of their groups."""

    def __init__(self, row: Product):
        self.row = row
        random = np.random.default_rng(7)
        unit = (3.0 / row.depth) ** 0.5
        values = random.uniform(-unit, unit, 1_000_003).astype(np.float32)
        self.weight = problem._repeated(
            [row.groups, row.outputs, row.depth], problem.to_bf16(values)
        )
        values = random.standard_normal(1_000_003, np.float32)
        self.rows = problem._repeated([row.rows, row.depth], problem.to_bf16(values))
        counts = shares(row.rows, row.groups, row.routing)
        self.counts = counts.astype(np.int32)
        self.offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self.experts_hit = float(np.count_nonzero(counts))
        self._rows = sorted({0, row.rows // 2, row.rows - 1})

    def error(self, y: np.ndarray) -> float:
        groups = np.searchsorted(self.offsets, self._rows, side="right") - 1
        expected = [
            problem.from_bf16(self.weight[group]) @ problem.from_bf16(self.rows[row])
            for group, row in zip(groups, self._rows)
        ]
        return reference.error(y[self._rows], np.stack(expected))


Problem = Union[LayerProblem, ProductProblem]


def make(row: Row) -> Problem:
    return LayerProblem(row) if isinstance(row, Layer) else ProductProblem(row)


def shares(rows: int, groups: int, routing: str) -> np.ndarray:
    """How many rows each group has: as many each, or by Zipf's law.

    >>> shares(10, 4, "uniform").tolist(), shares(100, 3, "zipf").tolist()
    ([3, 3, 2, 2], [55, 27, 18])
    """
    chances = np.ones(groups) if routing == "uniform" else 1 / (1 + np.arange(groups))
    exact = rows * chances / chances.sum()
    counts = np.floor(exact).astype(np.int64)
    most = np.argsort(counts - exact, kind="stable")[: rows - counts.sum()]
    counts[most] += 1
    return counts
