"""How fast the threads engine exchanges rows and adds, beside Open MPI's shared memory.

Both in turns, `--runs` times; the best of each counts. `ratio` is Open MPI's time over ours.
Build first: ninja -C build/release CollectivesBenchmark

  benchmarks/collectives.py [--ranks N ...] [--runs N] [--build FOLDER] [--json FILE]
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "btl", "self,vader"]


def measure(command):
    """The seconds of each operation and size that a run prints."""
    if hasattr(os, "geteuid") and os.geteuid() == 0 and command[0] == "mpirun":
        command = [command[0], "--allow-run-as-root", *command[1:]]
    out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    times = {}
    for line in out.splitlines():
        operation, size, seconds = line.split()
        times[operation, int(size)] = float(seconds)
    return times


def best(runs):
    return {key: min(run[key] for run in runs) for key in runs[0]}


def describe(size):
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def compare(binary, ranks, runs):
    ours, theirs = [], []
    for _ in range(runs):
        ours.append(measure([binary, str(ranks)]))
        theirs.append(measure([*MPIRUN, "-n", str(ranks), binary]))
    ours, theirs = best(ours), best(theirs)
    return [
        {"operation": operation, "ranks": ranks, "bytes": size,
         "threads_us": round(seconds * 1e6, 2),
         "mpi_us": round(theirs[operation, size] * 1e6, 2),
         "ratio": round(theirs[operation, size] / seconds, 2)}
        for (operation, size), seconds in sorted(ours.items())
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--json")
    options = parser.parse_args()
    binary = str(Path(options.build) / "bin" / "CollectivesBenchmark")
    if not Path(binary).exists():
        sys.exit(f"collectives.py: error: there is no {binary}: build CollectivesBenchmark")
    rows = [row for ranks in options.ranks for row in compare(binary, ranks, options.runs)]
    print("| operation | ranks | size | threads | Open MPI | ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    for row in rows:
        print(f"| {row['operation']} | {row['ranks']} | {describe(row['bytes'])} "
              f"| {row['threads_us']:.1f} µs | {row['mpi_us']:.1f} µs | {row['ratio']:.2f} |")
    if options.json:
        about = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(),
                 "runs": options.runs, "rows": rows}
        Path(options.json).write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
