"""How much of the roofline each system reaches, over the number of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

from .figures import of_roofline
from .shapes import SHAPES


def draw(results: Dict[str, Any], stem: Path) -> List[Path]:
    """Writes STEM-ROUTING.png and .svg for each routing; the files' names."""
    import matplotlib

    matplotlib.use("Agg")
    written = []
    threads = max(point["threads"] for point in results["points"])
    points = [point for point in results["points"] if point["threads"] == threads]
    for routing in dict.fromkeys(point["routing"] for point in points):
        figure = _figure([p for p in points if p["routing"] == routing])
        title = f"{results['cpu']}, {threads} threads, {routing} routing, {results['date']}"
        figure.suptitle(title, fontsize=9, x=0.01, horizontalalignment="left")
        for ending in ("png", "svg"):
            written.append(stem.with_name(f"{stem.name}-{routing}.{ending}"))
            figure.savefig(written[-1], dpi=110)
    return written


def _figure(points: List[Dict[str, Any]]):
    """A panel per layer and dtype."""
    from matplotlib.figure import Figure

    shapes = list(dict.fromkeys(point["shape"] for point in points))
    dtypes = list(dict.fromkeys(point["dtype"] for point in points))
    systems = list(dict.fromkeys(name for point in points for name in point["seconds"]))
    tokens = sorted({point["tokens"] for point in points})
    shares = [of_roofline(point, name) for point in points for name in point["seconds"]]
    top = 1.05 * max([1.0, *shares])
    size = (3.2 * len(dtypes) + 1.5, 2.4 * len(shapes) + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(shapes), len(dtypes), squeeze=False, sharex=True, sharey=True)
    lines = {}
    for row, shape in zip(panels, shapes):
        for panel, dtype in zip(row, dtypes):
            here = [p for p in points if (p["shape"], p["dtype"]) == (shape, dtype)]
            for index, name in enumerate(systems):
                reached = [(p["tokens"], of_roofline(p, name)) for p in here]
                reached = [(tokens, share) for tokens, share in reached if share is not None]
                if reached:
                    lines[name] = _line(panel, reached, name, index)
            panel.set_title(f"{SHAPES[shape].title}, {dtype}", fontsize=9)
            panel.set_xscale("log", base=2)
            panel.set_xticks(tokens, [str(count) for count in tokens], fontsize=7)
            panel.set_ylim(0, top)
            panel.axhline(1, color="black", linewidth=0.8)
            panel.grid(alpha=0.3)
    figure.supxlabel("tokens", fontsize=9)
    figure.supylabel("of the roofline", fontsize=9)
    figure.legend(lines.values(), lines.keys(), loc="outside upper right", ncols=8, fontsize=8)
    return figure


def _line(panel, reached, name: str, index: int):
    ours = name == "ours"
    style = {"color": "black", "linewidth": 2.2} if ours else {"color": f"C{index}"}
    (line,) = panel.plot(*zip(*reached), marker="o", markersize=3, **style)
    return line
