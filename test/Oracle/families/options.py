"""Other values of the configs' keys, which live runs go through."""

import dataclasses

OPTIONS = {
    "qwen2_moe": [{"norm_topk_prob": True}, {"decoder_sparse_step": 1, "mlp_only_layers": [0, 2]}],
    "qwen3_moe": [{"norm_topk_prob": False}, {"hidden_act": "gelu", "num_experts_per_tok": 8}],
    "qwen3_next": [{"norm_topk_prob": False}],
    "olmoe": [{"norm_topk_prob": True}, {"num_experts_per_tok": 1}],
    "flex_olmo": [{"norm_topk_prob": True}],
    "mellum": [{"norm_topk_prob": False}],
    "jamba": [{"num_experts_per_tok": 3}],
    "deepseek_v2": [
        {"topk_method": "greedy", "routed_scaling_factor": 16.0},
        {"n_shared_experts": 1},
    ],
    "deepseek_v3": [
        {"norm_topk_prob": False},
        {"n_group": 2, "topk_group": 1},
        {"n_shared_experts": 1},
    ],
    "deepseek_v32": [{"norm_topk_prob": False}],
    "glm4_moe": [{"n_group": 2, "topk_group": 1}, {"norm_topk_prob": False}],
    "dots1": [{"norm_topk_prob": False}, {"n_group": 4, "topk_group": 2}],
    "exaone_moe": [{"num_shared_experts": 2}, {"norm_topk_prob": False}],
    "mimo_v2_flash": [{"norm_topk_prob": False}],
    "kimi_linear": [{"num_expert_group": 2, "topk_group": 1}, {"moe_renormalize": False}],
    "hy_v3": [{"enable_moe_fp32_combine": False}, {"num_shared_experts": 2}],
    "laguna": [{"moe_router_logit_softcapping": 0.0}, {"moe_routed_scaling_factor": 1.0}],
    "lfm2_moe": [{"use_expert_bias": False}, {"norm_topk_prob": False}],
    "ernie4_5_moe": [{"moe_num_shared_experts": 0}, {"moe_k": 1}],
    "granitemoe": [{"hidden_act": "gelu"}],
    "jetmoe": [{"activation_function": "gelu"}],
    "gpt_oss": [{"swiglu_limit": 7.0}, {"num_experts_per_tok": 2}],
    "aria": [{"moe_num_shared_experts": 1}],
    "cohere2_moe": [
        {"shared_expert_combination_strategy": "sum", "expert_selection_fn": "softmax"},
        {"shared_expert_combination_strategy": "sum", "norm_topk_prob": False},
        {"shared_expert_combination_strategy": "sum", "num_shared_experts": 0},
    ],
    "gemma4": [{"hidden_activation": "gelu"}],
    "nemotron_h": [{"moe_latent_size": None}, {"n_group": 4, "topk_group": 2}],
    "phimoe": [{"router_jitter_noise": 0.01}, {"router_jitter_noise": 0.3}],
    "llama4": [{"num_experts_per_tok": 2}, {"interleave_moe_layer_step": 1}],
    "switch_transformers": [{"router_bias": True}, {"expert_capacity": 64}],
    "nllb_moe": [{"router_bias": True}],
    "longcat_flash": [{"routed_scaling_factor": 1.0}],
    "minimax_m3_vl": [{"routed_scaling_factor": 1.0}, {"swiglu_limit": 7.0, "swiglu_alpha": 1.0}],
    "step3p7": [{"swiglu_limits": None, "swiglu_limits_shared": None}],
    "inkling": [{"n_shared_experts": 1, "route_scale": 1.0}],
    "zaya": [{"num_experts": 6}],
}


def of(family):
    return dataclasses.replace(family, options=tuple(OPTIONS.get(family.name, ())))
