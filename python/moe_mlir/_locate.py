"""Finds the module of a model that computes what a spec says, and the weights in it."""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from ._sources import Found, SourceError, Weight, find
from ._tensors import element_type

#: Types of activations that layers can have.
_ACTIVATIONS = ("f32", "bf16", "f16")


class Located(NamedTuple):
    """A block and what is to be compiled for it."""

    module: Any
    title: str  #: path and class, as messages name it
    spec: Dict[str, Any]  #: without `weights`: equal for blocks that can share a package
    sources: Dict[str, Any]  #: weight -> source
    prefix: str
    lookup: "Tensors"
    experts: int


class Tensors:
    """The tensors of a model by name, always the present ones."""

    def __init__(self, model: Any):
        self.modules = dict(model.named_modules())
        self.base = getattr(model, "base_model_prefix", "") + "."

    def __call__(self, name: str) -> Any:
        module, leaf = self.place(name)
        value = getattr(module, leaf, None) if leaf else None
        return value if hasattr(value, "dtype") and hasattr(value, "shape") else None

    def place(self, name: str) -> Tuple[Any, str]:
        """The module that has a tensor of that name, if any has, and its attribute."""
        owner, _, leaf = self.path(name).rpartition(".")
        return self.modules.get(owner), leaf

    def path(self, name: str) -> str:
        """The path of a module or tensor in this model, which may be the inner one of another.

        >>> class Model:
        ...     base_model_prefix = "model"
        ...     def named_modules(self):
        ...         return [("", self)]
        >>> Tensors(Model()).path("model.layers.0")
        'layers.0'
        """
        inner = name.startswith(self.base) and self.base[:-1] not in self.modules
        return name[len(self.base) :] if inner else name


def locate(model: Any, layer: int, spec: Mapping[str, Any]) -> Located:
    """The block of a layer. Raises `ValueError`, whose message names the block if there is one."""
    tensors = Tensors(model)
    weights = spec.get("weights", {})
    sources = weights.get("tensors", {})
    if not sources:
        raise SourceError("the spec does not say where weights are (weights.tensors)")
    experts = spec["router"]["experts"]
    prefixes = weights.get("prefix", "")
    prefixes = [prefixes] if isinstance(prefixes, str) else prefixes
    filled = [prefix.replace("{l}", str(layer)) for prefix in prefixes]
    prefix, found = _first(filled, sources, experts, tensors)
    inner = [n for name, f in found.items() if not name.startswith("shared.") for n in f.names]
    path = _common([tensors.path(name) for name in inner])
    module = tensors.modules[path]
    title = f"{path or 'the model'} ({type(module).__name__})"
    try:
        used = {tensors.path(n) for f in found.values() for n in f.names}
        root = path + "." if path else ""
        spec = _compiled(spec, tensors(found["experts.down.weight"].names[0]))
        if not all(name.startswith(root) for name in used):
            spec["shared"] = {}  # computed by another module, which goes on doing so
        _covered(module, root, used)
    except ValueError as error:
        raise BlockError(title, str(error)) from None
    router = found.get("router.weight")
    if router:
        kind = element_type(tensors(router.names[0]))
        if kind != spec["dtype"]["weights"]:
            spec["dtype"]["router"] = kind
    return Located(module, title, spec, dict(sources), prefix, tensors, experts)


class BlockError(ValueError):
    """What is wrong with a block of which the name is known."""

    def __init__(self, title: str, message: str):
        super().__init__(message)
        self.title = title


def _first(prefixes: List[str], sources: Mapping[str, Any], experts: int, lookup: Tensors):
    """The prefix with which most weights are found, and those."""
    best, found, missing = "", {}, None
    for prefix in prefixes:
        there: Dict[str, Found] = {}
        lost = None
        for name, source in sources.items():
            try:
                there[name] = find(Weight(name, "", [experts], experts), source, prefix, lookup)
            except SourceError as error:
                if name.startswith("experts."):
                    lost = lost or error
        if missing is None or len(there) > len(found):
            best, found, missing = prefix, there, lost or SourceError("there are no experts")
    if {"experts.up.weight", "experts.down.weight"} <= set(found):
        return best, found
    raise missing or SourceError("the spec has no weights.prefix")


def _common(names: List[str]) -> str:
    """The path of the innermost module that holds all the tensors.

    >>> _common(["l.0.mlp.gate.weight", "l.0.mlp.experts.up", "l.0.mlp.experts.down"])
    'l.0.mlp'
    """
    paths = [name.split(".")[:-1] for name in names]
    shared = []
    for parts in zip(*paths):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)


def _compiled(spec: Mapping[str, Any], example: Any) -> Dict[str, Any]:
    """The part of a spec that decides the code, for weights of the type that the block has."""
    spec = {
        k: copy.deepcopy(v) for k, v in spec.items() if k not in ("weights", "losses", "parallel")
    }
    kind = element_type(example)
    if kind not in _ACTIVATIONS:
        raise ValueError(f"its weights are {kind}, expected {', '.join(_ACTIVATIONS)}")
    spec.update(name="block", functions=["forward"])
    spec["dtype"] = {"activation": kind, "weights": kind}
    return spec


def _covered(module: Any, root: str, used: set) -> None:
    """Refuses a module with parameters that the spec knows nothing of."""
    own = [name for name, _ in [*module.named_parameters(), *module.named_buffers()]]
    unknown = [name for name in own if root + name not in used]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise ValueError(f"it also has {unknown[0]}{more}, which the compiled layer does not use")
