"""Builds a tiny model of a family, saves it as transformers does and takes one block out."""

import inspect
import json
import zlib

import numpy as np
import torch
import transformers

import golden
from family import TINY, VISION

torch.set_num_threads(1)  # tiny models; and sums are in one order
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def build(family, seed, folder):
    """The saved model and its block: (block in its own type, config, all tensors, model)."""
    arch = getattr(transformers, family.arch)
    config = make_config(arch.config_class, family.config)
    config._experts_implementation = "eager"
    torch.manual_seed(seed)
    model = arch(config)
    randomise(family, model, seed)
    model.save_pretrained(folder / "f32")
    model = arch.from_pretrained(
        folder / "f32", dtype=torch.bfloat16, experts_implementation="eager"
    ).eval()
    model.save_pretrained(folder / "bf16")
    config = json.loads((folder / "bf16" / "config.json").read_text())
    tensors = golden.files.read_safetensors(folder / "bf16" / "model.safetensors")
    return model, config, tensors


def make_config(config_class, given):
    """Sections that are dicts of sizes too, without sizes that a class has no use for."""
    source = inspect.getsource(config_class)
    known = set(config_class().to_dict()) | set(config_class.attribute_map)
    kept = {
        key: v for key, v in given.items() if key in known or key in source or key == "rope_theta"
    }
    if unknown := set(given) - set(kept) - set(TINY) - set(VISION):
        raise KeyError(f"{config_class.__name__} does not know {sorted(unknown)}")
    for name in [name for name, section in kept.items() if isinstance(section, dict)]:
        default = getattr(config_class(), name, None)
        if hasattr(default, "to_dict"):
            kept[name] = make_config(type(default), kept[name])
    return config_class(**kept)


@torch.no_grad()
def randomise(family, model, seed):
    block = dict(model.named_modules())[family.block_path]
    for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
        if not tensor.is_floating_point():
            continue
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        made = values(family, name, tuple(tensor.shape), rng)
        tensor.copy_(torch.from_numpy(np.array(made).reshape(tensor.shape)))
    family.finish(block, np.random.default_rng(seed))
    repeat_router_rows(family, block)


def values(family, name, shape, rng):
    """What suits a tensor of this name: matrices keep sizes, norms are about 1."""
    if any(part in name for part in family.scales):
        scale = next(s for part, s in family.scales.items() if part in name)
        return rng.normal(0, scale, shape).astype(np.float32)
    if "norm" in name or "scale" in name:
        return golden.round_bf16(rng.uniform(0.5, 1.5, shape)).astype(np.float32)
    if "bias" in name and "proj" not in name:
        return rng.normal(0, 0.2, shape).astype(np.float32)
    fan = shape[-1] if shape else 1
    return golden.round_bf16(rng.normal(0, 1.5 / np.sqrt(max(fan, 1)), shape)).astype(np.float32)


def repeat_router_rows(family, block):
    """Experts 1 and 4 score alike for every token: which of them is taken is a tie."""
    tensors = dict(block.named_parameters()) | dict(block.named_buffers())
    for name in [name for name in family.tied if name in tensors]:
        rows = tensors[name] if tensors[name].dim() == 2 else tensors[name].view(-1, 1)
        rows = rows.view(-1, 1) if rows.shape[0] == 1 else rows
        rows[4] = rows[1]
