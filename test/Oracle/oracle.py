"""docs/Spec.md as a plain numpy program in float64.

One function per section, written to be compared with the text line by line and
sharing nothing with the compiler. Matrices are float64 arrays; what a layer
stores in a narrower type is rounded by `round_to` before it comes in here.

    result = forward(spec, weights, x, token_ids, state)

A `Result` also says how close each token's choice was (`margin`), so that a
comparison with narrower arithmetic can tell a rounding tie from an error, and
what its output would be if no terms cancelled (`magnitude`).
"""

import copy
import math
import re
from dataclasses import dataclass, field

import numpy as np

# --- Section 1: keys -------------------------------------------------------------------------

DEFAULTS = {
    "moe_spec": 1,
    "name": "moe",
    "router": {
        "strategy": "learned",
        "score": "softmax",
        "score_on": "all",
        "renormalize": False,
        "projection": {"layers": 1, "activation": "relu", "bias": False, "dtype": "f32"},
        "scale": 1.0,
        "expert_scale": False,
        "softcap": 0.0,
        "selection_bias": False,
        "groups": {"count": 1, "keep": 1, "reduce": "sum_top2", "fill": "neg_inf"},
        "temperature": 1.0,
        "load_balancing": "token_choice",
        "balance": {"rate": 0.001, "lambda": 1.0, "factor": 1.0},
        "null_experts": {"count": 0, "kind": "identity"},
        "weight_on": "output",
        "seed": 0,
    },
    "experts": {"form": "glu", "activation": "silu", "bias": False, "latent": 0},
    "shared": {"intermediate": 0, "gate": "none"},
    "capacity": {"overflow": "drop", "scope": "global", "priority": "token_order"},
    "losses": {
        "load_balance": 0.0,
        "load_balance_form": "hf",
        "importance": 0.0,
        "router_z": 0.0,
    },
    "dtype": {"activation": "f32", "accumulate": "f32"},
    "parallel": {
        "grid": {"dp": 1, "ep": 1, "tp": 1},
        "experts_on": "ep",
        "exchange": "all_to_all",
        "sequence_parallel": False,
    },
    "averaging": {
        "group_size": 4,
        "match_timeout_ms": 30000,
        "exchange_timeout_ms": 60000,
        "compression": {"kind": "blockwise_int8", "block": 64},
    },
    "functions": ["forward"],
    "weights": {"layer": 0, "prefix": ""},
}


def _merge(defaults, given):
    merged = copy.deepcopy(defaults)
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def resolve(spec):
    """The spec with every default filled in. Of a resolved spec, the same."""
    full = _merge(DEFAULTS, spec)
    router = full["router"]
    router["projection"].setdefault("hidden", full["hidden"])
    renormalize = router["renormalize"]
    if renormalize is True:
        renormalize = {}
    if isinstance(renormalize, dict):
        router["renormalize"] = {"eps": 0.0, "mode": "add", **renormalize}
    full["dtype"].setdefault("weights", full["dtype"]["activation"])
    full["parallel"].setdefault(
        "experts_per_device", router["experts"] // full["parallel"]["grid"]["ep"]
    )
    return full


def total_experts(spec):
    """N, null experts included."""
    return spec["router"]["experts"] + spec["router"]["null_experts"]["count"]


def slots_per_token(spec):
    """K."""
    router = spec["router"]
    choice = router["load_balancing"] == "expert_choice"
    return router["experts"] if choice else router["top_k"]


def is_learned(spec):
    return spec["router"]["strategy"] in ("learned", "similarity")


def has_loads(spec):
    router = spec["router"]
    return router["strategy"] == "load_based" or router["load_balancing"] in (
        "load_aware",
        "dynamic",
    )


def has_selection_bias(spec):
    router = spec["router"]
    return router["selection_bias"] or router["load_balancing"] == "dynamic"


# --- Storage types ---------------------------------------------------------------------------

# Bits of precision, smallest spacing, largest value.
_FLOATS = {
    "f32": (24, 2.0**-149, float(np.finfo(np.float32).max)),
    "bf16": (8, 2.0**-133, float.fromhex("0x1.fep127")),
    "f16": (11, 2.0**-24, 65504.0),
}


def round_to(values, dtype):
    """Nearest value of `dtype`, ties to even, in float64.

    >>> float(round_to(np.array(1 + 2.0**-8), "bf16")), float(round_to(np.array(65520.0), "f16"))
    (1.0, inf)
    """
    values = np.asarray(values, np.float64)
    if dtype == "f64":
        return values
    bits, smallest, largest = _FLOATS[dtype]
    with np.errstate(all="ignore"):
        spacing = np.maximum(np.ldexp(1.0, np.frexp(values)[1] - bits), smallest)
        rounded = np.rint(values / spacing) * spacing
    rounded = np.where(np.abs(rounded) > largest, np.copysign(np.inf, values), rounded)
    return np.where(np.isfinite(values), rounded, values)


def to_storage(values, dtype):
    """The array as stored: float32, float16, or bf16 bits as uint16."""
    rounded = round_to(values, dtype)
    if dtype == "bf16":
        return (rounded.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return rounded.astype({"f32": np.float32, "f16": np.float16}[dtype])


def from_storage(stored, dtype):
    """The inverse of `to_storage`, in float64."""
    if dtype == "bf16":
        return (stored.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return stored.astype(np.float64)


# --- Section 2: formulas ---------------------------------------------------------------------

_erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def softplus(x):
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def relu(x):
    return np.maximum(x, 0.0)


def silu(x):
    return x * sigmoid(x)


def gelu(x):
    return 0.5 * x * (1.0 + _erf(x * 0.7071067811865476))


def gelu_tanh(x):
    return 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


def clamp(x, low, high):
    return np.minimum(np.maximum(x, low), high)


FUNCTIONS = {
    "exp": (1, np.exp),
    "log": (1, np.log),
    "log1p": (1, np.log1p),
    "sqrt": (1, np.sqrt),
    "tanh": (1, np.tanh),
    "erf": (1, _erf),
    "abs": (1, np.abs),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "pow": (2, np.power),
    "sigmoid": (1, sigmoid),
    "softplus": (1, softplus),
    "relu": (1, relu),
    "silu": (1, silu),
    "gelu": (1, gelu),
    "gelu_tanh": (1, gelu_tanh),
    "clamp": (3, clamp),
}

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|([-+*/(),]))"
)


def _tokens(text):
    at, text = 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise ValueError(f"not a formula: {text!r} at {at}")
        at = match.end()
        yield match.groups()
    yield (None, None, "end")


class _Parser:
    """sum := product (+|- product)*; product := unary (*|/ unary)*; unary := - unary | atom."""

    def __init__(self, text, variables):
        self.text, self.variables = text, variables
        self.tokens = list(_tokens(text))
        self.at = 0

    def take(self, *symbols):
        symbol = self.tokens[self.at][2]
        if symbol not in symbols:
            return None
        self.at += 1
        return symbol

    def expect(self, symbol):
        if not self.take(symbol):
            raise ValueError(f"expected {symbol!r} in {self.text!r}")

    def sum(self, values):
        result = self.product(values)
        while operator := self.take("+", "-"):
            right = self.product(values)
            result = result + right if operator == "+" else result - right
        return result

    def product(self, values):
        result = self.unary(values)
        while operator := self.take("*", "/"):
            right = self.unary(values)
            result = result * right if operator == "*" else result / right
        return result

    def unary(self, values):
        return -self.unary(values) if self.take("-") else self.atom(values)

    def atom(self, values):
        if self.take("("):
            result = self.sum(values)
            self.expect(")")
            return result
        number, name, _ = self.tokens[self.at]
        self.at += 1
        if number is not None:
            return np.float64(number)
        if name in self.variables:
            return values[name]
        if name not in FUNCTIONS:
            raise ValueError(f"unknown name {name!r} in {self.text!r}")
        count, function = FUNCTIONS[name]
        self.expect("(")
        arguments = [self.sum(values)]
        while self.take(","):
            arguments.append(self.sum(values))
        self.expect(")")
        if len(arguments) != count:
            raise ValueError(f"{name} takes {count} arguments in {self.text!r}")
        return function(*arguments)


def evaluate(text, **values):
    """The value of a formula.

    >>> float(evaluate("1 - 2 - -x * 3", x=4.0))
    11.0
    """
    parser = _Parser(text, values)
    with np.errstate(all="ignore"):
        result = parser.sum(values)
    if parser.tokens[parser.at][2] != "end":
        raise ValueError(f"text after the formula in {text!r}")
    shapes = [np.shape(value) for value in values.values()]
    return np.broadcast_to(result, np.broadcast_shapes(*shapes)).astype(np.float64)


ACTIVATIONS = {
    "silu": "silu(g)",
    "swish": "silu(g)",
    "gelu": "gelu(g)",
    "gelu_erf": "gelu(g)",
    "gelu_tanh": "gelu_tanh(g)",
    "gelu_new": "gelu_tanh(g)",
    "gelu_pytorch_tanh": "gelu_tanh(g)",
    "quick_gelu": "g * sigmoid(1.702 * g)",
    "relu": "relu(g)",
    "relu2": "relu(g) * relu(g)",
    "sigmoid": "sigmoid(g)",
    "tanh": "tanh(g)",
    "identity": "g",
    "linear": "g",
}

GLU_ACTIVATIONS = {
    "swigluoai": "min(g, 7) * sigmoid(1.702 * min(g, 7)) * (clamp(u, -7, 7) + 1)",
    "situ": "4 * tanh(g / 4) * sigmoid(g) * 25 * tanh(u / 25)",
}

SCORES = {"sigmoid": "sigmoid(x)", "sqrt_softplus": "sqrt(softplus(x))", "identity": "x"}


def activate(activation, g, u=None):
    """An activation by name or formula; `u` is None for mlp experts."""
    if u is None:
        return evaluate(ACTIVATIONS.get(activation, activation), g=g)
    if activation in ACTIVATIONS:
        return evaluate(ACTIVATIONS[activation], g=g) * u
    return evaluate(GLU_ACTIVATIONS.get(activation, activation), g=g, u=u)


def softmax(x):
    """Over the last axis."""
    with np.errstate(all="ignore"):
        e = np.exp(x - np.max(x, axis=-1, keepdims=True, initial=-np.inf))
        return e / np.sum(e, axis=-1, keepdims=True)


def score(spec, x):
    kind = spec["router"]["score"]
    return softmax(x) if kind == "softmax" else evaluate(SCORES.get(kind, kind), x=x)


# --- Section 3.1: logits ---------------------------------------------------------------------


def logits(spec, weights, x):
    """l [T, N]."""
    router = spec["router"]
    projection = router["projection"]
    w = weights["router.weight"]
    with np.errstate(all="ignore"):
        if router["strategy"] == "similarity":
            norm_x = np.maximum(np.linalg.norm(x, axis=1), 1e-12)
            norm_w = np.maximum(np.linalg.norm(w, axis=1), 1e-12)
            l = (x @ w.T) / (norm_x[:, None] * norm_w[None, :]) / router["temperature"]
        else:
            if projection["layers"] == 2:
                x = x @ weights["router.hidden.weight"].T
                if projection["bias"]:
                    x = x + weights["router.hidden.bias"]
                x = activate(projection["activation"], x)
            l = x @ w.T
            if projection["bias"]:
                l = l + weights["router.bias"]
        if router["softcap"] > 0:
            l = router["softcap"] * np.tanh(l / router["softcap"])
    if projection["dtype"] == "input":
        l = round_to(l, spec["dtype"]["activation"])
    return l


def exact_logits(spec):
    """Whether the logits are nothing but sums of products, so that f32 finds the very same."""
    router = spec["router"]
    return router["strategy"] == "learned" and router["projection"]["layers"] == 1


# --- Section 3.2: scores ---------------------------------------------------------------------


def scores(spec, l):
    return score(spec, l) if spec["router"]["score_on"] == "all" else l


# --- Section 3.3: choice ---------------------------------------------------------------------


def descending(values):
    """Indices by descending value: of equal ones the lower first, NaN last."""
    return np.argsort(-values, axis=-1, kind="stable")


def choice_values(spec, weights, state, s):
    """q [T, N] before groups mask it."""
    q = s
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
        total = np.zeros((len(w), 1))
        for j in range(w.shape[1]):
            total[:, 0] += w[:, j]
        with np.errstate(all="ignore"):
            if renormalize["mode"] == "add":
                w = w / (total + renormalize["eps"])
            else:
                w = w / np.maximum(total, renormalize["eps"])
    return scale_weights(spec, weights, w, indices)


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
    share = tokens * router["top_k"] / experts * router["balance"]["factor"]
    count = min(tokens, math.ceil(share))
    taken = np.zeros((tokens, experts), bool)
    order = descending(np.where(finite[:, None], q, np.nan).T)[:, :count]
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


# --- How close a choice was ------------------------------------------------------------------


def _gap(a, b, scale):
    """(a - b) in terms of `scale`, with a floor where f32 runs out of exponents."""
    with np.errstate(all="ignore"):
        gap = np.abs(a - b) / np.maximum(scale, 1e-30)
    same = (a == b) | (np.isnan(a) & np.isnan(b))  # -inf beside -inf has no gap to measure
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))


def _amplification(spec, l):
    """How much larger than one rounding a logit's error may be, per token [T]."""
    if exact_logits(spec) and spec["router"]["softcap"] == 0:
        return np.ones(len(l))
    return np.maximum(1.0, np.max(np.abs(l), axis=1, initial=0.0))


def _rounding_margin(spec, weights, x):
    """Per token, how close its logits are to where rounding them to the activation type flips."""
    router, dtype = spec["router"], spec["dtype"]["activation"]
    projection = router["projection"]
    exact = exact_logits(spec) and router["softcap"] == 0
    if projection["dtype"] != "input" or dtype == "f32" or exact:
        return np.full(len(x), np.inf)
    wide = dict(spec, router=dict(router, projection=dict(projection, dtype="f32")))
    l = logits(wide, weights, x)
    with np.errstate(all="ignore"):
        spacing = np.ldexp(1.0, np.frexp(l)[1] - _FLOATS[dtype][0])
        distance = np.abs(l / spacing - np.floor(l / spacing) - 0.5) * spacing
        relative = distance / np.maximum(np.max(np.abs(l), axis=1, keepdims=True), 1e-30)
    # A flip takes an error of a few f32 roundings, so it is a tenth as easy as other ties.
    return 10 * np.min(relative, axis=1, initial=np.inf)


def _term_size(spec, weights, state, s):
    """Size of the terms that q is the sum of [T, N]: what its rounding errors are relative to."""
    size = np.abs(s)
    if spec["router"]["score"] != "softmax" or spec["router"]["score_on"] == "selected":
        size = np.broadcast_to(np.max(size, axis=1, keepdims=True, initial=0.0), s.shape)
    if has_selection_bias(spec):
        size = size + np.abs(selection_bias(spec, weights, state))
    if spec["router"]["load_balancing"] == "load_aware":
        size = size + np.abs(load_penalty(spec, state))
    return size


def _added(spec, weights, state, experts):
    """What is added to each expert's score [N]; equal scores stay equal where this is equal."""
    added = np.zeros(experts)
    if has_selection_bias(spec):
        added = added + selection_bias(spec, weights, state)
    if spec["router"]["load_balancing"] == "load_aware":
        added = added - load_penalty(spec, state)
    return added


def _tied(spec, exact, sa, sb, ba, bb):
    """Whether q = s + b is the very same for both in any arithmetic.

    It is where equal exact logits give equal scores, and where the score is the logit.
    """
    router = spec["router"]
    plain = router["score"] == "identity" or router["score_on"] == "selected"
    if plain and router["softcap"] == 0 and router["load_balancing"] != "load_aware":
        return exact & (sa + ba == sb + bb)
    return exact & (sa == sb) & (ba == bb)


def _exact_tokens(spec, l):
    """Where f32 finds the very same logits [T]: always, or where they are sums of nothing."""
    return np.full(len(l), exact_logits(spec)) | (l == 0).all(axis=1)


def group_margin(spec, exact, size, added, s, q):
    """Per token, the relative gap between the last group kept and the first one lost."""
    groups = spec["router"]["groups"]
    count, keep = groups["count"], groups["keep"]
    _, group_scores, _ = mask_groups(spec, q)
    if keep == count:
        return np.full(len(q), np.inf)
    parts = (len(q), count, q.shape[1] // count)
    rows, order = np.arange(len(q)), descending(group_scores)
    last, first = order[:, keep - 1], order[:, keep]
    group_size = size.reshape(parts).max(axis=2)
    scale = np.maximum(group_size[rows, last], group_size[rows, first])
    gap = _gap(group_scores[rows, last], group_scores[rows, first], scale)

    tops = descending(q.reshape(parts))[..., : 1 if groups["reduce"] == "max" else 2]

    def terms(values):
        best = np.take_along_axis(values.reshape(parts), tops, axis=2)
        return best[rows, last], best[rows, first]

    tied = _tied(spec, exact[:, None], *terms(s), *terms(added)).all(axis=1)
    return np.where(tied, np.inf, gap)


def choice_margin(spec, weights, state, l, s, q):
    """Per token, the smallest relative gap that decided who is chosen and in which order."""
    size, exact = _term_size(spec, weights, state, s), _exact_tokens(spec, l)
    added = np.broadcast_to(_added(spec, weights, state, q.shape[1]), q.shape)
    margin = np.full(len(q), np.inf)
    masked = np.zeros(q.shape, bool)
    if spec["router"]["groups"]["count"] > 1:
        margin = group_margin(spec, exact, size, added, s, q)
        q, _, kept = mask_groups(spec, q)
        masked = ~np.repeat(kept, q.shape[1] // kept.shape[1], axis=1)
    order = descending(q)
    for j in range(min(spec["router"]["top_k"], q.shape[1] - 1)):

        def pair(values):
            return (np.take_along_axis(values, order[:, i : i + 1], 1)[:, 0] for i in (j, j + 1))

        (qa, qb), (za, zb), (sa, sb), (ba, bb) = pair(q), pair(size), pair(s), pair(added)
        ma, mb = pair(masked)
        gap = _gap(qa, qb, np.maximum(za, zb))
        tied = np.where(ma | mb, ma & mb, _tied(spec, exact, sa, sb, ba, bb)) & (qa == qb)
        margin = np.minimum(margin, np.where(tied, np.inf, gap))
    return margin / _amplification(spec, l)


def expert_choice_margin(spec, weights, state, l, s, q, taken):
    """Per token, the smallest relative gap to one on the other side of an expert's cut."""
    margin = np.full(len(q), np.inf)
    size = _term_size(spec, weights, state, s)
    for e in range(q.shape[1]):
        inside, outside = np.flatnonzero(taken[:, e]), np.flatnonzero(~taken[:, e])
        if not len(inside) or not len(outside):
            continue
        last = inside[descending(q[inside, e])[-1]]
        first = outside[descending(q[outside, e])[0]]
        for tokens, other in ((inside, first), (outside, last)):
            gap = _gap(q[tokens, e], q[other, e], np.maximum(size[tokens, e], size[other, e]))
            exact = exact_logits(spec) or q.shape[1] == 1
            tied = _tied(spec, exact, s[tokens, e], s[other, e], 0.0, 0.0)
            if (
                spec["router"]["score"] == "softmax" and q.shape[1] > 1
            ):  # the sums below the line differ otherwise
                tied &= np.all(l[tokens] == l[other], axis=1)
            margin[tokens] = np.minimum(margin[tokens], np.where(tied, np.inf, gap))
    return margin / _amplification(spec, l)


# --- Section 3, together ---------------------------------------------------------------------


@dataclass
class Routing:
    indices: np.ndarray
    weights: np.ndarray
    margin: np.ndarray
    state: dict
    logits: np.ndarray = None
    status: int = 0


def initial_state(spec, weights):
    """State at creation of a layer."""
    state = {}
    if has_loads(spec):
        state["loads"] = np.zeros(total_experts(spec), np.int64)
    if spec["router"]["load_balancing"] == "dynamic":
        state["router.selection_bias"] = weights["router.selection_bias"].copy()
    return state


def route(spec, weights, x, token_ids, state):
    router = spec["router"]
    tokens, k = len(x), router["top_k"]
    margin = np.full(tokens, np.inf)
    state = {name: value.copy() for name, value in state.items()}
    if not is_learned(spec):
        if router["strategy"] == "load_based":
            indices = choose_by_load(spec, tokens, state["loads"])
        else:
            ids = token_ids if router["strategy"] == "hash" else np.arange(tokens)
            indices = choose_by_hash(spec, ids)
        return Routing(indices, np.full((tokens, k), 1.0 / k), margin, state)

    l = logits(spec, weights, x)
    finite = np.isfinite(l).all(axis=1)
    s = scores(spec, l)
    q = choice_values(spec, weights, state, s)
    if router["load_balancing"] == "expert_choice":
        taken = experts_choose(spec, q, finite)
        every = np.broadcast_to(np.arange(router["experts"]), taken.shape)
        indices = np.where(taken, every, -1)
        w = np.where(taken, scale_weights(spec, weights, s, every), 0.0)
        margin = expert_choice_margin(spec, weights, state, l, s, q, taken)
    else:
        if router["load_balancing"] == "round_robin":
            indices = round_robin(spec, tokens)
        else:
            masked = mask_groups(spec, q)[0] if router["groups"]["count"] > 1 else q
            indices = descending(masked)[:, :k]
            margin = choice_margin(spec, weights, state, l, s, q)
        w = np.where(finite[:, None], slot_weights(spec, weights, s, indices), 0.0)
        indices = np.where(finite[:, None], indices, -1)
    margin = np.minimum(margin, _rounding_margin(spec, weights, x))
    margin = np.where(finite, margin, np.inf)
    if "loads" in state:
        state["loads"] = state["loads"] + count_slots(indices, total_experts(spec))
    status = 0 if finite.all() else 1 + int(np.argmin(finite))
    return Routing(indices, w, margin, state, l, status)


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
            if spec["capacity"]["priority"] == "probability":
                ordered = mine[descending(flat_weights[mine])]
                _capacity_margin(spec, margin, ordered, limit, slots, flat_weights, logits_)
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


def _capacity_margin(spec, margin, ordered, limit, slots, w, l):
    """Lowers the margins of the tokens whose slots kept or lost a place by little."""
    router = spec["router"]
    softmaxed = router["score"] == "softmax" and slots > 1
    last, first = ordered[limit - 1], ordered[limit]
    for some, other in ((ordered[:limit], first), (ordered[limit:], last)):
        gap = _gap(w[some], w[other], np.maximum(np.abs(w[some]), np.abs(w[other])))
        tied = w[some] == w[other]
        # Weights made from whole rows of logits are the very same only if the rows are.
        if l is not None and slots > 1 and (softmaxed or router["renormalize"]):
            tied &= np.all(l[some // slots] == l[other // slots], axis=1)
        np.minimum.at(margin, some // slots, np.where(tied, np.inf, gap))


def imbalance(counts):
    mean = counts.mean()
    return float(counts.std() / mean) if mean > 0 else 0.0


# --- Section 5: experts ----------------------------------------------------------------------


def feed_forward(spec, v, gate, up, down, biases=(0.0, 0.0, 0.0)):
    """F(v) and the same with every term of the last product positive."""
    activation = spec["experts"]["activation"]
    gate_bias, up_bias, down_bias = biases
    with np.errstate(all="ignore"):
        u = v @ up.T + up_bias
        if spec["experts"]["form"] == "glu":
            h = activate(activation, v @ gate.T + gate_bias, u)
        else:
            h = activate(activation, u)
        return h @ down.T + down_bias, np.abs(h) @ np.abs(down).T + np.abs(down_bias)


def expert(spec, weights, e, v):
    glu = spec["experts"]["form"] == "glu"
    gate = weights["experts.gate.weight"][e] if glu else None
    biases = (0.0, 0.0, 0.0)
    if spec["experts"]["bias"]:
        names = ("gate", "up", "down")
        biases = [weights[f"experts.{n}.bias"][e] if n != "gate" or glu else 0.0 for n in names]
    up, down = weights["experts.up.weight"][e], weights["experts.down.weight"][e]
    return feed_forward(spec, v, gate, up, down, biases)


def routed_output(spec, weights, x, indices, w, grouping):
    """y before the shared expert, and its magnitude."""
    router = spec["router"]
    experts = router["experts"]
    latent = spec["experts"]["latent"] > 0
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
    if latent:
        up = weights["latent.up.weight"]
        y, size = y @ up.T, size @ np.abs(up).T
    return y, size


def add_shared(spec, weights, x, y, size):
    """y with the shared expert's part, and its magnitude."""
    if spec["shared"]["intermediate"] == 0:
        return y, size
    glu = spec["experts"]["form"] == "glu"
    h, h_size = feed_forward(
        spec,
        x,
        weights["shared.gate_proj.weight"] if glu else None,
        weights["shared.up.weight"],
        weights["shared.down.weight"],
    )
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
    f = np.array([np.any(indices == e, axis=1).mean() for e in range(experts)])
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


def forward(spec, weights, x, token_ids=None, state=None):
    spec = resolve(spec)
    if state is None:
        state = initial_state(spec, weights)
    routing = route(spec, weights, x, token_ids, state)
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
    )


def weight_table(spec):
    """The weights of a spec: name -> (shape, dtype)."""
    spec = resolve(spec)
    router, experts, shared = spec["router"], spec["experts"], spec["shared"]
    d, e, n, i = spec["hidden"], router["experts"], total_experts(spec), experts["intermediate"]
    m, s, h = experts["latent"] or d, shared["intermediate"], router["projection"]["hidden"]
    two, glu = router["projection"]["layers"] == 2, experts["form"] == "glu"
    bias, matrix = router["projection"]["bias"], spec["dtype"]["weights"]
    rows = [
        ("router.weight", (n, h if two else d), matrix, is_learned(spec)),
        ("router.bias", (n,), "f32", bias),
        ("router.hidden.weight", (h, d), matrix, two),
        ("router.hidden.bias", (h,), "f32", two and bias),
        ("router.selection_bias", (n,), "f32", has_selection_bias(spec)),
        ("router.expert_scale", (e,), "f32", router["expert_scale"]),
        ("experts.gate.weight", (e, i, m), matrix, glu),
        ("experts.up.weight", (e, i, m), matrix, True),
        ("experts.down.weight", (e, m, i), matrix, True),
        ("experts.gate.bias", (e, i), "f32", experts["bias"] and glu),
        ("experts.up.bias", (e, i), "f32", experts["bias"]),
        ("experts.down.bias", (e, m), "f32", experts["bias"]),
        ("latent.down.weight", (m, d), matrix, experts["latent"] > 0),
        ("latent.up.weight", (d, m), matrix, experts["latent"] > 0),
        ("shared.gate_proj.weight", (s, d), matrix, s > 0 and glu),
        ("shared.up.weight", (s, d), matrix, s > 0),
        ("shared.down.weight", (d, s), matrix, s > 0),
        ("shared.gate.weight", (1, d), matrix, shared["gate"] == "sigmoid"),
        ("shared.gate.weight", (2, d), matrix, shared["gate"] == "softmax2"),
        ("shared.gate.bias", (2,), "f32", shared["gate"] == "softmax2"),
    ]
    return {name: (shape, dtype) for name, shape, dtype, present in rows if present}


def longest_reduction(spec):
    """Length of the longest sum of products in a forward."""
    spec = resolve(spec)
    shapes = [shape for shape, _ in weight_table(spec).values() if len(shape) > 1]
    return max(shape[-1] for shape in shapes)


# --- Section 7: averaging and quantisation ---------------------------------------------------


def accumulate(total, values):
    return np.float32(total) + np.float32(values)


def average(sets):
    """The mean [n] in f32 and the status."""
    total = np.zeros(sets.shape[1])
    for values in sets.astype(np.float64):
        total = total + values
    finite = np.isfinite(sets).all(axis=0)
    status = 0 if finite.all() else 1 + int(np.argmin(finite))
    return (total / len(sets)).astype(np.float32), status


def _fp8_values(exponent_bits, mantissa_bits, finite_only):
    """The values of all 256 codes; what is not a number is NaN."""
    values = np.zeros(256)
    bias = 2 ** (exponent_bits - 1) - 1
    for code in range(128):
        exponent, mantissa = code >> mantissa_bits, code & ((1 << mantissa_bits) - 1)
        fraction = mantissa / (1 << mantissa_bits)
        if exponent == 0:
            value = fraction * 2.0 ** (1 - bias)
        else:
            value = (1 + fraction) * 2.0 ** (exponent - bias)
        special = code == 127 if finite_only else exponent == (1 << exponent_bits) - 1
        values[code] = np.nan if special else value
    values[128:] = -values[:128]
    return values


FP8 = {
    "fp8_e4m3": (_fp8_values(4, 3, True), 448.0),
    "fp8_e5m2": (_fp8_values(5, 2, False), 57344.0),
}
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def nearest_code(magnitudes, table):
    """The code of the nearest value of an ascending table, ties to the even code, saturating."""
    above = np.clip(np.searchsorted(table, magnitudes), 1, len(table) - 1)
    low, high = table[above - 1], table[above]
    with np.errstate(all="ignore"):
        up = (magnitudes - low > high - magnitudes) | (
            (magnitudes - low == high - magnitudes) & (above % 2 == 0)
        )
    return np.where(up, above, above - 1)


def quantize(kind, block, values):
    """data, scales, status."""
    values = np.asarray(values, np.float32)
    finite = np.isfinite(values)
    status = 0 if finite.all() else 1 + int(np.argmin(finite))
    values = np.where(finite, values, np.float32(0))
    data, scales = [], []
    for begin in range(0, len(values), block):
        d, s = _quantize_block(kind, values[begin : begin + block])
        data.append(d)
        scales.append(s)
    data = np.concatenate(data) if data else np.zeros(0, np.uint8)
    if kind == "mxfp4":
        data = np.append(data, np.zeros(len(data) % 2, np.uint8))
        data = data[0::2] | (data[1::2] << 4)
        return data.astype(np.uint8), np.array(scales, np.uint8), status
    kinds = {"blockwise_int8": np.int8}
    return data.astype(kinds.get(kind, np.uint8)), np.array(scales, np.float32), status


def _quantize_block(kind, v):
    largest = np.max(np.abs(v))
    if kind == "mxfp4":
        if largest == 0:
            return np.zeros(len(v), np.uint8), 0
        exponent = int(clamp(math.frexp(float(largest))[1] - 1 - 2, -127, 127))
        code = nearest_code(np.ldexp(np.abs(v).astype(np.float64), -exponent), FP4)
        return (code | np.where(np.signbit(v), 8, 0)).astype(np.uint8), 127 + exponent
    top = np.float32(127.0) if kind == "blockwise_int8" else np.float32(FP8[kind][1])
    scale = np.float32(largest / top)
    if scale == 0:
        return np.zeros(len(v), np.int64), scale
    scaled = v / scale
    if kind == "blockwise_int8":
        return clamp(np.rint(scaled), -127, 127).astype(np.int64), scale
    table = FP8[kind][0][:128]
    code = nearest_code(np.abs(scaled).astype(np.float64), table[np.isfinite(table)])
    return code | np.where(np.signbit(v), 128, 0), scale


def dequantize(kind, block, data, scales, count):
    """The values, f32."""
    blocks = np.arange(count) // block
    if kind == "mxfp4":
        codes = np.stack([data & 15, data >> 4], axis=1).ravel()[:count]
        values = np.where(codes & 8, -1.0, 1.0) * FP4[codes & 7]
        exponents = scales[blocks].astype(np.int64) - 127
        return np.ldexp(values, exponents).astype(np.float32)
    values = data.astype(np.float32) if kind == "blockwise_int8" else FP8[kind][0][data]
    return (values.astype(np.float32) * scales[blocks]).astype(np.float32)
