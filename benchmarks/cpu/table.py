"""Results as a Markdown document, of which lines can be printed as they come."""

from __future__ import annotations

import itertools
import math
from typing import Any, Dict, Iterator, List

from ..markdown import bold, head, mean, milliseconds, percent, row, times
from . import figures

Point = Dict[str, Any]


def header(systems: List[str]) -> str:
    """The first lines of a table of points. Times are in ms."""
    titles = ["layer", "weights", "routing", "bound", "T", "threads", "read GB/s", "peak G/s"]
    return "\n".join(head([*titles, "roofline", *systems, "of roofline", "to best peer"], 4))


def line(point: Point, systems: List[str]) -> str:
    cells = [point[key] for key in ("shape", "dtype", "routing", "bound")]
    cells += [str(point["tokens"]), str(point["threads"])]
    cells += [f"{point['ceilings']['read']:.1f}", f"{point['ceilings']['peak']:.0f}"]
    cells.append(milliseconds(point["roofline_seconds"]))
    cells += [milliseconds(point["seconds"].get(name)) for name in systems]
    reached, ratio = figures.of_roofline(point), figures.to_best_peer(point)
    cells.append(bold(percent(reached), reached, figures.regime(point).wanted))
    cells.append(bold(times(ratio), ratio, 1))
    return row(cells)


def document(results: Dict[str, Any]) -> str:
    """Everything: what was measured on what, the sums of it, and all points."""
    points = results["points"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"# {results['cpu']}, {results['cores']} cores, {results['date']}",
        "",
        f"Commit {results['commit']}; {versions}. Load at the start: {results['load']:.2f}.",
        f"Peaks are of {_instructions(results['instructions'])}.",
        *_machine(results["machine"]),
        "Times are medians in ms of a whole layer, from router to combined output; what falls",
        "short is bold.",
        "",
        *_summary(points),
        *_threads(points),
        *_layers(results["layers"]),
        "## Points",
    ]
    for (shape, dtype), group in itertools.groupby(points, lambda p: (p["shape"], p["dtype"])):
        of_layer = list(group)
        systems = _systems(of_layer)
        lines += ["", f"### {shape}, {dtype}", "", header(systems)]
        lines += [line(point, systems) for point in of_layer]
        lines += ["", *_skipped(of_layer)]
    return "\n".join(lines).rstrip() + "\n"


def _instructions(found: Dict[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for kind, name in found.items() if kind != "read")


def _machine(ceilings: Dict[str, Dict[str, float]]) -> Iterator[str]:
    for threads, of in ceilings.items():
        peaks = ", ".join(f"{kind} {of[kind]:.0f}" for kind in of if kind != "read")
        yield f"Threads {threads}: reads {of['read']:.1f} GB/s; peaks in G/s: {peaks}."


def _systems(points: List[Point]) -> List[str]:
    """Those that were timed anywhere, in the order of the first that was."""
    return list(dict.fromkeys(name for point in points for name in point["seconds"]))


def _summary(points: List[Point]) -> Iterator[str]:
    yield "## Ours against the roofline and the best peer at each point"
    yield ""
    titles = ["weights", "regime", "points", "least", "geometric mean", "wanted", "fall short"]
    yield from head([*titles, "to best peer, least", "geometric mean"], 2)
    key = lambda p: (p["dtype"], figures.regime(p).name)  # noqa: E731
    mine = sorted((p for p in points if "ours" in p["seconds"]), key=key)
    for (dtype, name), group in itertools.groupby(mine, key):
        of_regime = list(group)
        wanted = figures.regime(of_regime[0]).wanted
        ratios = [figures.of_roofline(p) for p in of_regime]
        peers = [r for r in map(figures.to_best_peer, of_regime) if r is not None]
        short = sum(ratio < wanted for ratio in ratios)
        yield row(
            [dtype, name, str(len(ratios)), percent(min(ratios))]
            + [percent(mean(ratios)), percent(wanted), str(short)]
            + [times(min(peers, default=None)), times(mean(peers))]
        )
    every = [r for r in map(figures.to_best_peer, mine) if r is not None]
    if every:
        slower = sum(ratio < 1 for ratio in every)
        yield ""
        yield f"The best peer takes {mean(every):.2f} times as long as ours in the geometric mean"
        yield f"of {len(every)} points, and less time at {slower} of them."
    yield ""


def _threads(points: List[Point]) -> Iterator[str]:
    """How much faster more threads are where computing is the bound."""
    gains = figures.thread_gains(points)
    if gains:
        yield "## More threads, at points bound by computing"
        yield ""
        yield from head(["threads", "points", "least", "geometric mean"], 0)
        for threads, ratios in gains.items():
            yield row([threads, str(len(ratios)), times(min(ratios)), times(mean(ratios))])
        yield ""


def _layers(layers: List[Dict[str, Any]]) -> Iterator[str]:
    yield "## Packages"
    yield ""
    titles = ["layer", "weights", "GB of weights", "compiled in s", "memory beside them, MiB", "T"]
    yield from head(titles, 2)
    for layer in layers:
        cells = [layer["shape"], layer["dtype"], f"{layer['weight_bytes'] * 1e-9:.2f}"]
        cells.append(f"{layer.get('compile_seconds', math.nan):.2f}")
        memory = layer.get("memory_bytes")
        cells.append("–" if memory is None else f"{memory / 2**20:.1f}")
        yield row([*cells, str(layer.get("memory_tokens", "–"))])
    yield ""


def _skipped(points: List[Point]) -> Iterator[str]:
    """What was not timed, each reason once."""
    where: Dict[str, List[str]] = {}
    for point in points:
        for name, why in point["skipped"].items():
            place = f"{point['routing']} T={point['tokens']}"
            where.setdefault(f"{name}: {why}", []).append(place)
    for reason, places in where.items():
        everywhere = len(places) == len(points)
        yield f"- {reason}" + ("" if everywhere else f" ({', '.join(dict.fromkeys(places))})")
