"""Families whose router is a softmax, before or after the choice, and nothing unusual."""

from family import Family, tiny

MIXTRAL = {"keep": r"layers\.{l}\.block_sparse_moe\."}
QWEN = {"num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 24}
LINEAR = {
    "linear_num_value_heads": 2,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["full_attention", "linear_attention", "full_attention"],
}
GRANITE = {"num_local_experts": 8, "num_experts_per_tok": 3}
GRANITE_BLOCK = {
    "block": "model.layers.{l}.block_sparse_moe",
    "keep": r"layers\.{l}\.(block_sparse_moe|shared_mlp)\.",
    "tied": ("router.weight",),
}

FAMILIES = [
    Family("mixtral", "MixtralForCausalLM", tiny(num_local_experts=8), shards=2, **MIXTRAL),
    Family("minimax", "MiniMaxForCausalLM", tiny(num_local_experts=8), **MIXTRAL),
    Family(
        "qwen2_moe",
        "Qwen2MoeForCausalLM",
        tiny(
            num_hidden_layers=4, decoder_sparse_step=2, shared_expert_intermediate_size=36, **QWEN
        ),
        layer=3,
    ),
    Family(
        "qwen3_moe", "Qwen3MoeForCausalLM", tiny(norm_topk_prob=True, mlp_only_layers=[0], **QWEN)
    ),
    Family(
        "qwen3_next",
        "Qwen3NextForCausalLM",
        tiny(shared_expert_intermediate_size=28, **QWEN, **LINEAR),
    ),
    Family("olmoe", "OlmoeForCausalLM", tiny(num_experts=8, num_experts_per_tok=4)),
    Family("flex_olmo", "FlexOlmoForCausalLM", tiny(num_experts=7, num_experts_per_tok=5)),
    Family("mellum", "MellumForCausalLM", tiny(**QWEN)),
    Family(
        "jamba",
        "JambaForCausalLM",
        tiny(num_experts=8, num_experts_per_tok=2, mamba_d_state=4, mamba_dt_rank=4),
        block="model.layers.{l}.feed_forward",
        keep=r"layers\.{l}\.feed_forward\.",
        tied=("router.weight",),
    ),
    Family(
        "hunyuan_v1_moe",
        "HunYuanMoEV1ForCausalLM",
        tiny(num_experts=8, moe_topk=3),
        tied=("gate.wg.weight",),
    ),
    Family("granitemoe", "GraniteMoeForCausalLM", tiny(**GRANITE), **GRANITE_BLOCK),
]
