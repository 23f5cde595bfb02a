"""Finds the module of a model that computes what a spec says, and the weights in it."""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

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
    unused: List[str]  #: tensors of the module that are no weights of the layer


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
    weights = _filled(spec.get("weights", {}), layer)
    sources, prefixes = weights.get("tensors", {}), weights.get("prefix", "")
    if not sources:
        raise SourceError("the spec does not say where weights are (weights.tensors)")
    experts = spec["router"]["experts"]
    prefixes = [prefixes] if isinstance(prefixes, str) else prefixes
    prefix, found = _first(prefixes, sources, experts, tensors)
    for name, each in found.items():
        if _lies_as_rows(name, each, spec, tensors):  # though its file has columns
            entry = {key: value for key, value in each.entries[0].items() if key != "transposed"}
            sources[name], found[name] = entry, each._replace(entries=[entry])
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
        sources = {**sources, **_joined(spec, found)}
        unused = _unused(module, root, used)
    except ValueError as error:
        raise BlockError(title, str(error)) from None
    router = found.get("router.weight")
    if router:
        kind = element_type(tensors(router.names[0]))
        if kind != spec["dtype"]["weights"]:
            spec["dtype"]["router"] = kind
    return Located(module, title, spec, dict(sources), prefix, tensors, experts, unused)


def _filled(value: Any, layer: int) -> Any:
    """With the layer's number in every name.

    >>> _filled({"prefix": ["l.{l}."], "tensors": {"a": {"name": "{l}.{e}"}}}, 3)
    {'prefix': ['l.3.'], 'tensors': {'a': {'name': '3.{e}'}}}
    """
    if isinstance(value, str):
        return value.replace("{l}", str(layer))
    if isinstance(value, Mapping):
        return {key: _filled(entry, layer) for key, entry in value.items()}
    return [_filled(entry, layer) for entry in value] if isinstance(value, list) else value


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


def _lies_as_rows(name: str, found: Found, spec: Mapping[str, Any], lookup: Tensors) -> bool:
    """Whether a matrix that files have as `[in, out]` is `[out, in]` here, as its shape shows."""
    entry = found.entries[0]
    if not entry.get("transposed") or len(found.names) > 1 or not name.startswith("experts."):
        return False
    inner = spec["experts"]["intermediate"]
    outer = spec["experts"].get("latent") or spec["hidden"]
    rows = [outer, inner] if ".down." in name else [inner * entry.get("part", [0, 1])[1], outer]
    return rows[0] != rows[1] and list(lookup(found.names[0]).shape)[-2:] == rows


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


def _joined(spec: Dict[str, Any], found: Mapping[str, Found]) -> Dict[str, Any]:
    """Has gate and up as one weight where the model has them so, and returns its sources."""
    sources: Dict[str, Any] = {}
    for section, gate in (("experts", "gate"), ("shared", "gate_proj")):
        layouts, own = set(), {}
        for kind in ("weight", "bias"):
            pair = [found.get(f"{section}.{part}.{kind}") for part in (gate, "up")]
            if pair[0]:
                layouts.add(_layout(*pair))
                entry = dict(pair[0].entries[0])
                own[f"{section}.gate_up.{kind}"] = entry
                entry.pop("part", None), entry.pop("interleaved", None)
        if len(layouts) == 1 and None not in layouts and spec.get(section):
            spec[section]["gate_up"] = layouts.pop()
            sources.update(own)
    return sources


def _layout(gate: Found, up: Optional[Found]) -> Optional[str]:
    """How two weights lie in one tensor, if it can be used as it is.

    >>> half = lambda i, **more: Found(["w"], [], False, [{"name": "w", "part": [i, 2], **more}])
    >>> _layout(half(0), half(1)), _layout(half(1), half(0))
    ('concatenated', None)
    >>> _layout(half(0, interleaved=True), half(1, interleaved=True))
    'interleaved'
    """
    if not up or gate.names != up.names or gate.stacked or len(gate.entries) > 1:
        return None
    first, second = gate.entries[0], up.entries[0]
    if first.get("transposed") or (first.get("part"), second.get("part")) != ([0, 2], [1, 2]):
        return None
    if bool(first.get("interleaved")) != bool(second.get("interleaved")):
        return None
    return "interleaved" if first.get("interleaved") else "concatenated"


def _unused(module: Any, root: str, used: set) -> List[str]:
    """The tensors that the spec knows nothing of: of one child at most, which may come after."""
    own = [name for name, _ in [*module.named_parameters(), *module.named_buffers()]]
    unused = [name for name in own if root + name not in used]
    if len({name.partition(".")[0] for name in unused if "." in name}) > 1 or any(
        "." not in name for name in unused
    ):
        raise ValueError(also_has(unused))
    return unused


def also_has(unused: List[str]) -> str:
    """What is wrong with a block that has those tensors.

    >>> also_has(["bias", "norm.weight"])
    'it also has bias and 1 more, which the compiled layer does not use'
    """
    more = f" and {len(unused) - 1} more" if len(unused) > 1 else ""
    return f"it also has {unused[0]}{more}, which the compiled layer does not use"
