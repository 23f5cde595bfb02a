"""What is measured. Each is imported when it is asked for; not all are there on each machine."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Optional

from ...cpu.systems.unsupported import Unsupported

_CLASSES = {
    "ours": ("ours", "Ours"),
    "torch_grouped": ("torch_grouped", "TorchGrouped"),
    "triton": ("triton_moe", "TritonMoe"),
    "jax": ("jax_ragged", "JaxRagged"),
    "cublas": ("cublas", "Dense"),
}
NAMES = list(_CLASSES)


def make(name: str, problem: Any, packages: Optional[Path]) -> Any:
    """A system with this problem; `Unsupported` where it has no such thing."""
    module, kind = _CLASSES[name]
    try:
        loaded = importlib.import_module(f".{module}", __name__)
    except ImportError as error:
        raise Unsupported(f"it cannot be imported: {error}") from error
    if name == "ours":
        return loaded.Ours(problem, packages)
    return getattr(loaded, kind)(problem)


__all__ = ["NAMES", "Unsupported", "make"]
