"""Choice and grouping alone, on logits and choices that make every case: ties, -inf, NaN, tokens
that are not finite, experts that nobody or everybody chooses, rows that fill no vector, and more
tokens than one task takes. What comes out is that of test/Oracle, on any number of threads.
"""

import platform
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "test" / "Oracle")]

import moe_mlir
import oracle
import routing

TARGETS = [("reference", "native"), ("cpu", "native")]
if platform.machine() == "x86_64":  # vectors of 8 lanes and of 4
    TARGETS += [("cpu", "x86-64-v3"), ("cpu", "x86-64")]
TOKENS = (0, 1, 2, 16, 17, 63, 257, 700)
THREADS = (1, 2, 4)


def tensor(name, shape, dtype, role, rows=""):
    sizes = f', moe.sizes = ["{rows}"]' if rows else ""
    return f'tensor<{shape}x{dtype}> {{moe.name = "{name}", moe.role = "{role}"{sizes}}}'


def compiled(text, target, cpu):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "routing.mlir"
        path.write_text(f'module attributes {{moe.name = "routing"}} {{\n{text}\n}}\n')
        return moe_mlir.compile(path, target, cpu=cpu).layer()


class Routing(unittest.TestCase):
    def on_targets(self, text, check):
        for target, cpu in TARGETS:
            layer = compiled(text, target, cpu)
            with self.subTest(f"{target} {cpu}\n{text}"):
                check(layer)

    def run_all(self, layer, function, **inputs):
        """What the function returns, which is the same on every number of threads."""
        runs = []
        for threads in THREADS:
            moe_mlir.set_threads(threads)
            runs.append(layer.run(function, **inputs))
        moe_mlir.set_threads(0)
        for other in runs[1:]:
            for name, value in runs[0].items():
                self.assertEqual(value.tobytes(), other[name].tobytes(), name)
        return runs[0]

    # --- Choice ------------------------------------------------------------------------------

    def logits(self, rng, tokens, experts):
        """Few different values, so that most are equal to others; some rows are not finite."""
        values = np.array([-(2.0**100), -1.5, -0.0, 0.0, 2.0**-149, 0.25, 3.0], np.float32)
        l = rng.choice(values, (tokens, experts))
        l[rng.random(tokens) < 0.2] = 0.25
        for t in np.flatnonzero(rng.random(tokens) < 0.1):
            l[t, rng.integers(experts)] = rng.choice([np.nan, np.inf, -np.inf])
        return l

    def check_choice(self, experts, k, groups):
        attribute = ""
        if groups:
            attribute = ", groups = <" + ", ".join(f"{n} = {v}" for n, v in groups.items()) + ">"
        text = f"""
func.func @choose(%l: {tensor("l", f"?x{experts}", "f32", "input", "T")},
    %b: {tensor("b", experts, "f32", "input")})
    -> ({tensor("indices", f"?x{k}", "i32", "output", "T")},
        {tensor("weights", f"?x{k}", "f32", "output", "T")},
        tensor<i32> {{moe.name = "status", moe.role = "output"}}) {{
  %i, %w = moe.select %l bias %b
      <experts = {experts}, top_k = {k}, score = function{attribute}>
      : (tensor<?x{experts}xf32>, tensor<{experts}xf32>)
      -> (tensor<?x{k}xi32>, tensor<?x{k}xf32>) {{
  ^bb0(%x: f32):
    moe.yield %x
  }}
  %s = moe.check_finite %l : (tensor<?x{experts}xf32>) -> tensor<i32>
  return %i, %w, %s : tensor<?x{k}xi32>, tensor<?x{k}xf32>, tensor<i32>
}}"""

        def check(layer):
            rng = np.random.default_rng(experts)
            for tokens in TOKENS:
                l = self.logits(rng, tokens, experts)
                bias = np.zeros(experts, np.float32)
                special = rng.random(experts) < 0.3
                bias[special] = rng.choice([np.nan, -np.inf, np.inf, 0.5], special.sum())
                finite = np.isfinite(l).all(axis=1)
                with np.errstate(invalid="ignore"):
                    q = l.astype(np.float64) + bias
                    q[np.isnan(q)] = -np.inf
                    if groups:
                        q, *_ = routing.mask_groups({"router": {"groups": groups}}, q)
                expected = routing.descending(q)[:, :k]
                weights = np.take_along_axis(l, expected, axis=1)
                got = self.run_all(layer, "choose", l=l, b=bias)
                expected[~finite], weights[~finite] = -1, 0
                np.testing.assert_array_equal(got["indices"], expected, f"{tokens} tokens")
                np.testing.assert_array_equal(got["weights"], weights, f"{tokens} tokens")
                status = 0 if finite.all() else 1 + np.argmin(finite)
                self.assertEqual(int(got["status"]), status)

        self.on_targets(text, check)

    def test_choice(self):
        for experts, k in ((1, 1), (2, 2), (7, 3), (16, 16), (33, 4), (128, 8), (257, 5)):
            self.check_choice(experts, k, None)

    def test_groups(self):
        for experts, k, count, keep, reduce, fill in (
            (8, 2, 4, 1, "sum_top2", "neg_inf"),
            (6, 4, 3, 2, "max", "zero"),
            (60, 6, 3, 2, "sum_top2", "zero"),
            (72, 9, 2, 1, "max", "neg_inf"),
            (136, 8, 34, 20, "sum_top2", "neg_inf"),
        ):
            groups = {"count": count, "keep": keep, "reduce": reduce, "fill": fill}
            self.check_choice(experts, k, groups)

    def test_least_loaded(self):
        for experts, k in ((1, 1), (5, 2), (18, 18), (70, 3)):
            text = f"""
func.func @choose(%x: {tensor("x", "?x4", "f32", "input", "T")},
    %loads: {tensor("loads", experts, "i64", "input")})
    -> ({tensor("indices", f"?x{k}", "i32", "output", "T")},
        {tensor("weights", f"?x{k}", "f32", "output", "T")}) {{
  %i, %w = moe.select %x loads %loads <experts = {experts}, top_k = {k}, strategy = load_based>
      : (tensor<?x4xf32>, tensor<{experts}xi64>) -> (tensor<?x{k}xi32>, tensor<?x{k}xf32>)
  return %i, %w : tensor<?x{k}xi32>, tensor<?x{k}xf32>
}}"""

            def check(layer):
                rng = np.random.default_rng(experts)
                for tokens in TOKENS:
                    loads = rng.integers(-3, 4, experts) + rng.choice([0, 2**40])
                    x = np.zeros((tokens, 4), np.float32)
                    got = self.run_all(layer, "choose", x=x, loads=loads)
                    spec = {"router": {"top_k": k}}
                    expected = routing.choose_by_load(spec, tokens, loads.copy())
                    np.testing.assert_array_equal(got["indices"], expected, f"{tokens} tokens")

            self.on_targets(text, check)

    # --- Grouping ----------------------------------------------------------------------------

    def check_grouping(self, experts, nulls, k, capacity):
        limits = ", ".join(f"{name} = {value}" for name, value in capacity.items())
        attributes = f"experts = {experts} : i64, null_experts = {nulls} : i64"
        if capacity:
            attributes += f", capacity = #moe.capacity<{limits}>"
        columns, counted = f"?x{k}", experts + nulls
        text = f"""
func.func @group(%i: {tensor("i", columns, "i32", "input", "T")},
    %w: {tensor("w", columns, "f32", "input", "T")})
    -> ({tensor("rows", "?", "i32", "output", f"{k}*T" if k > 1 else "T")},
        {tensor("offsets", experts + 1, "i32", "output")},
        {tensor("positions", columns, "i32", "output", "T")},
        {tensor("counts", counted, "i32", "output")},
        tensor<f32> {{moe.name = "imbalance", moe.role = "output"}}) {{
  %r, %o, %p, %c = moe.group %i, %w {{{attributes}}}
      : (tensor<{columns}xi32>, tensor<{columns}xf32>)
      -> (tensor<?xi32>, tensor<{experts + 1}xi32>, tensor<{columns}xi32>, tensor<{counted}xi32>)
  %m = moe.imbalance %c : (tensor<{counted}xi32>) -> tensor<f32>
  return %r, %o, %p, %c, %m : tensor<?xi32>, tensor<{experts + 1}xi32>, tensor<{columns}xi32>,
      tensor<{counted}xi32>, tensor<f32>
}}"""
        router = {"experts": experts, "top_k": k, "null_experts": {"count": nulls}}
        spec = {"router": {**router, "score": "identity"}, "capacity": capacity}

        def check(layer):
            rng = np.random.default_rng(experts)
            for tokens in TOKENS:
                # Some experts have nearly all, some none; some tokens have none.
                shares = rng.random(counted) ** 6
                indices = rng.choice(counted, (tokens, k), p=shares / shares.sum())
                indices[rng.random(tokens) < 0.1] = -1
                weights = rng.choice([0.25, 0.5, -1.0, np.nan], (tokens, k))
                with np.errstate(invalid="ignore"):
                    expected = oracle.group(spec, indices, weights)
                got = self.run_all(
                    layer, "group", i=indices.astype(np.int32), w=weights.astype(np.float32)
                )
                where = f"{tokens} tokens"
                for name in ("offsets", "positions", "counts"):
                    np.testing.assert_array_equal(
                        got[name], getattr(expected, name), f"{name}, {where}"
                    )
                filled = len(expected.rows)
                np.testing.assert_array_equal(got["rows"][:filled], expected.rows, where)
                self.assertTrue((got["rows"][filled:] == -1).all(), where)
                imbalance = oracle.imbalance(expected.counts)
                self.assertAlmostEqual(float(got["imbalance"]), imbalance, delta=1e-6 * imbalance)

        self.on_targets(text, check)

    def test_grouping(self):
        for experts, nulls, k in ((1, 0, 1), (5, 3, 2), (16, 0, 5), (70, 1, 8)):
            self.check_grouping(experts, nulls, k, {})

    def test_capacity(self):
        for priority in ("token_order", "probability", "choice_order"):
            for experts, nulls, k, limit in (
                (1, 0, 1, {"tokens": 3}),
                (5, 3, 2, {"factor": 0.75}),
                (33, 0, 4, {"factor": 1.25}),
                (8, 0, 3, {"tokens": 100000}),
            ):
                self.check_grouping(experts, nulls, k, {**limit, "priority": priority})


if __name__ == "__main__":
    unittest.main()
