"""Puts results of several runs together."""

from __future__ import annotations

from typing import Any, Dict, Tuple

Results = Dict[str, Any]


def _key(entry: Results) -> Tuple[Any, ...]:
    return tuple(entry.get(k) for k in ("shape", "dtype", "routing", "tokens", "threads"))


def merge(before: Results, after: Results) -> Results:
    """All points and layers; what was measured twice is as it was measured last.

    >>> old = {"commit": "a", "points": [{"tokens": 1, "x": 1}, {"tokens": 4, "x": 1}]}
    >>> new = {"commit": "b", "points": [{"tokens": 1, "x": 2}]}
    >>> both = merge(old, new)
    >>> both["commit"], [point["x"] for point in both["points"]]
    ('a, b', [1, 2])
    """
    result = {**before, **after}
    for kind in ("layers", "points"):
        again = {_key(entry) for entry in after.get(kind, [])}
        kept = [entry for entry in before.get(kind, []) if _key(entry) not in again]
        entries = kept + after.get(kind, [])
        groups = list(dict.fromkeys(_key(entry)[:2] for entry in entries))
        result[kind] = sorted(entries, key=lambda entry: groups.index(_key(entry)[:2]))
    for kind in ("machine", "versions"):
        result[kind] = {**before.get(kind, {}), **after.get(kind, {})}
    commits = [*before["commit"].split(", "), after["commit"]]
    result["commit"] = ", ".join(dict.fromkeys(commits))
    return result
