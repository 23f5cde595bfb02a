"""Packages for several ranks, run on each engine: threads, MPI, and NCCL by its stand-in."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

HOME = Path(os.environ["MOE_MLIR_HOME"])
BIN = HOME / "bin"
FAKE = HOME / "test" / "Support" / "FakeNccl" / "libfake_nccl.so"
PACKAGE_RANKS = HOME / "test" / "Support" / "PackageRanks" / "package-ranks"
PLUGIN = HOME / "lib" / "libmoe_engine_mpi.so"
MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n"]
LIMIT = 120  # seconds, for machines with much to do

BASE = {"hidden": 32, "router": {"experts": 8, "top_k": 2}, "experts": {"intermediate": 16}}


def spec(name, grid, parallel=None, **sections):
    merged = {key: {**BASE.get(key, {}), **value} for key, value in sections.items()}
    return {**BASE, **merged, "name": name, "parallel": {"grid": grid, **(parallel or {})}}


def ranks_of(layer):
    grid = layer["parallel"]["grid"]
    return grid.get("dp", 1) * grid.get("ep", 1) * grid.get("tp", 1)


def compile_spec(layer, folder, whole=False):
    """The package's folder; with `whole`, that of the same layer for one rank."""
    out = Path(folder) / (layer["name"] + ("_whole" if whole else ""))
    if not out.exists():
        if whole:
            layer = {key: value for key, value in layer.items() if key != "parallel"}
        path = out.with_suffix(".json")
        path.write_text(json.dumps(layer))
        subprocess.run([BIN / "moe-opt", path, "--emit=package", "-o", out], check=True)
    return out


def why_no_mpi():
    if not PLUGIN.is_file():
        return "the engine 'mpi' was not built: no mpi.h"
    return "" if shutil.which("mpirun") else "mpirun is not installed"


class Ended:
    """The status of what was run, and what it wrote; of several processes lists of them."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def report(self):
        return json.loads(self.out)


def call(command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=LIMIT, **more)
    return Ended(done.returncode, done.stdout, done.stderr)


def threads(count, package, *arguments):
    return call([BIN / "moe-run", package, "--ranks", count, *arguments])


def mpi(count, package, *arguments):
    return call([*MPIRUN, count, BIN / "moe-run", package, *arguments])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def nccl_environment(count, folder):
    """What torchrun would say to `count` processes, less their own ranks."""
    return dict(
        os.environ, WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()),
        MOE_NCCL=str(FAKE), MOE_CUDA=str(FAKE), MOE_FAKE_NCCL_MEMORY=str(folder / "memory"),
    )


def start(command, environment):
    return subprocess.Popen(
        [str(part) for part in command], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    )


def start_nccl(count, folder, package, *arguments):
    """Processes, in the order of ranks."""
    shared = nccl_environment(count, folder)
    return [start([BIN / "moe-run", package, *arguments], {**shared, "RANK": str(rank)})
            for rank in range(count)]


def finish(processes):
    try:
        said = [process.communicate(timeout=LIMIT) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    codes = [process.returncode for process in processes]
    return Ended(codes, *([text[i] for text in said] for i in range(2)))


def shares_of(layer):
    """How many groups of ranks have tokens of their own."""
    parallel = layer["parallel"]
    same = 1 if parallel.get("sequence_parallel") else parallel["grid"].get("tp", 1)
    return ranks_of(layer) // same


def in_one_process(engine, layer, package, x, stalled=-1):
    """Ranks as threads that call the C interface; `out` is the bytes of y."""
    shares = shares_of(layer)
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        command = [PACKAGE_RANKS, package, engine, meeting, ranks_of(layer), shares,
                   len(x) // shares, x.shape[1], stalled]
        done = subprocess.run(
            [str(part) for part in command], input=x.tobytes(), capture_output=True, timeout=LIMIT,
            env=dict(os.environ, MOE_NCCL=str(FAKE), MOE_CUDA=str(FAKE)),
        )
    return Ended(done.returncode, done.stdout, done.stderr.decode())


def nccl(count, package, *arguments):
    memory = Path(package).parent
    ended = finish(start_nccl(count, memory, package, *arguments))
    return Ended(max(ended.code), ended.out[0], "".join(ended.err))
