"""Section 1 of docs/Spec.md: defaults, and what a spec has."""

import copy

from weight_formats import DEFAULT, default_block, parts, quantization_of

DEFAULTS = {
    "moe_spec": 1,
    "name": "layer",
    "router": {
        "strategy": "learned",
        "score": "softmax",
        "score_on": "all",
        "renormalize": False,
        "input_norm": {"factor": 1.0},
        "projection": {
            "form": "feed_forward",
            "layers": 1,
            "bias": False,
            "dtype": "f32",
            "eps": 1e-6,
            "chained": False,
        },
        "scale": 1.0,
        "expert_scale": False,
        "softcap": 0.0,
        "selection_bias": False,
        "groups": {"count": 1, "keep": 1, "reduce": "sum_top2", "fill": "neg_inf"},
        "temperature": 1.0,
        "threshold": 0.01,
        "vocabulary": 0,
        "always_on": 0,
        "load_balancing": "token_choice",
        "balance": {"rate": 0.001, "lambda": 1.0, "factor": 1.0},
        "null_experts": {"count": 0, "kind": "identity"},
        "weight_on": "output",
        "seed": 0,
    },
    "experts": {
        "form": "glu",
        "activation": "silu",
        "bias": False,
        "output_bias": False,
        "gate_up": "separate",
        "latent": 0,
        "quantization": DEFAULT,
    },
    "shared": {
        "intermediate": 0,
        "gate_up": "separate",
        "gate": "none",
        "scale": 1.0,
        "quantization": DEFAULT,
    },
    "capacity": {"overflow": "drop", "scope": "global", "priority": "token_order"},
    "losses": {
        "load_balance": 0.0,
        "load_balance_form": "hf",
        "importance": 0.0,
        "router_z": 0.0,
    },
    "dtype": {"activation": "f32", "accumulate": "f32", "products": "f32"},
    "parallel": {
        "grid": {"dp": 1, "ep": 1, "tp": 1},
        "experts_on": "ep",
        "exchange": "all_to_all",
        "sequence_parallel": False,
    },
    "averaging": {
        "group_size": 4,
        "match_timeout_ms": 0,
        "exchange_timeout_ms": 0,
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
    router["projection"].setdefault("activation", "gelu" if is_recurrent(full) else "relu")
    renormalize = router["renormalize"]
    if renormalize is True:
        renormalize = {}
    if isinstance(renormalize, dict):
        router["renormalize"] = {"eps": 0.0, "mode": "add", "p": 1.0, **renormalize}
    full["shared"].setdefault("activation", full["experts"]["activation"])
    for section in ("experts", "shared"):
        quantization = full[section]["quantization"]
        quantization.setdefault("block", default_block(quantization["kind"]))
    dtype = full["dtype"]
    dtype.setdefault("weights", dtype["activation"])
    dtype.setdefault("router", dtype["weights"])
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
    return router["experts"] if choice else router["top_k"] + router["always_on"]


def is_learned(spec):
    """Whether the largest scores are chosen."""
    return spec["router"]["strategy"] in ("learned", "similarity")


def has_logits(spec):
    return is_learned(spec) or spec["router"]["strategy"] in ("table", "sparsemixer")


def is_recurrent(spec):
    return spec["router"]["projection"]["form"] == "recurrent"


def has_loads(spec):
    router = spec["router"]
    return router["strategy"] == "load_based" or router["load_balancing"] in (
        "load_aware",
        "dynamic",
    )


def has_selection_bias(spec):
    router = spec["router"]
    return router["selection_bias"] or router["load_balancing"] == "dynamic"


def weight_table(spec):
    """The weights of a spec as they are stored: name -> (shape, dtype)."""
    spec = resolve(spec)
    table = {}
    for name, (shape, dtype) in _value_table(spec).items():
        quantization = quantization_of(spec, name)
        plain = {name: (shape, dtype)}
        table |= parts(name, shape, quantization) if quantization else plain
    return table


def _value_table(spec):
    """The same before anything is stored in few bits."""
    router, experts, shared = spec["router"], spec["experts"], spec["shared"]
    d, e, n, i = spec["hidden"], router["experts"], total_experts(spec), experts["intermediate"]
    m, s, h = experts["latent"] or d, shared["intermediate"], router["projection"]["hidden"]
    recurrent, k = is_recurrent(spec), router["top_k"]
    two = recurrent or router["projection"]["layers"] == 2
    glu, choices = experts["form"] == "glu", n - router["always_on"]
    bias, matrix = router["projection"]["bias"], spec["dtype"]["weights"]
    router_matrix = spec["dtype"]["router"]
    apart, shared_apart = (part["gate_up"] == "separate" for part in (experts, shared))
    rows = [
        ("router.weight", (n, h if two else d), router_matrix, has_logits(spec)),
        ("router.bias", (n,), "f32", bias),
        ("router.hidden.weight", (h, h if recurrent else d), router_matrix, two),
        ("router.hidden.bias", (h,), "f32", recurrent or (two and bias)),
        ("router.hidden2.weight", (h, h), router_matrix, recurrent),
        ("router.hidden2.bias", (h,), "f32", recurrent),
        ("router.state.down.weight", (h, d), router_matrix, recurrent),
        ("router.state.down.bias", (h,), "f32", recurrent),
        ("router.state.scale", (h,), "f32", router["projection"]["chained"]),
        ("router.norm.weight", (h,), "f32", recurrent),
        ("router.input_scale", (d,), "f32", "eps" in router["input_norm"]),
        ("router.table", (router["vocabulary"], k), "i32", router["strategy"] == "table"),
        ("router.selection_bias", (choices,), "f32", has_selection_bias(spec)),
        ("router.expert_scale", (e,), "f32", router["expert_scale"]),
        ("experts.gate.weight", (e, i, m), matrix, glu and apart),
        ("experts.up.weight", (e, i, m), matrix, apart),
        ("experts.gate_up.weight", (e, 2 * i, m), matrix, not apart),
        ("experts.down.weight", (e, m, i), matrix, True),
        ("experts.gate.bias", (e, i), "f32", experts["bias"] and glu and apart),
        ("experts.up.bias", (e, i), "f32", experts["bias"] and apart),
        ("experts.gate_up.bias", (e, 2 * i), "f32", experts["bias"] and not apart),
        ("experts.down.bias", (e, m), "f32", experts["bias"]),
        ("experts.output_bias", (d,), "f32", experts["output_bias"]),
        ("latent.down.weight", (m, d), matrix, experts["latent"] > 0),
        ("latent.up.weight", (d, m), matrix, experts["latent"] > 0),
        ("experts.input_scale", (d,), "f32", "input_norm" in experts),
        ("latent.norm.weight", (m,), "f32", "latent_norm" in experts),
        ("shared.gate_proj.weight", (s, d), matrix, s > 0 and glu and shared_apart),
        ("shared.up.weight", (s, d), matrix, s > 0 and shared_apart),
        ("shared.gate_up.weight", (2 * s, d), matrix, s > 0 and not shared_apart),
        ("shared.down.weight", (d, s), matrix, s > 0),
        ("shared.gate.weight", (1, d), matrix, shared["gate"] == "sigmoid"),
        ("shared.gate.weight", (2, d), matrix, shared["gate"] == "softmax2"),
        ("shared.gate.bias", (2,), "f32", shared["gate"] == "softmax2"),
    ]
    return {name: (shape, dtype) for name, shape, dtype, present in rows if present}


def longest_reduction(spec):
    """Length of the longest sum of products in a forward."""
    spec = resolve(spec)
    table = _value_table(spec).values()
    shapes = [shape for shape, dtype in table if len(shape) > 1 and dtype != "i32"]
    return max(shape[-1] for shape in shapes)
