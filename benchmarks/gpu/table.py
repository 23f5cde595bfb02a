"""Results as a Markdown document, of which lines can be printed as they come."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

from ..markdown import bold, head, mean, milliseconds, percent, row, times
from . import figures

Point = Dict[str, Any]


def header(systems: List[str]) -> str:
    """The first lines of a table of rows. Times are in ms."""
    titles = ["row", "sizes", "bound", "GB/s", "dense TF/s", "roofline", *systems]
    titles += ["ours TF/s", "of roofline", "of dense", "to best peer", "of target"]
    return "\n".join(head(titles, 3))


def line(point: Point, systems: List[str]) -> str:
    ceilings, rate = point["ceilings"], figures.teraflops(point)
    cells = [point["row"], point["sizes"], figures.bound(point)]
    cells += [f"{ceilings['bandwidth'] * 1e-9:.0f}", f"{ceilings['dense'] * 1e-12:.0f}"]
    cells.append(milliseconds(figures.roofline(point)))
    cells += [milliseconds(point["seconds"].get(name)) for name in systems]
    cells.append("–" if rate is None else f"{rate:.0f}")
    reached, dense = figures.of_roofline(point), figures.of_dense(point)
    peer, target = figures.to_best_peer(point), figures.of_target(point)
    cells += [bold(percent(reached), reached, 0.85), percent(dense)]
    cells += [bold(times(peer), peer, 1), bold(times(target), target, 1)]
    return row(cells)


def document(results: Dict[str, Any]) -> str:
    """Everything: what was measured on what, and all rows."""
    points = results["points"]
    systems = list(dict.fromkeys(name for point in points for name in point["seconds"]))
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"# {results['gpu']}, {results['date']}",
        "",
        f"Commit {results['commit']}; {versions}; driver {results['driver']}.",
        (
            "Times are medians in ms from call to finish, of a whole layer with its router, or of a"
            " product"
        ),
        (
            "of groups; caches are cold. `cublas` is a dense product of as many operations: it does"
            " not do"
        ),
        (
            "the same. What falls short of 85 % of the roofline, of the best peer or of the target"
            " is bold."
        ),
        "",
        *_summary(points),
        "## Rows",
        "",
        header(systems),
        *(line(point, systems) for point in points),
        "",
        *_skipped(points),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _summary(points: List[Point]) -> Iterator[str]:
    peers = [r for r in map(figures.to_best_peer, points) if r is not None]
    targets = [r for r in map(figures.of_target, points) if r is not None]
    if peers:
        slower = sum(ratio < 1 for ratio in peers)
        yield (
            f"The best peer takes {times(mean(peers))} times as long as ours in the geometric"
            " mean of"
        )
        yield f"{len(peers)} rows, and less time at {slower} of them."
    if targets:
        reached = sum(ratio >= 1 for ratio in targets)
        yield f"{reached} of {len(targets)} targets are reached."
    yield ""


def _skipped(points: List[Point]) -> Iterator[str]:
    """What was not timed, each reason once."""
    where: Dict[str, List[str]] = {}
    for point in points:
        for name, why in point["skipped"].items():
            where.setdefault(f"{name}: {why}", []).append(point["row"])
    for reason, names in where.items():
        yield f"- {reason}" + ("" if len(names) == len(points) else f" ({', '.join(names)})")
