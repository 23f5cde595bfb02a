"""Where a layer's weights are among the tensors of a model.

A source is what docs/decisions/0004-families.md calls one: a name, or an object that also says
which part of that tensor is meant and how it lies. Tensors are of numpy or torch, of which only
what both have is used, so that what is not reordered is never copied.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from ._tensors import element_type, empty, is_compact, is_torch

Lookup = Callable[[str], Any]  #: name -> tensor or None
Source = Union[str, Mapping[str, Any], Sequence[Any]]


class Weight(NamedTuple):
    """One weight of a package, by its manifest."""

    name: str
    dtype: str
    shape: Sequence[int]
    experts: int  #: of the package
    nulls: int = 0  #: experts without weights

    @property
    def stacked(self) -> bool:
        """Whether the first dimension is the experts.

        >>> Weight("experts.up.bias", "f32", [4, 8], 4).stacked
        True
        >>> Weight("router.weight", "f32", [4, 8], 4).stacked
        False
        """
        return self.name.startswith("experts.") and self.name != "experts.output_bias"


class Found(NamedTuple):
    """The tensors that a weight is made of, and how."""

    names: List[str]
    pieces: List[Callable[[Any], Any]]  #: tensor -> its part of the weight
    stacked: bool  #: whether each piece is one expert
    entries: List[Mapping[str, Any]]  #: the sources that were taken


class SourceError(ValueError):
    """A weight is not where its sources say."""


def names_of(source: Source) -> List[str]:
    """Every name in a source, for messages.

    >>> names_of(["a", {"name": "b", "part": [0, 2]}, [["c"], "d"]])
    ['a', 'b', 'c', 'd']
    """
    if isinstance(source, str):
        return [source]
    if isinstance(source, Mapping):
        return [source["name"]]
    return [name for entry in source for name in names_of(entry)]


def find(weight: Weight, source: Source, prefix: str, lookup: Lookup) -> Found:
    """The first alternative that the model has.

    >>> import numpy as np
    >>> model = {"l.gate_up": np.arange(8.0).reshape(1, 4, 2)}
    >>> up = Weight("experts.up.weight", "f64", [1, 2, 2], 1)
    >>> found = find(up, ["l.w3", {"name": "gate_up", "part": [1, 2]}], "l.", model.get)
    >>> found.names, found.pieces[0](model["l.gate_up"]).tolist()
    (['l.gate_up'], [[[4.0, 5.0], [6.0, 7.0]]])
    """
    alternatives = source if isinstance(source, (list, tuple)) else [source]
    for alternative in alternatives:
        parts = alternative if isinstance(alternative, (list, tuple)) else [alternative]
        if found := _all_of(weight, parts, prefix, lookup):
            return found
    wanted = ", ".join(dict.fromkeys(prefix + name for name in names_of(source)))
    raise SourceError(f"{weight.name} is not there; looked for {wanted}")


def _all_of(weight: Weight, parts: Sequence[Any], prefix: str, lookup: Lookup) -> Optional[Found]:
    found = [_one(weight, part, prefix, lookup, len(parts) > 1) for part in parts]
    if not all(found):
        return None
    names = [name for each in found for name in each.names]
    pieces = [piece for each in found for piece in each.pieces]
    if len(found) > 1 and not all(each.stacked for each in found):
        raise SourceError(f"{weight.name}: only tensors of one expert each can follow each other")
    entries = [entry for each in found for entry in each.entries]
    return Found(names, pieces, found[0].stacked, entries)


def _one(weight, part, prefix: str, lookup: Lookup, several: bool) -> Optional[Found]:
    entry: Dict[str, Any] = {"name": part} if isinstance(part, str) else dict(part)
    if "decode" in entry:
        raise SourceError(f"{weight.name} is quantised in the model, which is not supported here")
    name = entry["name"] if entry.get("absolute") else prefix + entry["name"]
    if "{e}" in name:
        names = [name.replace("{e}", str(e)) for e in range(weight.experts)]
        if several:  # each source has some of the experts
            names = list(itertools.takewhile(lambda n: lookup(n) is not None, names))
        if not names or any(lookup(n) is None for n in names):
            return None
        pieces = [_reader(weight, entry, n, list(weight.shape[1:])) for n in names]
        return Found(names, pieces, True, [entry])
    if lookup(name) is None:
        return None
    return Found([name], [_reader(weight, entry, name, list(weight.shape))], False, [entry])


def _reader(weight: Weight, entry: Mapping[str, Any], name: str, shape: List[int]):
    """What turns a tensor into the part of the weight that is of that shape: a view of it."""

    def read(tensor: Any) -> Any:
        if entry.get("broadcast"):
            if _elements(tensor.shape) != 1:
                raise SourceError(f"{name} has shape {list(tensor.shape)}, expected one number")
            return tensor.reshape(())
        index, count = entry.get("part", (0, 1))
        matrix = weight.name.endswith(".weight") and len(shape) > 1
        axis = len(shape) - (2 if matrix else 1)
        stored = list(shape)
        stored[axis] *= count
        if entry.get("transposed"):
            stored[-1], stored[-2] = stored[-2], stored[-1]
        if weight.nulls and list(tensor.shape) == [stored[0] + weight.nulls, *stored[1:]]:
            tensor = tensor[: stored[0]]  # of experts that do nothing, too
        if not _same_layout(list(tensor.shape), stored):
            raise SourceError(f"{name} has shape {list(tensor.shape)}, expected {stored}")
        view = tensor.reshape(stored)
        if entry.get("transposed"):
            view = view.swapaxes(-1, -2)
        if count == 1:
            return view
        extent = shape[axis]
        steps = slice(index, None, count)
        run = slice(index * extent, (index + 1) * extent)
        chosen = steps if entry.get("interleaved") else run
        return view[(slice(None),) * axis + (chosen,)]

    return read


def _same_layout(given: List[int], wanted: List[int]) -> bool:
    """Whether the shapes differ by sizes of one, or by experts that lie one after the other.

    >>> _same_layout([1, 8], [8]), _same_layout([32, 5], [4, 8, 5]), _same_layout([5, 8], [8, 5])
    (True, True, False)
    """
    given = [size for size in given if size != 1]
    squeezed = [size for size in wanted if size != 1]
    flat = [wanted[0] * wanted[1], *wanted[2:]] if len(wanted) > 2 else squeezed
    return given in (squeezed, [size for size in flat if size != 1])


def _elements(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def read(weight: Weight, found: Found, lookup: Lookup) -> Tuple[Any, bool]:
    """The weight's value, and whether it lies in the model's own memory.

    >>> import numpy as np
    >>> model = {"w.0": np.ones((2, 2), np.float32), "w.1": np.zeros((2, 2), np.float32)}
    >>> up = Weight("experts.up.weight", "f32", [2, 2, 2], 2)
    >>> value, of_model = read(up, find(up, ["stacked", "w.{e}"], "", model.get), model.get)
    >>> value.sum(axis=(1, 2)).tolist(), of_model
    ([4.0, 0.0], False)
    """
    tensors = [_plain(name, lookup(name)) for name in found.names]
    pieces = [reader(tensor) for reader, tensor in zip(found.pieces, tensors)]
    for name, piece in zip(found.names, pieces):
        if not _widens(element_type(piece), weight.dtype):
            raise SourceError(f"{name} is {element_type(piece)}, expected {weight.dtype}")
    first = pieces[0]
    if not found.stacked and list(first.shape) == list(weight.shape) and is_compact(first):
        if element_type(first) == weight.dtype:
            return first, True
    if found.stacked and len(pieces) != weight.shape[0]:
        raise SourceError(f"{weight.name}: {len(pieces)} experts, expected {weight.shape[0]}")
    value = empty(weight.shape, weight.dtype, first)
    for e, piece in enumerate(pieces):
        if found.stacked:
            value[e] = piece
        else:
            value[...] = piece
    return value, False


def _plain(name: str, tensor: Any) -> Any:
    """The tensor, if its elements lie in this process's memory as its type and shape say."""
    if is_torch(tensor):
        import torch

        if tensor.device.type != "cpu":
            raise SourceError(f"{name} is on {tensor.device}, expected the CPU")
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.is_sparse:
            raise SourceError(f"{name} is a {type(tensor).__name__}, expected a plain tensor")
        return tensor.detach()
    return tensor


def _widens(given: str, wanted: str) -> bool:
    """Whether every value of one type is one of the other.

    >>> _widens("bf16", "f32"), _widens("f32", "bf16"), _widens("i64", "i32")
    (True, False, True)
    """
    if given[0] in "iu" and wanted[0] in "iu":
        return True  # expert numbers, whose range the runtime checks
    return given == wanted or given in ("f16", "bf16") and wanted in ("f32", "f64")
