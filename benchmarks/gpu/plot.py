"""How much of the roofline each system reaches, a bar for each row."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

from .figures import DENSE, of_roofline


def draw(results: Dict[str, Any], stem: Path) -> List[Path]:
    """Writes STEM.png and .svg; the files' names."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    points = results["points"]
    names = [n for n in dict.fromkeys(n for p in points for n in p["seconds"]) if n != DENSE]
    figure = Figure(figsize=(2 + 0.45 * len(points), 4), layout="constrained")
    panel = figure.subplots()
    width = 0.8 / max(1, len(names))
    for index, name in enumerate(names):
        places = [i + (index - (len(names) - 1) / 2) * width for i in range(len(points))]
        shares = [of_roofline(point, name) or 0 for point in points]
        color = "black" if name == "ours" else f"C{index}"
        panel.bar(places, shares, width, label=name, color=color)
    panel.set_xticks(range(len(points)), [p["row"] for p in points], rotation=90, fontsize=7)
    panel.axhline(1, color="black", linewidth=0.8)
    panel.set_ylabel("of the roofline", fontsize=9)
    panel.legend(fontsize=8, ncols=len(names))
    panel.set_title(f"{results['gpu']}, {results['date']}", fontsize=9)
    written = [stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "svg")]
    for path in written:
        figure.savefig(path, dpi=110)
    return written
