"""What the oracle has to know about a family to run it."""

from dataclasses import dataclass, field, replace

import record

# The key of a config that `factor` is, where one is.
FACTORS = {
    "laguna": "moe_routed_scaling_factor",
    "minimax_m3_vl": "routed_scaling_factor",
    "step3p7": "moe_router_scaling_factor",
}


@dataclass
class Family:
    """A tiny model of a family and where its MoE block is.

    `block` is the module's path with `{l}`, `keep` matches the block's tensors in the file,
    `tied` names what the router scores experts with, `scales` the standard deviations of
    tensors that need another one than `build.values` gives.
    """

    name: str
    arch: str
    config: dict
    layer: int = 1
    block: str = "model.layers.{l}.mlp"
    keep: str = r"layers\.{l}\.mlp\."
    tied: tuple = ("gate.weight",)
    scales: dict = field(default_factory=dict)
    run: callable = record.run_block
    finish: callable = lambda block, rng: None
    extra: callable = lambda family, tokens, rng: {}
    adapt: callable = lambda config, tensors: (config, tensors)  # to what the hub has
    factor: float = 1.0  # of the weights, where the code applies it to the output
    shards: int = 1
    changed: bool = False  # by options
    options: tuple = ()  # of the config, one for each seed of a live run, and again from the first

    @property
    def block_path(self):
        return self.block.format(l=self.layer)

    def with_options(self, seed):
        """The family with the options of a seed; the golden, of seed 0, has none."""
        if not self.options or not seed:
            return self
        chosen = self.options[(seed // 100 - 1) % len(self.options)]
        section = self.config.get("text_config", self.config)
        changed = section | chosen
        whole = changed if section is self.config else self.config | {"text_config": changed}
        factor = chosen.get(FACTORS.get(self.name), self.factor)
        if chosen.get("shared_expert_combination_strategy") == "sum":
            factor = 1.0
        return replace(self, changed=True, config=whole, factor=factor)

    @property
    def layers_path(self):
        return self.block.split(".{l}")[0]


# Sizes of the tiny models; a family's own go over them.
TINY = {
    "hidden_size": 32,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

# The vision part of models that have one, by the names that several use.
VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "depth": 1,
    "num_heads": 2,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "out_hidden_size": 32,
}


def tiny(**more):
    return TINY | more
