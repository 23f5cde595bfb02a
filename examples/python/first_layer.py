"""Compiles a layer from a dict, runs it on numpy arrays and looks inside.

PYTHONPATH=python python3 examples/python/first_layer.py
"""

import numpy as np

import moe_mlir

spec = {
    "hidden": 64,
    "router": {"experts": 8, "top_k": 2, "renormalize": True},
    # A formula of the gate g and the up value u; a name such as "silu" does as well.
    "experts": {"intermediate": 96, "activation": "silu(g) * u"},
}

layer = moe_mlir.compile(spec).layer()
layer.randomize(seed=1)

x = np.random.default_rng(0).standard_normal((6, 64), np.float32)
y = layer(x)
print("y:", y.shape, y.dtype)

plan = layer.plan
for token, (experts, weights) in enumerate(zip(plan["indices"], plan["weights"])):
    print(f"token {token}: experts {experts} with weights {weights.round(3)}")

# The same arithmetic without anything that makes it fast, in f64.
reference = moe_mlir.compile(spec, target="reference").layer()
reference.randomize(seed=1)
error = np.linalg.norm(y - reference(x)) / np.linalg.norm(y)
print(f"relative error against the reference: {error:.1e}")
assert error < 1e-6

try:
    layer(np.zeros((6, 63), np.float32))
except moe_mlir.Error as problem:
    print("as expected:", problem)
