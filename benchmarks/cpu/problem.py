"""Weights and tokens of a layer, made so that the router chooses what is wanted."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np

from .shapes import Shape

ROUTINGS = ("uniform", "zipf", "one_hot")
#: What a token's place for its j-th expert has above the others, whose logits stay below 0.1.
_FIRST, _STEP = 4.0, 0.25
_PAGE = 4096
_PERIOD = 1_000_003  # values that are repeated; a prime, so that no two rows are alike


class Batch(NamedTuple):
    x: np.ndarray  #: [T, hidden]; bf16 as uint16
    indices: np.ndarray  #: [T, k], the experts that the router is to choose, best first


def to_bf16(values: np.ndarray) -> np.ndarray:
    """The bits of finite values, rounded to even.

    >>> [hex(bits) for bits in to_bf16(np.array([1, -2.5, 1.00390625], np.float32))]
    ['0x3f80', '0xc020', '0x3f80']
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bf16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _empty(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Memory that begins with a page, so that every library can share it."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + _PAGE, np.uint8)
    start = -raw.ctypes.data % _PAGE
    return raw[start : start + size].view(dtype).reshape(shape)


def _repeated(shape: Sequence[int], values: np.ndarray) -> np.ndarray:
    """An array of these values again and again, at the speed of memory."""
    result = _empty(shape, values.dtype)
    flat = result.reshape(-1)
    whole = flat.size // values.size * values.size
    flat[:whole].reshape(-1, values.size)[:] = values
    flat[whole:] = values[: flat.size - whole]
    return result


class Weights:
    """Of one layer, by the names of docs/Spec.md section 5."""

    def __init__(self, shape: Shape, dtype: str):
        self.shape, self.dtype = shape, dtype
        self._random = np.random.default_rng(7)
        self.arrays: Dict[str, np.ndarray] = {}
        self.decoded: Dict[str, Any] = {}  #: what systems keep here for each other
        d, i, e = shape.hidden, shape.intermediate, shape.experts
        self.arrays["router.weight"] = self._router()
        self._projection("experts.gate_up", [e, 2 * i, d])
        self._projection("experts.down", [e, d, i])
        if shape.bias:
            self.arrays["router.bias"] = np.zeros(e, np.float32)
            for name, width in (("experts.gate_up", 2 * i), ("experts.down", d)):
                values = self._random.standard_normal((e, width), np.float32) * 0.1
                self.arrays[name + ".bias"] = from_bf16(to_bf16(values))
        if shape.shared:
            self._projection("shared.gate_up", [2 * shape.shared, d])
            self._projection("shared.down", [d, shape.shared])

    def _router(self) -> np.ndarray:
        values = self._random.uniform(-1, 1, (self.shape.experts, self.shape.hidden)) * 1e-3
        values[:, : self.shape.experts] = np.eye(self.shape.experts)
        return self._typed(values.astype(np.float32))

    def _typed(self, values: np.ndarray) -> np.ndarray:
        return values if self.dtype == "f32" else to_bf16(values)

    def _projection(self, name: str, shape: List[int]) -> None:
        """Random values whose products with unit rows are of unit size."""
        unit, random = (3.0 / shape[-1]) ** 0.5, self._random
        if self.dtype == "int8":
            data = random.integers(-127, 128, _PERIOD, np.int8)
            factors = random.uniform(0.5, 1.5, [*shape[:-1], 1]).astype(np.float32)
            self.arrays[name + ".weight"] = _repeated(shape, data)
            self.arrays[name + ".scales"] = factors * np.float32(unit / 127)
        elif self.dtype == "mxfp4":
            data = random.integers(0, 256, _PERIOD, np.uint8)
            middle = 127 + int(np.floor(np.log2(unit / 3)))
            scales = random.integers(middle - 1, middle + 2, _PERIOD).astype(np.uint8)
            self.arrays[name + ".weight"] = _repeated([*shape[:-1], shape[-1] // 2], data)
            self.arrays[name + ".scales"] = _repeated([*shape[:-1], shape[-1] // 32], scales)
        else:
            values = random.uniform(-unit, unit, _PERIOD).astype(np.float32)
            self.arrays[name + ".weight"] = _repeated(shape, self._typed(values))

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())


def choose(shape: Shape, tokens: int, routing: str, random: np.random.Generator) -> np.ndarray:
    """Experts for each token, all different: of equal chance, by Zipf's law, or always the same.

    >>> few = Shape("few", "", 8, 8, 4, 2)
    >>> bool((choose(few, 9, "one_hot", np.random.default_rng(0)).std(axis=0) == 0).all())
    True
    """
    if routing == "one_hot":
        return np.tile(random.permutation(shape.experts)[: shape.top_k], (tokens, 1))
    chances = np.ones(shape.experts)
    if routing == "zipf":
        chances = 1 / (1 + random.permutation(shape.experts))
    # The largest of log(chance) + Gumbel noise are a draw without replacement.
    keys = np.log(chances) + random.gumbel(size=(tokens, shape.experts))
    return np.argsort(-keys, axis=1)[:, : shape.top_k]


def batches(shape: Shape, dtype: str, tokens: int, routing: str, count: int) -> List[Batch]:
    """Different ones, so that what one reads is not left in a cache by another."""
    random = np.random.default_rng(tokens)
    made = []
    for _ in range(count):
        indices = choose(shape, tokens, routing, random)
        x = random.standard_normal((tokens, shape.hidden), np.float32)
        x[:, : shape.experts] = 0
        codes = _FIRST - _STEP * np.arange(shape.top_k, dtype=np.float32)
        np.put_along_axis(x, indices, codes[None, :], axis=1)
        made.append(Batch(x if dtype == "f32" else to_bf16(x), indices))
    return made
