"""Our packages for rows, made where the compiler is, to be carried to where the GPU is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

from .rows import Layer, Row


class CompileError(Exception):
    pass


def _compile(row: Row, folder: Path, *options: str) -> float:
    """Seconds that the compiler takes."""
    from moe_mlir._library import compiler

    source = folder / f"{row.package}.{'json' if isinstance(row, Layer) else 'mlir'}"
    source.write_text(row.program())
    start = time.perf_counter()
    run = subprocess.run([compiler(), source, *options], capture_output=True, text=True)
    if run.returncode:
        raise CompileError(run.stderr.strip())
    return time.perf_counter() - start


def build(rows: List[Row], folder: Path, arch: str, target: str = "cuda") -> Dict[str, Any]:
    """A package for each shape, and the runtime, below a folder; what cannot be had is said."""
    from moe_mlir._library import homes

    folder.mkdir(parents=True, exist_ok=True)
    made: Dict[str, Any] = {}
    for row in {row.package: row for row in rows}.values():
        output = folder / row.package
        options = [f"--target={target}", "--emit=package", "-o", str(output)]
        if target == "cuda":
            options.append(f"--gpu-arch={arch}")
        try:
            made[row.package] = _compile(row, folder, *options)
            print(f"{row.package}: {made[row.package]:.1f} s", file=sys.stderr)
        except CompileError as error:
            print(f"{row.package}: {error}", file=sys.stderr)
    library = next(h / "lib" / "libmoe_runtime.so" for h in homes() if (h / "lib").is_dir())
    (folder / "lib").mkdir(exist_ok=True)
    for name in ("libmoe_runtime.so", "libmoe_runtime.so.1"):
        shutil.copy(library, folder / "lib" / name)
    return made


def dry_run(rows: List[Row], systems: List[str], folder: Path, arch: str) -> Iterator[str]:
    """What would run, a line for a row; kernels are compiled, but not assembled."""
    folder.mkdir(parents=True, exist_ok=True)
    known: Dict[str, str] = {}
    for row in rows:
        if row.package not in known:
            ptx = folder / f"{row.package}.ptx"
            try:
                seconds = _compile(
                    row, folder, "--target=cuda", "--emit=ptx", f"--gpu-arch={arch}", "-o", str(ptx)
                )
                kernels = ptx.read_text().count(".visible .entry")
                known[row.package] = f"{kernels} kernels in {seconds:.1f} s"
            except CompileError as error:
                known[row.package] = f"not supported yet: {error}"
        wanted = "–" if row.target is None else f"{row.target * 1e3:.3g} ms"
        yield (
            f"{row.id:<12} {row.sizes:<40} {row.operations() * 1e-12:8.3f} Tflop  wanted"
            f" {wanted:<9} {row.package}: {known[row.package]}; {', '.join(systems)}"
        )
