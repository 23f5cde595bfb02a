"""Tiny models of `transformers` with seeded weights, one of each family."""

import torch
import transformers

COMMON = dict(
    vocab_size=97,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=256,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=None,
)
LATENT_ATTENTION = dict(
    q_lora_rank=16,
    kv_lora_rank=16,
    qk_rope_head_dim=8,
    qk_nope_head_dim=8,
    v_head_dim=8,
    num_key_value_heads=4,
)
WIDTHS = dict(intermediate_size=40, moe_intermediate_size=24)
MIXTRAL = dict(intermediate_size=24, num_local_experts=8, num_experts_per_tok=2)
QWEN = dict(WIDTHS, num_experts=8, num_experts_per_tok=2)
DEEPSEEK = dict(
    WIDTHS,
    n_routed_experts=8,
    num_experts_per_tok=2,
    n_shared_experts=2,
    first_k_dense_replace=1,
    n_group=2,
    topk_group=1,
    norm_topk_prob=True,
    routed_scaling_factor=2.5,
)
INDEXER = dict(index_n_heads=2, index_head_dim=8, index_topk=16)
MAMBA = dict(mamba_n_heads=8, mamba_d_head=8, mamba_d_state=8, mamba_n_groups=1, mamba_chunk_size=8)

#: model_type -> (class before "ForCausalLM", what its config has besides COMMON)
FAMILIES = {
    "afmoe": (
        "Afmoe",
        dict(QWEN, num_shared_experts=1, num_dense_layers=1, global_attn_every_n_layers=2),
    ),
    "aria_text": (
        "AriaText",
        dict(intermediate_size=24, moe_num_experts=8, moe_topk=2, moe_num_shared_experts=2),
    ),
    "axk1": ("AXK1", dict(DEEPSEEK, **LATENT_ATTENTION)),
    "cohere2_moe": (
        "Cohere2Moe",
        dict(
            intermediate_size=24,
            num_experts=8,
            num_experts_per_tok=2,
            num_shared_experts=1,
            prefix_dense_intermediate_size=40,
            first_k_dense_replace=1,
        ),
    ),
    "dbrx": (
        "Dbrx",
        dict(
            d_model=32,
            n_heads=4,
            n_layers=2,
            max_seq_len=256,
            attn_config=dict(kv_n_heads=2, rope_theta=10000.0, clip_qkv=8.0),
            ffn_config=dict(ffn_hidden_size=24, moe_num_experts=8, moe_top_k=2, hidden_size=32),
        ),
    ),
    "deepseek_v2": (
        "DeepseekV2",
        dict(
            DEEPSEEK, **LATENT_ATTENTION, topk_method="group_limited_greedy", norm_topk_prob=False
        ),
    ),
    "deepseek_v3": ("DeepseekV3", dict(DEEPSEEK, **LATENT_ATTENTION)),
    "deepseek_v32": ("DeepseekV32", dict(DEEPSEEK, **LATENT_ATTENTION, **INDEXER)),
    "deepseek_v4": (
        "DeepseekV4",
        dict(
            moe_intermediate_size=24, n_routed_experts=8, num_experts_per_tok=2, num_hash_layers=1
        ),
    ),
    "dots1": ("Dots1", dict(DEEPSEEK)),
    "ernie4_5_moe": (
        "Ernie4_5_Moe",
        dict(WIDTHS, moe_num_experts=8, moe_k=2, moe_num_shared_experts=2, moe_layer_start_index=1),
    ),
    "exaone_moe": (
        "ExaoneMoe",
        dict(QWEN, num_shared_experts=1, first_k_dense_replace=1, n_group=2, topk_group=1),
    ),
    "flex_olmo": ("FlexOlmo", dict(intermediate_size=24, num_experts=8, num_experts_per_tok=2)),
    "gemma4_text": (
        "Gemma4",
        dict(
            QWEN,
            top_k_experts=2,
            enable_moe_block=True,
            hidden_size_per_layer_input=0,
            vocab_size_per_layer_input=97,
            num_kv_shared_layers=0,
        ),
    ),
    "glm4_moe": ("Glm4Moe", dict(DEEPSEEK)),
    "glm4_moe_lite": ("Glm4MoeLite", dict(DEEPSEEK, **LATENT_ATTENTION)),
    "glm_moe_dsa": ("GlmMoeDsa", dict(DEEPSEEK, **LATENT_ATTENTION, **INDEXER)),
    "gpt_oss": ("GptOss", dict(MIXTRAL)),
    "granitemoe": ("GraniteMoe", dict(MIXTRAL)),
    "granitemoe_swa": ("GraniteMoeSWA", dict(MIXTRAL)),
    "granitemoehybrid": (
        "GraniteMoeHybrid",
        dict(MIXTRAL, **MAMBA, shared_intermediate_size=16, layer_types=["mamba", "attention"]),
    ),
    "granitemoeshared": ("GraniteMoeShared", dict(MIXTRAL, shared_intermediate_size=16)),
    "hunyuan_v1_moe": ("HunYuanMoEV1", dict(intermediate_size=24, num_experts=8, moe_topk=2)),
    "hy_v3": ("HYV3", dict(QWEN, num_shared_experts=1, first_k_dense_replace=1)),
    "jamba": (
        "Jamba",
        dict(
            intermediate_size=24,
            num_experts=8,
            num_experts_per_tok=2,
            attn_layer_period=2,
            attn_layer_offset=0,
            expert_layer_period=2,
            expert_layer_offset=1,
            mamba_d_state=4,
            mamba_dt_rank=4,
        ),
    ),
    "jetmoe": ("JetMoe", dict(MIXTRAL, kv_channels=8)),
    "laguna": ("Laguna", dict(QWEN, shared_expert_intermediate_size=16)),
    "lfm2_moe": (
        "Lfm2Moe",
        dict(QWEN, num_dense_layers=1, layer_types=["conv", "full_attention"]),
    ),
    "llama4_text": (
        "Llama4",
        dict(
            intermediate_size=24,
            intermediate_size_mlp=40,
            num_local_experts=8,
            num_experts_per_tok=1,
            attention_chunk_size=32,
            interleave_moe_layer_step=2,
        ),
    ),
    "longcat_flash": (
        "LongcatFlash",
        dict(
            LATENT_ATTENTION,
            num_layers=2,
            ffn_hidden_size=40,
            expert_ffn_hidden_size=24,
            n_routed_experts=8,
            zero_expert_num=4,
            moe_topk=3,
        ),
    ),
    "mellum": ("Mellum", dict(QWEN)),
    "mimo_v2_flash": ("MiMoV2Flash", dict(DEEPSEEK, moe_layer_freq=[0, 1], n_shared_experts=None)),
    "minimax": ("MiniMax", dict(MIXTRAL, block_size=16)),
    "minimax_m2": ("MiniMaxM2", dict(MIXTRAL)),
    "minimax_m3_vl_text": ("MiniMaxM3VL", dict(MIXTRAL)),
    "mixtral": ("Mixtral", dict(MIXTRAL)),
    "nemotron_h": (
        "NemotronH",
        dict(
            QWEN,
            n_routed_experts=8,
            n_shared_experts=1,
            moe_shared_expert_intermediate_size=16,
            hybrid_override_pattern="*E",
            n_group=1,
            topk_group=1,
            norm_topk_prob=True,
        ),
    ),
    "olmoe": ("Olmoe", dict(intermediate_size=24, num_experts=8, num_experts_per_tok=2)),
    "phimoe": ("Phimoe", dict(MIXTRAL)),
    "qwen2_moe": ("Qwen2Moe", dict(QWEN, shared_expert_intermediate_size=16)),
    "qwen3_moe": ("Qwen3Moe", dict(QWEN, norm_topk_prob=True, decoder_sparse_step=2)),
    "qwen3_5_moe_text": (
        "Qwen3_5Moe",
        dict(
            QWEN,
            shared_expert_intermediate_size=16,
            linear_num_value_heads=4,
            linear_num_key_heads=2,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            layer_types=["linear_attention", "full_attention"],
        ),
    ),
    "qwen3_next": (
        "Qwen3Next",
        dict(
            QWEN,
            shared_expert_intermediate_size=16,
            norm_topk_prob=True,
            linear_num_value_heads=4,
            linear_num_key_heads=2,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            layer_types=["linear_attention", "full_attention"],
        ),
    ),
    "solar_open": ("SolarOpen", dict(DEEPSEEK)),
    "zaya": ("Zaya", dict(intermediate_size=24, num_experts=8)),
}

VISION = dict(hidden_size=16, intermediate_size=64)
QWEN_VISION = dict(VISION, depth=1, num_heads=2, out_hidden_size=32)

#: Class before "Config" -> its text model, what that has besides, and its vision model
MULTIMODAL = {
    "Llama4": (
        "llama4_text",
        {},
        dict(
            VISION,
            num_hidden_layers=1,
            num_attention_heads=2,
            vision_output_dim=16,
            projector_input_dim=16,
            projector_output_dim=16,
            image_size=28,
            patch_size=14,
        ),
    ),
    "Qwen3VLMoe": (
        "qwen3_moe",
        dict(rope_parameters=dict(rope_type="default", rope_theta=1e4, mrope_section=[2, 1, 1])),
        dict(QWEN_VISION, deepstack_visual_indexes=[0]),
    ),
    "Qwen3_5Moe": ("qwen3_5_moe_text", {}, QWEN_VISION),
}

#: What configs of other names do not take.
_NOT_COMMON = {
    "dbrx": [key for key in COMMON if key != "vocab_size"],
    "jetmoe": ["num_attention_heads", "head_dim"],
}

# Kept as the model's own code sets them: what keeps states from growing.
_KEPT = ("norm", "A_log", "dt_bias", "inv_freq", "conv", "tid2eid", "rotary")


def build(family, dtype=torch.float32, **changes):
    """A model in evaluation mode whose tokens differ from step to step."""
    name, own = FAMILIES[family]
    unknown = _NOT_COMMON.get(family, ())
    common = {key: value for key, value in COMMON.items() if key not in unknown}
    config = transformers.CONFIG_MAPPING[family](**{**common, **own, **changes})
    return _seeded(lambda: getattr(transformers, f"{name}ForCausalLM")(config)).to(dtype)


def build_multimodal(name):
    """The same with a vision model beside the text model."""
    text, own, vision = MULTIMODAL[name]
    config = getattr(transformers, f"{name}Config")(
        text_config={**COMMON, **FAMILIES[text][1], **own}, vision_config=vision
    )
    return _seeded(lambda: getattr(transformers, f"{name}ForConditionalGeneration")(config))


def _seeded(make):
    torch.manual_seed(0)
    model = make()
    with torch.no_grad():
        for tensor_name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if tensor.is_floating_point() and not any(k in tensor_name for k in _KEPT):
                tensor.normal_(0, 0.3 if tensor.ndim > 1 else 0.1)
            elif tensor_name.endswith("tid2eid"):
                tensor.copy_(torch.rand(tensor.shape[0], 8).argsort(-1)[:, : tensor.shape[1]])
    return model.eval()


def prompt():
    return torch.randint(2, 97, (2, 7), generator=torch.Generator().manual_seed(1))


def greedy(model, steps=64):
    ids = prompt()
    with torch.no_grad():
        return model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=steps,
            min_new_tokens=steps,
            do_sample=False,
        )
