"""What is measured. Each is imported when it is asked for, since some take seconds to import."""

from __future__ import annotations

import importlib
from typing import Any

_CLASSES = {
    "ours": ("ours", "Ours"),
}
NAMES = list(_CLASSES)


class Unsupported(Exception):
    """The system does not compute such a layer; the message says why."""


def make(name: str, weights: Any, threads: int) -> Any:
    """A system with these weights."""
    module, kind = _CLASSES[name]
    loaded = importlib.import_module(f".{module}", __name__)
    return getattr(loaded, kind)(weights, threads)
