"""Averaging on all engines: the same package has the same bits, bytes and ratio on each."""

import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

import ranks
from average_rank import values_of
from average_ranks import SUCCESS, Group, compile_for
from moe_mlir import _library

COUNT, STEPS, SEED = 1001, 3, 7
KINDS = {
    "uncompressed": ("none", {}),
    "fp16": ("fp16", {}),
    "int8": ("blockwise_int8", {}),
    "int4": ("int4", {}),
    "mxfp4": ("mxfp4", {"block": 32}),
    "error feedback": ("blockwise_int8", {"error_feedback": True}),
}
SCRIPT = Path(__file__).resolve().parent / "average_rank.py"


def start_ranks(engine, count, folder, *arguments, **more):
    """Processes of average_rank.py, in the order of ranks; of mpirun, the one that starts them."""
    command = [sys.executable, SCRIPT, *arguments]
    if engine == "mpi":
        return [ranks.start([*ranks.MPIRUN, count, *command], {**os.environ, **more})]
    shared = {**ranks.nccl_environment(count, folder), **more}
    return [ranks.start(command, {**shared, "RANK": str(rank)}) for rank in range(count)]


class Engines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="moe-average-")
        cls.folder = Path(cls.temporary.name)
        _library.runtime().moe_set_threads(1)
        os.environ.update(MOE_NCCL=str(ranks.FAKE), MOE_CUDA=str(ranks.FAKE))
        cls.meetings = 0

    @classmethod
    def tearDownClass(cls):
        _library.runtime().moe_set_threads(0)
        del os.environ["MOE_NCCL"], os.environ["MOE_CUDA"]
        cls.temporary.cleanup()

    def packages(self):
        for name, (kind, more) in KINDS.items():
            for count in (2, 4):
                yield name, count, compile_for(count, kind, self.folder, **more)
        # Of four ranks, pairs that have nothing to do with each other.
        more = {"ep": 2, "over": "dp"}
        yield "over dp", 4, compile_for(2, "blockwise_int8", self.folder, **more)

    def in_one_process(self, engine, package, size, count=COUNT, steps=STEPS):
        """What each rank has after each step, and its bytes and ratio."""
        Engines.meetings += 1
        meeting = self.folder / f"meeting-{self.meetings}"
        with Group(package, size, count, engine=engine, meeting=meeting) as group:
            means = []
            for step in range(steps):
                sets = [values_of(SEED, step, rank, count) for rank in range(size)]
                results = group.average(sets)
                for result in results:
                    self.assertEqual(result.state, SUCCESS, result.text)
                means.append([averager.get()[0].tobytes() for averager in group.averagers])
            return {
                "means": list(zip(*means)),
                "ratio": [result.compression_ratio for result in results],
                "sent_bytes": [averager.sent_bytes() for averager in group.averagers],
            }

    def in_processes(self, engine, package, size):
        out = Path(tempfile.mkdtemp(dir=self.folder)) / "out"
        arguments = [package, COUNT, STEPS, SEED, out]
        ended = ranks.finish(start_ranks(engine, size, out.parent, *arguments))
        self.assertEqual(set(ended.code), {0}, ended.err)
        files = [np.load(f"{out}.{rank}.npz") for rank in range(size)]
        reports = [json.loads(Path(f"{out}.{rank}.json").read_text()) for rank in range(size)]
        return {
            "means": [tuple(file[key].tobytes() for key in file.files) for file in files],
            **{key: [report[key] for report in reports] for key in ("ratio", "sent_bytes")},
        }

    def check(self, run):
        for name, size, package in self.packages():
            with self.subTest(name, ranks=size):
                self.assertEqual(run(package, size), self.in_one_process("threads", package, size))

    @unittest.skipIf(ranks.why_no_mpi(), ranks.why_no_mpi())
    def test_mpi(self):
        self.check(lambda package, size: self.in_processes("mpi", package, size))

    def test_nccl(self):
        self.check(lambda package, size: self.in_processes("nccl", package, size))

    def test_nccl_in_one_process(self):
        self.check(lambda package, size: self.in_one_process("nccl", package, size))
        for count in (0, 1, 64, 4096):
            package = compile_for(3, "blockwise_int8", self.folder)
            with self.subTest(count=count):
                found, expected = (self.in_one_process(engine, package, 3, count)
                                   for engine in ("nccl", "threads"))
                self.assertEqual(found, expected)

    def test_the_ratio_is_that_of_bytes(self):
        size, kind = 4, "blockwise_int8"
        package = compile_for(size, kind, self.folder)
        found = self.in_one_process("nccl", package, size)
        before = self.in_one_process("nccl", package, size, steps=STEPS - 1)
        plain = 2 * (size - 1) / size * 4 * COUNT
        for ratio, sent, earlier in zip(found["ratio"], found["sent_bytes"], before["sent_bytes"]):
            self.assertEqual(ratio, plain / (sent - earlier))  # of the last step


if __name__ == "__main__":
    unittest.main(verbosity=2)
