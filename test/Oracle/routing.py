"""Section 3 of docs/Spec.md, one function per subsection."""

import math

import numpy as np

from floats import round_to
from formulas import SCORES, activate, evaluate, softmax
from specs import has_selection_bias, is_recurrent

# --- Section 3.1: logits ---------------------------------------------------------------------


def rms_norm(x, eps, factor=1.0):
    return x * factor / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)


def router_input(spec, weights, x):
    norm = spec["router"]["input_norm"]
    if "eps" not in norm:
        return x
    return rms_norm(x, norm["eps"], norm["factor"]) * weights["router.input_scale"]


def logits(spec, weights, x, router_state=None):
    """l [T, N]."""
    router = spec["router"]
    projection = router["projection"]
    w = weights["router.weight"]
    with np.errstate(all="ignore"):
        if is_recurrent(spec):
            x = next_state(spec, weights, x, router_state)
            x = rms_norm(x, projection["eps"]) * weights["router.norm.weight"]
            x = hidden_layer(spec, weights, "router.hidden", x, True)
            x = hidden_layer(spec, weights, "router.hidden2", x, True)
        else:
            x = router_input(spec, weights, x)
        if router["strategy"] == "similarity":
            norm_x = np.maximum(np.linalg.norm(x, axis=1), 1e-12)
            norm_w = np.maximum(np.linalg.norm(w, axis=1), 1e-12)
            l = (x @ w.T) / (norm_x[:, None] * norm_w[None, :]) / router["temperature"]
        else:
            if projection["layers"] == 2:
                x = hidden_layer(spec, weights, "router.hidden", x, projection["bias"])
            l = x @ w.T
            if projection["bias"]:
                l = l + weights["router.bias"]
        if router["softcap"] > 0:
            l = router["softcap"] * np.tanh(l / router["softcap"])
    if projection["dtype"] == "input":
        l = round_to(l, spec["dtype"]["activation"])
    return l


def next_state(spec, weights, x, router_state):
    """r [T, H] of a recurrent router."""
    x = router_input(spec, weights, x)
    state = x @ weights["router.state.down.weight"].T + weights["router.state.down.bias"]
    if spec["router"]["projection"]["chained"]:
        state = state + router_state * weights["router.state.scale"]
    return state


def hidden_layer(spec, weights, name, x, bias):
    x = x @ weights[f"{name}.weight"].T
    if bias:
        x = x + weights[f"{name}.bias"]
    return activate(spec["router"]["projection"]["activation"], x)


def exact_logits(spec):
    """Whether the logits are nothing but sums of products, so that f32 finds the very same."""
    router = spec["router"]
    if router["strategy"] == "similarity" or "eps" in router["input_norm"]:
        return False
    return router["projection"]["layers"] == 1 and not is_recurrent(spec)


# --- Section 3.2: scores ---------------------------------------------------------------------


def score(spec, x):
    kind = spec["router"]["score"]
    return softmax(x) if kind == "softmax" else evaluate(SCORES.get(kind, kind), x=x)


def scores(spec, l):
    return score(spec, l) if spec["router"]["score_on"] == "all" else l


# --- Section 3.3: choice ---------------------------------------------------------------------


def descending(values):
    """Indices by descending value, NaN as -inf: of equal ones the lower first."""
    return np.argsort(-np.where(np.isnan(values), -np.inf, values), axis=-1, kind="stable")


def choice_values(spec, weights, state, s):
    """q [T, N - S] before groups mask it."""
    q = s[:, : s.shape[1] - spec["router"]["always_on"]]
    if has_selection_bias(spec):
        q = q + selection_bias(spec, weights, state)
    if spec["router"]["load_balancing"] == "load_aware":
        q = q - load_penalty(spec, state)
    return q


def selection_bias(spec, weights, state):
    if spec["router"]["load_balancing"] == "dynamic" and "router.selection_bias" in state:
        return state["router.selection_bias"]
    return weights["router.selection_bias"]


# --- Section 3.4: groups ---------------------------------------------------------------------


def mask_groups(spec, q):
    """q with the experts of lost groups masked, and the group scores [T, count]."""
    groups = spec["router"]["groups"]
    count, keep = groups["count"], groups["keep"]
    parts = q.reshape(q.shape[0], count, q.shape[1] // count)
    ordered = np.take_along_axis(parts, descending(parts), axis=-1)
    if groups["reduce"] == "max":
        group_scores = ordered[..., 0]
    else:
        group_scores = ordered[..., 0] + ordered[..., 1]
    kept = np.zeros((q.shape[0], count), bool)
    np.put_along_axis(kept, descending(group_scores)[:, :keep], True, axis=1)
    fill = 0.0 if groups["fill"] == "zero" else -np.inf
    return np.where(kept[..., None], parts, fill).reshape(q.shape), group_scores, kept


# --- Section 3.5: weights --------------------------------------------------------------------


def slot_weights(spec, weights, s, indices):
    """w [T, k] of the chosen experts."""
    router = spec["router"]
    w = np.take_along_axis(s, indices, axis=1)
    if router["score_on"] == "selected":
        w = score(spec, w)
    renormalize = router["renormalize"]
    if renormalize:
        total = norm(w, renormalize["p"])
        with np.errstate(all="ignore"):
            if renormalize["mode"] == "add":
                w = w / (total + renormalize["eps"])
            else:
                w = w / np.maximum(total, renormalize["eps"])
    return scale_weights(spec, weights, w, indices)


def norm(w, p):
    """The sum in order for p = 1, else the p-norm [T, 1]."""
    if p != 1:
        with np.errstate(all="ignore"):
            return np.sum(np.abs(w) ** p, axis=1, keepdims=True) ** (1 / p)
    total = np.zeros((len(w), 1))
    for j in range(w.shape[1]):
        total[:, 0] += w[:, j]
    return total


def scale_weights(spec, weights, w, indices):
    w = w * spec["router"]["scale"]
    if spec["router"]["expert_scale"]:
        nulls = spec["router"]["null_experts"]["count"]
        factors = np.concatenate([weights["router.expert_scale"], np.ones(nulls)])
        w = w * factors[indices]
    return w


# --- Section 3.6: load balancing -------------------------------------------------------------


def experts_choose(spec, q, finite):
    """taken [T, E]: whether expert e takes token t."""
    router = spec["router"]
    tokens, experts = q.shape
    share = router["balance"]["factor"] * tokens * router["top_k"] / experts
    count = min(tokens, math.ceil(share))
    taken = np.zeros((tokens, experts), bool)
    order = descending(np.where(finite[:, None], q, -np.inf).T)[:, :count]
    for e in range(experts):
        taken[order[e], e] = True
    return taken & finite[:, None]


def round_robin(spec, tokens):
    k, experts = spec["router"]["top_k"], spec["router"]["experts"]
    return np.arange(tokens * k).reshape(tokens, k) % experts


def load_penalty(spec, state):
    """What `load_aware` takes off q [N]."""
    loads = state["loads"].astype(np.float64)
    if loads.mean() <= 0:
        return np.zeros(len(loads))
    return spec["router"]["balance"]["lambda"] * loads / loads.mean()


def step(spec, state):
    """The state after a `step` of `dynamic`."""
    loads = state["loads"]
    rate = spec["router"]["balance"]["rate"]
    bias = state["router.selection_bias"] + rate * np.sign(loads.mean() - loads)
    return {**state, "loads": np.zeros_like(loads), "router.selection_bias": round_to(bias, "f32")}


# --- Section 3.7: unlearned strategies -------------------------------------------------------

_WORD = (1 << 64) - 1


def mix(z):
    """
    >>> hex(mix(1))
    '0x5692161d100b05e5'
    """
    z &= _WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
    return z ^ (z >> 31)


def choose_by_hash(spec, ids):
    router = spec["router"]
    k, experts, seed = router["top_k"], router["experts"], router["seed"]
    indices = np.zeros((len(ids), k), np.int64)
    for t, token in enumerate(ids):
        left = list(range(experts))
        for j in range(k):
            h = mix(seed + 0x9E3779B97F4A7C15 * (int(token) * k + j + 1))
            indices[t, j] = left.pop(h % (experts - j))
    return indices


def choose_by_load(spec, tokens, loads):
    """The indices; `loads` is updated as tokens are placed."""
    k = spec["router"]["top_k"]
    indices = np.zeros((tokens, k), np.int64)
    for t in range(tokens):
        free = np.ones(len(loads), bool)
        for j in range(k):
            e = int(np.argmin(np.where(free, loads, np.iinfo(np.int64).max)))
            free[e] = False
            loads[e] += 1
            indices[t, j] = e
    return indices


# --- Section 3.8: tables and sparsemixer -----------------------------------------------------


def look_up(spec, weights, ids):
    """The indices of each token, and whether it has any; 0 where not."""
    table = weights["router.table"].astype(np.int64)
    known = (ids >= 0) & (ids < len(table))
    indices = table[np.where(known, ids, 0)]
    real = (indices >= 0) & (indices < spec["router"]["experts"])
    return np.where(real, indices, 0), known & real.all(axis=1)


def distances(l, top):
    """How far each logit is below `top` [T, 1], as sparsemixer measures it."""
    with np.errstate(all="ignore"):
        return (top - l) / np.maximum(np.abs(l), top)


def sparsemixer(spec, l):
    """The indices [T, 2], their weights, and by how little a logit counted or not [T]."""
    limit = 2 * spec["router"]["threshold"]
    exact = exact_logits(spec) and spec["router"]["softcap"] == 0
    indices = descending(l)[:, :2]
    weights, margin = np.zeros(indices.shape), np.full(len(l), np.inf)
    others = np.ones(l.shape, bool)
    for j in range(2):
        top = np.take_along_axis(l, indices[:, j : j + 1], axis=1)
        distance = distances(l, top)
        near = others & ~(distance > limit)
        with np.errstate(all="ignore"):
            weights[:, j] = 1 / np.sum(np.where(near, np.exp(l - top), 0.0), axis=1)
            sure = distance == limit if exact else np.zeros(l.shape, bool)
            np.put_along_axis(sure, indices[:, j : j + 1], True, axis=1)
            gap = np.where(others & ~sure, np.abs(distance - limit), np.inf)
        margin = np.minimum(margin, np.min(gap, axis=1, initial=np.inf))
        np.put_along_axis(others, indices[:, j : j + 1], False, axis=1)
    return indices, weights, margin
