"""Goldens of quantised checkpoints: what the values mean, in numpy and f64.

The models are those of remote.py and a few more; only experts and shared experts are quantised.
"""

import dataclasses

import numpy as np

import golden
import quantise as q
import remote
import statements as s
from remote import matrix

PROJECTIONS = ("gate_proj", "up_proj", "down_proj")
W123 = ("w1", "w3", "w2")


@dataclasses.dataclass
class Quantised:
    """`encode` is for matrices whose names have `experts`, `shared` for those of shared ones."""

    name: str
    config: dict
    quantization: dict
    prefix: str
    layout: str
    encode: callable
    run: callable  # (values, x) -> indices, weights, y
    sizes: tuple = (64, 32, 8)  # D, I, E
    names: tuple = PROJECTIONS
    bias: str = ""
    shared: callable = None
    shared_names: tuple = PROJECTIONS
    shared_width: int = 0
    layer: int = 1
    moe_layers: tuple = (1, 2)
    make: callable = lambda model, rng: make(model, rng)


def make(model, rng):
    """(tensors as stored, values) without the prefix."""
    hidden, width, count = model.sizes
    router, dtype = matrix(rng, max(count, 2), hidden)
    router[4 % len(router)] = router[1]
    tensors, values = {"gate.weight": (golden.to_bf16(router), dtype)}, {"gate.weight": router}
    if model.bias:
        value = remote.bias(rng, len(router))[0]
        value[4 % len(router)] = value[1]
        tensors[model.bias], values[model.bias] = (value, "F32"), value
    for e in range(count):
        for name, shape in zip(model.names, shapes(hidden, width)):
            add(tensors, values, f"experts.{e}.{name}", rng, shape, model.encode)
    if model.shared_width:
        for name, shape in zip(model.shared_names, shapes(hidden, model.shared_width)):
            add(tensors, values, f"shared_experts.{name}", rng, shape, model.shared or plain)
    return tensors, values


def shapes(hidden, width):
    return (width, hidden), (width, hidden), (hidden, width)


def add(tensors, values, name, rng, shape, encode):
    # Rows of different sizes, so that a scale in the wrong place is far off.
    w = rng.normal(0, 1.5 / np.sqrt(shape[1]), shape) * np.exp(rng.normal(0, 0.7, (shape[0], 1)))
    stored, values[f"{name}.weight"] = encode(w)
    for suffix, tensor in stored.items():
        tensors[f"{name}.{suffix}"] = tensor


def plain(w):
    w = golden.round_bf16(w)
    return {"weight": (golden.to_bf16(w), "BF16")}, w


# --- What the models compute ---


def run_softmax(names):
    def run(t, x):
        indices, weights = remote.softmax_top(t, x, 3, True)
        return indices, weights, remote.routed(t, x, indices, weights, names)

    return run


def run_shared(bias, scale):
    def run(t, x):
        indices, weights = remote.sigmoid_top(t, x, 3, bias, scale)
        return indices, weights, remote.routed(t, x, indices, weights) + remote.ungated(t, x)

    return run


def run_deepseek_v4(t, x):
    """Everything is clamped, before the activation, at 1."""
    logits = x @ t["gate.weight"].T
    scores = np.sqrt(np.log1p(np.exp(logits)))
    indices = s.largest(scores + t["gate.bias"], 3)
    weights = 1.5 * s.share(s.pick(scores, indices), 1e-20)

    def clamped(name, v):
        gate, up, down = (t[f"{name}.{n}.weight"] for n in W123)
        return (s.silu(np.minimum(v @ gate.T, 1)) * np.clip(v @ up.T, -1, 1)) @ down.T

    y = s.mixture(x, indices, weights, lambda e, v: clamped(f"experts.{e}", v))
    return indices, weights, y + clamped("shared_experts", x)


# --- Configs ---


def compressed(form, **weights):
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "quantization_status": "compressed",
        "ignore": ["lm_head", "re:.*self_attn.*", "re:.*mlp.gate$", "re:.*block_sparse_moe.gate$"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
    }


QWEN = dict(
    num_experts=8,
    num_experts_per_tok=3,
    norm_topk_prob=True,
    decoder_sparse_step=1,
    mlp_only_layers=[0],
)
KIMI_K2 = dict(
    n_shared_experts=1,
    moe_layer_freq=1,
    scoring_func="sigmoid",
    topk_method="noaux_tc",
    n_group=1,
    topk_group=1,
    routed_scaling_factor=2.5,
    norm_topk_prob=True,
    first_k_dense_replace=1,
    num_experts_per_tok=3,
)
FP8_BLOCKS = {
    "quant_method": "fp8",
    "fmt": "e4m3",
    "activation_scheme": "dynamic",
    "weight_block_size": [128, 128],
}


def qwen(name, layout, encode, quantization, sizes=(64, 32, 8), **more):
    hidden, width, count = sizes
    config = remote.config("qwen3_moe", "Qwen3MoeForCausalLM", **QWEN)
    config |= {"hidden_size": hidden, "moe_intermediate_size": width, "num_experts": count}
    return Quantised(
        name,
        config,
        quantization,
        remote.MLP,
        layout,
        encode,
        run_softmax(PROJECTIONS),
        sizes,
        **more,
    )


def deepseek(name, model_type, layout, encode, shared, quantization, sizes):
    hidden, width, count = sizes
    config = remote.config(model_type, "DeepseekV3ForCausalLM", **KIMI_K2)
    config |= {"hidden_size": hidden, "moe_intermediate_size": width, "n_routed_experts": count}
    bias = "gate.e_score_correction_bias"
    return Quantised(
        name,
        config,
        quantization,
        remote.MLP,
        layout,
        encode,
        run_shared(bias, 2.5),
        sizes,
        bias=bias,
        shared=shared,
        shared_width=width,
    )


MODELS = [
    deepseek(
        "deepseek_v3_fp8",
        "deepseek_v3",
        "fp8, blocks of 128 by 128",
        q.fp8_blocks,
        q.fp8_blocks,
        FP8_BLOCKS,
        (144, 136, 4),
    ),
    qwen(
        "qwen3_moe_fp8_tensor",
        "fp8, one scale a matrix",
        lambda w: q.fp8_tensor(w, True),
        {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": ["lm_head", "*mlp.gate*"]},
    ),
    qwen(
        "qwen3_moe_fp8_channel",
        "fp8, one scale a row",
        q.fp8_channels,
        compressed(
            "float-quantized",
            num_bits=8,
            type="float",
            strategy="channel",
            symmetric=True,
            dynamic=False,
        ),
    ),
    qwen(
        "qwen3_moe_int8",
        "int8, one scale a row",
        q.int8_channels,
        compressed(
            "int-quantized",
            num_bits=8,
            type="int",
            strategy="channel",
            symmetric=True,
            dynamic=False,
        ),
    ),
    qwen(
        "qwen3_moe_nvfp4",
        "nvfp4",
        q.nvfp4,
        {
            "quant_method": "modelopt",
            "quant_algo": "NVFP4",
            "group_size": 16,
            "ignore": ["lm_head", "*mlp.gate*"],
        },
    ),
    qwen(
        "qwen3_moe_gptq",
        "gptq int4",
        q.gptq,
        {
            "quant_method": "gptq",
            "bits": 4,
            "group_size": 32,
            "desc_act": False,
            "sym": False,
            "checkpoint_format": "gptq",
        },
    ),
    qwen(
        "qwen3_moe_awq",
        "awq int4",
        q.awq,
        {
            "quant_method": "awq",
            "bits": 4,
            "group_size": 32,
            "zero_point": True,
            "version": "gemm",
            "modules_to_not_convert": ["gate"],
        },
    ),
    deepseek(
        "kimi_k2_int4",
        "kimi_k2",
        "compressed-tensors int4; shared expert plain",
        q.int4_packed,
        None,
        compressed(
            "pack-quantized",
            num_bits=4,
            type="int",
            strategy="group",
            group_size=32,
            symmetric=True,
        )
        | {"ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp.gate$"]},
        (64, 32, 8),
    ),
    Quantised(
        "deepseek_v4_fp4",
        remote.config(
            "deepseek_v4",
            "DeepseekV4ForCausalLM",
            hidden_size=64,
            moe_intermediate_size=32,
            n_routed_experts=8,
            num_experts_per_tok=3,
            n_shared_experts=1,
            scoring_func="sqrtsoftplus",
            norm_topk_prob=True,
            routed_scaling_factor=1.5,
            swiglu_limit=1.0,
            num_hash_layers=1,
            expert_dtype="fp4",
        ),
        FP8_BLOCKS | {"scale_fmt": "ue8m0"},
        "layers.{l}.ffn.",
        "mxfp4 experts, fp8 shared expert",
        lambda w: q.mxfp4(w, ("weight", "scale"), ("I8", "F8_E8M0")),
        run_deepseek_v4,
        names=W123,
        bias="gate.bias",
        shared=lambda w: q.fp8_blocks(w, suffix="scale", powers=True),
        shared_width=32,
        shared_names=W123,
        moe_layers=(0, 1, 2),
    ),
]


# --- gpt-oss: experts are stacked, gate and up rows take turns, and there are biases ---


def make_gpt_oss(model, rng):
    hidden, width, count = model.sizes
    router = matrix(rng, count, hidden)[0]
    router[4] = router[1]
    router_bias = golden.round_bf16(rng.normal(0, 0.2, count))
    router_bias[4] = router_bias[1]
    values = {"router.weight": router, "router.bias": router_bias}
    for name, rows in ("gate_up_proj", 2 * width), ("down_proj", hidden):
        values[f"{name}_bias"] = golden.round_bf16(rng.normal(0, 0.2, (count, rows)))
    tensors = {n: (golden.to_bf16(v), "BF16") for n, v in values.items()}
    for name, rows, columns in ("gate_up_proj", 2 * width, hidden), ("down_proj", hidden, width):
        w = rng.normal(0, 1.5 / np.sqrt(columns), (count, rows, columns))
        encoded = [q.mxfp4_blocks(part * np.exp(rng.normal(0, 0.7, (rows, 1)))) for part in w]
        values[name] = np.stack([value for _, value in encoded])
        for suffix in ("blocks", "scales"):
            stacked = np.stack([stored[suffix][0] for stored, _ in encoded])
            tensors[f"{name}_{suffix}"] = (stacked, "U8")
    move = lambda name: name if name.startswith("router") else f"experts.{name}"
    return {move(name): tensor for name, tensor in tensors.items()}, values


def run_gpt_oss(t, x):
    logits = x @ t["router.weight"].T + t["router.bias"]
    indices = s.largest(logits, 3)
    weights = s.softmax(s.pick(logits, indices))

    def expert(e, v):
        both = v @ t["gate_up_proj"][e].T + t["gate_up_proj_bias"][e]
        gate, up = np.minimum(both[:, 0::2], 1.5), np.clip(both[:, 1::2], -1.5, 1.5)
        hidden = gate * s.sigmoid(1.702 * gate) * (up + 1)
        return hidden @ t["down_proj"][e].T + t["down_proj_bias"][e]

    return indices, weights, s.mixture(x, indices, weights, expert)


KIMI_K3 = next(m for m in remote.MODELS if m.name == "kimi_k3")


def make_kimi_k3(model, rng):
    """Experts are of 32 of the 64 dimensions."""
    hidden, width, count = model.sizes
    tensors, values = make(dataclasses.replace(model, sizes=(hidden, width, 0)), rng)
    router = matrix(rng, count, hidden)[0]
    router[4] = router[1]
    bias = remote.bias(rng, count)[0]
    bias[4] = bias[1]
    values |= {"gate.weight": router, model.bias: bias}
    tensors |= {"gate.weight": (golden.to_bf16(router), "BF16"), model.bias: (bias, "F32")}
    for name, shape in ("down", (32, hidden)), ("up", (hidden, 32)):
        add(tensors, values, f"routed_expert_{name}_proj", rng, shape, plain)
    norm = golden.round_bf16(rng.uniform(0.5, 1.5, 32))
    values["routed_expert_norm.weight"] = norm
    tensors["routed_expert_norm.weight"] = (golden.to_bf16(norm), "BF16")
    for e in range(count):
        for name, shape in zip(W123, shapes(32, width)):
            add(tensors, values, f"experts.{e}.{name}", rng, shape, model.encode)
    return tensors, values


MODELS += [
    Quantised(
        "gpt_oss_mxfp4",
        remote.config(
            "gpt_oss",
            "GptOssForCausalLM",
            hidden_size=64,
            intermediate_size=32,
            num_local_experts=8,
            num_experts_per_tok=3,
            experts_per_token=3,
            swiglu_limit=1.5,
        ),
        {
            "quant_method": "mxfp4",
            "modules_to_not_convert": [
                "model.layers.*.self_attn",
                "model.layers.*.mlp.router",
                "model.embed_tokens",
                "lm_head",
            ],
        },
        remote.MLP,
        "mxfp4 blocks, gate and up interleaved",
        None,
        run_gpt_oss,
        moe_layers=(0, 1, 2),
        make=make_gpt_oss,
    ),
    Quantised(
        "kimi_k3_mxfp4",
        KIMI_K3.config
        | {
            "text_config": KIMI_K3.config["text_config"]
            | {"hidden_size": 64, "moe_intermediate_size": 32, "routed_expert_hidden_size": 32}
        },
        compressed(
            "mxfp4-pack-quantized", num_bits=4, type="float", strategy="group", group_size=32
        )
        | {
            "ignore": [
                "lm_head",
                "re:.*self_attn.*",
                "re:.*shared_experts.*",
                "re:.*routed_expert.*",
                "re:.*gate$",
            ]
        },
        KIMI_K3.prefix,
        "mxfp4, packed; shared experts plain",
        q.mxfp4,
        remote.run_kimi_k3,
        names=W123,
        bias="gate.e_score_correction_bias",
        shared_width=64,
        make=make_kimi_k3,
    ),
]


def generate(model, seed=0):
    for attempt in range(seed, seed + 50):
        rng = np.random.default_rng(attempt)
        tensors, values = model.make(model, rng)
        prefix = model.prefix.format(l=model.layer)
        try:
            cases = remote.cases(lambda x: model.run(values, x), model.sizes[0], rng)
        except s.NearTie:
            continue
        return golden.Golden(
            family=model.name,
            source="numpy",
            layer=model.layer,
            moe_layers=list(model.moe_layers),
            config=model.config | {"quantization_config": model.quantization},
            tensors={prefix + name: tensor for name, tensor in tensors.items()},
            cases=cases,
            experts=model.sizes[2],
            layout=model.layout,
        )
    raise RuntimeError(f"{model.name}: every seed has near ties")
