"""jax.lax.ragged_dot, alone or in a layer that is compiled as a whole."""

from __future__ import annotations

import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # others need the memory too

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from ...cpu.systems import jax_ragged as on_cpu  # noqa: E402
from ..problem import LayerProblem, Problem  # noqa: E402
from ._torch import DEVICE  # noqa: E402
from . import Unsupported  # noqa: E402


def _on_device(tree):
    device = jax.devices()[0]
    if DEVICE == "cuda" and device.platform != "gpu":
        raise Unsupported("this JAX has no GPU")
    return jax.device_put(tree, device)


class JaxRagged:
    def __init__(self, problem: Problem):
        if isinstance(problem, LayerProblem):
            layer = on_cpu.JaxRagged(problem.weights, os.cpu_count() or 1)
            x, weights = _on_device((on_cpu._array(problem.batch.x), layer._weights))
            self._call = lambda: layer._forward(x, weights)
            return
        rows, weight = _on_device((on_cpu._array(problem.rows), on_cpu._array(problem.weight)))
        counts = _on_device(jnp.asarray(problem.counts))
        multiply = jax.jit(lambda r, w, c: jax.lax.ragged_dot(r, w.swapaxes(1, 2), c))
        self._call = lambda: multiply(rows, weight, counts)

    def __call__(self) -> jax.Array:
        return self._call().block_until_ready()

    @staticmethod
    def to_numpy(y: jax.Array) -> np.ndarray:
        return np.asarray(y.astype(jnp.float32))
