"""Ranks on simulated GPUs: a package for a grid agrees with the whole layer, on each engine.

    python3 test_gpu_ranks.py [COUNT [FIRST SEED]]

With COUNT, so many random specs of sharded_spec.py in place of the few that are here.
"""

import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import ranks
import sharded_spec
from ranks import spec

NCCL = ranks.HOME / "test" / "Support" / "SimNccl" / "libsim_nccl.so"
DRIVER = ranks.HOME / "lib" / "libmoe_sim.so"
BF16 = {"dtype": {"weights": "bf16", "activation": "bf16"}}

SPECS = [
    (spec("parts", {"ep": 2, "tp": 2}, shared={"intermediate": 16}), "sm_80"),
    (spec("shares", {"dp": 2, "ep": 2}, {"fsdp": True, "exchange": "ring"}, **BF16), "sm_90a"),
    (spec("losses", {"dp": 2}, losses={"router_z": 1, "load_balance": 1}), "sm_90a"),
    (spec("sequence", {"tp": 2}, {"sequence_parallel": True}, **BF16), "sm_80"),
    # One row of counts for four ranks: some send and receive nothing.
    (spec("counts", {"dp": 4}, router={"experts": 1, "top_k": 1}), "sm_80"),
    # Rows past the last that found a place have no values.
    (spec("lost", {"tp": 2}, capacity={"factor": 0.75, "overflow": "pass_through"}), "sm_80"),
    (spec("padded", {"ep": 4}, {"rows": "padded", "exchange": "hierarchical"}), "sm_90a"),
    (spec("chunks", {"ep": 2}, {"chunks": 2}, shared={"intermediate": 16}), "sm_80"),
    (spec("padded_chunks", {"ep": 2, "tp": 2}, {"chunks": 3, "rows": "padded"},
          experts={"quantization": {"kind": "int8"}}), "sm_90a"),
]  # fmt: skip
TOKENS = {"parts": (1, 9), "sequence": (1, 9), "padded_chunks": (1, 9), "counts": (0,)}

# In one package with code for CPUs, which exchanges other things.
FOR_BOTH = ("shares", "padded_chunks")


def setUpModule():
    global WORK
    WORK = Path(tempfile.mkdtemp(prefix="moe-gpu-ranks-"))


def tearDownModule():
    shutil.rmtree(WORK, ignore_errors=True)


def compiled(layer, target, *options):
    """The package of a layer; the reference and that for a CPU alone are of the whole."""
    out = WORK / f"{layer['name']}-{target}"
    if not out.exists():
        if target in ("reference", "cpu"):
            layer = {key: value for key, value in layer.items() if key != "parallel"}
        path = out.with_suffix(".json")
        path.write_text(json.dumps(layer))
        made = ranks.call([ranks.BIN / "moe-opt", path, "--emit=package", f"--target={target}",
                           *options, "-o", out])  # fmt: skip
        assert made.code == 0, f"{json.dumps(layer)}\n{made.err}"
    return out


def whole(layer, tokens):
    """What to compare with: the reference, or where rounding to f32 decides choices the CPU."""
    cpu, reference = compiled(layer, "cpu"), compiled(layer, "reference")
    ended = ranks.call([ranks.BIN / "moe-run", cpu, "--tokens", tokens, "--exact", 5, "--json",
                        "--against", reference])  # fmt: skip
    return cpu if ended.report["against"].get("slots_differing") else reference


def simulated(devices, **more):
    return dict(os.environ, MOE_SIM_DEVICES=str(devices), MOE_CUDA=str(DRIVER),
                MOE_NCCL=str(NCCL), **more)  # fmt: skip


class GpuRanks(unittest.TestCase):
    def run_on(self, engine, layer, arch, package, seed, *arguments):
        """The bytes of y, and the report."""
        # NCCL wants a device for each rank; other engines let ranks share one.
        devices = ranks.ranks_of(layer) if engine == "nccl" else 2
        environment = simulated(devices, MOE_SIM_SEED=str(seed), MOE_SIM_ARCH=arch)
        y = WORK / "y.npy"
        ended = ranks.call([ranks.BIN / "moe-run", package, "--ranks", ranks.ranks_of(layer),
                            "--engine", engine, "--exact", 5, "--output", y, "--json",
                            "--device", "sim", *arguments], env=environment)  # fmt: skip
        words = f"{engine}, seed {seed}: {json.dumps(layer)}\n{ended.out}{ended.err}"
        self.assertEqual((ended.code, ended.err), (0, ""), words)
        return np.load(y).tobytes(), ended.report

    def check(self, layer, arch, tokens, seeds, against=None):
        both = layer["name"] in FOR_BOTH
        package = compiled(layer, "cpu,sim" if both else "sim", f"--gpu-arch={arch}")
        if both:
            ended = ranks.threads(ranks.ranks_of(layer), package, "--device", "cpu", "--exact", 5,
                                  "--against", compiled(layer, "reference"))  # fmt: skip
            self.assertEqual((ended.code, ended.err), (0, ""))
        against = ["--against", against or compiled(layer, "reference")]
        if "wire" in layer["parallel"]:
            against = []  # which rounds, and is the same on both engines
        for count in tokens:
            for seed in seeds:
                found = {}
                for engine in ("threads", "nccl"):
                    with self.subTest(layer["name"], tokens=count, seed=seed, engine=engine):
                        found[engine] = self.run_on(engine, layer, arch, package, seed, "--tokens",
                                                    count, *against)  # fmt: skip
                (y, on_threads), (other, on_nccl) = found["threads"], found["nccl"]
                self.assertEqual(y, other)
                for figure in ("operations", "sent_bytes", "received_bytes"):
                    self.assertEqual(on_threads["ranks"][figure], on_nccl["ranks"][figure])

    def test_engines(self):
        for number, (layer, arch) in enumerate(SPECS):
            self.check(layer, arch, TOKENS.get(layer["name"], (9,)), (number + 1,))

    def test_random_specs(self):
        for seed in range(FIRST, FIRST + COUNT):
            layer, _ = sharded_spec.sharded_spec(seed)
            layer["name"] = f"seed_{seed}"
            tokens, arch = (0, 13), ("sm_80", "sm_90a")[seed % 2]
            self.check(layer, arch, tokens, (1, 2, 3), whole(layer, max(tokens)))

    def test_averages(self):
        """The same bits as on CPUs, whatever rows are rounded to on the way."""
        for number, kind in enumerate(("none", "int4", "fp16")):
            averaging = {"compression": {"kind": kind, "block": 32}}
            layer = spec(f"average_{kind}", {"dp": 3}, averaging=averaging)
            layer["functions"] = ["average_group"]
            package = compiled(layer, "cpu,sim", "--gpu-arch=sm_80")
            means = []
            for device in ("cpu", "sim"):
                mean = WORK / f"{device}.npy"
                environment = simulated(3, MOE_SIM_SEED=str(number), MOE_SIM_ARCH="sm_80")
                ended = ranks.call([ranks.BIN / "moe-run", package, "--ranks", 3, "--function",
                                    "average_group", "--size", "n=101", "--random", 1, "--output",
                                    mean, "--device", device], env=environment)  # fmt: skip
                self.assertEqual((ended.code, ended.err), (0, ""), f"{kind} on {device}")
                means.append(np.load(mean))
            self.assertGreater(np.abs(means[0]).max(), 0)
            self.assertEqual(means[0].tobytes(), means[1].tobytes(), kind)

    def test_devices(self):
        layer = SPECS[2][0]
        package = compiled(layer, "sim", "--gpu-arch=sm_90a")
        for devices, expected in (
            ("1,0", ""),
            ("2", "found GPU number 2, expected one below 2, as so many are there"),
            ("0,", "found MOE_GPU='0,', expected numbers of GPUs with commas between them"),
        ):
            with self.subTest(devices):
                ended = ranks.call(
                    [ranks.BIN / "moe-run", package, "--ranks", 2, "--tokens", 3],
                    env=dict(os.environ, MOE_SIM_DEVICES="2", MOE_GPU=devices),
                )
                self.assertEqual(ended.code, 1 if expected else 0, ended.err)
                self.assertIn(expected, ended.err)

    def test_ranks_that_share_a_device(self):
        layer = SPECS[0][0]
        ended = ranks.call(
            [ranks.BIN / "moe-run", compiled(layer, "sim", "--gpu-arch=sm_80"), "--ranks", 4,
             "--engine", "nccl"], env=simulated(2, MOE_SIM_ARCH="sm_80"),
        )  # fmt: skip
        self.assertEqual(ended.code, 1)
        self.assertIn("NCCL: invalid usage: Duplicate GPU detected: two ranks are on one device",
                      ended.err)  # fmt: skip

    def test_no_graph(self):
        for name, engine, expected in (
            (
                "sequence",
                "threads",
                "rows of exchanges pass through the host: expected the engine 'nccl' for a graph",
            ),
            (
                "parts",
                "nccl",
                "the host needs the counts of all_to_all_v 'rows to experts' over ep: "
                "expected padded rows for a graph",
            ),
        ):
            layer = next(layer for layer, _ in SPECS if layer["name"] == name)
            with self.subTest(name):
                ended = ranks.call(
                    [ranks.BIN / "moe-run", compiled(layer, "sim", "--gpu-arch=sm_80"), "--graph",
                     "--engine", engine, "--ranks", ranks.ranks_of(layer)],
                    env=simulated(4, MOE_SIM_ARCH="sm_80"),
                )  # fmt: skip
                self.assertEqual(ended.code, 1)
                self.assertIn(f"function 'forward': {expected}", ended.err)


if __name__ == "__main__":
    COUNT = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 0
    FIRST = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 0
    unittest.main(verbosity=2)
