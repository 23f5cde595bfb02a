"""The command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import List, Optional

from ..cpu.options import list_of, positive
from .rows import ROWS, Row, find
from .systems import NAMES


def _rows(text: str) -> List[Row]:
    chosen: List[Row] = []
    for name in text.split(","):
        found = find(name)
        if not found:
            raise argparse.ArgumentTypeError(
                f"found {name!r}, expected rows such as S1, Q1, Q1-64 or all of a letter of S, V,"
                " G, Q, O, P"
            )
        chosen += [row for row in found if row not in chosen]
    return chosen


def parse(arguments: Optional[List[str]] = None) -> argparse.Namespace:
    """The options.

    >>> [row.id for row in parse(["--rows", "P2,G1"]).rows]
    ['P2-up', 'P2-down', 'G1']
    """
    parser = argparse.ArgumentParser(
        prog="scripts/bench.sh gpu", description="Lists are separated by commas."
    )
    add = parser.add_argument
    add("--rows", type=_rows, default=list(ROWS.values()), help="such as S,V1,Q1-64; default all")
    add("--systems", type=list_of(NAMES), default=NAMES, help=",".join(NAMES))
    add("--repetitions", type=positive, default=7, help="of each row, in turns; default 7")
    add("--gpu-arch", default="sm_90a", help="of our packages; default sm_90a")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a try, and no result")
    add("--out", type=Path, help="folder of the results; default benchmarks/results")
    add("--packages", type=Path, metavar="DIR", help="ours, as --build-only has made them")
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--build-only", type=Path, metavar="DIR", help="write packages, and measure nothing"
    )
    only.add_argument(
        "--dry-run", action="store_true", help="say what would run, and compile kernels"
    )
    return parser.parse_args(arguments)
