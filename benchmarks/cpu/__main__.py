"""scripts/bench.sh cpu: see benchmarks/README.md."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from . import layer, table
from .about import about
from .ceilings import Ceilings
from .options import parse
from .shapes import SHAPES

ROOT = Path(__file__).resolve().parents[2]


def say(*words) -> None:
    print(*words, file=sys.stderr, flush=True)


def main() -> None:
    options = parse()
    found = []
    print(table.header(options.systems), flush=True)
    with Ceilings(ROOT / "build" / "bench") as ceilings:
        for shape in options.shapes:
            for dtype in options.dtypes:
                for point in layer.points(SHAPES[shape], dtype, ceilings, options, say):
                    found.append(point)
                    print(table.line(point, options.systems), flush=True)
                    for name, why in point["skipped"].items():
                        say(f"{name}: {why}")
        document = {**about(), "instructions": ceilings.instructions, "points": found}
    if options.systems == ["ours"] and not options.out:
        return  # a quick look, not a result
    folder = options.out or ROOT / "benchmarks" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{document['date']}-cpu.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    say(f"wrote {path}")


main()
