"""Times systems in turns, with the GPU's ceilings between them, from call to finish."""

from __future__ import annotations

import statistics
import time
from typing import Any, Callable, Dict, List

import torch

_CUDA = torch.cuda.is_available()
_CACHE_BYTES = 256 << 20  # more than any cache: what is written last is what is left there
_MOVED_BYTES = 1 << 30 if _CUDA else 1 << 24
_DENSE = 8192 if _CUDA else 256


def wait() -> None:
    if _CUDA:
        torch.cuda.synchronize()


class Ceilings:
    """What the GPU can do at best: copies of much memory, and a large dense product."""

    def __init__(self) -> None:
        device = "cuda" if _CUDA else "cpu"
        self._from = torch.zeros(_MOVED_BYTES, dtype=torch.uint8, device=device)
        self._to = torch.empty_like(self._from)
        self._left = torch.randn(_DENSE, _DENSE, device=device).bfloat16()
        self._right = torch.randn(_DENSE, _DENSE, device=device).bfloat16()
        self.cache = torch.zeros(_CACHE_BYTES if _CUDA else 1, dtype=torch.uint8, device=device)

    def measure(self) -> Dict[str, float]:
        """Bytes and operations a second."""
        moved = seconds_of(lambda: self._to.copy_(self._from))
        product = seconds_of(lambda: self._left @ self._right)
        return {"bandwidth": 2 * _MOVED_BYTES / moved, "dense": 2 * _DENSE**3 / product}


def seconds_of(call: Callable[[], Any]) -> float:
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def in_turns(systems: Dict[str, Any], ceilings: Ceilings, turns: int) -> Dict[str, Any]:
    """Medians of seconds per system, with cold caches, and of the ceilings."""
    seconds: Dict[str, List[float]] = {name: [] for name in systems}
    limits: List[Dict[str, float]] = []
    for _ in range(turns):
        for name, system in systems.items():
            ceilings.cache.zero_()
            seconds[name].append(seconds_of(system))
        limits.append(ceilings.measure())
    return {
        "seconds": {name: statistics.median(all) for name, all in seconds.items()},
        "samples": seconds,
        "ceilings": {k: statistics.median(one[k] for one in limits) for k in limits[0]},
    }
