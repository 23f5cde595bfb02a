"""What the blocks of a model compute, as specs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple, Union

from . import _library
from ._errors import CompileError
from ._sources import names_of

Spec = Dict[str, Any]


def layers_of(
    model: Any, spec: Union[Mapping[str, Any], str, os.PathLike, None]
) -> Iterator[Tuple[int, Spec]]:
    """The numbers of the layers with experts, each with its spec."""
    if spec is None:
        return imported(model.config)
    if not isinstance(spec, Mapping):
        spec = json.loads(Path(spec).read_text(encoding="utf-8"))
    names = [name for name, _ in [*model.named_parameters(), *model.named_buffers()]]
    base = getattr(model, "base_model_prefix", "")
    names += [f"{base}.{name}" for name in names]
    return ((layer, dict(spec)) for layer in _matching(spec, names))


def _matching(spec: Mapping[str, Any], names: List[str]) -> List[int]:
    """The layers of which a model has any tensor that the spec names.

    >>> sources = {"experts.up.weight": ["w3.{e}.weight", "experts.up"]}
    >>> spec = {"weights": {"prefix": "layers.{l}.", "tensors": sources}}
    >>> _matching(spec, ["layers.0.attn", "layers.2.w3.1.weight", "m.layers.10.experts.up"])
    [2, 10]
    """
    weights = spec.get("weights", {})
    prefixes = weights.get("prefix", "")
    prefixes = [prefixes] if isinstance(prefixes, str) else prefixes
    sources = weights.get("tensors", {}).get("experts.up.weight", [])
    patterns = [p + name for p in prefixes for name in names_of(sources)]
    layers = set()
    for pattern in patterns:
        text = re.escape(pattern).replace(r"\{l\}", r"(?P<l>\d+)", 1).replace(r"\{e\}", r"\d+")
        matches = (re.search(rf"(?:^|\.){text}$", name) for name in names)
        layers.update(int(m.groupdict().get("l") or 0) for m in matches if m)
    return sorted(layers)


def imported(config: Any) -> Iterator[Tuple[int, Spec]]:
    """The specs that the compiler makes of a `transformers` config."""
    with tempfile.TemporaryDirectory(prefix="moe-mlir-") as folder:
        (Path(folder) / "config.json").write_text(_text(config), encoding="utf-8")
        table = json.loads(_ask(folder, "--layers", "--json"))
        specs: Dict[int, Spec] = {}
        for group in table["groups"]:
            if group["kind"] in ("moe", "hash"):
                first, *_ = group["layers"]
                spec = json.loads(_ask(folder, f"--layer={first}", "--emit=spec"))
                specs.update((layer, spec) for layer in group["layers"])
    return iter(sorted(specs.items(), key=lambda entry: entry[0]))


def _text(config: Any) -> str:
    """A config as config.json has it.

    >>> _text({"hidden_size": 8, "quantization_config": {"quant_method": "fp8"}})
    '{"hidden_size": 8}'
    """
    given = config
    if hasattr(config, "to_json_string"):  # which knows how to write types of torch
        config = json.loads(config.to_json_string(use_diff=False))
    config = dict(config)
    if layers := getattr(given, "num_hidden_layers", None):  # some only compute it
        config.setdefault("num_hidden_layers", layers)
    # Tensors in memory have a type of their own; how a file was quantised says nothing of them.
    config.pop("quantization_config", None)
    return json.dumps(config)


def _ask(folder: str, *options: str) -> str:
    command = [str(_library.compiler()), "config.json", *options]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    if run.returncode:
        raise CompileError(run.stderr.strip() or f"moe-opt ended with status {run.returncode}")
    return run.stdout
