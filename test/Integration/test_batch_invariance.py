"""A token's result is the same to the bit in any batch, anywhere in it, on any number of threads.

That holds for routers whose choice for a token does not depend on other tokens: all but those with
a capacity, `expert_choice` or another balancing. Each spec below runs on each CPU that is here.
"""

import platform
import sys
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "test" / "Oracle")]

import moe_mlir
import oracle
from moe_mlir import Error, Status

CPUS = ["x86-64-v3", "x86-64-v4", "znver4"] if platform.machine() == "x86_64" else "native"
MOST = 70
LONG = 333  # more rows than a block has
THREADS = (1, 2, 4)


def spec_of(rows, hidden=160, intermediate=96, number=4, top_k=2, **others):
    spec = {
        "hidden": hidden,
        "router": {"experts": number, "top_k": top_k},
        "experts": {"intermediate": intermediate},
        "dtype": {"activation": rows},
    }
    for name, value in others.items():
        spec.setdefault(name, {}).update(value)
    return spec


def quantised(kind, block=None, rows="bf16", **others):
    quantization = {"kind": kind, **({"block": block} if block else {})}
    return spec_of(rows, experts={"quantization": quantization}, **others)


SPECS = {
    "f32": spec_of("f32", 131, 77),
    "f32 mlp": spec_of("f32", 33, 129, experts={"form": "mlp", "bias": True, "activation": "gelu"}),
    "f32 deep": spec_of("f32", 2085, 9, 2),
    "f32 many experts": spec_of("f32", 40, 24, 64, 8, router={"score": "sigmoid", "scale": 2.5}),
    "f16": spec_of("f16", 130, 70, shared={"intermediate": 50, "gate": "sigmoid"}),
    "bf16": spec_of("bf16", 259, 65),
    "bf16 deep mlp": spec_of("bf16", 4129, 9, 2, experts={"form": "mlp", "output_bias": True}),
    "bf16 one expert": spec_of("bf16", 96, 40, 1, 1, shared={"intermediate": 70}),
    "bf16 of f32": spec_of(
        "bf16", 48, 24, 8, 3, router={"groups": {"count": 4, "keep": 2}}, dtype={"weights": "f32"}
    ),
    "int8": quantised("int8"),
    "int8 blocks": quantised("int8", [1, 64], rows="f32"),
    "int4": quantised("int4", [1, 32]),
    "int4 odd blocks": quantised("int4", [3, 22]),
    "fp8": quantised("fp8_e4m3", [128, 128], hidden=300),
    "fp8 of f16": quantised("fp8_e4m3", rows="f16"),
    "mxfp4": quantised("mxfp4"),
    "interleaved": spec_of(  # in strips and in rows
        "bf16", 72, 64,
        experts={"gate_up": "interleaved", "latent": 64, "quantization": {"kind": "mxfp4"}},
        shared={"gate_up": "interleaved", "intermediate": 50},
    ),
    "nvfp4": quantised("nvfp4", shared={"intermediate": 32, "quantization": {"kind": "nvfp4"}}),
}


def layers_of(spec):
    """(CPU, layer) for each CPU that is here; all have the same weights."""
    package = moe_mlir.compile({"name": "batch", **spec}, cpu=CPUS)
    for variant in package.manifest["target"].get("variants", [{"cpu": None}]):
        try:
            layer = package.layer(variant["cpu"])
        except Error as error:
            if error.status != Status.CPU_MISMATCH:
                raise
            continue
        layer.randomize(3)
        yield variant["cpu"], layer


class BatchInvariance(unittest.TestCase):
    def check(self, name, spec):
        rng, dtype = np.random.default_rng(len(name)), spec["dtype"]["activation"]
        x = oracle.to_storage(rng.standard_normal((LONG, spec["hidden"])), dtype)
        for cpu, layer in layers_of(spec):
            with self.subTest(cpu=cpu):
                self.check_layer(layer, x, rng)

    def check_layer(self, layer, x, rng):
        def forward(rows):
            y = layer.run("forward", x=np.ascontiguousarray(x[rows]))
            return y.view(f"u{y.dtype.itemsize}")

        def check(rows, what):
            different = np.flatnonzero((forward(rows) != y[rows]).any(axis=1))
            self.assertEqual(different.tolist(), [], f"{what}: these differ")

        y = forward(np.arange(LONG)).copy()
        self.assertGreater(len(np.unique(y)), LONG)
        for count in range(1, MOST + 1):
            check(np.arange(count), f"the first {count}")
        for row in range(0, MOST, 7):
            check(np.array([row]), f"row {row} alone")
        for _ in range(5):
            check(rng.permutation(LONG), "in another order")
            check(rng.integers(0, LONG, rng.integers(2, LONG)), "some of them")
        check(np.full(MOST, 5), "one row many times")
        for threads in THREADS:
            moe_mlir.set_threads(threads)
            for count in (1, 2, 5, MOST, LONG):
                check(np.arange(count), f"{count} on {threads} threads")
        moe_mlir.set_threads(0)


def add(name, spec):
    method = lambda self: self.check(name, spec)
    setattr(BatchInvariance, "test_" + name.replace(" ", "_"), method)


for each in SPECS.items():
    add(*each)


if __name__ == "__main__":
    unittest.main()
