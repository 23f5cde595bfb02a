"""A few tokens of a layer in numpy, to compare systems with."""

from __future__ import annotations

import numpy as np

from .problem import Batch, Weights, from_bf16

_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def decoded(weights: Weights, name: str, expert=...) -> np.ndarray:
    """The values of a projection, of one expert or of all, in f32."""
    data = weights.arrays[name + ".weight"][expert]
    if weights.dtype == "f32":
        return data
    if weights.dtype == "bf16":
        return from_bf16(data)
    scales = weights.arrays[name + ".scales"][expert]
    if weights.dtype == "int8":
        return data * scales
    values = np.stack([_E2M1[data & 15], _E2M1[data >> 4]], axis=-1)
    factors = np.exp2(scales.astype(np.float32) - 127)
    blocks = values.reshape(*scales.shape, 32) * factors[..., None]
    return blocks.reshape(*data.shape[:-1], -1)


def _activate(activation: str, gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    if activation == "swigluoai":
        gate = np.minimum(gate, 7)
        return gate / (1 + np.exp(-1.702 * gate)) * (np.clip(up, -7, 7) + 1)
    return gate / (1 + np.exp(-gate)) * up


def _expert(weights: Weights, prefix: str, expert, x: np.ndarray) -> np.ndarray:
    """One expert's result, without rounding in between."""
    both = decoded(weights, prefix + ".gate_up", expert) @ x
    biased = weights.shape.bias and prefix == "experts"
    if biased:
        both = both + weights.arrays["experts.gate_up.bias"][expert]
    gate, up = np.split(both, 2)
    y = decoded(weights, prefix + ".down", expert) @ _activate(weights.shape.activation, gate, up)
    return y + weights.arrays["experts.down.bias"][expert] if biased else y


def forward(weights: Weights, batch: Batch, token: int) -> np.ndarray:
    """The layer's result for one token of a batch."""
    shape, x, router = weights.shape, batch.x[token], weights.arrays["router.weight"]
    if weights.dtype != "f32":
        x, router = from_bf16(x), from_bf16(router)
    logits = router @ x
    chosen = np.argsort(-logits, kind="stable")[: shape.top_k]
    assert (chosen == batch.indices[token]).all(), "the router does not choose what is wanted"
    scores = np.exp(logits - logits.max())
    share = scores[chosen] / (
        scores[chosen].sum() if shape.renormalize or shape.selected else scores.sum()
    )
    y = sum(w * _expert(weights, "experts", e, x) for w, e in zip(share, chosen))
    return y + _expert(weights, "shared", ..., x) if shape.shared else y


def error(got: np.ndarray, expected: np.ndarray) -> float:
    """The relative error of a result; 1 or more where nothing is right."""
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.linalg.norm(got - expected) / max(np.linalg.norm(expected), 1e-30))
