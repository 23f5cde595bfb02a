"""What lies between ranks, on one: experts to places, rows that others sent to the experts of this
rank, and slots of other members. On each target and any number of threads.
"""

import platform
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python")]

import moe_mlir

TARGETS = [("reference", "native"), ("cpu", "native")]
if platform.machine() == "x86_64":
    TARGETS += [("cpu", "x86-64-v3")]
TOKENS = (0, 1, 2, 17, 300)
THREADS = (1, 3)
# Expert 0 has three places, expert 2 has two; 1 and 5 are of nobody.
PLACES = np.array([[4, 0, 7], [3, -1, -1], [2, 6, -1]])
TOTAL = 8


def tensor(name, shape, dtype, role, rows=""):
    sizes = f', moe.sizes = ["{rows}"]' if rows else ""
    return f'tensor<{shape}x{dtype}> {{moe.name = "{name}", moe.role = "{role}"{sizes}}}'


def compiled(text, target, cpu):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "places.mlir"
        path.write_text(f'module attributes {{moe.name = "places"}} {{\n{text}\n}}\n')
        return moe_mlir.compile(path, target, cpu=cpu).layer()


class Places(unittest.TestCase):
    def on_targets(self, text, check):
        for target, cpu in TARGETS:
            layer = compiled(text, target, cpu)
            for threads in THREADS:
                moe_mlir.set_threads(threads)
                with self.subTest(f"{target} {cpu} {threads} threads\n{text}"):
                    check(layer)
        moe_mlir.set_threads(0)

    def test_place(self):
        experts, most = PLACES.shape
        text = f"""
func.func @place(%i: {tensor("i", "?x3", "i32", "input", "T")})
    -> ({tensor("slots", "?x3", "i32", "output", "T")}) {{
  %s = moe.place %i {{places = dense<{PLACES.tolist()}> : tensor<{experts}x{most}xi32>,
      total = {TOTAL} : i64}} : (tensor<?x3xi32>) -> tensor<?x3xi32>
  return %s : tensor<?x3xi32>
}}"""

        def place(t, expert):
            if expert < 0:
                return -1
            if expert >= experts:  # null experts
                return TOTAL + expert - experts
            own = PLACES[expert][PLACES[expert] >= 0]
            return own[t % len(own)]

        def check(layer):
            rng = np.random.default_rng(0)
            for tokens in TOKENS:
                indices = rng.integers(-1, experts + 2, (tokens, 3), np.int32)
                expected = [[place(t, e) for e in row] for t, row in enumerate(indices)]
                got = layer.run("place", i=indices)
                np.testing.assert_array_equal(got, np.reshape(expected, (tokens, 3)))

        self.on_targets(text, check)

    def test_keep_local(self):
        experts, members = 12, 4
        text = f"""
func.func @keep(%i: {tensor("i", "?x3", "i32", "input", "T")},
    %w: {tensor("w", "?x3", "f32", "input", "T")},
    %m: tensor<i32> {{moe.name = "m", moe.role = "input"}})
    -> ({tensor("local", "?x3", "i32", "output", "T")},
        {tensor("kept", "?x3", "f32", "output", "T")}) {{
  %l, %k = moe.keep_local %i, %w, %m {{experts = {experts} : i64, members = {members} : i64}}
      : (tensor<?x3xi32>, tensor<?x3xf32>, tensor<i32>) -> (tensor<?x3xi32>, tensor<?x3xf32>)
  return %l, %k : tensor<?x3xi32>, tensor<?x3xf32>
}}"""

        def check(layer):
            rng = np.random.default_rng(1)
            share = experts // members
            for tokens in TOKENS:
                # Null experts are of the first member, after its own.
                indices = rng.integers(-1, experts + 2, (tokens, 3), np.int32)
                weights = rng.choice([0.25, np.nan, -3.0], (tokens, 3)).astype(np.float32)
                null = indices >= experts
                for member in range(members):
                    ours = np.where(null, member == 0, indices // share == member)
                    first = np.where(null, experts - share, member * share)
                    local = np.where(ours, indices - first, -1)
                    got = layer.run("keep", i=indices, w=weights, m=np.int32(member).reshape(()))
                    np.testing.assert_array_equal(got["local"], local)
                    np.testing.assert_array_equal(got["kept"], np.where(ours, weights, 0))

        self.on_targets(text, check)

    def test_arrivals(self):
        members, places = 3, 2
        text = f"""
func.func @arrive(%c: {tensor("c", members * places, "i32", "input")},
    %room: {tensor("room", "?", "f32", "input", "R")})
    -> ({tensor("local", "?x1", "i32", "output", "2*R")}) {{
  %l = moe.arrivals %c {{members = {members} : i64, rows = "2*R"}}
      : (tensor<{members * places}xi32>) -> tensor<?x1xi32>
  return %l : tensor<?x1xi32>
}}"""

        def check(layer):
            def run(counts, rows):
                room = np.zeros(rows, np.float32)
                return layer.run("arrive", c=np.array(counts, np.int32), room=room)[:, 0]

            order = [0, 1, 0, 1, 0, 1]
            for counts in ([0] * 6, [1, 0, 3, 2, 0, 5], [0, 0, 0, 0, 0, 40], [7, 6, 5, 4, 3, 2]):
                for spare in (0, 1, 30):
                    rows = (sum(counts) + 1) // 2 + spare
                    expected = np.full(2 * rows, -1)
                    expected[: sum(counts)] = np.repeat(order, counts)
                    np.testing.assert_array_equal(run(counts, rows), expected)
            # What no honest rank says writes nothing past the end.
            np.testing.assert_array_equal(run([2, -9, 9, 2**31 - 1, 9, 9], 2), [0, 0, 0, 0])

        self.on_targets(text, check)

    def test_rows_of_others(self):
        """Products of rows without weights, back in the order in which the rows came."""
        places, hidden, inner = 3, 8, 5
        up, down = f"{places}x{inner}x{hidden}", f"{places}x{hidden}x{inner}"
        wide, narrow = f"?x{inner}", f"?x{hidden}"
        text = f"""
func.func @experts(%x: {tensor("x", narrow, "f32", "input", "R")},
    %local: {tensor("local", "?x1", "i32", "input", "R")},
    %up: {tensor("up", up, "f32", "input")}, %down: {tensor("down", down, "f32", "input")})
    -> ({tensor("y", narrow, "f32", "output", "R")}) {{
  %r, %o, %p, %c = moe.group %local {{experts = {places} : i64}} : (tensor<?x1xi32>)
      -> (tensor<?xi32>, tensor<{places + 1}xi32>, tensor<?x1xi32>, tensor<{places}xi32>)
  %xs = moe.dispatch %x, %r {{slots = 1 : i64}}
      : (tensor<{narrow}xf32>, tensor<?xi32>) -> tensor<{narrow}xf32>
  %h = moe.grouped_matmul %xs, %up offsets %o
      : (tensor<{narrow}xf32>, tensor<{up}xf32>, tensor<{places + 1}xi32>) -> tensor<{wide}xf32>
  %a = moe.activate %h : (tensor<{wide}xf32>) -> tensor<{wide}xf32> {{
  ^bb0(%v: f32):
    %square = arith.mulf %v, %v : f32
    moe.yield %square
  }}
  %ys = moe.grouped_matmul %a, %down offsets %o
      : (tensor<{wide}xf32>, tensor<{down}xf32>, tensor<{places + 1}xi32>) -> tensor<{narrow}xf32>
  %y = moe.combine %ys, %p, %local {{experts = {places} : i64, unweighted}}
      : (tensor<{narrow}xf32>, tensor<?x1xi32>, tensor<?x1xi32>) -> tensor<{narrow}xf32>
  return %y : tensor<{narrow}xf32>
}}"""

        def check(layer):
            rng = np.random.default_rng(2)
            for rows in TOKENS:
                local = rng.integers(-1, places, (rows, 1), np.int32)
                x = rng.standard_normal((rows, hidden)).astype(np.float32)
                w = rng.standard_normal((places, inner, hidden)).astype(np.float32)
                v = rng.standard_normal((places, hidden, inner)).astype(np.float32)
                expected = np.zeros((rows, hidden))
                for r, p in enumerate(local[:, 0]):
                    if p >= 0:
                        expected[r] = v[p].astype(float) @ np.square(w[p].astype(float) @ x[r])
                got = layer.run("experts", x=x, local=local, up=w, down=v)
                np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)

        self.on_targets(text, check)


if __name__ == "__main__":
    unittest.main()
