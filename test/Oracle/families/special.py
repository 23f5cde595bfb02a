"""Families with stacked weights, other experts than gated ones, or a router of their own."""

import re

import numpy as np
import torch

import golden
import outside
from family import Family, VISION, tiny
from sigmoid import BIAS, FIRST, MLA
from softmax import GRANITE, LINEAR, QWEN

SHARED = {"shared_expert_intermediate_size": 28}
SPARSE = {"mlp_layer_types": ["dense", "sparse", "sparse"]}


def granite(name, arch, **more):
    return Family(
        name,
        arch,
        tiny(shared_intermediate_size=28, **GRANITE, **more),
        block="model.layers.{l}",
        keep=r"layers\.{l}\.(block_sparse_moe|shared_mlp)\.",
        tied=("block_sparse_moe.router.weight",),
        run=outside.with_shared_mlp,
    )


def random_ids(family, tokens, rng):
    """Token ids, some of them repeated."""
    return {"token_ids": rng.integers(0, 64, tokens)}


def router_state(family, tokens, rng):
    return {"router_state": golden.round_bf16(rng.normal(0, 1, (tokens, 12)))}


def random_table(block, rng):
    """Different experts for each token id."""
    table = block.gate.tid2eid
    for row in table:
        row.copy_(torch.from_numpy(rng.permutation(8)[: table.shape[1]]))


def small_scales(block, rng):
    block.gate.global_scale.fill_(1.25)


def within_thinker(config, tensors):
    whole = {
        "architectures": ["Qwen3OmniMoeForConditionalGeneration"],
        "dtype": config["dtype"],
        "model_type": "qwen3_omni_moe",
        "thinker_config": config,
    }
    return whole, {f"thinker.{name}": t for name, t in tensors.items()}


def transposed(config, tensors):
    """Experts as the hub's files have them, where save_pretrained turns them round."""
    turned = {
        name: (array.transpose(0, 2, 1), dtype)
        for name, (array, dtype) in tensors.items()
        if ".mlp.experts." in name
    }
    return config, tensors | turned


def within_vision(config, tensors):
    """The text part of a model that sees."""
    whole = {
        "architectures": ["Gemma4ForConditionalGeneration"],
        "dtype": config["dtype"],
        "model_type": "gemma4",
        "text_config": config,
    }
    rename = lambda name: name.replace("model.layers.", "model.language_model.layers.")
    return whole, {rename(name): t for name, t in tensors.items()}


def without_identities(config, tensors):
    number = lambda name: int((re.findall(r"experts\.(\d+)", name) or [0])[0])
    return config, {n: tensors[n] for n in tensors if number(n) < config["n_routed_experts"]}


def gemma4(name, **more):
    """The block's parts are the decoder layer's."""
    return Family(
        name,
        "Gemma4ForCausalLM",
        tiny(
            enable_moe_block=True,
            num_experts=8,
            top_k_experts=3,
            moe_intermediate_size=20,
            hidden_size_per_layer_input=0,
            global_head_dim=16,
            layer_types=["sliding_attention", "full_attention", "full_attention"],
        ),
        block="model.layers.{l}",
        keep=r"layers\.{l}\.(router|experts|pre_feedforward_layernorm_2)\.",
        tied=("router.proj.weight",),
        run=outside.router_and_experts,
        **more,
    )


DEEPSEEK_V4 = tiny(
    num_hidden_layers=3,
    n_routed_experts=8,
    num_experts_per_tok=3,
    moe_intermediate_size=24,
    num_key_value_heads=1,
    q_lora_rank=16,
    o_groups=2,
    o_lora_rank=16,
    index_n_heads=2,
    index_head_dim=16,
    index_topk=4,
    swiglu_limit=1.0,
    mlp_layer_types=["hash_moe", "moe", "moe"],
)

FAMILIES = [
    granite("granitemoeshared", "GraniteMoeSharedForCausalLM"),
    granite(
        "granitemoehybrid",
        "GraniteMoeHybridForCausalLM",
        layer_types=["mamba", "attention", "mamba"],
        mamba_n_heads=2,
        mamba_d_state=4,
        mamba_d_head=32,
    ),
    granite("granitemoe_swa", "GraniteMoeSWAForCausalLM"),
    Family(
        "jetmoe",
        "JetMoeForCausalLM",
        tiny(num_local_experts=8, num_experts_per_tok=3, kv_channels=16),
        tied=("router.layer.weight",),
        run=outside.jetmoe,
    ),
    Family(
        "qwen3_5_moe",
        "Qwen3_5MoeForConditionalGeneration",
        {"text_config": tiny(**SHARED, **QWEN, **LINEAR), "vision_config": VISION},
        block="model.language_model.layers.{l}.mlp",
    ),
    Family(
        "qwen3_vl_moe",
        "Qwen3VLMoeForConditionalGeneration",
        {"text_config": tiny(**QWEN), "vision_config": VISION},
        block="model.language_model.layers.{l}.mlp",
    ),
    Family(
        "qwen3_vl_moe_hub",
        "Qwen3VLMoeForConditionalGeneration",
        {"text_config": tiny(**QWEN), "vision_config": VISION},
        block="model.language_model.layers.{l}.mlp",
        adapt=transposed,
    ),
    Family(
        "qwen3_omni_moe",
        "Qwen3OmniMoeThinkerForConditionalGeneration",
        {"text_config": tiny(**QWEN), "vision_config": VISION},
        block="model.language_model.layers.{l}.mlp",
        adapt=within_thinker,
    ),
    Family(
        "gpt_oss",
        "GptOssForCausalLM",
        tiny(num_local_experts=8, num_experts_per_tok=4, swiglu_limit=1.5),
        tied=("router.weight", "router.bias"),
    ),
    Family(
        "aria",
        "AriaForConditionalGeneration",
        {
            "text_config": tiny(moe_num_experts=8, moe_topk=3),
            "vision_config": VISION | {"model_type": "idefics3_vision"},
            "projector_patch_to_query_dict": {16: 4},
        },
        block="model.language_model.layers.{l}.mlp",
        tied=("router.weight",),
    ),
    Family(
        "cohere2_moe",
        "Cohere2MoeForCausalLM",
        tiny(
            num_experts=8,
            num_experts_per_tok=3,
            num_shared_experts=2,
            expert_selection_fn="sigmoid",
            shared_expert_combination_strategy="average",
            **SPARSE,
        ),
        factor=0.5,
    ),
    gemma4("gemma4"),
    gemma4("gemma4_vision", adapt=within_vision),
    Family(
        "nemotron_h",
        "NemotronHForCausalLM",
        tiny(
            layers_block_type=["mamba", "moe", "attention"],
            n_routed_experts=8,
            num_experts_per_tok=3,
            moe_intermediate_size=24,
            moe_shared_expert_intermediate_size=28,
            moe_latent_size=16,
            routed_scaling_factor=2.5,
            mamba_num_heads=2,
            mamba_head_dim=16,
            n_groups=1,
            ssm_state_size=4,
        ),
        block="model.layers.{l}.mixer",
        keep=r"layers\.{l}\.mixer\.",
        **BIAS,
    ),
    Family(
        "phimoe",
        "PhimoeForCausalLM",
        tiny(num_local_experts=8, router_jitter_noise=0.05),
        keep=r"layers\.{l}\.(block_sparse_moe|mlp)\.",
        tied=("router.weight",),
    ),
    Family(
        "llama4",
        "Llama4ForConditionalGeneration",
        {
            "text_config": tiny(
                num_local_experts=8, intermediate_size_mlp=40, interleave_moe_layer_step=2
            ),
            "vision_config": VISION
            | {"vision_output_dim": 32, "projector_input_dim": 32, "projector_output_dim": 32},
        },
        block="language_model.model.layers.{l}.feed_forward",
        keep=r"layers\.{l}\.feed_forward\.",
        tied=("router.weight",),
        run=outside.llama4,
    ),
    Family(
        "switch_transformers",
        "SwitchTransformersForConditionalGeneration",
        {
            "d_model": 32,
            "d_kv": 16,
            "d_ff": 24,
            "num_layers": 2,
            "num_sparse_encoder_layers": 1,
            "num_decoder_layers": 2,
            "num_sparse_decoder_layers": 1,
            "num_heads": 2,
            "vocab_size": 64,
            "num_experts": 8,
            "expert_capacity": 4,
        },
        block="encoder.block.{l}.layer.1.mlp",
        keep=r"encoder\.block\.{l}\.layer\.1\.mlp\.",
        tied=("router.classifier.weight",),
        run=outside.switch,
    ),
    Family(
        "nllb_moe",
        "NllbMoeForConditionalGeneration",
        {
            "d_model": 32,
            "encoder_layers": 4,
            "encoder_ffn_dim": 24,
            "encoder_attention_heads": 2,
            "decoder_layers": 2,
            "decoder_ffn_dim": 24,
            "decoder_attention_heads": 2,
            "vocab_size": 64,
            "num_experts": 8,
            "encoder_sparse_step": 2,
            "decoder_sparse_step": 2,
            "max_position_embeddings": 64,
        },
        block="model.encoder.layers.{l}.ffn",
        keep=r"model\.encoder\.layers\.{l}\.ffn\.",
        tied=("router.classifier.weight",),
        run=outside.nllb,
        factor=0.8,
    ),
    Family(
        "dbrx",
        "DbrxForCausalLM",
        {
            "d_model": 32,
            "n_heads": 2,
            "n_layers": 2,
            "max_seq_len": 64,
            "vocab_size": 64,
            "attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0},
            "ffn_config": {
                "hidden_size": 32,
                "ffn_hidden_size": 24,
                "moe_num_experts": 8,
                "moe_top_k": 3,
            },
        },
        block="transformer.blocks.{l}.ffn",
        keep=r"blocks\.{l}\.ffn\.",
        tied=("router.layer.weight",),
    ),
    Family(
        "longcat_flash",
        "LongcatFlashForCausalLM",
        tiny(
            num_layers=2,
            num_hidden_layers=4,
            n_routed_experts=6,
            zero_expert_num=3,
            moe_topk=4,
            ffn_hidden_size=40,
            expert_ffn_hidden_size=24,
            **MLA,
        ),
        keep=r"layers\.{l}\.mlp\.",
        tied=("router.classifier.weight", "router.e_score_correction_bias"),
        adapt=without_identities,
        scales={"e_score_correction_bias": 0.05},
    ),
    Family(
        "deepseek_v4",
        "DeepseekV4ForCausalLM",
        DEEPSEEK_V4,
        keep=r"layers\.{l}\.(ffn|mlp)\.",
        **BIAS,
    ),
    Family(
        "deepseek_v4_hash",
        "DeepseekV4ForCausalLM",
        DEEPSEEK_V4,
        layer=0,
        keep=r"layers\.{l}\.(ffn|mlp)\.",
        extra=random_ids,
        run=outside.hash_layer,
        finish=random_table,
    ),
    Family(
        "minimax_m3_vl",
        "MiniMaxM3SparseForConditionalGeneration",
        {
            "text_config": tiny(
                num_local_experts=8,
                num_experts_per_tok=3,
                dense_intermediate_size=40,
                shared_intermediate_size=28,
                swiglu_limit=1.5,
                rotary_dim=8,
                **SPARSE,
            ),
            "vision_config": VISION,
        },
        block="model.language_model.layers.{l}.mlp",
        keep=r"layers\.{l}\.(block_sparse_moe|mlp)\.",
        factor=2.0,
        **BIAS,
    ),
    Family(
        "step3p7",
        "Step3p7ForConditionalGeneration",
        {
            "text_config": tiny(
                n_routed_experts=8,
                num_experts_per_tok=3,
                moe_intermediate_size=24,
                share_expert_dim=28,
                moe_router_scaling_factor=3.0,
                swiglu_limits=[0, 0.5, 0],
                swiglu_limits_shared=[0, 0.25, 0],
                **SPARSE,
            ),
            "vision_config": VISION,
        },
        block="model.language_model.layers.{l}.mlp",
        keep=r"layers\.{l}\.(moe|share_expert)\.",
        factor=3.0,
        **BIAS,
    ),
    Family(
        "inkling",
        "InklingForConditionalGeneration",
        {
            "text_config": tiny(
                n_routed_experts=8,
                num_experts_per_tok=3,
                moe_intermediate_size=24,
                swa_num_attention_heads=2,
                swa_num_key_value_heads=2,
                swa_head_dim=16,
                d_rel=4,
                rel_extent=16,
                **SPARSE,
            ),
            "vision_config": VISION | {"text_hidden_size": 32, "patch_size": 4},
            "audio_config": {"n_mel_bins": 4, "mel_vocab_size": 8, "text_hidden_size": 32},
        },
        block="model.language_model.layers.{l}.mlp",
        tied=("gate.weight", "gate.e_score_correction_bias"),
        run=outside.inkling,
        finish=small_scales,
    ),
    Family(
        "zaya",
        "ZayaForCausalLM",
        tiny(num_experts=8, moe_intermediate_size=24, router_hidden_size=12),
        tied=("gate.router_mlp.out_proj.weight", "gate.balancing_biases"),
        scales={"balancing_biases": 0.1},
        extra=router_state,
        run=outside.zaya,
    ),
]
