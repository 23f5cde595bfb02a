"""Measures the points of one layer in one dtype."""

from __future__ import annotations

import argparse
from typing import Any, Dict, Iterator, List

import numpy as np

from . import measure, reference
from .ceilings import Ceilings
from .problem import Batch, Weights, batches
from .shapes import Shape, seconds
from .systems import Unsupported, make

#: Relative errors that rounding explains; a wrong formula or weight gives far more.
ALLOWED = {"f32": 1e-4, "bf16": 3e-2, "int8": 3e-2, "mxfp4": 3e-2}
_SMALL = 16  # tokens up to which a batch leaves most weights unread
_BATCHES = 8


def points(
    shape: Shape, dtype: str, ceilings: Ceilings, options: argparse.Namespace, say
) -> Iterator[Dict[str, Any]]:
    """What was measured of each point, as it comes."""
    weights = Weights(shape, dtype)
    systems, skipped = {}, {}
    for name in options.systems:
        try:
            systems[name] = make(name, weights, options.threads[0])
        except Unsupported as why:
            skipped[name] = str(why)
    for routing in options.routing:
        for tokens in options.tokens:
            count = _BATCHES if tokens <= _SMALL else 1
            made = batches(shape, dtype, tokens, routing, count)
            for threads in options.threads:
                for system in systems.values():
                    system.set_threads(threads)
                yield {
                    "shape": shape.name,
                    "dtype": dtype,
                    "routing": routing,
                    "tokens": tokens,
                    "threads": threads,
                    **_point(systems, dict(skipped), weights, made, threads, ceilings, options),
                }


def _point(
    systems: Dict[str, Any],
    skipped: Dict[str, str],
    weights: Weights,
    made: List[Batch],
    threads: int,
    ceilings: Ceilings,
    options: argparse.Namespace,
) -> Dict[str, Any]:
    shape, dtype = weights.shape, weights.dtype
    tokens = len(made[0].x)
    calls, errors, expected = {}, {}, {}
    first = None
    for name, system in systems.items():
        bound = [system.bind(batch) for batch in made]
        result = system.to_numpy(bound[0]())
        if first is None:
            first = reference.forward(weights, made[0], 0)[None]
        errors[name] = reference.error(result[: len(first)], first)
        if not errors[name] <= ALLOWED[dtype]:
            skipped[name] = f"wrong: its error is {errors[name]:.1e}"
            continue
        if len(first) == 1:
            first = result
        expected[name] = measure.once(bound)
        if expected[name] > options.limit:
            skipped[name] = f"takes {expected[name]:.0f} s"
            continue
        calls[name] = bound
    turns = measure.turns_within(options.point_seconds, expected, len(made), options.repetitions)
    found = measure.in_turns(calls, expected, ceilings, dtype, threads, turns)
    hit = float(np.mean([len(np.unique(batch.indices)) for batch in made]))
    roofline = seconds(shape, dtype, tokens, hit, found["ceilings"])
    compute = shape.operations(tokens) / found["ceilings"]["peak"] * 1e-9
    return {
        "experts_hit": hit,
        "roofline_seconds": roofline,
        "bound": "peak" if compute == roofline else "read",
        **found,
        "errors": errors,
        "skipped": skipped,
    }
