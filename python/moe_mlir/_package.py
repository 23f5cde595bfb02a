"""Packages: compiled code for one layer shape."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import tempfile
import weakref
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Union

from . import _library
from ._errors import CompileError
from ._layer import Layer


class Package:
    """A compiled layer shape, loaded. `layer()` makes layers of it.

    >>> spec = {"hidden": 8, "router": {"experts": 4, "top_k": 2}, "experts": {"intermediate": 8}}
    >>> package = compile(spec, target="reference")
    >>> package.manifest["target"]["variants"][0]["kind"]
    'reference'
    """

    def __init__(self, path: Union[str, os.PathLike], _scratch: Optional[str] = None):
        self.path = Path(path)
        runtime = _library.runtime()
        handle = ctypes.c_void_p()
        runtime.moe_package_open(os.fsencode(self.path), ctypes.byref(handle))
        self._handle = handle
        self._close = weakref.finalize(self, _close, runtime, handle, _scratch)
        #: docs/Manifest.md as a dict.
        self.manifest: dict = json.loads(runtime.moe_package_manifest(handle))

    def layer(self, cpu: Optional[str] = None, device: Optional[str] = None) -> Layer:
        """A layer with no weights yet and fresh state.

        Of the CPUs that the package has code for it runs that of `cpu`, or else of the environment
        variable MOE_CPU, or else the best for this machine. `device` is "cpu", "cuda" or "sim";
        without it, and without MOE_DEVICE, a GPU if there is one that the package has kernels for.
        """
        handle = ctypes.c_void_p()
        options = _library.LayerOptions(
            device=None if device is None else device.encode(),
            cpu=None if cpu is None else cpu.encode(),
        )
        _library.runtime().moe_layer_create_with(
            self._handle, ctypes.byref(options), ctypes.byref(handle)
        )
        return Layer(self, handle)

    def __repr__(self) -> str:
        return f"<moe_mlir.Package {self.manifest['name']} in {self.path}>"


def compile(
    spec: Union[Mapping[str, Any], str, os.PathLike],
    target: str = "cpu",
    output: Union[str, os.PathLike, None] = None,
    cpu: Union[str, Sequence[str]] = "native",
    unpacked: bool = False,
) -> Package:
    """Compiles a spec (a dict, or the path of a .json file) for one CPU or for several.

    `target` is what --target of moe-opt takes: "cpu,cuda" has code for both.
    With `unpacked` weights stay as they are stored: those that are borrowed take no memory, and
    products on CPUs are slower.
    The package is written to `output`, or to a folder that lives as long as the result.

    >>> compile({"hidden": 0})  # doctest: +IGNORE_EXCEPTION_DETAIL +ELLIPSIS
    Traceback (most recent call last):
    ...
    CompileError: ...
    """
    with tempfile.TemporaryDirectory(prefix="moe-mlir-") as scratch:
        if isinstance(spec, Mapping):
            folder, path = scratch, "spec.json"  # as messages name it
            (Path(folder) / path).write_text(json.dumps(spec), encoding="utf-8")
        else:
            folder, path = None, os.fspath(spec)
        command = [str(_library.compiler()), path, "--emit=package", f"--target={target}"]
        if target.split(",")[0] == "cpu":
            command.append(f"--cpu={cpu if isinstance(cpu, str) else ','.join(cpu)}")
        if unpacked:
            command.append("--unpacked")
        scratch_output = None
        if output is None:
            output = scratch_output = tempfile.mkdtemp(prefix="moe-mlir-")
        try:
            _run(command + ["-o", os.path.abspath(output)], folder)
            return Package(output, scratch_output)
        except BaseException:
            if scratch_output:
                shutil.rmtree(scratch_output, ignore_errors=True)
            raise


def _run(command: List[str], folder: Optional[str]) -> None:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    if run.returncode:
        raise CompileError(run.stderr.strip() or f"moe-opt ended with status {run.returncode}")


def _close(runtime: ctypes.CDLL, handle: ctypes.c_void_p, scratch: Optional[str]) -> None:
    runtime.moe_package_close(handle)
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)


def load(path: Union[str, os.PathLike]) -> Layer:
    """A new layer of the package in a folder."""
    return Package(path).layer()


def set_threads(threads: int) -> None:
    """Threads that layers run on; 0 restores the default. Any number gives the same bits."""
    _library.runtime().moe_set_threads(threads)
