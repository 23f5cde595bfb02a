"""Random valid specs, the same for the same seed.

    python3 random_spec.py SEED

Every feature has a small chance of its own, so that features meet in every
combination that docs/Spec.md allows. Comments name the constraint they keep.
"""

import json
import random
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "Oracle")]

from weight_formats import UNITS

POSITIVE_SCORES = ["softmax", "sigmoid", "sqrt_softplus", "exp(0.25 * x)", "1 / (1 + abs(x))"]
OTHER_SCORES = ["identity", "tanh(x) + 0.125 * x", "max(x, -1) * 2", "erf(x) - 0.5"]
ACTIVATIONS = """silu swish gelu gelu_erf gelu_tanh gelu_new gelu_pytorch_tanh quick_gelu relu
relu2 sigmoid tanh identity linear""".split()
GLU_ACTIVATIONS = ["swigluoai", "situ"]
# Well conditioned: digits that a formula itself cancels are not lost by the compiler.
FORMULAS = [
    "g * sigmoid(1.5 * g)",
    "max(g, 0.01 * g)",
    "log1p(abs(g)) * g",
    "-(-g - 0.25) / (1 + abs(g))",
    "clamp(g, -0.5, 0.5) + 1e-1",
    "sqrt(g * g + 1)",
    "relu(g) * pow(abs(g) + 1, 0.5)",
    "softplus(g) - exp(-abs(g))",
    "gelu_tanh(g) + silu(-g)",
]
GLU_FORMULAS = ["silu(g) * (u + 1)", "min(g, u) + max(g, u) * tanh(g)", "erf(g) * u - g", "u"]


class Dice:
    """The few shapes of chance that a spec needs."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, *choices):
        return self.random.choice(choices)

    def size(self, largest):
        """From 1 to `largest`, often small, often at an edge of a vector or a block."""
        kind = self.random.random()
        if kind < 0.3:
            return self.random.randint(1, min(9, largest))
        if kind < 0.5:
            edge = self.pick(8, 16, 32, 64, 128) + self.pick(-1, 0, 1)
            return max(1, min(edge, largest))
        return self.random.randint(1, largest)


def token_count(seed):
    """T for a seed: 0 and 1 often, small mostly, up to 300."""
    dice = Dice(f"tokens {seed}")
    kind = dice.random.random()
    if kind < 0.06:
        return 0
    if kind < 0.22:
        return 1
    if kind < 0.75:
        return dice.random.randint(2, 33)
    return dice.random.randint(34, 300)


def random_spec(seed):
    dice = Dice(f"spec {seed}")
    spec = {"moe_spec": 1, "name": f"s{seed}" if dice.chance(0.5) else "layer"}
    spec["hidden"] = dice.size(130)
    router = spec["router"] = {"experts": dice.size(70)}
    spec["experts"] = {"intermediate": dice.size(130)}
    strategies = ["learned"] * 8 + ["similarity", "table", "sparsemixer"] * 2
    strategy = dice.pick(*strategies, *UNLEARNED)
    if strategy != "learned" or dice.chance(0.2):
        router["strategy"] = strategy
    if strategy in UNLEARNED:
        router["top_k"] = _top_k(dice, router["experts"])
        if strategy != "load_based" and dice.chance(0.7):
            router["seed"] = dice.pick(1, 42, 2**32 + 1, 2**53 - 1)
    else:
        _learned_router(dice, spec, strategy)
    if dice.chance(0.15):
        router["weight_on"] = "input"
    _fix_weight_on(router)
    _experts(dice, spec)
    _shared(dice, spec)
    _capacity(dice, spec)
    _dtypes(dice, spec)
    _avoid_ties(spec)
    if dice.chance(0.1):
        spec["weights"] = {"layer": 3, "prefix": "model.layers.{l}.mlp."}
    if router.get("load_balancing") == "dynamic" and dice.chance(0.8):  # [S14]
        spec["functions"] = ["forward", "step"]
    _variants(dice, spec)
    _quantization(Dice(f"quantization {seed}"), spec)
    _activations(Dice(f"activations {seed}"), spec)
    _products(Dice(f"products {seed}"), spec)
    return spec


UNLEARNED = ("hash", "random", "load_based")


def _top_k(dice, limit):
    if dice.chance(0.1):
        return limit  # [S3]
    return dice.random.randint(1, min(limit, dice.pick(1, 2, 4, 8)))


def _learned_router(dice, spec, strategy):
    router = spec["router"]
    balancing = "token_choice"
    scored = strategy in ("learned", "similarity")
    if scored and dice.chance(0.4):  # [S7]
        balancing = dice.pick("expert_choice", "dynamic", "round_robin", "load_aware")
        router["load_balancing"] = balancing
        if dice.chance(0.5):
            router["balance"] = {
                "rate": dice.pick(0.001, 0.25),
                "lambda": dice.pick(0.5, 1, 0.0625),
                "factor": dice.pick(0.25, 0.5, 1, 1.25, 2),
            }
    restricted = not scored or balancing in ("expert_choice", "round_robin")
    if not restricted and dice.chance(0.15):  # [S7], [S9]
        kind = dice.pick("identity", "skip")
        router["null_experts"] = {"count": dice.random.randint(1, 9), "kind": kind}
    total = router["experts"] + router.get("null_experts", {}).get("count", 0)
    if scored and balancing == "token_choice" and total == router["experts"] > 1:  # [S21]
        if dice.chance(0.15):
            router["always_on"] = dice.random.randint(1, min(total - 1, 4))
            total -= router["always_on"]
    router["top_k"] = _top_k(dice, router["experts"] if restricted else total)
    if strategy == "sparsemixer":
        router["experts"] = max(2, router["experts"])
        router["top_k"] = 2  # [S20]
        # No simple fraction, which distances of logits often are.
        router["threshold"] = dice.pick(0, 0.0113, 0.0796, 0.2251, 0.618)
    else:
        _score(dice, router, balancing)
    if strategy == "table":
        router["vocabulary"] = dice.size(300)  # [S19]
    if strategy != "similarity":
        _projection(dice, spec)  # [S8]
    elif dice.chance(0.5):
        router["temperature"] = dice.pick(0.125, 0.5, 2)
    if dice.chance(0.12):
        router["input_norm"] = {"eps": dice.pick(1e-6, 0.125)}
        if dice.chance(0.5):
            router["input_norm"]["factor"] = dice.pick(0.25, 1.5)
    if not restricted and router.get("score_on") != "selected":  # [S5]
        _groups(dice, router, total)
    for key, probability, values in [
        ("scale", 0.15, (2.5, 0.5, 1)),
        ("expert_scale", 0.12, (True,)),
        ("softcap", 0.1, (0.5, 2, 30)),
        ("selection_bias", 0.15, (True,)),
    ]:
        if dice.chance(probability) and (scored or key != "selection_bias"):  # [S6]
            router[key] = dice.pick(*values)
    if dice.chance(0.25):
        losses = {"load_balance": 0.01, "importance": 0.125, "router_z": 0.001}
        spec["losses"] = {name: c for name, c in losses.items() if dice.chance(0.6)}
        if dice.chance(0.4):
            spec["losses"]["load_balance_form"] = dice.pick("hf", "switch")


def _score(dice, router, balancing):
    score = "softmax"
    if dice.chance(0.5):
        score = dice.pick(*POSITIVE_SCORES * 2, *OTHER_SCORES)
        router["score"] = score
    if balancing == "expert_choice":  # [S7]
        return
    if dice.chance(0.2):
        router["score_on"] = dice.pick("selected", "selected", "all")
    # The sum of weights that may cancel is no divisor.
    if score in POSITIVE_SCORES and dice.chance(0.4):
        eps = {"eps": dice.pick(1e-20, 0.125), "mode": dice.pick("add", "clamp")}
        router["renormalize"] = dice.pick(True, False, eps, {"p": dice.pick(0.5, 2, 3, 40)})


def _projection(dice, spec):
    projection = {}
    if dice.chance(0.12):
        projection["form"] = "recurrent"
        projection["hidden"] = 7 + dice.size(64)
        if dice.chance(0.6):
            projection["chained"] = True
        if dice.chance(0.5):
            projection["eps"] = dice.pick(1e-5, 0.125)
    elif dice.chance(0.12):
        projection["layers"] = 2
        if dice.chance(0.7):
            projection["hidden"] = 1 + dice.size(70)
        if dice.chance(0.5):
            projection["activation"] = dice.pick("silu", "gelu", "tanh", *FORMULAS)
    if dice.chance(0.2):
        projection["bias"] = True
    if dice.chance(0.1):
        projection["dtype"] = dice.pick("input", "f32")
    if projection:
        spec["router"]["projection"] = projection


def _groups(dice, router, total):
    """[S4]: equal groups, of which the kept ones hold at least top_k experts."""
    counts = [c for c in range(2, total + 1) if total % c == 0]
    if not counts or not dice.chance(0.25):
        return
    count = dice.pick(*counts)
    size = total // count
    least = -(-router["top_k"] // size)
    groups = {"count": count, "keep": dice.random.randint(least, count)}
    groups["reduce"] = dice.pick("max", "sum_top2") if size >= 2 else "max"
    groups["fill"] = dice.pick("zero", "neg_inf")
    router["groups"] = groups


def _fix_weight_on(router):
    nulls = router.get("null_experts")
    if nulls and router.get("weight_on") == "input":
        nulls["kind"] = "skip"  # [S10]


def _experts(dice, spec):
    experts = spec["experts"]
    glu = not dice.chance(0.25)
    if not glu or dice.chance(0.2):
        experts["form"] = "glu" if glu else "mlp"
    if dice.chance(0.6):
        formulas = FORMULAS + GLU_FORMULAS * 2 if glu else FORMULAS
        names = ACTIVATIONS + GLU_ACTIVATIONS * 2 if glu else ACTIVATIONS
        experts["activation"] = dice.pick(*names, *formulas)
    if dice.chance(0.2):
        experts["bias"] = True
    if dice.chance(0.12):
        experts["latent"] = dice.size(70)


def _shared(dice, spec):
    if dice.chance(0.2):
        spec["shared"] = {"intermediate": dice.size(100)}  # [S13]
        if dice.chance(0.6):
            spec["shared"]["gate"] = dice.pick("sigmoid", "softmax2")


def _capacity(dice, spec):
    router = spec["router"]
    never = router.get("load_balancing") == "expert_choice" or "always_on" in router  # [S7], [S21]
    if never or not dice.chance(0.25):
        return
    if dice.chance(0.6):
        capacity = {"factor": dice.pick(0.25, 0.5, 1, 1.25, 2)}  # [S10]
    else:
        capacity = {"tokens": dice.size(40)}
    if dice.chance(0.4) and spec["router"].get("weight_on") != "input":
        capacity["overflow"] = "pass_through"
    if dice.chance(0.4):
        capacity["priority"] = dice.pick("probability", "choice_order")
    if dice.chance(0.1):
        capacity["scope"] = "local"
    spec["capacity"] = capacity


def _avoid_ties(spec):
    """Tokens compete by rounding errors where short vectors of few values are all alike."""
    router = spec["router"]
    if (
        router.get("strategy") == "similarity"
        or router.get("load_balancing") == "expert_choice"
        or spec.get("capacity", {}).get("priority") == "probability"
    ):
        spec["hidden"] += 7


def _dtypes(dice, spec):
    if dice.chance(0.5):
        spec["dtype"] = {"activation": dice.pick("bf16", "bf16", "f16", "f32")}
        if dice.chance(0.3):
            spec["dtype"]["weights"] = dice.pick("bf16", "f16", "f32")
        if dice.chance(0.2):
            spec["dtype"]["router"] = dice.pick("bf16", "f16", "f32")


def _variants(dice, spec):
    """What few layers have of an expert's surroundings and storage."""
    experts, shared = spec["experts"], spec.get("shared")
    glu = experts.get("form") != "mlp"
    if dice.chance(0.1):
        experts["output_bias"] = True
    if glu and dice.chance(0.25):  # [S29]
        experts["gate_up"] = dice.pick("concatenated", "interleaved", "interleaved", "separate")
    if dice.chance(0.1):
        experts["input_norm"] = dice.pick(1e-6, 1e-5, 0.125)
    if experts.get("latent") and dice.chance(0.4):  # [S28]
        experts["latent_norm"] = dice.pick(1e-6, 1e-5, 0.125)
    if not shared:
        return
    if dice.chance(0.3):
        formulas = FORMULAS + GLU_FORMULAS * 2 if glu else FORMULAS
        shared["activation"] = dice.pick("silu", "gelu", "relu2", *formulas)
    if dice.chance(0.3):
        shared["scale"] = dice.pick(0.5, 2.5, -1)
    if glu and dice.chance(0.3):
        shared["gate_up"] = dice.pick("concatenated", "interleaved")


def _quantization(dice, spec):
    """[S24] to [S27]; sizes are rounded up to what a kind needs."""
    for section, others in (("experts", ("latent",)), ("shared", ())):
        part = spec.get(section, {})
        if "intermediate" not in part or not dice.chance(0.3):
            continue
        kind = dice.pick("fp8_e4m3", "int8", "int4", "int4", "mxfp4", "nvfp4")
        part["quantization"] = {"kind": kind}
        if kind in ("fp8_e4m3", "int8", "int4"):
            outputs, inputs = (dice.pick(0, 1, 2, 7, 16, 128) for _ in range(2))
            if kind == "int4":
                inputs += inputs % 2
                part["quantization"]["zero_points"] = dice.chance(0.5)
            if dice.chance(0.8):
                part["quantization"]["block"] = [outputs, inputs]
        unit = UNITS.get(kind, 1)
        for owner, key in ((spec, "hidden"), *((part, key) for key in ("intermediate", *others))):
            if key in owner:
                owner[key] += -owner[key] % unit
        outputs, joined = part["quantization"].get("block", [1])[0], part.get("gate_up")
        split = joined == "concatenated" and part["intermediate"] % (outputs or 1)
        if outputs > 1 and (split or (joined == "interleaved" and outputs % 2)):  # [S30]
            part["quantization"]["block"][0] = 1


def _activations(dice, spec):
    """[S33]; not of rows that are exact multiples of what only rounding knows: many of their values
    lie in the middle between two codes."""
    scaled = spec["router"].get("weight_on") == "input" or "input_norm" in spec["experts"]
    for section in ("experts", "shared"):
        quantization = spec.get(section, {}).get("quantization", {})
        fits = quantization.get("kind") == "fp8_e4m3" and quantization.get("block", [1, 0])[1] > 0
        fits &= section == "shared" or not scaled
        if fits and dice.chance(0.5):
            quantization["activations"] = "fp8_e4m3"


def _products(dice, spec):
    """[S34]"""
    dtype = spec.get("dtype", {})
    rows = dtype.get("activation", "f32")
    if {rows, dtype.get("weights", rows)} == {"f32"} and dice.chance(0.2):
        spec["dtype"] = {**dtype, "products": "tf32"}


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("usage: random_spec.py SEED")
    print(json.dumps(random_spec(int(sys.argv[1])), indent=2))


if __name__ == "__main__":
    main()
