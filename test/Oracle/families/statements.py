"""What routers and experts compute, said in numpy and f64, for models without code in transformers.

Nothing here is shared with the project's own oracle: agreement of the two says something.
"""

import numpy as np


class NearTie(Exception):
    """Rounding could decide a choice: another seed is needed."""


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * weight


def largest(scores, k):
    """Indices of the k largest, the lower index first among equals."""
    order = np.argsort(-scores.astype(np.float32), axis=-1, kind="stable")
    if k < scores.shape[-1]:
        inside, outside = (np.take_along_axis(scores, order[:, j, None], 1) for j in (k - 1, k))
        with np.errstate(invalid="ignore"):
            gap = (inside - outside) / np.maximum(np.abs(inside), 1e-3)
        if ((gap > 1e-12) & (gap < 1e-5)).any():
            raise NearTie
    return order[:, :k]


def within_groups(scores, groups, keep, fill=-np.inf):
    """Scores outside the `keep` groups with the largest sums of two are `fill`."""
    tokens, experts = scores.shape
    by_group = scores.reshape(tokens, groups, -1)
    sums = np.sort(by_group, axis=-1)[..., -2:].sum(axis=-1)
    kept = np.zeros((tokens, groups), bool)
    np.put_along_axis(kept, largest(sums, keep), True, axis=1)
    return np.where(kept[..., None], by_group, fill).reshape(tokens, experts)


def pick(values, indices):
    return np.take_along_axis(values, indices, axis=1)


def share(weights, eps=0.0):
    return weights / (weights.sum(axis=1, keepdims=True) + eps)


def glu(x, gate, up, down, act=silu):
    return (act(x @ gate.T) * (x @ up.T)) @ down.T


def mixture(x, indices, weights, expert):
    """The sum of expert(e, rows of x) by weight; an index of -1 adds nothing."""
    y = None
    for e in np.unique(indices[indices >= 0]):
        token, slot = np.nonzero(indices == e)
        part = weights[token, slot, None] * expert(e, x[token])
        if y is None:
            y = np.zeros((len(x), part.shape[1]))
        np.add.at(y, token, part)
    return y
