"""Compiled packages on disk, shared by every process of a user."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping, Union

from . import _library
from ._errors import Error
from ._package import Package, compile

_open: Dict[Path, Package] = {}


def folder() -> Path:
    """`$MOE_MLIR_CACHE`, or `moe-mlir` in the user's cache folder."""
    if given := os.environ.get("MOE_MLIR_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "moe-mlir"


def key(spec: Mapping[str, Any]) -> str:
    """What decides a package's code: the spec, the compiler and this machine's processor.

    >>> key({"hidden": 8, "name": "a"}) == key({"name": "a", "hidden": 8})
    True
    >>> key({"hidden": 8}) == key({"hidden": 16})
    False
    """
    compiler = _library.compiler()
    state = compiler.stat()
    parts = (
        json.dumps(spec, sort_keys=True),
        f"{compiler.resolve()} {state.st_size} {state.st_mtime_ns}",
        _processor(),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def package(spec: Mapping[str, Any], cache: Union[str, os.PathLike, None] = None) -> Package:
    """The package of a spec, compiled unless it is there; one object for one folder."""
    root = Path(cache) if cache else folder()
    path = (root / key(spec)).resolve()
    if path not in _open:
        _open[path] = _load(path) or _compile(spec, path)
    return _open[path]


def _load(path: Path):
    if not path.is_dir():
        return None
    try:
        return Package(path)
    except Error:  # damaged, or of a runtime that is no longer this one
        shutil.rmtree(path, ignore_errors=True)
        return None


def _compile(spec: Mapping[str, Any], path: Path) -> Package:
    # The folder appears under its name whole or not at all; whoever comes second takes the first's.
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as scratch:
        made = Path(scratch) / "package"
        compile(spec, output=made, unpacked=True)  # weights are the model's
        try:
            os.rename(made, path)
        except OSError:
            if not path.is_dir():
                raise
        return Package(path)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
