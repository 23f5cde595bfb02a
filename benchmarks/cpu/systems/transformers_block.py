"""The model's own block out of `transformers`, as a model has it unless it is told otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from ._torch import TorchSystem, plain
from .unsupported import Unsupported

_CONFIGS = Path(__file__).resolve().parents[3] / "examples" / "configs"
_FILES = {
    "olmoe": "olmoe-1b-7b",
    "qwen3": "qwen3-30b-a3b",
    "gpt_oss": "gpt-oss-20b",
    "deepseek": "deepseek-v2-lite",
    "mixtral": "mixtral-8x7b",
}
_SMALL = {"num_hidden_layers": 2, "vocab_size": 8}


class TransformersBlock(TorchSystem):
    def prepare(self) -> None:
        if self.weights.dtype not in ("f32", "bf16"):
            raise Unsupported("on CPUs it decodes such weights when it loads them")
        self.block = self._block().requires_grad_(False)
        self._set(self.block)

    def _block(self) -> torch.nn.Module:
        path = _CONFIGS / f"{_FILES[self.shape.name]}.json"
        values = json.loads(path.read_text())
        for name in ("quantization_config", "auto_map", "layer_types"):
            values.pop(name, None)
        special = {name: None for name in values if name.endswith("_token_id")}
        config = AutoConfig.for_model(**{**values, **special, **_SMALL})
        with torch.device("meta"):
            layer = AutoModelForCausalLM.from_config(config).model.layers[1]
        return getattr(layer, "block_sparse_moe", None) or layer.mlp

    def _set(self, block: torch.nn.Module) -> None:
        """Gives the block the weights, where they fit without a copy of them."""
        gate_up, down = plain(self.weights, "experts.gate_up"), plain(self.weights, "experts.down")
        values = {"experts.gate_up_proj": gate_up, "experts.down_proj": down}
        if self.shape.name == "gpt_oss":  # [in, out], and gate and up by turns
            gate, up = gate_up.chunk(2, dim=1)
            by_turns = torch.stack([gate, up], dim=2).flatten(1, 2)
            values["experts.gate_up_proj"] = by_turns.transpose(1, 2).contiguous()
            values["experts.down_proj"] = down.transpose(1, 2).contiguous()
            gate, up = self.bias("experts.gate_up").chunk(2, dim=1)
            values["experts.gate_up_proj_bias"] = torch.stack([gate, up], dim=2).flatten(1)
            values["experts.down_proj_bias"] = self.bias("experts.down")
        if self.shape.shared:
            gate, up = plain(self.weights, "shared.gate_up").chunk(2)
            values["shared_experts.gate_proj.weight"] = gate
            values["shared_experts.up_proj.weight"] = up
            values["shared_experts.down_proj.weight"] = plain(self.weights, "shared.down")
        router = "router" if self.shape.name == "gpt_oss" else "gate"
        values[router + ".weight"] = self.router
        if self.shape.bias:
            values[router + ".bias"] = self.router_bias
        block.load_state_dict(values, assign=True)

    def forward(self, x):
        y = self.block(x[None])
        return (y[0] if isinstance(y, tuple) else y)[0]
