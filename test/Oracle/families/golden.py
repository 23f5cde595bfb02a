"""Golden files: a family's config, the tensors of one layer, and what they must give.

NAME/config.json         as the hub has it
NAME/model.safetensors   the tensors of one MoE layer under hub names; or shards and an index
NAME/case.json           the family, where the expected values are from, which layer
NAME/case.safetensors    CASE.x, CASE.indices, CASE.weights, CASE.y and more, see `Case`
"""

import json
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
GOLDEN = HERE.parent / "golden"
sys.path.append(str(ROOT / "test" / "Integration"))

import files

# How the members of a case are stored. f32 holds the f64 results: what it rounds is far below
# what bf16 does, and hides the last bits in which machines differ.
STORED = {
    "x": "BF16",
    "indices": "I32",
    "weights": "F32",
    "y": "F32",
    "own_y": "BF16",
    "own_indices": "I32",
    "token_ids": "I64",
    "router_state": "BF16",
    "router_state_next": "F32",
}


@dataclass
class Case:
    """Inputs and what they give, in float64 except indices.

    `indices` and `weights` [T, K] are those of the f64 run, -1 where a slot has no expert.
    `own_*` are the results of the module in bf16, where there is a module. Both follow the tie
    rule, of equal scores the lower index, which torch leaves open.
    """

    x: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    y: np.ndarray
    own_y: np.ndarray | None = None
    own_indices: np.ndarray | None = None
    token_ids: np.ndarray | None = None
    router_state: np.ndarray | None = None
    router_state_next: np.ndarray | None = None


@dataclass
class Golden:
    """One layer of one model with its cases."""

    family: str
    source: str  # "transformers 5.23.0" or "numpy"
    layer: int
    moe_layers: list
    config: dict
    tensors: dict  # name -> (array as stored, type)
    cases: dict  # name -> Case
    experts: int
    layout: str = "plain"  # what the file's weights are
    ties: int = 0  # tokens in which the module chose otherwise among equal scores
    shards: int = 1
    also: dict = field(default_factory=dict)  # name -> a config that must mean the same


def has_ties(golden):
    """Whether expert 4, which scores as expert 1 does, is the first to be left out anywhere."""
    chosen = [case.indices for case in golden.cases.values()]
    return any(((i == 1).any(axis=1) & ~(i == 4).any(axis=1)).any() for i in chosen)


def to_bf16(values):
    """The bits of the nearest bf16 values."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (np.asarray(bits, np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def round_bf16(values):
    return from_bf16(to_bf16(values))


def save(golden, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    write_json(folder / "config.json", golden.config)
    for name, config in golden.also.items():
        write_json(folder / f"config-{name}.json", config)
    _save_tensors(golden, folder)
    about = {
        f.name: getattr(golden, f.name)
        for f in fields(Golden)
        if f.name not in ("config", "tensors", "cases", "also")
    }
    write_json(folder / "case.json", about | {"cases": list(golden.cases)})
    stored = {}
    for name, case in golden.cases.items():
        for member, dtype in STORED.items():
            value = getattr(case, member)
            if value is not None:
                stored[f"{name}.{member}"] = (
                    to_bf16(value) if dtype == "BF16" else value,
                    dtype,
                )
    files.write_safetensors(folder / "case.safetensors", stored)


def _save_tensors(golden, folder):
    names = sorted(golden.tensors)
    if golden.shards == 1:
        tensors = {name: golden.tensors[name] for name in names}
        files.write_safetensors(folder / "model.safetensors", tensors)
        return
    weight_map = {}
    for shard in range(golden.shards):
        file = f"model-{shard + 1:05}-of-{golden.shards:05}.safetensors"
        part = names[shard :: golden.shards]
        files.write_safetensors(folder / file, {name: golden.tensors[name] for name in part})
        weight_map |= dict.fromkeys(part, file)
    size = sum(array.nbytes for array, _ in golden.tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(weight_map.items()))}
    write_json(folder / "model.safetensors.index.json", index)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, sort_keys=False) + "\n")


def weight_file(folder):
    index = folder / "model.safetensors.index.json"
    return index if index.exists() else folder / "model.safetensors"


def load(folder):
    """A golden without its tensors, which are the loader's to read."""
    about = json.loads((folder / "case.json").read_text())
    stored = files.read_safetensors(folder / "case.safetensors")
    cases = {}
    for name in about.pop("cases"):
        members = {}
        for member in STORED:
            if f"{name}.{member}" in stored:
                array, dtype = stored[f"{name}.{member}"]
                members[member] = (
                    from_bf16(array) if dtype == "BF16" else array.astype(_wide(dtype))
                )
        cases[name] = Case(**members)
    config = json.loads((folder / "config.json").read_text())
    also = {p.stem[7:]: json.loads(p.read_text()) for p in sorted(folder.glob("config-*.json"))}
    return Golden(**about, config=config, tensors={}, cases=cases, also=also)


def _wide(dtype):
    return np.int64 if dtype.startswith("I") else np.float64


def names():
    return sorted(p.name for p in GOLDEN.iterdir() if (p / "case.json").exists())
