#!/usr/bin/env python3
"""The benchmark's own parts: routing that is wanted comes out, wrong systems are not timed,
figures are those of the points. Nothing is measured."""

import argparse
import contextlib
import doctest
import importlib
import io
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.cpu import figures, layer, options, problem, reference, table  # noqa: E402
from benchmarks.cpu.ceilings import Ceilings, build  # noqa: E402
from benchmarks.cpu.shapes import SHAPES, WEIGHT_BYTES, Shape  # noqa: E402
from benchmarks.gpu import packages, rows  # noqa: E402
from benchmarks.gpu import problem as gpu_problem  # noqa: E402
from benchmarks.gpu import table as gpu_table  # noqa: E402

TINY = {
    "tiny": Shape("tiny", "", 128, 64, 8, 3, renormalize=True),
    "tiny_bias": Shape(
        "tiny_bias", "", 128, 96, 8, 2, selected=True, bias=True, activation="swigluoai"
    ),
    "tiny_shared": Shape("tiny_shared", "", 96, 64, 8, 2, shared=32),
}
SCRATCH = ROOT / "build" / "test-benchmarks"


def point(**changes):
    """A measured point of which everything can be told by hand."""
    made = {
        "shape": "olmoe",
        "dtype": "bf16",
        "routing": "uniform",
        "tokens": 1024,
        "threads": 1,
        "experts_hit": 64.0,
        "bound": "peak",
        "roofline_seconds": 0.1,
        "ceilings": {"read": 40.0, "peak": 500.0},
        "seconds": {"ours": 0.125, "a": 0.25, "b": 0.5},
        "skipped": {"c": "too slow"},
    }
    return {**made, **changes}


class Zeros:
    """A system that is wrong."""

    def __init__(self):
        self.called = 0

    def set_threads(self, threads):
        pass

    def bind(self, batch):
        def call():
            self.called += 1
            return np.zeros(batch.x.shape, np.float32)

        return call

    @staticmethod
    def to_numpy(y):
        return y


class FakeCeilings:
    def measure(self, kind, threads):
        return 40.0

    peak = measure


class TestProblem(unittest.TestCase):
    def test_router_chooses_what_is_wanted(self):
        # `forward` compares the choice with the wanted one, for every token and dtype.
        for shape in TINY.values():
            for dtype in WEIGHT_BYTES:
                weights = problem.Weights(shape, dtype)
                for routing in problem.ROUTINGS:
                    batch = problem.batches(shape, dtype, 9, routing, 1)[0]
                    for token in range(9):
                        y = reference.forward(weights, batch, token)
                        self.assertTrue(0.01 < np.abs(y).mean() < 100, (shape.name, dtype))

    def test_zipf_is_uneven(self):
        shape, random = SHAPES["qwen3"], np.random.default_rng(0)

        def most(routing):
            chosen = problem.choose(shape, 1000, routing, random)
            self.assertTrue((np.diff(np.sort(chosen, axis=1)) > 0).all())
            return np.bincount(chosen.reshape(-1)).max()

        self.assertLess(most("uniform"), 120)  # 62 on average
        self.assertGreater(most("zipf"), 500)
        self.assertEqual(most("one_hot"), 1000)

    def test_mxfp4_bytes(self):
        weights = problem.Weights(TINY["tiny"], "mxfp4")
        stored = weights.arrays["experts.down.weight"].nbytes
        stored += weights.arrays["experts.down.scales"].nbytes
        self.assertEqual(stored, 8 * 128 * 64 * WEIGHT_BYTES["mxfp4"])


class TestLayer(unittest.TestCase):
    def run_layer(self, shape, dtype, systems, make):
        chosen = argparse.Namespace(
            systems=systems, memory=0, threads=[1], limit=20, routing=["uniform"], tokens=[5],
            point_seconds=0, repetitions=1,
        )  # fmt: skip
        points = []
        with mock.patch.dict(SHAPES, TINY), mock.patch.object(layer, "make", make):
            bench = layer.LayerBench(shape, dtype, FakeCeilings(), chosen)
            bench.run(points.append)
        return bench, points

    def test_ours_agrees_with_numpy(self):
        for shape, dtype in zip(["tiny_bias", "tiny", "tiny_shared", "tiny"], WEIGHT_BYTES):
            with self.subTest(shape=shape, dtype=dtype):
                bench, points = self.run_layer(shape, dtype, ["ours"], layer.make)
                self.assertEqual(points[0]["skipped"], {})
                self.assertGreater(points[0]["seconds"]["ours"], 0)
                self.assertGreater(bench.record["compile_seconds"], 0)

    def test_wrong_system_is_not_timed(self):
        zeros = Zeros()

        def make(name, weights, threads):
            return zeros

        _, points = self.run_layer("tiny", "f32", ["zeros"], make)
        self.assertEqual(points[0]["seconds"], {})
        wrong = "wrong: its error is 1.0e+00, allowed 0.0001"
        self.assertEqual(points[0]["skipped"], {"zeros": wrong})
        self.assertEqual(zeros.called, 1)


class TestFigures(unittest.TestCase):
    def test_regimes(self):
        self.assertEqual(figures.regime(point()).wanted, 0.85)  # 128 tokens per expert
        self.assertEqual(figures.regime(point(tokens=64)).wanted, 0.8)
        self.assertEqual(figures.regime(point(tokens=16, bound="read")).wanted, 0.9)
        self.assertEqual(figures.regime(point(tokens=16, experts_hit=8.0)).wanted, 0.8)

    def test_thread_gains(self):
        faster = point(threads=2, seconds={"ours": 0.0625})
        reading = point(threads=2, bound="read", routing="zipf")
        gains = figures.thread_gains([faster, point(), reading, point(routing="zipf")])
        self.assertEqual(gains, {"2 over 1": [2.0]})

    def test_document(self):
        results = {
            "cpu": "A CPU",
            "cores": 2,
            "date": "2030-01-31",
            "commit": "abc",
            "load": 0.125,
            "versions": {"numpy": "2.0"},
            "instructions": {"read": "loads", "bf16": "vdpbf16ps"},
            "machine": {"2": {"read": 40.0, "f32": 500.0}},
            "layers": [{"shape": "olmoe", "dtype": "bf16", "weight_bytes": 805e6}],
            "points": [point(), point(tokens=4096, seconds={"ours": 0.1, "a": 0.05})],
        }
        text = table.document(results)
        self.assertIn("# A CPU, 2 cores, 2030-01-31", text)
        self.assertIn("Threads 2: reads 40.0 GB/s; peaks in G/s: f32 500.", text)
        self.assertIn("Peaks are of vdpbf16ps (bf16).", text)
        computing = (
            "| bf16 | 32 tokens per expert or more | 2 | 80% | 89% | 85% | 1 | 0.50 | 1.00 |"
        )
        self.assertIn(computing, text)
        self.assertIn("takes 1.00 times as long", text)
        self.assertIn("less time at 1 of them", text)
        self.assertIn("| 100 | 125 | 250 | 500 | **80%** | 2.00 |", text)
        self.assertIn("| 100 | 100 | 50.0 | – | 100% | **0.50** |", text)
        self.assertEqual(text.count("- c: too slow"), 1)


class TestOptions(unittest.TestCase):
    def test_unknown_values(self):
        cases = {
            "--shapes=olmo": "argument --shapes: found 'olmo', expected some of olmoe,qwen3",
            "--dtypes=fp8": "argument --dtypes: found 'fp8', expected some of f32,bf16",
            "--tokens=1,x": "argument --tokens: found '1,x', expected numbers above 0, as 1,64",
            "--repetitions=0": "--repetitions: found '0', expected a number above 0",
            "--threads=0": "argument --threads: found '0', expected numbers above 0",
        }
        for argument, message in cases.items():
            with self.subTest(argument), contextlib.redirect_stderr(io.StringIO()) as said:
                with self.assertRaises(SystemExit) as ended:
                    options.parse([argument])
                self.assertEqual(ended.exception.code, 2)
                self.assertIn(message, said.getvalue())

    def test_unknown_machine(self):
        script = Path(__file__).resolve().parents[2] / "scripts" / "bench.sh"
        run = subprocess.run([script, "tpu"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 1)
        expected = "error: found 'tpu', expected cpu or gpu: scripts/bench.sh cpu [OPTION...]\n"
        self.assertEqual(run.stderr, expected)


class TestCeilings(unittest.TestCase):
    def test_answers(self):
        with Ceilings(SCRATCH) as ceilings:
            self.assertGreater(ceilings.measure("f32", 1), 1)
            self.assertIn("vfmadd231ps", ceilings.instructions["f32"])
            self.assertGreater(ceilings.peak("bf16", 1), 1)

    def test_no_threads(self):
        program = build(SCRATCH)
        run = subprocess.run([program], input="f32 0\n", capture_output=True, text=True)
        self.assertEqual(run.stderr, "error: found 0 threads, expected at least 1\n")
        self.assertEqual(run.returncode, 1)


class TestGpu(unittest.TestCase):
    """The driver of benchmarks on a GPU, as far as it goes without one."""

    POINT = {
        "row": "S1",
        "sizes": "T=1",
        "target_seconds": 0.5,
        "operations": 8e12,
        "bytes": 1e9,
        "ceilings": {"bandwidth": 4e12, "dense": 8e12},
        "seconds": {"ours": 2.0, "triton": 3.0, "cublas": 1.5},
        "skipped": {"jax": "this JAX has no GPU"},
    }

    def test_every_row_of_the_table_is_there(self):
        ids = list(rows.ROWS)
        self.assertEqual([i for i in ids if i[0] == "S"], [f"S{n}" for n in range(1, 12)])
        self.assertEqual(len([i for i in ids if i[0] == "G"]), 8)
        self.assertEqual({i.split("-")[0] for i in ids if i[0] in "VQOP"},
                         {"V1", "V2", "Q1", "O1", "P1", "P2", "P3", "P4", "P5", "P6"})  # fmt: skip
        # 550 TF/s, published as 6.58 ms at 501.
        self.assertAlmostEqual(rows.ROWS["S7"].target, 6.58e-3 * 501 / 550, delta=2e-5)

    def test_dry_run_compiles_kernels(self):
        folder = SCRATCH / "gpu"
        chosen = [row for name in ("S1", "O1-32-1", "P4") for row in rows.find(name)]
        lines = list(packages.dry_run(chosen, ["ours", "triton"], folder, "sm_90a"))
        self.assertEqual([line.split()[0] for line in lines], ["S1", "O1-32-1", "P4"])
        for line in lines:
            self.assertRegex(line, r": \d+ kernels in [\d.]+ s; ours, triton$")
        self.assertIn(".target sm_90a", (folder / "product_128_2048_7168.ptx").read_text())

    def test_what_cannot_be_compiled_is_said(self):
        (line,) = packages.dry_run(rows.find("P4"), ["ours"], SCRATCH / "gpu", "sm_75")
        self.assertIn(
            "not supported yet: moe-opt: error: gpu architecture 'sm_75' is too old", line
        )

    def test_problems_are_checked(self):
        row = rows.Product("P", 3, 10, 8, 16, routing="zipf")
        made = gpu_problem.make(row)
        weight, values = map(problem.from_bf16, (made.weight, made.rows))
        right = np.concatenate(
            [values[b:e] @ w.T for b, e, w in zip(made.offsets, made.offsets[1:], weight)]
        )
        self.assertLess(made.error(right), 1e-6)
        self.assertGreater(made.error(right[::-1]), 0.5)

    def test_table(self):
        line = gpu_table.line(self.POINT, ["ours", "triton", "jax", "cublas"])
        self.assertEqual(
            line,
            "| S1 | T=1 | compute | 4000 | 8 | 1000 | 2000 | 3000 | – | 1500 | 4 | **50%** | 75% |"
            " 1.50 | **0.25** |",
        )
        results = {"gpu": "A GPU", "date": "2026-01-01", "commit": "c", "versions": {"torch": "2"}}
        text = gpu_table.document({**results, "driver": "1", "points": [self.POINT]})
        self.assertIn("0 of 1 targets are reached.", text)
        self.assertIn("- jax: this JAX has no GPU\n", text)


def load_tests(_loader, tests, _ignore):
    for name in ("about", "figures", "measure", "options", "problem", "shapes", "table"):
        tests.addTests(doctest.DocTestSuite(importlib.import_module(f"benchmarks.cpu.{name}")))
    tests.addTests(doctest.DocTestSuite(importlib.import_module("benchmarks.markdown")))
    for name in ("figures", "options", "problem", "rows"):
        tests.addTests(doctest.DocTestSuite(importlib.import_module(f"benchmarks.gpu.{name}")))
    return tests


if __name__ == "__main__":
    unittest.main()
