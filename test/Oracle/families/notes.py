"""What one needs to know of a family beside its golden: names of goldens, and a sentence or more.

Where a publisher's code and that of transformers 5.23 disagree, the latter decides unless a note
says otherwise.
"""

NOTES = [
    ("afmoe", "`route_norm` and `score_func` are not looked at."),
    (
        "arctic",
        "The residual MLP beside the block has a norm and an input of its own and is not the "
        "layer's.",
    ),
    (
        "aria",
        "Files of `aria_moe_lm` have the experts' width in `moe_intermediate_size` and another in "
        "`intermediate_size`; later ones have the latter alone, for the experts.",
    ),
    ("aria, gpt_oss, llama4", "Memory, too, has experts as `[in, out]`."),
    ("axk1", "`post_mlp_layernorm` of the block's result is not the layer's."),
    (
        "bailing_moe, bailing_moe_v2",
        "Models of version 2 are published as `bailing_moe`, too; `score_function` and "
        "`moe_router_enable_expert_bias` tell them apart.",
    ),
    (
        "cohere2_moe",
        "`average`, the default, is half of the routed and half of the shared result, only where "
        "there are shared experts: 0.5 is a factor of the weights.",
    ),
    (
        "dbrx",
        "Scores are in the type of the activations. `moe_normalize_expert_weights` null (no "
        "normalisation) cannot be told from a missing one (p = 1); no published file has it.",
    ),
    (
        "deepseek_v2",
        "Groups that are not kept are filled with 0. `norm_topk_prob` is not looked at; the "
        "publisher's code renormalises and then does not scale.",
    ),
    (
        "deepseek_v3, deepseek_v32, glm4_moe, glm4v_moe, glm4_moe_lite, glm_moe_dsa, dots1, "
        "solar_open, axk1, mimo_v2_flash, exaone_moe, kimi_linear, bailing_hybrid, nemotron_h",
        "Groups that are not kept are filled with −∞.",
    ),
    (
        "deepseek_v4",
        "The shared expert is clamped like the others; its width is one `moe_intermediate_size`, "
        "whatever `n_shared_experts`. The router's projection is in the type of the activations. "
        "Files of the publisher begin with `layers.`, those that transformers writes with "
        "`model.layers.`.",
    ),
    ("ernie4_5_moe", "The selection bias is stored `[1, E]`."),
    (
        "gemma4, gemma4_vision",
        "x is the residual. The router normalises it for itself, and the experts see it through "
        "`pre_feedforward_layernorm_2`. The dense MLP beside them and the norms of the results "
        "are not the layer's.",
    ),
    (
        "grok_1, grok_2",
        "The renormalisation of the first is vLLM's; SGLang has none. The activation is tanh's "
        "gelu. The MLP beside the block of the second and the factor of 1/√2 are not the layer's.",
    ),
    (
        "hunyuan_v1_moe",
        "The code has experts and the shared expert of `intermediate_size`; "
        "`moe_intermediate_size` and `num_shared_expert` of published files say the same.",
    ),
    (
        "hy_v3, exaone_moe, ernie4_5_moe, laguna, bailing_hybrid",
        "The selection bias has another name in memory than in files.",
    ),
    (
        "inkling",
        "Selection is by the sigmoid with a bias; weights are the sigmoids of the chosen and the "
        "shared experts over their sum. The bias has no entries for the shared ones.",
    ),
    (
        "kimi_k25",
        "save_pretrained of 5.23 calls the text layers `blocks`; the hub's files have `layers`.",
    ),
    (
        "kimi_k3",
        "The text model's `model_type` is `kimi_linear`; latent width, its norm and the activation "
        "are keys of that.",
    ),
    (
        "kimi_linear",
        "The code reads `num_expert_group`, `moe_renormalize` and `num_shared_experts` of "
        "published files under other names and always takes the sigmoid.",
    ),
    ("klear", "`routed_scaling_factor` of the published file is looked at by no code."),
    (
        "laguna, minimax_m3_vl",
        "The scale is on the sum of the routed experts, which is the same as on their weights.",
    ),
    (
        "longcat_flash",
        "Memory has `gate_up_proj` for the null experts, too, of which the first E are used; the "
        "hub's files do not, and have no `model_type`. The published code has `norm_topk_prob` and "
        "`router_bias`, that of transformers neither; both are false in published files.",
    ),
    (
        "minimax_m2, minimax_m3_vl, ernie4_5_moe, hunyuan_v1_moe, switch_transformers, nllb_moe, "
        "step3p5",
        "The router's matrix is f32, in files or by the code (`dtype.router`).",
    ),
    (
        "minimax_m3_vl",
        "The published `hidden_act` is `swigluoai`; the code takes `swiglu_alpha` and "
        "`swiglu_limit` and never looks at it.",
    ),
    (
        "mixtral, minimax, minimax_m2, phimoe, kimi_linear, minimax_m3_vl, granitemoe",
        "Memory has other names than files: `block_sparse_moe` is `mlp`, granitemoe's "
        "`input_linear` is `experts.gate_up_proj`, phimoe's `gate` is `router`.",
    ),
    (
        "nemotron_h",
        "A file may lack `num_hidden_layers`; the layers are those of `layers_block_type`. "
        "`time_step_limit` of a published file is `[0.0, Infinity]`, which is Python's JSON.",
    ),
    (
        "nllb_moe",
        "The experts of transformers 5 take the mask of first choices for indices, so that experts "
        "0 and 1 do all the work. What is read is the model as published: top 2, renormalised with "
        "the epsilon of f32, times 1 − `moe_token_dropout`; the golden joins the modules so. With "
        "a capacity fraction of 1 no token is dropped.",
    ),
    (
        "nllb_moe, switch_transformers",
        "Layers are the encoder's. The decoder's have the second prefix.",
    ),
    (
        "qwen3_5_moe",
        "Always renormalises, and has neither `mlp_only_layers` nor `decoder_sparse_step`. "
        "Published files have an empty `mlp_only_layers`.",
    ),
    ("qwen3_moe_nvfp4", "Files of modelopt have a scale of their own for each expert's matrices."),
    ("qwen3_omni_moe", "Built as the thinker alone, which the whole model has as `thinker.`."),
    (
        "qwen3_vl_moe, qwen3_vl_moe_hub",
        "The hub's files have experts `[in, out]`; memory and what save_pretrained of 5.23 writes "
        "`[out, in]`, under the same names. The shape tells which it is.",
    ),
    (
        "solar_open",
        "Every layer is a MoE layer; `first_k_dense_replace` is not looked at.",
    ),
    (
        "step3p5, step3p7",
        "Renormalisation has no epsilon and always happens. A limit of 0 for a layer is no limit.",
    ),
    (
        "switch_transformers",
        "A token beyond the capacity gives 0, where version 4 gave its own value times the "
        "probability. Capacity is for each row of a batch; a call is one row. A layer is sparse if "
        "its number is 1 more than a multiple of `encoder_sparse_step`, which is `num_layers` over "
        "`num_sparse_encoder_layers`, rounded down, and in every published file.",
    ),
    ("zaya", "Layer 0 takes in no state and has no scale for one."),
]
