"""Tables of Markdown, and figures as they have them."""

from __future__ import annotations

import math
import statistics
from typing import List, Optional


def row(cells: List[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def head(titles: List[str], texts: int) -> List[str]:
    return [row(titles), row(["---"] * texts + ["---:"] * (len(titles) - texts))]


def bold(text: str, value: Optional[float], wanted: float) -> str:
    """The text, so that it is seen where the value falls short."""
    return f"**{text}**" if value is not None and value < wanted else text


def mean(values: List[float]) -> Optional[float]:
    return statistics.geometric_mean(values) if values else None


def milliseconds(seconds: Optional[float]) -> str:
    """
    >>> milliseconds(0.00123), milliseconds(1.5), milliseconds(None)
    ('1.23', '1500', '–')
    """
    if seconds is None:
        return "–"
    value = seconds * 1e3
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"


def percent(ratio: Optional[float]) -> str:
    return "–" if ratio is None else f"{ratio:.0%}"


def times(ratio: Optional[float]) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"
