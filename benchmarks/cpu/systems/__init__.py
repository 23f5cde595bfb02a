"""What is measured. Each is imported when it is asked for, since some take seconds to import."""

from __future__ import annotations

import importlib
from typing import Any

from .unsupported import Unsupported

_CLASSES = {
    "ours": ("ours", "Ours"),
    "torch_loop": ("torch_loop", "TorchLoop"),
    "torch_grouped": ("torch_grouped", "TorchGrouped"),
    "torch_int8": ("torch_int8", "TorchInt8"),
    "transformers": ("transformers_block", "TransformersBlock"),
    "onednn": ("onednn", "OneDnn"),
    "ggml": ("ggml", "Ggml"),
    "jax": ("jax_ragged", "JaxRagged"),
}
NAMES = list(_CLASSES)


def make(name: str, weights: Any, threads: int) -> Any:
    """A system with these weights; `Unsupported` where it has no such layer."""
    module, kind = _CLASSES[name]
    try:
        loaded = importlib.import_module(f".{module}", __name__)
    except ImportError as error:
        if name == "ours":
            raise
        raise Unsupported(f"it cannot be imported: {error}") from error
    return getattr(loaded, kind)(weights, threads)
