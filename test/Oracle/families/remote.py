"""Models whose code is on the hub or nowhere: configs, tensors and what they compute in numpy."""

from dataclasses import dataclass, field

import numpy as np

import golden
import statements as s

D, I, E = 32, 24, 8


@dataclass
class Remote:
    """`tensors(rng)` gives name -> (values, type) without the prefix; `run(tensors, x)` gives
    indices, weights and y."""

    name: str
    config: dict
    prefix: str
    tensors: callable
    run: callable
    layer: int = 1
    moe_layers: list = field(default_factory=lambda: [1, 2])
    types: tuple = ()  # other values of model_type that mean the same


def matrix(rng, *shape):
    return golden.round_bf16(rng.normal(0, 1.5 / np.sqrt(shape[-1]), shape)), "BF16"


def bias(rng, size):
    return rng.normal(0, 0.2, size).astype(np.float32).astype(np.float64), "F32"


def router(rng, name="gate.weight", experts=E):
    """Experts 1 and 4 score alike."""
    weight, dtype = matrix(rng, experts, D)
    weight[4] = weight[1]
    return {name: (weight, dtype)}


def selection_bias(rng, name):
    value, dtype = bias(rng, E)
    value[4] = value[1]
    return {name: (value, dtype)}


def experts(rng, names=("gate_proj", "up_proj", "down_proj"), width=D, count=E):
    shapes = (I, width), (I, width), (width, I)
    return {
        f"experts.{e}.{name}.weight": matrix(rng, *shape)
        for e in range(count)
        for name, shape in zip(names, shapes)
    }


def shared(rng, name="shared_experts", width=I):
    shapes = {"gate_proj": (width, D), "up_proj": (width, D), "down_proj": (D, width)}
    return {f"{name}.{part}.weight": matrix(rng, *shape) for part, shape in shapes.items()}


def routed(t, x, indices, weights, names=("gate_proj", "up_proj", "down_proj"), act=s.silu):
    expert = lambda e, v: s.glu(v, *(t[f"experts.{e}.{n}.weight"] for n in names), act)
    return s.mixture(x, indices, weights, expert)


def ungated(t, x, name="shared_experts", act=s.silu):
    return s.glu(x, *(t[f"{name}.{p}.weight"] for p in ("gate_proj", "up_proj", "down_proj")), act)


# --- Softmax ---


def softmax_top(t, x, k, renormalize):
    scores = s.softmax(x @ t["gate.weight"].T)
    indices = s.largest(scores, k)
    weights = s.pick(scores, indices)
    return indices, s.share(weights) if renormalize else weights


def run_arctic(t, x):
    indices, weights = softmax_top(t, x, 2, True)
    return indices, weights, routed(t, x, indices, weights, ("w1", "w3", "w2"))


def run_bailing(t, x):
    indices, weights = softmax_top(t, x, 3, True)
    return indices, weights, routed(t, x, indices, weights) + ungated(t, x)


def run_deepseek(t, x):
    indices, weights = softmax_top(t, x, 3, False)
    return indices, weights, routed(t, x, indices, weights) + ungated(t, x)


def run_grok(names, renormalize):
    def run(t, x):
        scores = s.softmax(30 * np.tanh(x @ t["gate.weight"].T / 30))
        indices = s.largest(scores, 2)
        weights = s.pick(scores, indices)
        weights = s.share(weights) if renormalize else weights
        return indices, weights, routed(t, x, indices, weights, names, s.gelu_tanh)

    return run


# --- Sigmoid ---


def sigmoid_top(t, x, k, name, scale, groups=None, eps=1e-20):
    scores = s.sigmoid(x @ t["gate.weight"].T)
    choice = scores + t[name]
    choice = s.within_groups(choice, *groups) if groups else choice
    indices = s.largest(choice, k)
    return indices, scale * s.share(s.pick(scores, indices), eps)


def run_grouped(name, groups):
    def run(t, x):
        indices, weights = sigmoid_top(t, x, 3, name, 2.5, groups)
        return indices, weights, routed(t, x, indices, weights) + ungated(t, x)

    return run


def run_klear(t, x):
    indices, weights = sigmoid_top(t, x, 3, "expert_bias", 1.0, eps=0)
    mix = s.softmax(x @ t["coefficient.weight"].T + t["coefficient.bias"])
    y = mix[:, :1] * routed(t, x, indices, weights) + mix[:, 1:] * ungated(t, x)
    return indices, weights, y


def situ(gate):
    return 4 * np.tanh(gate / 4) * s.sigmoid(gate)


def situ_glu(x, gate, up, down):
    return (situ(x @ gate.T) * 25 * np.tanh(x @ up.T / 25)) @ down.T


def run_kimi_k3(t, x):
    """Experts see 16 of the 32 dimensions, through a projection down and, normed, up again."""
    indices, weights = sigmoid_top(t, x, 3, "gate.e_score_correction_bias", 1.0)
    expert = lambda e, v: situ_glu(v, *(t[f"experts.{e}.{n}.weight"] for n in ("w1", "w3", "w2")))
    y = s.mixture(x @ t["routed_expert_down_proj.weight"].T, indices, weights, expert)
    y = s.rms_norm(y, t["routed_expert_norm.weight"], 1e-5) @ t["routed_expert_up_proj.weight"].T
    parts = ("gate_proj", "up_proj", "down_proj")
    return indices, weights, y + situ_glu(x, *(t[f"shared_experts.{p}.weight"] for p in parts))


def clamped_glu(x, gate, up, down, limit):
    act = np.minimum(s.silu(x @ gate.T), limit)
    return (act * np.clip(x @ up.T, -limit, limit)) @ down.T


def run_step3p5(t, x):
    """Experts clamp at 0.5 after the activation, the shared expert at 0.25."""
    scores = s.sigmoid(x @ t["moe.gate.weight"].T)
    indices = s.largest(scores + t["moe.router_bias"], 3)
    weights = 3 * s.share(s.pick(scores, indices), 1e-20)
    names = ("gate_proj", "up_proj", "down_proj")
    expert = lambda e, v: clamped_glu(v, *(t[f"moe.{n}.weight"][e] for n in names), 0.5)
    y = s.mixture(x, indices, weights, expert)
    return (
        indices,
        weights,
        y + clamped_glu(x, *(t[f"share_expert.{n}.weight"] for n in names), 0.25),
    )


def tensors_of(*parts):
    """The union of what makers give."""

    def make(rng):
        made = {}
        for part in parts:
            made |= part(rng)
        return made

    return make


def kimi_k3_tensors(rng):
    norm = golden.round_bf16(rng.uniform(0.5, 1.5, 16)), "BF16"
    return {
        "routed_expert_down_proj.weight": matrix(rng, 16, D),
        "routed_expert_up_proj.weight": matrix(rng, D, 16),
        "routed_expert_norm.weight": norm,
    }


def step_tensors(rng):
    stacked = {"gate_proj": (E, I, D), "up_proj": (E, I, D), "down_proj": (E, D, I)}
    return {f"moe.{n}.weight": matrix(rng, *shape) for n, shape in stacked.items()}


def config(model_type, architecture, **more):
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "torch_dtype": "bfloat16",
        "hidden_act": "silu",
        "hidden_size": D,
        "num_hidden_layers": 3,
        "vocab_size": 64,
    } | more


W123 = lambda rng: experts(rng, ("w1", "w3", "w2"))
TWO_SHARED = lambda rng: shared(rng, width=2 * I)
GATE_BIAS = lambda rng: selection_bias(rng, "gate.e_score_correction_bias")
EXPERT_BIAS = lambda rng: selection_bias(rng, "gate.expert_bias")
FIRST = {"first_k_dense_replace": 1, "num_experts_per_tok": 3, "moe_intermediate_size": I}
GROUPED = {"n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5, "norm_topk_prob": True}
MLP = "model.layers.{l}.mlp."

MODELS = [
    Remote(
        "arctic",
        config(
            "arctic",
            "ArcticForCausalLM",
            num_local_experts=E,
            num_experts_per_tok=2,
            intermediate_size=I,
            moe_layer_frequency=2,
            use_residual=True,
            parallel_attn_mlp_res=True,
            moe_token_dropping=False,
        ),
        "model.layers.{l}.block_sparse_moe.",
        tensors_of(router, W123),
        run_arctic,
        moe_layers=[1],
    ),
    Remote(
        "bailing_moe",
        config(
            "bailing_moe",
            "BailingMoeForCausalLM",
            num_experts=E,
            num_shared_experts=2,
            norm_topk_prob=True,
            **FIRST,
        ),
        MLP,
        tensors_of(router, experts, TWO_SHARED),
        run_bailing,
    ),
    Remote(
        "bailing_moe_v2",
        config(
            "bailing_moe_v2",
            "BailingMoeV2ForCausalLM",
            num_experts=E,
            num_shared_experts=1,
            score_function="sigmoid",
            moe_router_enable_expert_bias=True,
            **FIRST,
            **GROUPED,
        ),
        MLP,
        tensors_of(router, EXPERT_BIAS, experts, shared),
        run_grouped("gate.expert_bias", (4, 2)),
        types=("bailing_moe_linear", "bailing_moe_linear_v2", "bailing_moe_v2_5"),
    ),
    Remote(
        "sarvam_moe",
        config(
            "sarvam_moe",
            "SarvamMoEForCausalLM",
            num_experts=E,
            num_shared_experts=1,
            score_function="sigmoid",
            moe_router_enable_expert_bias=True,
            **FIRST,
            **(GROUPED | {"n_group": 1, "topk_group": 1}),
        ),
        MLP,
        tensors_of(router, EXPERT_BIAS, experts, shared),
        run_grouped("gate.expert_bias", None),
    ),
    Remote(
        "deepseek",
        config(
            "deepseek",
            "DeepseekForCausalLM",
            n_routed_experts=E,
            n_shared_experts=2,
            norm_topk_prob=False,
            moe_layer_freq=1,
            scoring_func="softmax",
            **FIRST,
        ),
        MLP,
        tensors_of(router, experts, TWO_SHARED),
        run_deepseek,
    ),
    Remote(
        "kimi_k2",
        config(
            "kimi_k2",
            "DeepseekV3ForCausalLM",
            n_routed_experts=E,
            n_shared_experts=1,
            moe_layer_freq=1,
            scoring_func="sigmoid",
            topk_method="noaux_tc",
            **FIRST,
            **(GROUPED | {"n_group": 1, "topk_group": 1}),
        ),
        MLP,
        tensors_of(router, GATE_BIAS, experts, shared),
        run_grouped("gate.e_score_correction_bias", None),
    ),
    Remote(
        "kimi_k3",
        {
            "architectures": ["KimiK3ForConditionalGeneration"],
            "model_type": "kimi_k3",
            "torch_dtype": "bfloat16",
            "text_config": {
                "model_type": "kimi_linear",
                "hidden_size": D,
                "num_hidden_layers": 3,
                "num_experts": E,
                "num_experts_per_token": 3,
                "num_shared_experts": 2,
                "moe_intermediate_size": I,
                "moe_renormalize": True,
                "moe_router_activation_func": "sigmoid",
                "num_expert_group": 1,
                "topk_group": 1,
                "routed_scaling_factor": 1.0,
                "first_k_dense_replace": 1,
                "hidden_act": "situ",
                "activation_situ_beta": 4.0,
                "activation_situ_linear_beta": 25.0,
                "routed_expert_hidden_size": 16,
                "latent_moe_use_norm": True,
                "rms_norm_eps": 1e-5,
            },
        },
        "language_model.model.layers.{l}.block_sparse_moe.",
        tensors_of(
            router,
            GATE_BIAS,
            lambda r: experts(r, ("w1", "w3", "w2"), 16),
            TWO_SHARED,
            kimi_k3_tensors,
        ),
        run_kimi_k3,
    ),
    Remote(
        "grok_1",
        config(
            "grok-1",
            "Grok1ModelForCausalLM",
            num_local_experts=E,
            num_experts_per_tok=2,
            intermediate_size=I,
            hidden_act="gelu",
        ),
        "model.layers.{l}.moe_block.",
        tensors_of(router, lambda r: experts(r, ("linear", "linear_v", "linear_1"))),
        run_grok(("linear", "linear_v", "linear_1"), True),
        types=("grok_1", "grok"),
        moe_layers=[0, 1, 2],
    ),
    Remote(
        "grok_2",
        config(
            "grok-1",
            "Grok1ForCausalLM",
            num_local_experts=E,
            num_experts_per_tok=2,
            intermediate_size=48,
            moe_intermediate_size=I,
            residual_moe=True,
            router_logit_softcapping=30.0,
            hidden_act="gelu",
        ),
        "model.layers.{l}.block_sparse_moe.",
        tensors_of(router, W123),
        run_grok(("w1", "w3", "w2"), False),
        moe_layers=[0, 1, 2],
    ),
    Remote(
        "step3p5",
        config(
            "step3p5",
            "Step3p5ForCausalLM",
            moe_num_experts=E,
            moe_top_k=3,
            moe_intermediate_size=I,
            share_expert_dim=28,
            moe_layers_enum="1,2",
            moe_router_scaling_factor=3.0,
            norm_expert_weight=True,
            use_moe_router_bias=True,
            moe_router_activation="sigmoid",
            swiglu_limits=[0.0, 0.5, 0.0],
            swiglu_limits_shared=[0.0, 0.25, 0.0],
        ),
        "model.layers.{l}.",
        tensors_of(
            lambda r: router(r, "moe.gate.weight"),
            lambda r: selection_bias(r, "moe.router_bias"),
            step_tensors,
            lambda r: shared(r, "share_expert", 28),
        ),
        run_step3p5,
    ),
    Remote(
        "klear",
        config(
            "Klear",
            "KlearMoeForCausalLM",
            num_experts=E,
            num_experts_per_tok=3,
            n_shared_experts=1,
            moe_intermediate_size=I,
            norm_topk_prob=True,
            decoder_sparse_step=1,
            mlp_only_layers=[0],
        ),
        MLP,
        tensors_of(
            router,
            lambda r: selection_bias(r, "expert_bias"),
            experts,
            shared,
            lambda r: {"coefficient.weight": matrix(r, 2, D), "coefficient.bias": matrix(r, 2)},
        ),
        run_klear,
    ),
]


def generate(model, seed=0):
    for attempt in range(seed, seed + 50):
        try:
            return _generate(model, attempt)
        except s.NearTie:
            continue
    raise RuntimeError(f"{model.name}: every seed has near ties")


def _generate(model, seed):
    rng = np.random.default_rng(seed)
    tensors = model.tensors(rng)
    values = {name: value for name, (value, _) in tensors.items()}
    prefix = model.prefix.format(l=model.layer)
    return golden.Golden(
        family=model.name,
        source="numpy",
        layer=model.layer,
        moe_layers=model.moe_layers,
        config=model.config,
        tensors={prefix + name: stored(value) for name, value in tensors.items()},
        cases=cases(lambda x: model.run(values, x), D, rng),
        experts=E,
        also={kind: model.config | {"model_type": kind} for kind in model.types},
    )


def cases(run, hidden, rng):
    made = {}
    for name, x in inputs(hidden, rng):
        indices, weights, y = run(x)
        order = np.argsort(indices, axis=1)
        sorted_weights = s.pick(weights, order)
        made[name] = golden.Case(x=x, indices=s.pick(indices, order), weights=sorted_weights, y=y)
    return made


def stored(tensor):
    value, dtype = tensor
    return (golden.to_bf16(value) if dtype == "BF16" else value), dtype


def inputs(hidden, rng):
    """name -> x: one token; seven with equal ones; many that crowd on few experts."""
    one, seven = rng.normal(0, 1, (1, hidden)), rng.normal(0, 1, (7, hidden))
    seven[5], seven[6] = seven[2], 0
    crowd = rng.normal(0, 1, (1, hidden)) + rng.normal(0, 0.1, (33, hidden))
    crowd[24:] = rng.normal(0, 1, (9, hidden))
    crowd[30:] = crowd[3:6]
    for name, x in ("one", one), ("seven", seven), ("crowd", crowd):
        yield name, golden.round_bf16(x)
