"""Families that score by sigmoid with a bias on the choice, most of them after DeepSeek-V3."""

import outside
from family import Family, tiny, VISION

MLA = {
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
}
DEEPSEEK = {
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 20,
    "routed_scaling_factor": 2.5,
    "norm_topk_prob": True,
}
NO_SHARED = {key: value for key, value in DEEPSEEK.items() if key != "n_shared_experts"}
KIMI = {
    "num_experts": 8,
    "num_shared_experts": 2,
    "num_experts_per_token": 3,
    "moe_intermediate_size": 20,
    "routed_scaling_factor": 2.5,
    "moe_renormalize": True,
    "linear_head_dim": 8,
    "linear_num_heads": 2,
}
FIRST = {"first_k_dense_replace": 1}
GROUPS = {"n_group": 4, "topk_group": 2}
ONE_GROUP = {"n_group": 1, "topk_group": 1}
BIAS = {"tied": ("gate.weight", "gate.e_score_correction_bias")}
INDEXER = {"index_n_heads": 2, "index_head_dim": 16, "index_topk": 8}


def as_layers(config, tensors):
    return config, {name.replace(".blocks.", ".layers."): t for name, t in tensors.items()}


FAMILIES = [
    Family(
        "deepseek_v3",
        "DeepseekV3ForCausalLM",
        tiny(**FIRST, **DEEPSEEK, **MLA, **GROUPS),
        shards=2,
        **BIAS,
    ),
    Family(
        "deepseek_v32",
        "DeepseekV32ForCausalLM",
        tiny(**FIRST, **DEEPSEEK, **MLA, **GROUPS, **INDEXER),
        **BIAS,
    ),
    Family(
        "kimi_k25",
        "Kimi_K25ForConditionalGeneration",
        {
            "text_config": tiny(model_type="deepseek_v3", **FIRST, **DEEPSEEK, **MLA, **ONE_GROUP),
            "vision_config": VISION,
        },
        block="model.language_model.layers.{l}.mlp",
        adapt=as_layers,
        **BIAS,
    ),
    Family(
        "kimi_linear",
        "KimiLinearForCausalLM",
        tiny(**(MLA | KIMI | {"q_lora_rank": None}), num_expert_group=1, topk_group=1),
        keep=r"layers\.{l}\.block_sparse_moe\.",
        **BIAS,
    ),
    Family("glm4_moe", "Glm4MoeForCausalLM", tiny(**FIRST, **DEEPSEEK, **ONE_GROUP), **BIAS),
    Family(
        "glm4v_moe",
        "Glm4vMoeForConditionalGeneration",
        {"text_config": tiny(**FIRST, **DEEPSEEK, **ONE_GROUP), "vision_config": VISION},
        block="model.language_model.layers.{l}.mlp",
        **BIAS,
    ),
    Family("glm4_moe_lite", "Glm4MoeLiteForCausalLM", tiny(**DEEPSEEK, **MLA, **ONE_GROUP), **BIAS),
    Family(
        "glm_moe_dsa",
        "GlmMoeDsaForCausalLM",
        tiny(**FIRST, **DEEPSEEK, **MLA, **ONE_GROUP, **INDEXER),
        **BIAS,
    ),
    Family("dots1", "Dots1ForCausalLM", tiny(**FIRST, **DEEPSEEK, **ONE_GROUP), **BIAS),
    Family("solar_open", "SolarOpenForCausalLM", tiny(**DEEPSEEK, **ONE_GROUP), **BIAS),
    Family(
        "exaone_moe",
        "ExaoneMoeForCausalLM",
        tiny(
            num_experts=8,
            num_shared_experts=1,
            num_experts_per_tok=3,
            moe_intermediate_size=20,
            **FIRST,
            routed_scaling_factor=2.5,
            **ONE_GROUP,
        ),
        **BIAS,
    ),
    Family(
        "axk1",
        "AXK1ForCausalLM",
        run=outside.before_last_norm,
        config=tiny(**FIRST, **DEEPSEEK, **MLA, **GROUPS),
        **BIAS,
    ),
    Family("mimo_v2_flash", "MiMoV2FlashForCausalLM", tiny(**NO_SHARED, **ONE_GROUP), **BIAS),
    Family(
        "bailing_hybrid",
        "BailingHybridForCausalLM",
        tiny(**FIRST, **KIMI, num_expert_group=4, topk_group=2),
        **BIAS,
    ),
    Family(
        "deepseek_v2",
        "DeepseekV2ForCausalLM",
        tiny(
            **FIRST,
            **(DEEPSEEK | {"norm_topk_prob": False}),
            **MLA,
            topk_method="group_limited_greedy",
            **GROUPS,
        ),
    ),
    Family(
        "minimax_m2",
        "MiniMaxM2ForCausalLM",
        tiny(num_local_experts=8, num_experts_per_tok=3),
        keep=r"layers\.{l}\.block_sparse_moe\.",
        tied=("gate.weight", "e_score_correction_bias"),
    ),
    Family(
        "hy_v3",
        "HYV3ForCausalLM",
        tiny(
            num_experts=8,
            num_local_experts=8,
            num_experts_per_tok=3,
            moe_intermediate_size=20,
            num_shared_experts=1,
            router_scaling_factor=2.826,
        ),
        tied=("gate.weight", "e_score_correction_bias"),
    ),
    Family(
        "afmoe",
        "AfmoeForCausalLM",
        tiny(
            num_experts=8,
            num_experts_per_tok=3,
            moe_intermediate_size=20,
            num_shared_experts=2,
            num_dense_layers=1,
            route_scale=2.826,
        ),
        tied=("router.gate.weight", "expert_bias"),
        layer=2,
    ),
    Family(
        "laguna",
        "LagunaForCausalLM",
        tiny(
            num_experts=8,
            num_experts_per_tok=3,
            moe_intermediate_size=20,
            shared_expert_intermediate_size=28,
            moe_routed_scaling_factor=2.5,
            moe_router_logit_softcapping=2.0,
        ),
        factor=2.5,
        **BIAS,
    ),
    Family(
        "lfm2_moe",
        "Lfm2MoeForCausalLM",
        tiny(
            num_experts=8,
            num_experts_per_tok=3,
            moe_intermediate_size=20,
            num_dense_layers=1,
            routed_scaling_factor=1.5,
            layer_types=["conv", "full_attention", "conv"],
        ),
        block="model.layers.{l}.feed_forward",
        keep=r"layers\.{l}\.feed_forward\.",
        tied=("gate.weight", "expert_bias"),
    ),
    Family(
        "ernie4_5_moe",
        "Ernie4_5_MoeForCausalLM",
        tiny(
            moe_num_experts=8,
            moe_k=3,
            moe_intermediate_size=20,
            moe_num_shared_experts=2,
            moe_layer_start_index=1,
        ),
        tied=("gate.weight", "gate.moe_statics.e_score_correction_bias"),
        scales={"e_score_correction_bias": 0.05},
    ),
]
