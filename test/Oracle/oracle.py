"""docs/Spec.md as a plain numpy program in float64.

One function per section, written to be compared with the text line by line and
sharing nothing with the compiler. Matrices are float64 arrays; what a layer
stores in a narrower type is rounded by `round_to` before it comes in here.

    result = forward(spec, weights, x, token_ids, state)

A `Result` also says how close each token's choice was (`margin`), so that a
comparison with narrower arithmetic can tell a rounding tie from an error, and
what its output would be if no terms cancelled (`magnitude`).

This file has sections 4 to 7 and puts the parts together; sections 1 to 3 and
what is about formats of few bits are in the files it imports.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from floats import from_storage, round_to, to_storage
from formulas import activate, evaluate, sigmoid, softmax
from margins import (
    capacity_margin,
    choice_margin,
    expert_choice_margin,
    rounding_margin,
    sparsemixer_margin,
)
from quantisation import FP8, accumulate, average, dequantize, quantize, round_rows
from routing import (
    choice_values,
    choose_by_hash,
    choose_by_load,
    descending,
    experts_choose,
    logits,
    look_up,
    mask_groups,
    mix,
    next_state,
    round_robin,
    scale_weights,
    scores,
    slot_weights,
    sparsemixer,
    step,
)
from specs import (
    has_loads,
    has_logits,
    is_learned,
    is_recurrent,
    longest_reduction,
    resolve,
    slots_per_token,
    total_experts,
    weight_table,
)

from weight_formats import decode_weights

@dataclass
class Routing:
    indices: np.ndarray
    weights: np.ndarray
    margin: np.ndarray
    state: dict
    logits: np.ndarray = None
    status: int = 0
    router_state: np.ndarray = None


def initial_state(spec, weights):
    """State at creation of a layer."""
    state = {}
    if has_loads(spec):
        state["loads"] = np.zeros(total_experts(spec), np.int64)
    if spec["router"]["load_balancing"] == "dynamic":
        state["router.selection_bias"] = weights["router.selection_bias"].copy()
    return state


def route(spec, weights, x, token_ids, state, router_state=None):
    router = spec["router"]
    tokens, k = len(x), router["top_k"]
    margin = np.full(tokens, np.inf)
    state = {name: value.copy() for name, value in state.items()}
    if not has_logits(spec):
        if router["strategy"] == "load_based":
            indices = choose_by_load(spec, tokens, state["loads"])
        else:
            ids = token_ids if router["strategy"] == "hash" else np.arange(tokens)
            indices = choose_by_hash(spec, ids)
        return Routing(indices, np.full((tokens, k), 1.0 / k), margin, state)

    l = logits(spec, weights, x, router_state)
    rounding = rounding_margin(spec, weights, x, router_state)
    if is_recurrent(spec):
        router_state = next_state(spec, weights, x, router_state)
    finite = np.isfinite(l).all(axis=1)
    known = np.ones(tokens, bool)
    s = scores(spec, l)
    q = choice_values(spec, weights, state, s)
    if router["strategy"] == "sparsemixer":
        indices, w, near = sparsemixer(spec, l)
        w = scale_weights(spec, weights, w, indices)
        margin = sparsemixer_margin(spec, weights, state, l, near)
    elif router["load_balancing"] == "expert_choice":
        taken = experts_choose(spec, q, finite)
        every = np.broadcast_to(np.arange(router["experts"]), taken.shape)
        indices = np.where(taken, every, -1)
        w = np.where(taken, scale_weights(spec, weights, s, every), 0.0)
        margin = expert_choice_margin(spec, weights, state, l, s, q, taken)
    else:
        if router["strategy"] == "table":
            indices, known = look_up(spec, weights, token_ids)
        elif router["load_balancing"] == "round_robin":
            indices = round_robin(spec, tokens)
        else:
            masked = mask_groups(spec, q)[0] if router["groups"]["count"] > 1 else q
            indices = descending(masked)[:, :k]
            margin = choice_margin(spec, weights, state, l, s[:, : q.shape[1]], q)
            always_on = np.arange(router["experts"] - router["always_on"], router["experts"])
            every = np.broadcast_to(always_on, (tokens, len(always_on)))
            indices = np.concatenate([indices, every], axis=1)
        w = slot_weights(spec, weights, s, indices)
    has_experts = finite & known
    w = np.where(has_experts[:, None], w, 0.0)
    indices = np.where(has_experts[:, None], indices, -1)
    margin = np.minimum(margin, rounding)
    margin = np.where(has_experts, margin, np.inf)
    if "loads" in state:
        state["loads"] = state["loads"] + count_slots(indices, total_experts(spec))
    status = 0 if finite.all() else 1 + int(np.argmin(finite))
    if status == 0 and not known.all():
        status = -1 - int(np.argmin(known))
    return Routing(indices, w, margin, state, l, status, router_state)


# --- Section 4: grouping and capacity --------------------------------------------------------


def count_slots(indices, experts):
    return np.bincount(indices[indices >= 0].ravel(), minlength=experts).astype(np.int64)


def capacity(spec, tokens):
    """C, or None."""
    limits = spec["capacity"]
    if "tokens" in limits:
        return limits["tokens"]
    if "factor" in limits:
        router = spec["router"]
        return math.ceil(limits["factor"] * tokens * router["top_k"] / router["experts"])
    return None


@dataclass
class Grouping:
    rows: np.ndarray
    offsets: np.ndarray
    positions: np.ndarray
    counts: np.ndarray
    lost: np.ndarray  # [T, K], slots that capacity took away
    margin: np.ndarray  # [T], how close a token was to keep or lose a place


def group(spec, indices, weights, logits_=None):
    experts = spec["router"]["experts"]
    tokens, slots = indices.shape
    limit = capacity(spec, tokens)
    flat, flat_weights = indices.ravel(), weights.ravel()
    margin = np.full(tokens, np.inf)
    rows, offsets = [], [0]
    positions = np.full(flat.shape, -1, np.int64)
    for e in range(experts):
        mine = np.flatnonzero(flat == e)
        if limit is not None and len(mine) > limit:
            if spec["capacity"]["priority"] == "choice_order":
                mine = np.sort(mine[np.argsort(mine % slots, kind="stable")][:limit])
            elif spec["capacity"]["priority"] == "probability":
                ordered = mine[descending(flat_weights[mine])]
                capacity_margin(spec, margin, ordered, limit, slots, flat_weights, logits_)
                mine = np.sort(ordered[:limit])
            else:
                mine = mine[:limit]
        positions[mine] = len(rows) + np.arange(len(mine))
        rows.extend(mine)
        offsets.append(len(rows))
    positions = positions.reshape(indices.shape)
    lost = (indices >= 0) & (indices < experts) & (positions < 0)
    counts = count_slots(indices, total_experts(spec))
    return Grouping(
        np.array(rows, np.int64), np.array(offsets, np.int64), positions, counts, lost, margin
    )


def imbalance(counts):
    mean = counts.mean()
    return float(counts.std() / mean) if mean > 0 else 0.0


# --- Section 5: experts ----------------------------------------------------------------------


def feed_forward(spec, part, v, gate, up, down, biases=(0.0, 0.0, 0.0)):
    """F(v) and the same with every term of the last product positive."""
    gate_bias, up_bias, down_bias = biases
    activation, quantization = part["activation"], part["quantization"]
    with np.errstate(all="ignore"):
        v = round_rows(quantization, v)
        u = v @ up.T + up_bias
        if spec["experts"]["form"] == "glu":
            h = activate(activation, v @ gate.T + gate_bias, u)
        else:
            h = activate(activation, u)
        h = round_rows(quantization, h)
        return h @ down.T + down_bias, np.abs(h) @ np.abs(down).T + np.abs(down_bias)


def gate_and_up(part, joined):
    """The gate's and the other rows of a weight, or entries of a bias, of one expert."""
    if part["gate_up"] == "interleaved":
        return joined[0::2], joined[1::2]
    half = len(joined) // 2
    return joined[:half], joined[half:]


def expert(spec, weights, e, v):
    experts = spec["experts"]

    def two(kind):
        if experts["gate_up"] != "separate":
            return gate_and_up(experts, weights[f"experts.gate_up.{kind}"][e])
        glu = experts["form"] == "glu"
        gate = weights[f"experts.gate.{kind}"][e] if glu else 0.0
        return gate, weights[f"experts.up.{kind}"][e]

    biases = (0.0, 0.0, 0.0)
    if experts["bias"]:
        biases = (*two("bias"), weights["experts.down.bias"][e])
    down = weights["experts.down.weight"][e]
    return feed_forward(spec, experts, v, *two("weight"), down, biases)


def routed_output(spec, weights, x, indices, w, grouping):
    """y before the shared expert, and its magnitude."""
    router = spec["router"]
    experts = router["experts"]
    latent = spec["experts"]["latent"] > 0
    if "input_norm" in spec["experts"]:
        root = np.sqrt(np.mean(x**2, axis=1, keepdims=True) + spec["experts"]["input_norm"])
        x = x / root * weights["experts.input_scale"]
    z = x @ weights["latent.down.weight"].T if latent else x
    tokens, slots = indices.shape
    terms = np.zeros((tokens, slots, z.shape[1]))
    sizes = np.zeros_like(terms)
    for e in range(experts):
        t, j = np.nonzero((indices == e) & (grouping.positions >= 0))
        if not len(t):
            continue
        factor = w[t, j][:, None]
        if router["weight_on"] == "input":
            terms[t, j], sizes[t, j] = expert(spec, weights, e, factor * z[t])
        else:
            value, size = expert(spec, weights, e, z[t])
            terms[t, j], sizes[t, j] = factor * value, np.abs(factor) * size
    identity = (indices >= experts) & (router["null_experts"]["kind"] == "identity")
    passed = grouping.lost & (spec["capacity"]["overflow"] == "pass_through")
    t, j = np.nonzero(identity | passed)
    terms[t, j] = w[t, j][:, None] * z[t]
    sizes[t, j] = np.abs(terms[t, j])
    y, size = np.zeros(z.shape), np.zeros(z.shape)
    for j in range(slots):
        y, size = y + terms[:, j], size + sizes[:, j]
    if "latent_norm" in spec["experts"]:
        root = np.sqrt(np.mean(y**2, axis=1, keepdims=True) + spec["experts"]["latent_norm"])
        norm = weights["latent.norm.weight"]
        y, size = y / root * norm, size / root * np.abs(norm)
    if latent:
        up = weights["latent.up.weight"]
        y, size = y @ up.T, size @ np.abs(up).T
    if spec["experts"]["output_bias"]:
        bias = weights["experts.output_bias"]
        y, size = y + bias, size + np.abs(bias)
    return y, size


def add_shared(spec, weights, x, y, size):
    """y with the shared expert's part, and its magnitude."""
    if spec["shared"]["intermediate"] == 0:
        return y, size
    shared = spec["shared"]
    if shared["gate_up"] != "separate":
        gate, up = gate_and_up(shared, weights["shared.gate_up.weight"])
    else:
        gate, up = weights.get("shared.gate_proj.weight"), weights["shared.up.weight"]
    down = weights["shared.down.weight"]
    h, h_size = feed_forward(spec, shared, x, gate, up, down)
    h, h_size = shared["scale"] * h, np.abs(shared["scale"]) * h_size
    gate = spec["shared"]["gate"]
    if gate == "none":
        return y + h, size + h_size
    if gate == "sigmoid":
        c = sigmoid(x @ weights["shared.gate.weight"].T)
        return y + c * h, size + c * h_size
    c = softmax(x @ weights["shared.gate.weight"].T + weights["shared.gate.bias"])
    return c[:, :1] * y + c[:, 1:] * h, c[:, :1] * size + c[:, 1:] * h_size


# --- Section 6: losses -----------------------------------------------------------------------


def losses(spec, l, indices):
    """The losses with a coefficient, by name."""
    wanted = spec["losses"]
    names = [n for n in ("load_balance", "importance", "router_z") if wanted[n] > 0]
    if not names:
        return {}
    tokens, slots = indices.shape
    if tokens == 0:
        return {name: 0.0 for name in names}
    experts = total_experts(spec)
    p = softmax(l)
    values = {}
    f = count_slots(indices, experts) / tokens
    if wanted["load_balance_form"] == "switch":
        f = f / slots
    values["load_balance"] = experts * np.sum(f * p.mean(axis=0))
    total = p.sum(axis=0)
    values["importance"] = total.var() / total.mean() ** 2
    top = l.max(axis=1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.sum(np.exp(l - top), axis=1))
    values["router_z"] = np.mean(log_sum**2)
    return {name: float(wanted[name] * values[name]) for name in names}


# --- Section 7: functions --------------------------------------------------------------------


@dataclass
class Result:
    y: np.ndarray  # before rounding to the activation type
    indices: np.ndarray
    weights: np.ndarray
    rows: np.ndarray  # only the filled part
    offsets: np.ndarray
    positions: np.ndarray
    counts: np.ndarray
    imbalance: float
    losses: dict
    status: int
    state: dict
    margin: np.ndarray
    magnitude: np.ndarray
    lost: np.ndarray = field(repr=False, default=None)
    router_state: np.ndarray = None  # for the next recurrent router


def forward(spec, weights, x, token_ids=None, state=None, router_state=None):
    spec = resolve(spec)
    weights = decode_weights(spec, weights)
    if state is None:
        state = initial_state(spec, weights)
    routing = route(spec, weights, x, token_ids, state, router_state)
    grouping = group(spec, routing.indices, routing.weights, routing.logits)
    y, size = routed_output(spec, weights, x, routing.indices, routing.weights, grouping)
    y, size = add_shared(spec, weights, x, y, size)
    return Result(
        y=y,
        indices=routing.indices,
        weights=routing.weights,
        rows=grouping.rows,
        offsets=grouping.offsets,
        positions=grouping.positions,
        counts=grouping.counts,
        imbalance=imbalance(grouping.counts),
        losses=losses(spec, routing.logits, routing.indices),
        status=routing.status,
        state=routing.state,
        margin=np.minimum(routing.margin, grouping.margin),
        magnitude=size,
        lost=grouping.lost,
        router_state=routing.router_state,
    )
