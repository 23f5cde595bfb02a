"""jax.lax.ragged_dot in a layer that is compiled as a whole."""

from __future__ import annotations

import os
from typing import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..memory import available
from ..problem import Batch, Weights
from ._torch import tensor
from .unsupported import Unsupported

_COPIES = 2.5  # of all weights, transposed and in f32


def _array(array: np.ndarray) -> jax.Array:
    """The array's memory as JAX has it; numpy cannot hand over bf16, but torch can."""
    return jnp.from_dlpack(tensor(array))


class JaxRagged:
    def __init__(self, weights: Weights, threads: int):
        if weights.dtype not in ("f32", "bf16"):
            raise Unsupported("with decoded weights it is as for bf16")
        needed = _COPIES * weights.nbytes
        if needed > (there := available()):
            sizes = f"{needed * 1e-9:.0f} GB, and {there * 1e-9:.0f} GB are available"
            raise Unsupported(f"it copies the weights, which takes {sizes}")
        os.environ.setdefault("NPROC", str(threads))  # read when the first device is made
        self.shape, self._threads = weights.shape, int(os.environ["NPROC"])
        self._weights = {name: _array(array) for name, array in weights.arrays.items()}
        self._forward = jax.jit(self._layer)

    def set_threads(self, threads: int) -> None:
        if threads != self._threads:
            raise Unsupported(f"it has been started with {self._threads} threads")

    def bind(self, batch: Batch) -> Callable[[], jax.Array]:
        x = _array(batch.x)
        return lambda: self._forward(x, self._weights).block_until_ready()

    @staticmethod
    def to_numpy(y: jax.Array) -> np.ndarray:
        return np.asarray(y.astype(jnp.float32))

    def _layer(self, x, weights):
        shape = self.shape
        logits = (x @ weights["router.weight"].T).astype(jnp.float32)
        logits += weights.get("router.bias", 0)
        scores = logits if shape.selected else jax.nn.softmax(logits)
        scores, indices = jax.lax.top_k(scores, shape.top_k)
        if shape.selected:
            scores = jax.nn.softmax(scores)
        if shape.renormalize:
            scores /= scores.sum(-1, keepdims=True)
        slots = indices.reshape(-1)
        order = jnp.argsort(slots)
        counts = jnp.bincount(slots, length=shape.experts)
        rows = x[order // shape.top_k]
        both = self._grouped(rows, weights, "experts.gate_up", counts, slots[order])
        y = self._grouped(self._activate(both), weights, "experts.down", counts, slots[order])
        y = jnp.zeros_like(y).at[order].set(y).reshape(*indices.shape, -1)
        y = (y * scores[..., None]).sum(1).astype(x.dtype)
        if shape.shared:
            both = x @ weights["shared.gate_up.weight"].T
            y += self._activate(both) @ weights["shared.down.weight"].T
        return y

    @staticmethod
    def _grouped(rows, weights, name, counts, slots):
        y = jax.lax.ragged_dot(rows, weights[name + ".weight"].swapaxes(1, 2), counts)
        bias = weights.get(name + ".bias")
        return y if bias is None else y + bias[slots].astype(y.dtype)

    def _activate(self, both):
        gate, up = jnp.split(both, 2, axis=-1)
        if self.shape.activation == "swigluoai":
            gate = jnp.minimum(gate, 7)
            return gate * jax.nn.sigmoid(1.702 * gate) * (jnp.clip(up, -7, 7) + 1)
        return jax.nn.silu(gate) * up
