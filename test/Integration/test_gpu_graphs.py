"""Graphs of functions with exchanges: ranks on simulated GPUs, with NCCL's stand-in."""

import concurrent.futures
import ctypes
import os
import tempfile
import unittest
from pathlib import Path

import numpy as np

HOME = Path(os.environ["MOE_MLIR_HOME"])
DRIVER = HOME / "lib" / "libmoe_sim.so"
os.environ.update(
    MOE_SIM_DEVICES="4", MOE_CUDA=str(DRIVER),
    MOE_NCCL=str(HOME / "test" / "Support" / "SimNccl" / "libsim_nccl.so"),
)  # fmt: skip

import moe_mlir
from moe_mlir import _library
from moe_mlir._layer import Layer

SIM = ctypes.CDLL(str(DRIVER))
BASE = {"hidden": 16, "router": {"experts": 4, "top_k": 2}, "experts": {"intermediate": 8}}


def spec(name, grid, **parallel):
    return {**BASE, "name": name, "parallel": {"grid": grid, "rows": "padded", **parallel}}


SPECS = [
    spec("chunks", {"ep": 2}, chunks=2),
    spec("weights", {"dp": 2, "ep": 2}, fsdp=True, exchange="ring"),
    spec("sequence", {"ep": 2, "tp": 2}, sequence_parallel=True),
    spec("nodes", {"ep": 4}, exchange="hierarchical"),
]


class WorldOptions(ctypes.Structure):
    _fields_ = [
        ("engine", ctypes.c_char_p), ("rank", ctypes.c_int32), ("size", ctypes.c_int32),
        ("open_ms", ctypes.c_int64), ("timeout_ms", ctypes.c_int64),
        ("rendezvous", ctypes.c_char_p), ("flight", ctypes.c_char_p),
        ("node_ranks", ctypes.c_int32),
    ]  # fmt: skip


class WorldStatistics(ctypes.Structure):
    _fields_ = [
        ("operations", ctypes.c_uint64), ("sent_bytes", ctypes.c_uint64),
        ("received_bytes", ctypes.c_uint64), ("waited_seconds", ctypes.c_double),
    ]  # fmt: skip


class Rank:
    """One of `size`, with a layer that is recorded and one that is not."""

    def __init__(self, number, size, package, meeting):
        self.runtime, self.world = _library.runtime(), ctypes.c_void_p()
        options = WorldOptions(b"nccl", number, size, 0, 0, str(meeting).encode(), None, 2)
        assert self.runtime.moe_world_open(ctypes.byref(options), ctypes.byref(self.world)) == 0
        self.recorded, self.plain = self.layer(package), self.layer(package)
        self.recorded.use_graph()

    def layer(self, package):
        handle = ctypes.c_void_p()
        self.runtime.moe_layer_create_with(
            package._handle, ctypes.byref(_library.LayerOptions(world=self.world)),
            ctypes.byref(handle))  # fmt: skip
        made = Layer(package, handle)
        made.randomize(seed=1)
        return made

    def sent(self):
        found = WorldStatistics()
        self.runtime.moe_world_get_statistics(self.world, ctypes.byref(found))
        return found.sent_bytes

    def close(self):
        self.recorded._destroy()
        self.plain._destroy()
        self.runtime.moe_world_close(self.world)


class Team:
    """All ranks, each with a thread of its own."""

    def __init__(self, layer):
        grid = layer["parallel"]["grid"]
        size = int(np.prod(list(grid.values())))
        same = 1 if layer["parallel"].get("sequence_parallel") else grid.get("tp", 1)
        self.shares = [number // same for number in range(size)]
        self.folder = tempfile.TemporaryDirectory(prefix="moe-gpu-graphs-")
        folder = Path(self.folder.name)
        package = moe_mlir.compile(layer, target="sim", output=folder / "package")
        self.threads = [concurrent.futures.ThreadPoolExecutor(1) for _ in range(size)]
        self.ranks = self.each(lambda i: Rank(i, size, package, folder / "meeting"))

    def each(self, body):
        begun = [thread.submit(body, i) for i, thread in enumerate(self.threads)]
        return [one.result(60) for one in begun]

    def close(self):
        self.each(lambda i: self.ranks[i].close())
        self.folder.cleanup()


class Graphs(unittest.TestCase):
    def team(self, layer):
        team = Team(layer)
        self.addCleanup(team.close)
        return team

    def call(self, team, tokens, rng):
        """With new data: how many kernels the recorded layer launched, and the bytes it moved more
        than the other one, on each rank."""
        data = rng.standard_normal((len(team.ranks), tokens, BASE["hidden"])).astype(np.float32)

        def run(layer):
            def one(i):
                rank, before = team.ranks[i], team.ranks[i].sent()
                called = getattr(rank, layer)
                y = called(data[team.shares[i]])
                return y, called.plan["counts"], rank.sent() - before

            return team.each(one)

        before = SIM.moe_sim_launch_calls()
        found = run("recorded")
        launched = SIM.moe_sim_launch_calls() - before
        expected = run("plain")
        for (y, counts, _), (z, others, _) in zip(found, expected):
            np.testing.assert_array_equal(y, z)
            np.testing.assert_array_equal(counts, others)
        return launched, [ours - theirs for (*_, ours), (*_, theirs) in zip(found, expected)]

    def test_repeated(self):
        for layer in SPECS:
            with self.subTest(layer["name"]):
                team, rng = self.team(layer), np.random.default_rng(3)
                for tokens in (5, 0):
                    self.call(team, tokens, rng)
                for _ in range(2):
                    launched, more = self.call(team, 5, rng)
                    self.assertEqual(launched, 0)
                # What they tell each other is the number of a graph.
                self.assertEqual(more, [8 * (len(team.ranks) - 1)] * len(team.ranks))

    def test_all_record_where_one_has_to(self):
        team, rng = self.team(SPECS[0]), np.random.default_rng(4)
        counts = []
        for call in range(4):
            if call == 2:
                team.ranks[1].recorded.use_graph()  # which forgets those it has
            counts.append(self.call(team, 5, rng)[0] > 0)
        self.assertEqual(counts, [True, False, True, False])


if __name__ == "__main__":
    unittest.main(verbosity=2)
