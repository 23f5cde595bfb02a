"""The same packages on all engines: the same bits and bytes, and what the whole layer has."""

import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import ranks
from ranks import spec

SPECS = [
    spec("experts", {"ep": 2}),
    spec("parts", {"ep": 2, "tp": 2}, shared={"intermediate": 16}),
    spec("losses", {"dp": 2}, losses={"router_z": 1, "load_balance": 1}),
    spec("shares", {"dp": 2, "ep": 2}, {"fsdp": True, "exchange": "ring"}),
    spec("sequence", {"tp": 2}, {"sequence_parallel": True}, dtype={"activation": "bf16"},
         experts={"intermediate": 128, "gate_up": "interleaved"}),
    spec("placed", {"ep": 2}, {"placement": [[0, 1, 2, 3, 6], [4, 5, 6, 7, 0, 1]]}),
    spec("padded", {"ep": 4}, {"rows": "padded", "exchange": "hierarchical"}),
    spec("chunks", {"ep": 4}, {"chunks": 2}, shared={"intermediate": 16}),
    spec("uneven_chunks", {"ep": 2, "tp": 2}, {"chunks": 3, "rows": "padded"},
         experts={"quantization": {"kind": "int8"}}),
    spec("spread", {"tp": 2}, {"experts_on": "tp"}),
    spec("chosen", {"dp": 2, "ep": 2}, router={"load_balancing": "expert_choice"}),
    spec("limited", {"ep": 2}, capacity={"factor": 0.5, "priority": "probability"}),
    spec("turns", {"ep": 2, "tp": 2}, {"sequence_parallel": True},
         router={"load_balancing": "round_robin"}),
    spec("loads", {"dp": 2}, router={"strategy": "load_based"}),
]
TOKENS = (1, 17)  # fewer than there are ranks, and a number that nothing divides


def setUpModule():
    global WORK
    WORK = Path(tempfile.mkdtemp(prefix="moe-ranks-"))


def tearDownModule():
    shutil.rmtree(WORK, ignore_errors=True)


class Engines(unittest.TestCase):
    def run_on(self, engine, package, whole, count, tokens):
        """The bytes of y, and the report."""
        y = WORK / f"{package.name}-{engine.__name__}.npy"
        ended = engine(count, package, "--random", 5, "--tokens", tokens, "--output", y,
                       "--against", whole, "--json")
        self.assertEqual((ended.code, ended.err), (0, ""), ended.out)
        return np.load(y).tobytes(), ended.report

    def check(self, engine):
        for layer in SPECS:
            package, whole = (ranks.compile_spec(layer, WORK, whole) for whole in (False, True))
            for tokens in TOKENS:
                with self.subTest(layer["name"], tokens=tokens):
                    count = ranks.ranks_of(layer)
                    y, report = self.run_on(engine, package, whole, count, tokens)
                    expected, on_threads = self.run_on(ranks.threads, package, whole, count, tokens)
                    self.assertTrue(report["against"]["agree"])
                    self.assertEqual(y, expected)
                    self.assertEqual(report["outputs"], on_threads["outputs"])
                    self.assertEqual(report["statistics"]["loads"],
                                     on_threads["statistics"]["loads"])
                    for figure in ("count", "operations", "sent_bytes", "received_bytes"):
                        self.assertEqual(report["ranks"][figure], on_threads["ranks"][figure])
                    self.assertGreater(sum(report["ranks"]["sent_bytes"]), 0)

    @unittest.skipIf(ranks.why_no_mpi(), ranks.why_no_mpi())
    def test_mpi(self):
        self.check(ranks.mpi)

    def test_nccl(self):
        self.check(ranks.nccl)

    def test_threads(self):
        self.check(ranks.threads)  # again, with threads in another order

    def test_threads_of_an_application(self):
        rng = np.random.default_rng(7)
        for layer in SPECS:
            if "dtype" in layer:
                continue  # the application has tokens of f32
            package = ranks.compile_spec(layer, WORK)
            x = rng.standard_normal((5 * ranks.shares_of(layer), layer["hidden"]))
            x = x.astype(np.float32)
            np.save(WORK / "x.npy", x)
            ended = ranks.threads(ranks.ranks_of(layer), package, "--random", 5, "--input",
                                  WORK / "x.npy", "--output", WORK / "y.npy")
            self.assertEqual(ended.code, 0, ended.err)
            expected = np.load(WORK / "y.npy").tobytes()
            for engine in ("threads", "nccl"):
                with self.subTest(layer["name"], engine=engine):
                    ended = ranks.in_one_process(engine, layer, package, x)
                    self.assertEqual((ended.code, ended.err), (0, ""))
                    self.assertEqual(ended.out, expected)


if __name__ == "__main__":
    unittest.main(verbosity=2)
