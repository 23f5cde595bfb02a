"""The command line."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import List, Optional

from .problem import ROUTINGS
from .shapes import SHAPES, WEIGHT_BYTES
from .systems import NAMES

TOKENS = [1, 4, 16, 64, 256, 1024, 4096]
# Beside jax other systems, and the ceilings, get half of the processors.
TOGETHER = [name for name in NAMES if name != "jax"]


def list_of(known: List[str]):
    def parse(text: str) -> List[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                expected = ",".join(known)
                raise argparse.ArgumentTypeError(f"found {name!r}, expected some of {expected}")
        return names

    return parse


def _numbers(text: str) -> List[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected numbers above 0, as 1,64")
    return numbers


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number above 0")
    return int(text)


def parse(arguments: Optional[List[str]] = None) -> argparse.Namespace:
    """The options; what `--quick` leaves out can be asked for again.

    >>> options = parse(["--quick", "--tokens", "1,64"])
    >>> options.tokens, options.dtypes
    ([1, 64], ['bf16'])
    """
    parser = argparse.ArgumentParser(
        prog="scripts/bench.sh cpu", description="Lists are separated by commas."
    )
    cores = len(os.sched_getaffinity(0))
    few = {"shapes": ["olmoe"], "dtypes": ["bf16"], "tokens": [1, 16, 256]}
    few.update(routing=["uniform"], repetitions=3, memory=0)
    add = parser.add_argument
    add("--quick", action="store_true", help="a few points, in a few minutes")
    add("--shapes", type=list_of(list(SHAPES)), default=list(SHAPES), help=",".join(SHAPES))
    add("--dtypes", type=list_of(list(WEIGHT_BYTES)), default=list(WEIGHT_BYTES))
    add("--tokens", type=_numbers, default=TOKENS)
    add("--routing", type=list_of(list(ROUTINGS)), default=list(ROUTINGS))
    add("--systems", type=list_of(NAMES), default=TOGETHER, help=",".join(NAMES))
    add("--threads", type=_numbers, default=[cores], help=f"default {cores}")
    add("--repetitions", type=positive, default=7, help="of each point, in turns; default 7")
    add("--point-seconds", type=float, default=20, help="which has 3 turns at least")
    add("--limit", type=float, default=20, help="seconds: what takes longer is left out")
    add("--memory", type=int, default=4096, metavar="T", help="tokens, or 0")
    add("--append", action="store_true", help="to the results of the day, if there are any")
    add("--out", type=Path, help="folder of the results; default benchmarks/results")
    quick, _ = parser.parse_known_args(arguments)
    if quick.quick:
        parser.set_defaults(**few)
    return parser.parse_args(arguments)
