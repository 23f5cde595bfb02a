"""Averaging over ranks on threads: accumulate, average_group and the states of moe_averager.

Measured figures are printed; docs/Averaging.md has them.
"""

import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "test" / "Oracle")]

import quantisation
from average_ranks import FAILED, IN_PROGRESS, NO_PEERS, SUCCESS, Group, compile_for
from moe_mlir import Status, _library

RANKS = (2, 3, 4, 8, 16)
LARGE = 1 << 18


class AverageGroup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        _library.runtime().moe_set_threads(1)

    @classmethod
    def tearDownClass(cls):
        _library.runtime().moe_set_threads(0)
        cls.folder.cleanup()

    def group(self, kind, ranks, counts, timeout_ms=30000, **averaging):
        package = compile_for(ranks, kind, self.folder.name, **averaging)
        return Group(package, ranks, counts, timeout_ms)

    def means(self, group, sets):
        """The mean that all ranks have alike, and the result of the first."""
        results = group.average(sets)
        for result in results:
            self.assertEqual(result.state, SUCCESS, result.text)
            self.assertEqual(result.peers_count, group.ranks)
            self.assertEqual((result.ready, result.target), (group.ranks, group.ranks))
        found = [averager.get() for averager in group.averagers]
        for mean, contributions in found:
            self.assertEqual(mean.tobytes(), found[0][0].tobytes())
            self.assertEqual(contributions, 0)
        return found[0][0], results[0]

    def gaussian(self, ranks, n, seed=1):
        return np.random.default_rng(seed).standard_normal((ranks, n)).astype(np.float32)

    def test_uncompressed(self):
        worst = 0.0
        for ranks in RANKS:
            package = compile_for(ranks, "none", self.folder.name)
            for n in (0, 1, ranks - 1, ranks, 63, 1001):
                sets = self.gaussian(ranks, n, seed=n) * np.float32(1e-6)
                with Group(package, ranks, n) as group:
                    mean, _ = self.means(group, sets)
                exact = sets.astype(np.float64).sum(axis=0) / ranks
                ulp = np.spacing(np.abs(exact.astype(np.float32)))
                worst = max([worst, *(np.abs(mean - exact) / ulp)])
                expected, _ = quantisation.average(sets)
                self.assertEqual(mean.tobytes(), expected.tobytes(), (ranks, n))
        print(f"uncompressed, {RANKS} ranks: at most {worst:.3f} ulp from the f64 mean")
        self.assertLessEqual(worst, 1)

    def test_each_contribution_counts_the_same(self):
        with self.group("none", 3, 5) as group:
            values = self.gaussian(6, 5)
            for i, rank in enumerate((0, 1, 1, 1, 2, 2)):
                group.averagers[rank].accumulate(values[i])
            self.assertEqual([a.get()[1] for a in group.averagers], [1, 3, 2])
            for result in group.step():
                self.assertEqual(result.state, SUCCESS, result.text)
            mean, _ = group.averagers[2].get()
            np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-5, atol=1e-7)
            # What comes after begins a new sum.
            again, _ = self.means(group, values[:3])
            np.testing.assert_allclose(again, values[:3].mean(axis=0), rtol=1e-5, atol=1e-7)

    def test_int8(self):
        for ranks in RANKS:
            sets = self.gaussian(ranks, LARGE)
            with self.group("blockwise_int8", ranks, LARGE) as group:
                before = group.averagers[0].sent_bytes()
                mean, result = self.means(group, sets)
                sent = group.averagers[0].sent_bytes() - before
            ratio = 2 * (ranks - 1) / ranks * LARGE * 4 / sent
            self.assertEqual(ratio, result.compression_ratio)
            exact = sets.astype(np.float64).mean(axis=0)
            relative = np.linalg.norm(mean - exact) / np.linalg.norm(exact)

            def largest(values):
                return np.repeat(np.abs(values).reshape(-1, 64).max(axis=1), 64)

            # Once where values are sent, and once where their mean is.
            steps = [largest(values) for values in sets.astype(np.float64)]
            rounded = sum(self.sent(values).astype(np.float64) for values in sets) / ranks
            first = np.abs(rounded - exact) / (np.mean(steps, axis=0) / 254)
            second = np.abs(mean - rounded) / (largest(rounded) / 254)
            print(
                f"int8, block 64, {ranks} ranks: ratio {ratio:.4f}, relative error "
                f"{relative:.5f}, error over absmax/254: {first.max():.7f}, {second.max():.7f}"
            )
            self.assertGreaterEqual(ratio, 3.75)
            self.assertLessEqual(relative, 0.0085)
            self.assertLessEqual(first.max(), 1 + 2.0**-20)
            self.assertLessEqual(second.max(), 1 + 2.0**-20)

    @staticmethod
    def sent(values, kind="blockwise_int8", block=64):
        data, scales, _ = quantisation.quantize(kind, block, values)
        return quantisation.dequantize(kind, block, data, scales, len(values))

    def test_formats_to_the_bit(self):
        for kind, block in (("blockwise_int8", 64), ("fp8_e4m3", 32), ("mxfp4", 32)):
            for ranks, n in ((2, 1), (3, 0), (3, 191), (3, 1001), (4, 4096)):
                sets = self.gaussian(ranks, n, seed=n)
                with self.group(kind, ranks, n, block=block) as group:
                    mean, _ = self.means(group, sets)
                rounded = np.stack([self.sent(values, kind, block) for values in sets])
                expected = self.sent(quantisation.average(rounded)[0], kind, block)
                self.assertEqual(mean.tobytes(), expected.tobytes(), (kind, ranks, n))

    def test_fp16_and_int4(self):
        for kind, least, most in (("fp16", 1.99, 5e-4), ("int4", 7.0, 0.16)):
            for ranks in (2, 3, 16):
                sets = self.gaussian(ranks, LARGE)
                with self.group(kind, ranks, LARGE) as group:
                    mean, result = self.means(group, sets)
                exact = sets.astype(np.float64).mean(axis=0)
                relative = np.linalg.norm(mean - exact) / np.linalg.norm(exact)
                ratio = result.compression_ratio
                print(f"{kind}, {ranks} ranks: ratio {ratio:.4f}, relative error {relative:.5f}")
                self.assertGreaterEqual(ratio, least)
                self.assertLessEqual(relative, most)
        sets = self.gaussian(2, 100).astype(np.float16).astype(np.float32)
        with self.group("fp16", 2, 100) as group:
            mean, _ = self.means(group, sets)
        expected = (sets.sum(axis=0) / 2).astype(np.float16).astype(np.float32)
        self.assertEqual(mean.tobytes(), expected.tobytes())

    def test_error_feedback(self):
        """After any number of steps, means differ from the truth by the last step's rounding."""
        n, ranks, steps = 500, 3, 1000
        rng = np.random.default_rng(5)
        package = compile_for(ranks, "blockwise_int8", self.folder.name, error_feedback=True)
        applied, truth, drift = np.zeros(n), np.zeros(n), np.zeros(n)
        bias = rng.standard_normal((ranks, n)) / 300  # what rounding alone would lose each time
        with Group(package, ranks, n) as group:
            for _ in range(steps):
                sets = np.where(np.arange(n) % 64 == 0, 1, bias).astype(np.float32)
                sets *= rng.uniform(0.9, 1.1, (ranks, 1)).astype(np.float32)
                mean, _ = self.means(group, sets)
                applied += mean
                truth += sets.astype(np.float64).mean(axis=0)
                drift += np.mean([self.sent(values) for values in sets], axis=0)
        # Of each value as sent, which has the error of before, and of the mean.
        bound = 2 * (1.1 + 2.2 / 254) / 254
        found, without = np.abs(applied - truth).max(), np.abs(drift - truth).max()
        print(
            f"error feedback, {steps} steps, {ranks} ranks: sums differ by {found:.6f}, "
            f"at most {bound:.6f} allowed; without it by {without:.6f}"
        )
        self.assertLessEqual(found, bound)
        self.assertGreater(without, 10 * bound)

    def test_no_peers(self):
        with self.group("blockwise_int8", 1, 3) as group:
            group.averagers[0].accumulate([1, 2, 3])
            result = group.averagers[0].step(0)
            self.assertEqual((result.state, result.peers_count), (NO_PEERS, 1))
            values, contributions = group.averagers[0].get()
            self.assertEqual((values.tolist(), contributions), ([1, 2, 3], 1))

    def test_in_progress(self):
        with self.group("blockwise_int8", 4, 100) as group:
            for averager in group.averagers:
                averager.accumulate(np.ones(100))
            waiting = group.averagers[:3]
            for averager in waiting:
                averager.step(0)
            time.sleep(0.2)
            for averager in waiting:
                result = averager.step(0)
                self.assertEqual(result.state, IN_PROGRESS)
                self.assertEqual(result.target, 4)
                self.assertLess(result.ready, 4)
                self.assertGreaterEqual(result.ready, 1)
                with self.assertRaisesRegex(RuntimeError, "a step is in progress"):
                    averager.accumulate(np.ones(100))
                with self.assertRaisesRegex(RuntimeError, "a step is in progress"):
                    averager.clear()
            begin = time.monotonic()
            self.assertEqual(waiting[0].step(50).state, IN_PROGRESS)
            self.assertGreaterEqual(time.monotonic() - begin, 0.04)
            for result in group.step():
                self.assertEqual((result.state, result.ready), (SUCCESS, 4), result.text)

    def check_untouched(self, group, before):
        for averager, (values, contributions) in zip(group.averagers, before):
            found, number = averager.get()
            self.assertEqual(found.tobytes(), values.tobytes())
            self.assertEqual(number, contributions)

    def test_not_finite(self):
        for kind in ("none", "blockwise_int8", "fp16"):
            for bad in (np.nan, -np.inf) + ((1e6,) if kind == "fp16" else ()):
                with self.group(kind, 3, 100) as group:
                    sets = self.gaussian(3, 100)
                    sets[1, 70] = bad
                    for averager, values in zip(group.averagers, sets):
                        averager.accumulate(values)
                    before = [averager.get() for averager in group.averagers]
                    for result in group.step():
                        self.assertEqual(result.state, FAILED)
                        self.assertEqual(result.status, Status.NOT_FINITE)
                        self.assertIn(b"element 70 is not finite", result.text)
                    self.check_untouched(group, before)
                    # The world goes on.
                    for averager in group.averagers:
                        averager.clear()
                    self.means(group, np.ones((3, 100)))

    def test_a_rank_that_ends(self):
        """At whatever point a rank ends, no other one is left with anything but all or nothing."""
        states = set()
        for delay in (None, 0, 0.0005, 0.002, 0.005):
            with self.group("blockwise_int8", 4, LARGE, timeout_ms=10000) as group:
                for averager, values in zip(group.averagers, self.gaussian(4, LARGE)):
                    averager.accumulate(values)
                before = [averager.get() for averager in group.averagers]
                for averager in group.averagers[:3]:
                    averager.step(0)
                last = group.averagers[3]
                if delay is not None:
                    last.step(0)
                    time.sleep(delay)
                last.abort()
                begin = time.monotonic()
                ended = 4 if delay is not None else 3
                results = [averager.step() for averager in group.averagers[:ended]]
                self.assertLess(time.monotonic() - begin, 5)
                for result, averager, old in zip(results, group.averagers, before):
                    states.add(result.state)
                    if result.state == FAILED:
                        self.assertTrue(result.status)
                        self.assertTrue(result.text)
                        self.assertEqual(averager.get()[0].tobytes(), old[0].tobytes())
                        self.assertEqual(averager.get()[1], 1)
                    else:
                        self.assertEqual(result.state, SUCCESS)
        self.assertIn(FAILED, states)

    def test_other_numbers_of_values(self):
        with self.group("none", 3, (5, 5, 6)) as group:
            for averager in group.averagers:
                averager.accumulate(np.ones(averager.count))
            before = [averager.get() for averager in group.averagers]
            for result in group.step():
                self.assertEqual(result.state, FAILED)
                self.assertEqual(result.status, Status.PROGRAM_MISMATCH)
            self.check_untouched(group, before)


if __name__ == "__main__":
    unittest.main()
