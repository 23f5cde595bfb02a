"""Small specs, and what the oracle makes of them."""

import numpy as np

import oracle


def make_spec(experts=4, top_k=2, hidden=3, intermediate=2, **sections):
    router = {"experts": experts, "top_k": top_k, **sections.pop("router", {})}
    inner = {"intermediate": intermediate, **sections.pop("experts_section", {})}
    return oracle.resolve({"hidden": hidden, "router": router, "experts": inner, **sections})


def random_weights(spec, seed=0):
    rng = np.random.default_rng(seed)
    table = oracle.weight_table(spec)
    return {name: rng.uniform(-1, 1, shape) for name, (shape, _) in table.items()}


def logit_spec(values, **router):
    """A spec and its weights whose logits are `values` when x is the identity."""
    values = np.array(values, np.float64)
    tokens, experts = values.shape
    router = {"top_k": 2, **router}
    spec = make_spec(experts, router.pop("top_k"), tokens, router={"score": "identity", **router})
    weights = random_weights(spec)
    weights["router.weight"] = values.T.copy()
    return spec, weights, np.eye(tokens)


def run_logits(values, extra=None, state=None, **router):
    spec, weights, x = logit_spec(values, **router)
    weights.update(extra or {})
    return oracle.forward(spec, weights, x, None, state)
