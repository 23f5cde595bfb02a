"""What the planner says that ranks send is what they send, to the byte.

Layers are compiled and run, and the bytes that the engine has counted are compared with those of
`exactBytes`, for the routing that the run had. What it does not plan is not here: placements, and
rows in padded pieces.
"""

import itertools
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import ranks
from ranks import spec

PLANNER = ranks.HOME / "test" / "Support" / "PlannedBytes" / "planned-bytes"
LOSSES = {"losses": {"router_z": 1, "load_balance": 1}}
SHARED = {"shared": {"intermediate": 16, "gate": "sigmoid"}}
BF16 = {"dtype": {"activation": "bf16"}}
LAYERS = [
    spec("ep2", {"ep": 2}),
    spec("ep2_chunks", {"ep": 2}, {"chunks": 3}, **SHARED),
    spec("ep4_ring", {"ep": 4}, {"exchange": "ring"}, **BF16),
    spec("ep4_steps", {"ep": 4}, {"exchange": "point_to_point"}, **LOSSES),
    spec("ep8_nodes", {"ep": 8}, {"exchange": "hierarchical"}),
    spec("dp2_ep4_nodes", {"dp": 2, "ep": 4}, {"exchange": "hierarchical"}, **BF16),
    spec("dp3", {"dp": 3}, **LOSSES, **SHARED),
    spec("tp4", {"tp": 4}, **SHARED, router={"null_experts": {"count": 2}}),
    spec("tp2_latent", {"tp": 2}, experts={"latent": 16}, **SHARED),
    spec("on_tp4", {"tp": 4}, {"experts_on": "tp"}, **BF16),
    spec("sequence", {"dp": 2, "tp": 4}, {"sequence_parallel": True}, **BF16, **LOSSES),
    spec("all", {"dp": 2, "ep": 2, "tp": 2}, **SHARED, **LOSSES),
    spec("all_shares", {"dp": 2, "ep": 2, "tp": 2},
         {"fsdp": True, "sequence_parallel": True, "exchange": "ring"}, **SHARED),
    spec("int8_shares", {"dp": 2, "ep": 2}, {"fsdp": True},
         experts={"quantization": {"kind": "int8"}}),
    spec("bounded", {"ep": 2}, capacity={"tokens": 3, "scope": "local"}),
    spec("bounded_for_all", {"ep": 2, "tp": 2}, capacity={"factor": 0.75}, **LOSSES),
    spec("by_probability", {"dp": 3},
         capacity={"tokens": 5, "priority": "probability", "overflow": "pass_through"}),
    spec("bounded_on_tp", {"dp": 2, "tp": 2}, {"experts_on": "tp"},
         capacity={"factor": 0.75, "overflow": "pass_through"},
         router={"null_experts": {"count": 2}}),
    spec("expert_choice", {"dp": 2, "ep": 2}, router={"load_balancing": "expert_choice"}, **LOSSES),
    spec("round_robin", {"ep": 2}, router={"load_balancing": "round_robin"}),
    spec("load_aware", {"ep": 2}, router={"load_balancing": "load_aware"}),
    spec("random", {"dp": 2, "ep": 2}, router={"strategy": "random"}),
    spec("load_based", {"dp": 2, "tp": 2}, {"sequence_parallel": True},
         router={"strategy": "load_based"}, capacity={"factor": 1}),
]
NODES = {"ep8_nodes": (2, 3), "dp2_ep4_nodes": (2,)}


def setUpModule():
    global WORK
    WORK = Path(tempfile.mkdtemp(prefix="moe-traffic-"))


def tearDownModule():
    shutil.rmtree(WORK, ignore_errors=True)


def inputs():
    """Name -> tokens: none, fewer than ranks, many, and all alike, which go to the same ranks."""
    rng = np.random.default_rng(3)
    some = rng.standard_normal((61, ranks.BASE["hidden"])).astype(np.float32)
    return {"none": some[:0], "few": some[:3], "many": some, "alike": np.repeat(some[:1], 29, 0)}


def tokens_of(layer, total):
    """Of each rank: those of its group, as moe-run divides them."""
    parallel = layer["parallel"]
    sizes = [parallel["grid"].get(axis, 1) for axis in ("dp", "ep", "tp")]
    apart = 1 if parallel.get("sequence_parallel") else sizes[2]
    groups = ranks.ranks_of(layer) // apart
    first = [group * total // groups for group in range(groups + 1)]
    return [first[rank // apart + 1] - first[rank // apart] for rank in range(groups * apart)]


def rows_of(layer, plan, count):
    """Of each rank: the rows that it has sent to each member of its group over ep."""
    members = layer["parallel"]["grid"].get("ep", 1)
    for rank in range(count):
        offsets = np.load(plan / f"offsets.{rank}.npy")
        yield np.diff(offsets[:: (len(offsets) - 1) // members])


class Traffic(unittest.TestCase):
    def check(self, layer, name, x, nodes):
        package = ranks.compile_spec(layer, WORK)
        count, plan = ranks.ranks_of(layer), WORK / "plan"
        shutil.rmtree(plan, ignore_errors=True)
        stored = x
        if layer.get("dtype"):
            stored = (x.view(np.uint32) >> 16).astype(np.uint16).view("V2")
        np.save(WORK / "x.npy", stored)
        ended = ranks.threads(count, package, "--input", WORK / "x.npy", "--dump-plan", plan,
                              "--node-ranks", nodes, "--json")
        self.assertEqual((ended.code, ended.err), (0, ""))
        rows = list(rows_of(layer, plan, count))
        numbers = [*tokens_of(layer, len(x)), *np.concatenate(rows)]
        planned = subprocess.run(
            [PLANNER, package.with_suffix(".json"), str(nodes)], text=True, check=True,
            stdout=subprocess.PIPE, input=" ".join(map(str, numbers)),
        ).stdout.split()
        counted = ended.report["ranks"]
        figures = ("sent_bytes", "received_bytes")
        for i, figure in enumerate(figures):
            self.assertEqual([int(number) for number in planned[i::2]], counted[figure], figure)
        if name == "alike" and layer["parallel"]["grid"].get("ep", 1) > 2:
            self.assertIn(0, np.concatenate(rows))  # not a routing that is like all others

    def test_compiled_packages(self):
        for layer, (name, x) in itertools.product(LAYERS, inputs().items()):
            for nodes in (0, *NODES.get(layer["name"], ())):
                with self.subTest(layer["name"], tokens=name, nodes=nodes):
                    self.check(layer, name, x, nodes)


if __name__ == "__main__":
    unittest.main()
