"""scripts/bench.sh cpu: see benchmarks/README.md."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any, Dict

from ..output import draw, write
from . import plot, table
from .about import about
from .ceilings import KINDS, Ceilings
from .layer import LayerBench
from .merge import merge
from .options import parse

_BUSY = 0.5  # runnable threads of others, which make every figure worse and ratios random
ROOT = Path(__file__).resolve().parents[2]


def earlier(results: Dict[str, Any], folder: Path) -> Dict[str, Any]:
    """The results of this day that are there already."""
    file = folder / f"{results['date']}-cpu.json"
    return json.loads(file.read_text()) if file.exists() else {}


def main() -> None:
    options = parse()
    folder = options.out
    if folder is None and options.systems != ["ours"]:  # which is a look, and no result
        folder = ROOT / "benchmarks" / "results"
    results: Dict[str, Any] = {**about(), "machine": {}, "layers": [], "points": []}
    if results["load"] > _BUSY:
        print(f"this machine is busy: its load is {results['load']:.1f}", file=sys.stderr)
    print(table.header(options.systems), flush=True)
    said = set()

    def each(point: Dict[str, Any]) -> None:
        results["points"].append(point)
        print(table.line(point, options.systems), flush=True)
        for reason in (f"{name}: {why}" for name, why in point["skipped"].items()):
            if reason not in said:
                print(f"{point['shape']} {point['dtype']} {reason}", file=sys.stderr)
        said.update(f"{name}: {why}" for name, why in point["skipped"].items())

    before = earlier(results, folder) if options.append and folder else {}
    stem, all_results = None, results
    with Ceilings(ROOT / "build" / "bench") as ceilings:
        for threads in options.threads:
            found = {kind: ceilings.measure(kind, threads) for kind in KINDS}
            results["machine"][str(threads)] = found
        for shape in options.shapes:
            for dtype in options.dtypes:
                bench = LayerBench(shape, dtype, ceilings, options)
                bench.run(each)
                results["layers"].append(bench.record)
                del bench
                gc.collect()  # weights of the next layer need the room
                versions = about()["versions"]  # of what has been imported by now
                results.update(versions=versions, instructions=ceilings.instructions)
                all_results = merge(before, results) if before else results
                stem = folder and write(all_results, folder, "cpu", table.document)
    draw(all_results, stem, plot.draw)


main()
