"""Times systems in turns, with the machine's ceilings between them."""

from __future__ import annotations

import statistics
import time
from typing import Any, Callable, Dict, List

from .ceilings import Ceilings
from .shapes import COMPUTE

Calls = List[Callable[[], Any]]  #: one for each batch

_WARM_SECONDS = 0.25  # calls that take longer need no other before them
_PASS_SECONDS = 0.02  # what is timed at once takes at least as long


def once(calls: Calls) -> float:
    """Seconds of the first call alone."""
    start = time.perf_counter()
    calls[0]()
    return time.perf_counter() - start


def sample(calls: Calls, expected: float) -> float:
    """Seconds of a call, the mean over all batches, once its threads are awake."""
    if expected < _WARM_SECONDS:
        calls[-1]()
    passes = max(1, int(_PASS_SECONDS / (expected * len(calls))))
    start = time.perf_counter()
    for _ in range(passes):
        for call in calls:
            call()
    return (time.perf_counter() - start) / (passes * len(calls))


def turns_within(budget: float, expected: Dict[str, float], batches: int, most: int) -> int:
    """How many turns fit into so many seconds: at least 3, at most `most`.

    >>> turns_within(10, {"a": 1.0, "b": 1.0}, 1, 9)
    4
    """
    turn = 0.4  # the ceilings
    for seconds in expected.values():
        turn += max(seconds * (batches + (seconds < _WARM_SECONDS)), _PASS_SECONDS)
    return max(min(3, most), min(most, int(budget / turn)))


def in_turns(
    systems: Dict[str, Calls],
    expected: Dict[str, float],
    ceilings: Ceilings,
    dtype: str,
    threads: int,
    turns: int,
) -> Dict[str, Any]:
    """Medians of seconds per system and of the ceilings for `dtype`."""
    seconds: Dict[str, List[float]] = {name: [] for name in systems}
    limits: Dict[str, List[float]] = {"read": [], "peak": []}
    for _ in range(turns):
        for name, calls in systems.items():
            seconds[name].append(sample(calls, expected[name]))
        limits["read"].append(ceilings.measure("read", threads))
        limits["peak"].append(ceilings.peak(COMPUTE[dtype], threads))
    return {
        "seconds": {name: statistics.median(all) for name, all in seconds.items()},
        "samples": seconds,
        "ceilings": {kind: statistics.median(all) for kind, all in limits.items()},
    }
