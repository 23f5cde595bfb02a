"""What is told from measured rows."""

from __future__ import annotations

from typing import Any, Dict, Optional

Point = Dict[str, Any]

#: It computes as much, but not the same.
DENSE = "cublas"


def roofline(point: Point) -> float:
    """Seconds that moving or computing takes at the GPU's best, whichever is more.

    >>> ceilings = {"bandwidth": 4.8e12, "dense": 8e14}
    >>> point = {"bytes": 4.8e9, "operations": 1e9, "ceilings": ceilings}
    >>> roofline(point)
    0.001
    """
    ceilings = point["ceilings"]
    return max(point["bytes"] / ceilings["bandwidth"], point["operations"] / ceilings["dense"])


def bound(point: Point) -> str:
    moving = point["bytes"] / point["ceilings"]["bandwidth"]
    return "memory" if moving == roofline(point) else "compute"


def of_roofline(point: Point, system: str = "ours") -> Optional[float]:
    seconds = point["seconds"].get(system)
    return None if seconds is None else roofline(point) / seconds


def of_dense(point: Point) -> Optional[float]:
    """How fast ours is beside a dense product of as many operations.

    >>> of_dense({"seconds": {"ours": 2.0, "cublas": 1.0}})
    0.5
    """
    dense, ours = point["seconds"].get(DENSE), point["seconds"].get("ours")
    return dense / ours if dense and ours else None


def to_best_peer(point: Point) -> Optional[float]:
    """How many times as long as ours the fastest other system takes that does the same.

    >>> to_best_peer({"seconds": {"ours": 2.0, "cublas": 1.0, "jax": 6.0, "triton": 3.0}})
    1.5
    """
    peers = [t for name, t in point["seconds"].items() if name not in ("ours", DENSE)]
    ours = point["seconds"].get("ours")
    return min(peers) / ours if peers and ours else None


def of_target(point: Point) -> Optional[float]:
    """1 or more: what is wanted is reached."""
    wanted, ours = point["target_seconds"], point["seconds"].get("ours")
    return wanted / ours if wanted and ours else None


def teraflops(point: Point, system: str = "ours") -> Optional[float]:
    seconds = point["seconds"].get(system)
    return None if seconds is None else point["operations"] / seconds * 1e-12
