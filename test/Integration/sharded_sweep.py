"""Random specs on grids of ranks: the sharded program must agree with the whole one.

    python3 sharded_sweep.py --moe-opt PATH --moe-run PATH --count N [--seed S] [--jobs J]
        [--work DIR]

Each seed gives a spec with a grid (sharded_spec.py), which is compiled with and without it and run
at several numbers of tokens: fewer than there are ranks, one that no axis divides, many, and
tokens that are all alike, so that all go to the same ranks. A case is one of these runs. Where rows
are exchanged in fewer bits, y may differ by what that explains (ERRORS), and nothing else may.

The last line is `N passed, N failed`. A failure is printed with what reproduces it, and leaves
its packages and inputs in the work folder.
"""

import argparse
import json
import multiprocessing.pool
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Oracle")]

import oracle
from sharded_spec import sharded_spec


# Of y on the whole, relative: some times what a value of a row may be off by, since rows and
# results are both rounded, and what is in between multiplies values that are. A row of the largest
# case is the measure for all: where products of a row cancel, y is small and errors are not.
ERRORS = {"bf16": 2**-6, "int8": 2**-4, "fp8_e4m3": 2**-3}


class Failure(AssertionError):
    pass


def run(command, statuses=(0,)):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode not in statuses:
        reason = (done.stderr or done.stdout).strip() or f"status {done.returncode}"
        raise Failure(f"{' '.join(map(str, command))}\n    {reason[-2000:]}")
    return done.stdout


class Rounded:
    """Cases of a spec whose rows are exchanged in fewer bits: only y differs, and by little."""

    def __init__(self, most):
        self.most, self.row = most, 0.0

    def check(self, command, tokens):
        report = json.loads(run([*command, "--json"], statuses=(0, 1)))
        against, y = report["against"], report["outputs"]["y"]
        rms = (y["norm"] or 0.0) / max(1, tokens) ** 0.5
        self.row = max(self.row, rms)
        wrong = [name for name, one in against["outputs"].items() if not one.get("within_bound")]
        error = against["outputs"]["y"].get("relative_error", np.inf)
        if (
            against.get("slots_differing")
            or wrong not in ([], ["y"])
            or not error * rms <= self.most * self.row
        ):
            text = f"y may differ by {self.most} of {self.row} a row: {report}"
            raise Failure(f"{' '.join(map(str, command))}\n    {text}")


def cases(seed, spec):
    """Name -> tokens, of which x is made."""
    rng = np.random.default_rng(seed)
    hidden = spec["hidden"]
    tokens = lambda count: rng.integers(-8, 9, (count, hidden)) / 8.0  # noqa: E731
    ranks = int(np.prod(list(spec["parallel"]["grid"].values())))
    yield "few", tokens(int(rng.integers(0, ranks)))
    yield "odd", tokens(2 * ranks + 1 + int(rng.integers(0, 9)))
    yield "many", tokens(int(rng.integers(40, 150)))
    yield "alike", np.repeat(tokens(1), int(rng.integers(2, 40)), axis=0)


def inputs(seed, spec, x, folder):
    """Writes the inputs; the arguments of moe-run for them."""
    router = oracle.resolve(spec)["router"]
    np.save(folder / "x.npy", oracle.to_storage(x, oracle.resolve(spec)["dtype"]["activation"]))
    arguments = ["--input", folder / "x.npy"]
    rng = np.random.default_rng(seed)
    if router["strategy"] in ("hash", "table"):
        most = router["vocabulary"] if router["strategy"] == "table" else 150000
        np.save(folder / "ids.npy", rng.integers(0, most, len(x)))
        arguments += ["--token-ids", folder / "ids.npy"]
    if router["projection"]["chained"]:
        state = rng.integers(-8, 9, (len(x), router["projection"]["hidden"])) / 8.0
        np.save(folder / "state.npy", state.astype(np.float32))
        arguments += ["--set", f"router_state={folder / 'state.npy'}"]
    return arguments


def check_seed(tools, seed):
    """Failures by name of the case; everything that was compiled stays where one is."""
    folder = tools.work / str(seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sharded, whole = sharded_spec(seed)
    found = {}
    try:
        for name, spec in (("sharded", sharded), ("whole", whole)):
            path = folder / f"{name}.json"
            path.write_text(json.dumps(spec, indent=1))
            run([tools.moe_opt, path, "--emit=package", "-o", folder / name])
    except Failure as failure:
        return {name: str(failure) for name in ("few", "odd", "many", "alike")}
    ranks = str(int(np.prod(list(sharded["parallel"]["grid"].values()))))
    wire = sharded["parallel"].get("wire", "none")
    rounded = Rounded(ERRORS.get(wire))
    for name, x in sorted(cases(seed, sharded), key=lambda case: -len(case[1])):
        place = folder / name
        place.mkdir(exist_ok=True)
        command = [tools.moe_run, folder / "sharded", "--ranks", ranks, "--exact", str(seed)]
        command += inputs(seed, sharded, x, place)
        try:
            command += ["--against", folder / "whole", "--timeout", "20000"]
            run(command) if wire == "none" else rounded.check(command, len(x))
            found[name] = None
        except Failure as failure:
            found[name] = str(failure)
        except subprocess.TimeoutExpired:
            found[name] = "hangs: " + " ".join(map(str, command))
    if not any(found.values()):
        shutil.rmtree(folder, ignore_errors=True)
    return found


def main():
    parser = argparse.ArgumentParser(description="Sharded programs against whole ones.")
    parser.add_argument("--moe-opt", required=True, type=Path)
    parser.add_argument("--moe-run", required=True, type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--work", type=Path)
    tools = parser.parse_args()
    tools.work = tools.work or Path(tempfile.mkdtemp(prefix="sharded-"))
    passed = failed = 0
    with multiprocessing.pool.ThreadPool(tools.jobs) as pool:
        seeds = range(tools.seed, tools.seed + tools.count)
        for seed, found in zip(seeds, pool.imap(lambda s: check_seed(tools, s), seeds)):
            for name, why in found.items():
                passed, failed = passed + (why is None), failed + (why is not None)
                if why is not None:
                    print(f"seed {seed}, {name}: {why}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
