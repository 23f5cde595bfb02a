"""Compiled layers in the place of the Mixture-of-Experts blocks of a model."""

from __future__ import annotations

import dataclasses
import os
import time
import warnings
from typing import Any, Iterator, List, Mapping, Optional, Union

import numpy as np

from . import _cache, _library
from ._block import Replacement
from ._errors import CompileError
from ._families import layers_of
from ._locate import Located, locate
from ._sources import SourceError, Weight, find
from ._tensors import long_name, numpy_type

Path = Union[str, os.PathLike, None]

# Far above rounding, far below what a wrong formula or a wrong weight gives.
_ALLOWED = {"f32": 1e-4, "f16": 1e-2, "bf16": 5e-2}


class AccelerateError(ValueError):
    """A block could not be replaced; the message names it and says why."""


@dataclasses.dataclass
class BlockReport:
    """What became of one block."""

    name: str  #: such as "model.layers.3.mlp (Qwen3MoeSparseMoeBlock)"
    layer: Optional[int] = None
    replaced: bool = False
    why: str = ""  #: why not
    shared_bytes: int = 0  #: of weights that are used where they are
    copied_bytes: int = 0  #: of weights that the compiled layer has copies of
    error: Optional[float] = None  #: against the block's own forward, relative, median of tokens


@dataclasses.dataclass
class Report:
    """What `accelerate` did."""

    blocks: List[BlockReport]
    seconds: float = 0.0

    @property
    def replaced(self) -> List[BlockReport]:
        return [block for block in self.blocks if block.replaced]

    @property
    def failed(self) -> List[BlockReport]:
        return [block for block in self.blocks if not block.replaced]

    @property
    def shared_bytes(self) -> int:
        return sum(block.shared_bytes for block in self.blocks)

    @property
    def copied_bytes(self) -> int:
        return sum(block.copied_bytes for block in self.blocks)

    def __str__(self) -> str:
        text = f"{len(self.replaced)} of {len(self.blocks)} blocks replaced in {self.seconds:.1f} s"
        text += f"; {_size(self.shared_bytes)} shared, {_size(self.copied_bytes)} copied"
        return "\n".join([text, *(f"{block.name}: {block.why}" for block in self.failed)])


def accelerate(
    model: Any,
    spec: Union[Mapping[str, Any], str, os.PathLike, None] = None,
    *,
    strict: bool = False,
    cache: Path = None,
) -> Report:
    """Replaces the Mixture-of-Experts blocks of a `transformers` model by compiled layers.

    The modules stay, with their parameters, hooks and names; only their forward changes. `restore`
    undoes it. `spec` says what the blocks compute where the compiler does not know the model's
    `config`: a native spec with `weights.prefix` and `weights.tensors`. Each compiled layer is
    compared with its block on a few random tokens before it takes its place. A block that cannot
    be replaced goes on as it is, with a warning; with `strict`, nothing is replaced and
    `AccelerateError` is raised. Packages are kept in `cache`, by default `$MOE_MLIR_CACHE` or the
    user's cache folder.
    """
    start = time.monotonic()
    _library.compiler(), _library.runtime()  # without them there is nothing to go on with
    report, new = Report([]), []
    try:
        layers = list(layers_of(model, spec))
        why = "" if layers else "it has no layers with experts"
    except CompileError as error:
        layers, why = [], str(error)
    if why:
        report.blocks.append(BlockReport(f"the model ({type(model).__name__})", why=why))
    for layer, layer_spec in layers:
        block = BlockReport(f"layer {layer}", layer)
        report.blocks.append(block)
        try:
            located = locate(model, layer, layer_spec)
            block.name = located.title
            forward = vars(located.module).get("forward")
            if not isinstance(forward, Replacement):
                forward = _make(located, cache)
                block.error = _check(forward)
                new.append(forward)
            block.shared_bytes, block.copied_bytes = forward.shared_bytes, forward.copied_bytes
            block.replaced = True
        except Exception as error:  # whatever it is, the model can go on as it was
            block.name = getattr(error, "title", block.name)
            block.why = str(error) or type(error).__name__
    report.seconds = time.monotonic() - start
    if report.failed and strict:
        raise AccelerateError(_message(report.failed))
    for forward in new:
        forward.install()
    if report.failed:
        warnings.warn(_message(report.failed), RuntimeWarning, stacklevel=2)
    return report


def restore(model: Any) -> int:
    """Gives the blocks their own forward back; how many there were."""
    replacements = list(_replacements(model))
    for forward in replacements:
        forward.remove()
    return len(replacements)


def refresh(model: Any) -> int:
    """Takes the weights anew, after changes that torch does not count, such as through `.data`."""
    replacements = list(_replacements(model))
    for forward in replacements:
        forward.bind()
    return len(replacements)


def _replacements(model: Any) -> Iterator[Replacement]:
    for _, module in model.named_modules():
        if isinstance(forward := vars(module).get("forward"), Replacement):
            yield forward


def _make(located: Located, cache: Path) -> Replacement:
    package = _cache.package(located.spec, cache)
    nulls = package.manifest["spec"]["router"]["null_experts"]["count"]
    wanted = []
    for entry in package.manifest["weights"]:
        name, shape = entry["name"], entry["shape"]
        weight = Weight(name, entry["dtype"], shape, located.experts, nulls)
        if weight.name not in located.sources:
            raise SourceError(f"the spec does not say where {weight.name} is")
        source = located.sources[weight.name]
        wanted.append((weight, find(weight, source, located.prefix, located.lookup)))
    return Replacement(located, package.layer(), wanted)


def _check(forward: Replacement) -> float:
    """The error of the compiled layer on a few tokens; raises where it does not fit the block."""
    modes = [(m, m.training) for _, m in forward.module.named_modules() if m.training]
    for module, _ in modes:
        module.training = False
    try:
        expected, got = _look(forward)
    finally:
        for module, training in modes:
            module.training = training
    norms = np.linalg.norm(expected, axis=-1)
    error = float(np.median(np.linalg.norm(got - expected, axis=-1) / np.maximum(norms, 1e-30)))
    allowed = _ALLOWED[forward.dtype]
    if not error <= allowed:  # also where it is NaN
        raise ValueError(
            f"the compiled layer's result is off by {error:.0e}, allowed {allowed:.0e}"
        )
    return error


def _look(forward: Replacement):
    spec = forward.layer.package.manifest["spec"]
    values = np.random.default_rng(0).standard_normal((2, 4, spec["hidden"]), np.float32)
    ids = np.arange(8).reshape(2, 4) % (spec["router"].get("vocabulary") or 8)
    if not forward.of_torch:
        return forward.look(values.astype(numpy_type(forward.dtype)), ids)
    import torch

    x = torch.from_numpy(values).to(getattr(torch, long_name(forward.dtype)))
    with torch.no_grad():
        pair = forward.look(x, torch.from_numpy(ids))
        return tuple(result.float().numpy() for result in pair)


def _message(failed: List[BlockReport]) -> str:
    """One line for each reason.

    >>> print(_message([BlockReport(f"l.{l} (M)", why="no") for l in range(3)]))
    l.0 (M), and 2 more, cannot be replaced: no
    """
    reasons = {}
    for block in failed:
        reasons.setdefault(block.why, []).append(block.name)
    lines = []
    for why, names in reasons.items():
        more = f", and {len(names) - 1} more," if len(names) > 1 else ""
        lines.append(f"{names[0]}{more} cannot be replaced: {why}")
    return "\n".join(lines)


def _size(count: int) -> str:
    """
    >>> _size(1500), _size(3 << 30)
    ('1.5 kB', '3.22 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}" if unit != "B" else f"{count} B"
        count /= 1000
    raise AssertionError
