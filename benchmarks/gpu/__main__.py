"""scripts/bench.sh gpu: see benchmarks/README.md."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any, Dict

from ..output import draw, write
from . import figures, packages, rows, table
from .options import parse

ROOT = Path(__file__).resolve().parents[2]


def measured(row: rows.Row, options: Any, ceilings: Any) -> Dict[str, Any]:
    """One row: every system that has it and is right, in turns."""
    from . import measure, problem
    from .systems import Unsupported, make

    made = problem.make(row)
    systems, errors, skipped = {}, {}, {}
    for name in options.systems:
        try:
            system = make(name, made, options.packages)
            result = system()  # what is done only once is done
            if name != figures.DENSE:
                errors[name] = made.error(system.to_numpy(result))
                if not errors[name] <= problem.ALLOWED:
                    raise Unsupported(f"wrong: its error is {errors[name]:.1e}")
            system()
            systems[name] = system
        except Unsupported as why:
            skipped[name] = str(why)
        except (RuntimeError, moe_error()) as why:  # such as too little memory
            skipped[name] = str(why).splitlines()[0]
    return {
        **rows.about(row),
        "bytes": row.bytes(made.experts_hit),
        **measure.in_turns(systems, ceilings, options.repetitions),
        "errors": errors,
        "skipped": skipped,
    }


def moe_error() -> type:
    from moe_mlir import Error

    return Error


def device() -> Dict[str, str]:
    try:
        import torch
    except ImportError as error:
        raise SystemExit(f"error: {error}; MOE_BENCH_PYTHON names a Python that has it") from error
    if not torch.cuda.is_available():
        return {"gpu": "no GPU", "driver": "none"}
    import subprocess

    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, IndexError, subprocess.CalledProcessError):
        driver = "unknown"
    return {"gpu": torch.cuda.get_device_name(), "driver": driver}


def main() -> None:
    options = parse()
    scratch = ROOT / "build" / "bench" / "gpu"
    if options.dry_run:
        for line in packages.dry_run(
            options.rows, options.systems, scratch / "dry", options.gpu_arch
        ):
            print(line, flush=True)
        return
    if options.build_only:
        packages.build(options.rows, options.build_only, options.gpu_arch)
        return
    found = device()
    if (options.device == "cuda") == (found["gpu"] == "no GPU"):
        raise SystemExit(
            "error: torch shows no GPU; --dry-run says what would run, --build-only makes packages"
            if options.device == "cuda"
            else "error: --device cpu goes without a GPU only"
        )
    if options.packages is None and "ours" in options.systems:
        options.packages = scratch / options.device
        packages.build(options.rows, options.packages, options.gpu_arch, options.device)
    from ..cpu.about import about
    from .measure import Ceilings

    folder = options.out
    if folder is None and options.device == "cuda":
        folder = ROOT / "benchmarks" / "results"
    results: Dict[str, Any] = {**about(), **found, "points": []}
    ceilings = Ceilings()
    print(table.header(options.systems), flush=True)
    stem = None
    for row in options.rows:
        point = measured(row, options, ceilings)
        results["points"].append(point)
        results["versions"] = about()["versions"]
        print(table.line(point, options.systems), flush=True)
        for name, why in point["skipped"].items():
            print(f"{row.id} {name}: {why}", file=sys.stderr)
        stem = folder and write(results, folder, "gpu", table.document)
        gc.collect()
    from . import plot

    draw(results, stem, plot.draw)


main()
