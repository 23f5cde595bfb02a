"""Times systems in turns, with the machine's ceilings between them."""

from __future__ import annotations

import statistics
import time
from typing import Any, Callable, Dict, List, Tuple

from .ceilings import Ceilings
from .shapes import COMPUTE
from .systems import Unsupported

Calls = List[Callable[[], Any]]  #: one for each batch

_WARM_SECONDS = 0.25  # calls that take longer need no other before them
_IDLE_SECONDS = 0.01  # until the threads of the one before do not spin any more
_PASS_SECONDS = 0.02  # what is timed at once takes at least as long
_CEILINGS_SECONDS = 0.3
_LEAST_TURNS = 3


class Slowness:
    """Keeps systems out of points that would take them too long, by what smaller ones took.

    >>> slow = Slowness(limit=20)
    >>> slow.note("a", 64, 15.0)
    >>> slow.check("a", 256)
    Traceback (most recent call last):
    ...
    benchmarks.cpu.systems.unsupported.Unsupported: took 15 s for 64 tokens
    """

    def __init__(self, limit: float):
        self.limit = limit
        self._last: Dict[str, Tuple[int, float]] = {}

    def check(self, name: str, tokens: int) -> None:
        if name in self._last:
            before, seconds = self._last[name]
            # Between a constant and a proportional time: no point is left out for nothing.
            if tokens > before and seconds * (tokens / before) ** 0.5 > self.limit:
                raise Unsupported(f"took {seconds:.0f} s for {before} tokens")

    def note(self, name: str, tokens: int, seconds: float) -> None:
        self._last[name] = tokens, seconds
        if seconds > self.limit:
            raise Unsupported(f"takes {seconds:.0f} s")


def once(calls: Calls) -> Tuple[float, Any]:
    """Seconds of the first call alone, and its result."""
    start = time.perf_counter()
    result = calls[0]()
    return time.perf_counter() - start, result


def sample(calls: Calls, expected: float) -> float:
    """Seconds of a call, the mean over all batches, once its threads are awake."""
    if expected < _WARM_SECONDS:
        time.sleep(_IDLE_SECONDS)
        calls[-1]()
    passes = max(1, int(_PASS_SECONDS / (expected * len(calls))))
    start = time.perf_counter()
    for _ in range(passes):
        for call in calls:
            call()
    return (time.perf_counter() - start) / (passes * len(calls))


def turns_within(
    budget: float, systems: Dict[str, Calls], expected: Dict[str, float], most: int
) -> int:
    """How many turns fit into so many seconds: at least 3, but never more than `most`.

    >>> turns_within(10, {"a": [print], "b": [print]}, {"a": 1.0, "b": 1.0}, 9)
    4
    """
    turn = _CEILINGS_SECONDS
    for name, calls in systems.items():
        warm = expected[name] < _WARM_SECONDS
        turn += max(expected[name] * (len(calls) + warm), _PASS_SECONDS)
    return min(most, max(_LEAST_TURNS, int(budget / turn)))


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
