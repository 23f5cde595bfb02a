"""What is told from measured points: ratios, and which of them are wanted."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from .shapes import SHAPES

Point = Dict[str, Any]


class Regime(NamedTuple):
    """Points of which the same share of the roofline is wanted."""

    name: str
    wanted: float


_READING = Regime("up to 16 tokens, bound by reading", 0.9)
_COMPUTING = Regime("32 tokens per expert or more", 0.85)
_BETWEEN = Regime("between", 0.8)


def regime(point: Point) -> Regime:
    if point["tokens"] <= 16 and point["bound"] == "read":
        return _READING
    per_expert = point["tokens"] * SHAPES[point["shape"]].top_k / point["experts_hit"]
    return _COMPUTING if per_expert >= 32 else _BETWEEN


def of_roofline(point: Point, system: str = "ours") -> Optional[float]:
    """The share of the roofline's speed that a system reaches."""
    seconds = point["seconds"].get(system)
    return None if seconds is None else point["roofline_seconds"] / seconds


def to_best_peer(point: Point) -> Optional[float]:
    """How many times as long as ours the fastest other system takes.

    >>> to_best_peer({"seconds": {"ours": 2.0, "a": 6.0, "b": 3.0}})
    1.5
    """
    peers = [seconds for name, seconds in point["seconds"].items() if name != "ours"]
    ours = point["seconds"].get("ours")
    return min(peers) / ours if peers and ours else None


def thread_gains(points: List[Point]) -> Dict[str, List[float]]:
    """How many times as fast more threads are, by "2 over 1", where computing is the bound."""
    fewest: Dict[tuple, Point] = {}
    gains: Dict[str, List[float]] = {}
    for point in sorted(points, key=lambda p: p["threads"]):
        if point["bound"] != "peak" or "ours" not in point["seconds"]:
            continue
        key = tuple(point[name] for name in ("shape", "dtype", "routing", "tokens"))
        few = fewest.setdefault(key, point)
        if few is not point:
            name = f"{point['threads']} over {few['threads']}"
            gain = few["seconds"]["ours"] / point["seconds"]["ours"]
            gains.setdefault(name, []).append(gain)
    return gains
