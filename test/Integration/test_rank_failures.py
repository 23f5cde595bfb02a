"""What goes wrong on several ranks: each case ends with a message and a status, and nothing hangs.

Every entry of a table here is a named case on compiled packages. The same causes one level below
have tests of their own: specs and grids in test/Unit/Import/BadLayerTest.cpp, BadKeysTest.cpp and
test/Sharding/errors.test; manifests in test/Unit/Runtime/ManifestRanksTest.cpp; worlds, launchers
and engines in WorldTest.cpp, FaultTest.cpp and RanksTest.cpp beside it; NCCL in test/Unit/Engine.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import ranks
from ranks import spec

RUN = ranks.BIN / "moe-run"
FAKES = {"MOE_NCCL": ranks.FAKE, "MOE_CUDA": ranks.FAKE}
PLACES = "found the experts of {} devices, expected those of 2, parallel.grid.ep"
AXES = "for --grid, expected sizes of axes such as dp=1,ep=4,tp=2 or ep=4,chunks=2"

# Name: the section `parallel`, and what the compiler says of it.
SPECS = {
    "experts not divisible": ({"grid": {"ep": 3}},
                              "found 3, expected a divisor of 8, the number of experts, or "
                              "parallel.placement"),
    "experts on tp not divisible": ({"grid": {"tp": 3}, "experts_on": "tp"},
                                    "expected a divisor of 8, the number of experts"),
    "width not divisible": ({"grid": {"tp": 5}},
                            "found 5, expected a divisor of experts.intermediate, 16"),
    "axis of 0": ({"grid": {"ep": 0}}, "parallel.grid.ep: found 0, expected an integer from 1"),
    "unknown axis": ({"grid": {"pp": 2}}, "unknown key 'pp' in 'parallel.grid'"),
    "too many devices": ({"grid": {"dp": 65536, "ep": 65536}}, "more than 2147483647 devices"),
    "map names an absent rank": ({"grid": {"ep": 2}, "placement": [[0, 1, 2], [3, 4, 5], [6, 7]]},
                                 PLACES.format(3)),
    "map lacks a rank": ({"grid": {"ep": 2}, "placement": [[*range(8)]]}, PLACES.format(1)),
    "map names an absent expert": ({"grid": {"ep": 2}, "placement": [[0, 1, 2, 3], [4, 5, 6, 8]]},
                                   "found expert 8, expected at most 7"),
    "map lacks an expert": ({"grid": {"ep": 2}, "placement": [[0, 1, 2, 3], [4, 5, 6]]},
                            "found no place for expert 7"),
    "map names an expert twice": ({"grid": {"ep": 2}, "placement": [[0, 1, 2, 1], [3, 4, 5, 6, 7]]},
                                  "found expert 1 twice on device 0"),
    "unknown exchange": ({"grid": {"ep": 2}, "exchange": "rings"}, "did you mean 'ring'?"),
}

# Name: --grid of moe-opt, and what it says.
GRIDS = {
    "--grid with an axis of 0": ("ep=0", f"found 'ep=0' {AXES}"),
    "--grid below 0": ("dp=-1", f"found 'dp=-1' {AXES}"),
    "--grid with an axis twice": ("ep=2,ep=2", f"found 'ep=2,ep=2' {AXES}"),
    "--grid with an unknown axis": ("ep=2,pp=2", f"found 'ep=2,pp=2' {AXES}"),
    "--grid that does not divide": ("ep=3", "expected a divisor of 8, the number of experts"),
}

# Name: arguments of moe-run for a package of two ranks, variables, and what it says.
RUNS = {
    "ranks not said": ([], {}, "'pair' is for 2 ranks, dp 1, ep 2, tp 1; expected --ranks 2"),
    "grid larger than the world": (["--ranks", 1], {}, "found --ranks 1"),
    "grid smaller than the world": (["--ranks", 4], {}, "found --ranks 4"),
    "no ranks": (["--ranks", 0], {}, "--ranks expects at least 1, found '0'"),
    "unknown engine": (["--engine", "treads"], {}, "there is no engine 'treads': expected threads, "
                       "mpi or nccl; did you mean 'threads'? (MOE_NOT_FOUND)"),
    "no launcher": (["--engine", "nccl"], FAKES, "no launcher says which rank this is: expected "
                    "RANK and WORLD_SIZE or the like (MOE_INVALID_ARGUMENT)"),
    "ranks of a machine are no number": (["--ranks", 2, "--node-ranks", "all"], {},
                                         "--node-ranks expects a number, found 'all'"),
    "timeout is no number": (["--ranks", 2, "--timeout", "soon"], {},
                             "--timeout expects a number, found 'soon'"),
    "reference of several ranks": (["--ranks", 2, "--against", "pair"], {},
                                   "the reference 'pair' is for 2 ranks"),
    "weights of ranks to a file": (["--ranks", 2, "--save-weights", "w.safetensors"], {},
                                   "slices of its weights, which cannot be saved"),
    "libnccl absent": ([], {"RANK": 0, "WORLD_SIZE": 2, "MOE_NCCL": "/nowhere/libnccl.so.2"},
                       "cannot load NCCL from '/nowhere/libnccl.so.2'"),
    "libnccl is something else": ([], {"RANK": 0, "WORLD_SIZE": 2, "MOE_NCCL": "libm.so.6"},
                                  "'libm.so.6' is no NCCL: it has no ncclGetVersion"),
    "libnccl too old": ([], {**FAKES, "RANK": 0, "WORLD_SIZE": 2, "MOE_FAKE_NCCL": "version=21403"},
                        "is NCCL 2.14.3, expected 2.18.0 or later (MOE_UNAVAILABLE)"),
    "CUDA absent": ([], {**FAKES, "RANK": 0, "WORLD_SIZE": 2, "MOE_CUDA": "/nowhere/libcuda.so.1"},
                    "cannot load the CUDA driver from '/nowhere/libcuda.so.1'"),
    "nowhere to meet": ([], {**FAKES, "RANK": 0, "WORLD_SIZE": 2},
                        "ranks do not know where to meet: set MASTER_ADDR and MASTER_PORT"),
    "port is none": ([], {**FAKES, "RANK": 0, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1",
                          "MASTER_PORT": "http"}, "MASTER_PORT has the port 'http'"),
    "rank is no number": ([], {"RANK": "one", "WORLD_SIZE": 2},
                          "environment variable RANK: found 'one', expected a number"),
    "rank below 0": ([], {"PMI_RANK": -1, "PMI_SIZE": 2},
                     "environment variable PMI_RANK: found '-1', expected a number"),
    "rank past the last": ([], {"RANK": 5, "WORLD_SIZE": 2},
                           "environment variables RANK and WORLD_SIZE: found rank 5 of 2"),
    "size is no number": ([], {"SLURM_PROCID": 0, "SLURM_NTASKS": "two"},
                          "environment variable SLURM_NTASKS: found 'two', expected a number"),
    "tokens that are not finite": (["--ranks", 2, "--input", "nan.npy"], {},
                                   "rank 1: function 'forward': token 1 is not finite "
                                   "(MOE_NOT_FINITE)"),
}

# Name: what mpirun starts after `-n`, and what the first rank says.
MPI_RUNS = {
    "grid larger than the job": (["2", RUN, "four"], "the grid dp = 1, ep = 2, tp = 2 has 4 ranks, "
                                 "the world has 2 (MOE_INVALID_ARGUMENT)"),
    "grid smaller than the job": (["3", RUN, "pair"], "the grid dp = 1, ep = 2, tp = 1 has 2 "
                                  "ranks, the world has 3 (MOE_INVALID_ARGUMENT)"),
    "other packages": (["1", RUN, "pair", ":", "-n", "1", RUN, "halves"],
                       "rank 0 and rank 1 have different packages"),
    "other functions": (["2", RUN, "pair", "--function", "backward"],
                        "the package has no function 'backward'; it has forward"),
    "no such package": (["2", RUN, "nowhere"], "nowhere: error: no such directory"),
    "no such input": (["2", RUN, "pair", "--input", "none.npy"], "none.npy: error: No such file"),
    "tokens of one rank not finite": (["2", RUN, "pair", "--input", "nan.npy"],
                                      "rank 1: function 'forward': token 1 is not finite"),
}


def setUpModule():
    global WORK
    WORK = Path(tempfile.mkdtemp(prefix="moe-rank-failures-"))
    x = np.ones((6, ranks.BASE["hidden"]), np.float32)
    x[4, 3] = np.nan
    np.save(WORK / "nan.npy", x)
    for name, grid in {"pair": {"ep": 2}, "halves": {"tp": 2}, "four": {"ep": 2, "tp": 2}}.items():
        ranks.compile_spec(spec(name, grid), WORK)


def tearDownModule():
    shutil.rmtree(WORK, ignore_errors=True)


def clean_environment(**more):
    """Without what a launcher of the tests may have said."""
    launchers = ("OMPI_", "PMI", "SLURM_", "RANK", "WORLD_SIZE", "MASTER_", "MOE_NCCL", "MOE_CUDA")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(launchers)}
    return {**kept, **{name: str(value) for name, value in more.items()}}


class Case(unittest.TestCase):
    def refused(self, ended, message):
        self.assertEqual(ended.code, 1, ended.out + ended.err)
        self.assertIn(message, ended.err)
        self.assertIn("error: ", ended.err)


class Tables(Case):
    def test_enough(self):
        self.assertGreaterEqual(len({*SPECS, *GRIDS, *RUNS, *MPI_RUNS}), 40)

    def compile(self, layer, message, *arguments):
        path, out = WORK / "bad.json", WORK / "bad"
        path.write_text(json.dumps(layer))
        self.refused(ranks.call([ranks.BIN / "moe-opt", path, "--emit=package", "-o", out,
                                 *arguments]), message)
        self.assertFalse(out.exists())

    def test_specs(self):
        for name, (parallel, message) in SPECS.items():
            with self.subTest(name):
                self.compile({**ranks.BASE, "name": "bad", "parallel": parallel}, message)

    def test_grids(self):
        for name, (grid, message) in GRIDS.items():
            with self.subTest(name):
                self.compile({**ranks.BASE, "name": "bad"}, message, f"--grid={grid}")

    def test_runs(self):
        for name, (arguments, variables, message) in RUNS.items():
            with self.subTest(name):
                self.refused(ranks.call([RUN, "pair", *arguments], cwd=WORK,
                                        env=clean_environment(**variables)), message)

    def test_plugin_absent(self):
        """The runtime alone in a folder, as where it was built without MPI."""
        with tempfile.TemporaryDirectory(dir=WORK) as folder:
            for part in ("bin/moe-run", "lib/libmoe_runtime.so.1"):
                target = Path(folder) / part
                target.parent.mkdir()
                shutil.copy(ranks.HOME / part, target)
            environment = clean_environment(LD_LIBRARY_PATH=Path(folder) / "lib")
            for engine in ("mpi", "nccl"):
                command = [Path(folder) / "bin" / "moe-run", "pair", "--engine", engine]
                self.refused(ranks.call(command, cwd=WORK, env=environment),
                             f"engine '{engine}': there is no libmoe_engine_{engine}.so in "
                             f"{folder}/lib (MOE_UNAVAILABLE)")


class Threads(Case):
    def test_a_rank_stalls(self):
        layer = spec("four", {"ep": 2, "tp": 2})
        x = np.ones((4, layer["hidden"]), np.float32)
        for engine in ("threads", "nccl"):
            with self.subTest(engine):
                ended = ranks.in_one_process(engine, layer, WORK / "four", x, stalled=1)
                self.assertEqual(ended.code, 1)
                lines = sorted(ended.err.splitlines())
                self.assertEqual(len(lines), 4, ended.err)
                for rank, line in enumerate(lines):
                    late = "MOE_ABORTED|MOE_TIMEOUT" if rank == 1 else "MOE_TIMEOUT"
                    self.assertRegex(line, rf"^rank {rank}: ({late}) after [\d.]+ s: .*"
                                           r"'sizes' over all ranks: "
                                           r"rank 1 did not come, after")
                    seconds = float(line.split(" after ")[1].split(" s: ")[0])
                    self.assertLess(seconds, 2)  # this machine may be busy


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_busy(pid):
    """Until a rank is past its beginning, in runs that go on for seconds."""
    end = time.monotonic() + ranks.LIMIT
    while processor_seconds(pid) < 1 and time.monotonic() < end:
        time.sleep(0.01)


# Where it is in an exchange when it stops is chance.
LATE = (r"moe-run: error: rank 0: \w+ '.*' over .*: "
        r"(rank 1 did not (come|move all pieces)|all ranks came, but NCCL did not end), "
        r"after [34]\.\d+ s \(MOE_TIMEOUT\)")
BUSY = ["--tokens", 4096, "--bench", "--threads", 2]


def busy_package():
    layer = spec("busy", {"ep": 2}, experts={"intermediate": 4096})
    return ranks.compile_spec({**layer, "hidden": 512}, WORK)


@unittest.skipIf(ranks.why_no_mpi(), ranks.why_no_mpi())
class Mpi(Case):
    def test_runs(self):
        for name, (command, message) in MPI_RUNS.items():
            with self.subTest(name):
                ended = ranks.call([*ranks.MPIRUN, *command], cwd=WORK, env=clean_environment())
                self.refused(ended, message)
                self.assertEqual(ended.err.count("error: "), 1, ended.err)

    def child(self, mpirun, number):
        """The process of a rank."""
        end = time.monotonic() + ranks.LIMIT
        while time.monotonic() < end:
            tasks = Path(f"/proc/{mpirun.pid}/task").glob("*/children")
            for pid in " ".join(path.read_text() for path in tasks).split():
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if f"OMPI_COMM_WORLD_RANK={number}".encode() in variables:
                    return int(pid)
            time.sleep(0.01)
        return self.fail(f"no rank {number}")

    def disturbed(self, what, *arguments):
        """How a job ends of which rank 1 gets a signal."""
        command = [*ranks.MPIRUN, 2, RUN, busy_package(), *BUSY, *arguments]
        job = ranks.start(command, clean_environment())
        try:
            pid = self.child(job, 1)
            wait_until_busy(pid)
            os.kill(pid, what)
            ended = ranks.finish([job])
        finally:
            job.kill()
        return ranks.Ended(ended.code[0], ended.out[0], ended.err[0])

    def test_a_rank_dies(self):
        ended = self.disturbed(signal.SIGKILL)
        self.assertNotEqual(ended.code, 0)
        self.assertRegex(ended.err, r"rank 1 .*exited on signal 9")

    def test_a_rank_stalls(self):
        ended = self.disturbed(signal.SIGSTOP, "--timeout", 3000)
        self.assertEqual(ended.code, 1, ended.err)
        self.assertRegex(ended.err, LATE)


class Nccl(Case):
    def disturbed(self, what, *arguments):
        with tempfile.TemporaryDirectory(dir=WORK) as folder:
            processes = ranks.start_nccl(2, Path(folder), busy_package(), *BUSY, *arguments)
            wait_until_busy(processes[1].pid)
            processes[1].send_signal(what)
            first = ranks.finish(processes[:1])
            processes[1].kill()
            second = ranks.finish(processes[1:])
        return ranks.Ended([*first.code, *second.code], "", first.err[0])

    def test_a_rank_dies(self):
        ended = self.disturbed(signal.SIGKILL)
        self.assertEqual(ended.code, [1, -signal.SIGKILL], ended.err)
        self.assertRegex(ended.err, r"rank 1 has ended.*\(MOE_RANK_FAILED\)")

    def test_a_rank_stalls(self):
        ended = self.disturbed(signal.SIGSTOP, "--timeout", 3000)
        self.assertEqual(ended.code, [1, -signal.SIGKILL], ended.err)
        self.assertRegex(ended.err, LATE)

    def test_other_packages(self):
        with tempfile.TemporaryDirectory(dir=WORK) as folder:
            shared = ranks.nccl_environment(2, Path(folder))
            ended = ranks.finish([
                ranks.start([RUN, WORK / package], {**shared, "RANK": str(rank)})
                for rank, package in enumerate(("pair", "halves"))
            ])
        self.assertEqual(ended.code, [1, 1], ended.err)
        self.assertIn("rank 0 and rank 1 have different packages", ended.err[0])
        self.assertIn("(MOE_PROGRAM_MISMATCH)", ended.err[0])

    def test_grid_larger_than_the_world(self):
        with tempfile.TemporaryDirectory(dir=WORK) as folder:
            shared = ranks.nccl_environment(2, Path(folder))
            ended = ranks.finish([
                ranks.start([RUN, WORK / "four"], {**shared, "RANK": str(rank)})
                for rank in range(2)
            ])
        self.assertEqual(ended.code, [1, 1], ended.err)
        self.assertIn("has 4 ranks, the world has 2 (MOE_INVALID_ARGUMENT)", ended.err[0])
        self.assertEqual(ended.err[1], "")

    def test_tokens_of_one_rank_not_finite(self):
        ended = ranks.nccl(2, WORK / "pair", "--input", WORK / "nan.npy")
        self.refused(ended, "rank 1: function 'forward': token 1 is not finite (MOE_NOT_FINITE)")


if __name__ == "__main__":
    unittest.main(verbosity=2)
