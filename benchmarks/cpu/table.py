"""Results as text: a Markdown table, of which lines can be printed as they come."""

from __future__ import annotations

import math
import statistics
from typing import Any, Dict, List


def best_peer(point: Dict[str, Any]) -> float:
    """Seconds of the fastest other system; NaN if there is none."""
    return min((s for name, s in point["seconds"].items() if name != "ours"), default=math.nan)


def _row(cells: List[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def header(systems: List[str]) -> str:
    """The first lines. Times are in ms; `of roofline` is what of it ours reaches."""
    titles = ["layer", "weights", "routing", "T", "threads", "read GB/s", "peak G/s", "bound"]
    titles += ["roofline", *systems, "of roofline", "to best peer"]
    return _row(titles) + "\n" + _row(["---"] * 3 + ["---:"] * (len(titles) - 3))


def line(point: Dict[str, Any], systems: List[str]) -> str:
    ours = point["seconds"].get("ours", math.nan)
    limits = point["ceilings"]
    cells = [point[key] for key in ("shape", "dtype", "routing")]
    cells += [str(point["tokens"]), str(point["threads"])]
    cells += [f"{limits['read']:.1f}", f"{limits['peak']:.0f}", point["bound"]]
    cells.append(_milliseconds(point["roofline_seconds"]))
    cells += [_milliseconds(point["seconds"].get(name)) for name in systems]
    cells.append(_percent(point["roofline_seconds"] / ours))
    cells.append(_times(best_peer(point) / ours))
    return _row(cells)


def _milliseconds(seconds) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:#.3g}".rstrip(".")


def _percent(ratio: float) -> str:
    return "–" if math.isnan(ratio) else f"{ratio:.0%}"


def _times(ratio: float) -> str:
    return "–" if math.isnan(ratio) else f"{ratio:.2f}"


def geometric_mean(values: List[float]) -> float:
    """
    >>> geometric_mean([1.0, 4.0])
    2.0
    """
    return statistics.geometric_mean(values) if values else math.nan
