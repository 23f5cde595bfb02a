"""The same configs with the keys that published ones have, where transformers 5 writes others."""

# name -> (keys that 5.x writes and the hub lacks, keys of the hub); of the text part, if any.
KEYS = {
    "aria": (
        ["moe_num_shared_experts"],
        {"model_type": "aria_moe_lm", "intermediate_size": 40, "moe_intermediate_size": 24},
    ),
    "axk1": (["mlp_layer_types"], {"first_k_dense_replace": 1, "moe_layer_freq": 1}),
    "bailing_hybrid": (
        ["mlp_layer_types", "num_experts_per_token", "num_expert_group", "moe_renormalize"],
        {
            "first_k_dense_replace": 1,
            "num_experts_per_tok": 3,
            "n_group": 4,
            "norm_topk_prob": True,
            "score_function": "sigmoid",
            "moe_router_enable_expert_bias": True,
        },
    ),
    "deepseek_v3": (
        [],
        {"moe_layer_freq": 1, "scoring_func": "sigmoid", "topk_method": "noaux_tc"},
    ),
    "deepseek_v4": (["mlp_layer_types"], {"num_hash_layers": 1}),
    "deepseek_v4_hash": (["mlp_layer_types"], {"num_hash_layers": 1}),
    "exaone_moe": (["mlp_layer_types"], {"is_moe_layer": [False, True, True]}),
    "glm4_moe_lite": (["mlp_layer_types"], {"first_k_dense_replace": 1}),
    "gpt_oss": (["swiglu_alpha"], {"experts_per_token": 4}),
    "hunyuan_v1_moe": (
        [],
        {
            "num_experts": 8,
            "moe_topk": [3, 3, 3],
            "moe_intermediate_size": [24, 24, 24],
            "num_shared_expert": [1, 1, 1],
            "use_mixed_mlp_moe": True,
            "moe_drop_tokens": False,
        },
    ),
    "hy_v3": (
        ["mlp_layer_types"],
        {"first_k_dense_replace": 1, "expert_hidden_dim": 20, "moe_router_use_sigmoid": True},
    ),
    "inkling": (["mlp_layer_types"], {"dense_mlp_idx": 1}),
    "kimi_linear": (["mlp_layer_types"], {"first_k_dense_replace": 1, "moe_layer_freq": 1}),
    "llama4": (["moe_layers"], {"moe_layers": None}),
    "longcat_flash": (["num_hidden_layers", "model_type"], {"zero_expert_type": "identity"}),
    "mimo_v2_flash": (["mlp_layer_types"], {"moe_layer_freq": [0, 1, 1], "n_shared_experts": None}),
    "minimax": (
        [],
        {
            "architectures": ["MiniMaxText01ForCausalLM"],
            "model_type": "minimax_text_01",
            "layernorm_mlp_alpha": 3.5,
            "layernorm_mlp_beta": 1.0,
            "postnorm": True,
            "shared_intermediate_size": 0,
        },
    ),
    "minimax_m3_vl": (
        ["mlp_layer_types"],
        {"moe_layer_freq": [0, 1, 1], "hidden_act": "swigluoai", "n_shared_experts": 1},
    ),
    "nemotron_h": (
        ["layers_block_type"],
        {"hybrid_override_pattern": "ME*", "num_hidden_layers": 3},
    ),
    "step3p7": (
        ["mlp_layer_types", "n_routed_experts", "num_experts_per_tok"],
        {"moe_layers_enum": "1,2", "moe_num_experts": 8, "moe_top_k": 3},
    ),
}

# name -> what later configs of the hub have instead.
LATER = {
    "minimax": {"architectures": ["MiniMaxM1ForCausalLM"], "model_type": "minimax_m1"},
}


def applies(family):
    """Keys are known for the family's own config, not for those with other options."""
    return family.name in KEYS and not family.changed


def configs_of(name, config):
    configs = {"hub": config_of(name, config)}
    if name in LATER:
        configs["later"] = configs["hub"] | LATER[name]
    return configs


def config_of(name, config):
    gone, added = KEYS[name]
    if "text_config" in config:
        return config | {"text_config": changed(config["text_config"], gone, added)}
    return changed(config, gone, added)


def changed(section, gone, added):
    return {key: value for key, value in section.items() if key not in gone} | added
