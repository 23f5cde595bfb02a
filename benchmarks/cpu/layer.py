"""Measures one layer in one dtype: every system at every point that is asked for."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict, List

import numpy as np

from . import measure, memory, reference
from .ceilings import Ceilings
from .problem import Batch, Weights, batches
from .shapes import SHAPES, seconds
from .systems import Unsupported, make

#: Relative errors that rounding explains; a wrong formula or weight gives far more.
ALLOWED = {"f32": 1e-4, "bf16": 3e-2, "int8": 3e-2, "mxfp4": 3e-2}
_SMALL = 16  # tokens up to which a batch leaves most weights unread
_BATCHES = 8
_MANY_SECONDS = 2.0  # for all batches; slower systems are given one


class LayerBench:
    """The systems that have the layer, by name, and why others have not."""

    def __init__(self, shape: str, dtype: str, ceilings: Ceilings, options: argparse.Namespace):
        self.shape, self.dtype = SHAPES[shape], dtype
        self.ceilings, self.options = ceilings, options
        self.record: Dict[str, Any] = {"shape": shape, "dtype": dtype}
        if "ours" in options.systems and options.memory:
            above = memory.in_process(shape, dtype, options.memory, max(options.threads))
            self.record.update(memory_tokens=options.memory, memory_bytes=above)
        self.weights = Weights(self.shape, dtype)
        self.record["weight_bytes"] = self.weights.nbytes
        self.systems, self.missing = {}, {}
        for name in options.systems:
            try:
                self.systems[name] = make(name, self.weights, options.threads[0])
            except Unsupported as why:
                self.missing[name] = str(why)
        if "ours" in self.systems:
            self.record["compile_seconds"] = self.systems["ours"].compile_seconds

    def run(self, each: Callable[[Dict[str, Any]], None]) -> None:
        """Gives every point to `each` as it is measured."""
        slowness = measure.Slowness(self.options.limit)
        for routing in self.options.routing:
            for tokens in self.options.tokens:
                count = _BATCHES if tokens <= _SMALL else 1
                made = batches(self.shape, self.dtype, tokens, routing, count)
                for threads in self.options.threads:
                    point = _Point(self, made, threads, slowness)
                    each({"routing": routing, **point.measured()})


class _Point:
    """So many tokens, routed in one way, on so many threads."""

    def __init__(
        self, bench: LayerBench, made: List[Batch], threads: int, slowness: measure.Slowness
    ):
        self.bench, self.made, self.threads, self.slowness = bench, made, threads, slowness
        self.tokens = len(made[0].x)
        self.expected = reference.forward(bench.weights, made[0], 0)[None]
        self.calls: Dict[str, measure.Calls] = {}
        self.seconds: Dict[str, float] = {}
        self.errors: Dict[str, float] = {}
        self.skipped = dict(bench.missing)

    def measured(self) -> Dict[str, Any]:
        bench, options = self.bench, self.bench.options
        for name, system in bench.systems.items():
            try:
                self._try(name, system)
            except Unsupported as why:
                self.skipped[name] = str(why)
        turns = measure.turns_within(
            options.point_seconds, self.calls, self.seconds, options.repetitions
        )
        found = measure.in_turns(
            self.calls, self.seconds, bench.ceilings, bench.dtype, self.threads, turns
        )
        hit = float(np.mean([len(np.unique(batch.indices)) for batch in self.made]))
        limits = found["ceilings"]
        roofline = seconds(bench.shape, bench.dtype, self.tokens, hit, limits)
        reading = bench.shape.bytes(bench.dtype, hit) / limits["read"] * 1e-9
        return {
            "shape": bench.shape.name,
            "dtype": bench.dtype,
            "tokens": self.tokens,
            "threads": self.threads,
            "experts_hit": hit,
            "bound": "read" if reading == roofline else "peak",
            "roofline_seconds": roofline,
            **found,
            "errors": self.errors,
            "skipped": self.skipped,
        }

    def _try(self, name: str, system: Any) -> None:
        """Takes the system into the point if it is right and fast enough."""
        self.slowness.check(name, self.tokens)
        system.set_threads(self.threads)
        calls = [system.bind(batch) for batch in self.made]
        first, result = measure.once(calls)
        self.slowness.note(name, self.tokens, first)
        got = system.to_numpy(result)
        self.errors[name] = reference.error(got[: len(self.expected)], self.expected)
        allowed = ALLOWED[self.bench.dtype]
        if not self.errors[name] <= allowed:
            raise Unsupported(f"wrong: its error is {self.errors[name]:.1e}, allowed {allowed}")
        if len(self.expected) < self.tokens:
            self.expected = got.copy()  # one system agrees with numpy, the others with it
        again, _ = measure.once(calls)  # what is done only once is done
        self.seconds[name] = again
        self.calls[name] = calls if again * len(calls) < _MANY_SECONDS else calls[:1]
