"""The graph that llama.cpp builds for such layers, around ggml's `mul_mat_id`."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, List

import ggml
import numpy as np

from ..problem import Batch, Weights, from_bf16

_TYPES = {
    "f32": ggml.GGML_TYPE_F32,
    "bf16": ggml.GGML_TYPE_BF16,
    "int8": ggml.GGML_TYPE_Q8_0,
    "mxfp4": ggml.GGML_TYPE_MXFP4,
}
_BLOCK = 32


def _q8_0(data: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Blocks of an f16 scale and 32 values; each has its row's scale."""
    blocks = np.dtype([("scale", np.float16), ("values", np.int8, _BLOCK)])
    result = np.empty([*data.shape[:-1], data.shape[-1] // _BLOCK], blocks)
    result["scale"] = scales
    result["values"] = data.reshape(*result.shape, _BLOCK)
    return result


def _mxfp4(data: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Blocks of a scale and 32 values, of which the first 16 are in low halves of bytes."""
    blocks = np.dtype([("scale", np.uint8), ("values", np.uint8, _BLOCK // 2)])
    result = np.empty(scales.shape, blocks)
    result["scale"] = scales
    for index, expert in enumerate(data.reshape(*scales.shape, _BLOCK // 2)):
        values = np.stack([expert & 15, expert >> 4], axis=-1)
        values = values.reshape(*expert.shape[:-1], _BLOCK)
        result["values"][index] = values[..., :16] | values[..., 16:] << 4
    return result


class Ggml:
    def __init__(self, weights: Weights, threads: int):
        self.shape, self._arrays, self._threads = weights.shape, {}, threads
        small = "f32" if weights.dtype == "f32" else "bf16"
        self._kinds = {}
        for name, array in weights.arrays.items():
            if name.endswith(".scales"):
                continue
            scales = weights.arrays.get(name.removesuffix(".weight") + ".scales")
            kind = "f32" if name.endswith(".bias") else small if scales is None else weights.dtype
            if scales is not None:
                array = {"int8": _q8_0, "mxfp4": _mxfp4}[weights.dtype](array, scales)
            self._arrays[name], self._kinds[name] = array, _TYPES[kind]

    def set_threads(self, threads: int) -> None:
        self._threads = threads

    def bind(self, batch: Batch) -> Callable[[], np.ndarray]:
        graph = _Graph(self, batch)
        return lambda: graph.compute(self._threads)

    @staticmethod
    def to_numpy(y: np.ndarray) -> np.ndarray:
        return y


class _Graph:
    """The layer for one batch, in memory of its own."""

    def __init__(self, system: Ggml, batch: Batch):
        self.shape, self._system = system.shape, system
        self._x = batch.x if batch.x.dtype == np.float32 else from_bf16(batch.x)
        tokens, (k, d) = len(self._x), (self.shape.top_k, self.shape.hidden)
        widths = (5 if self.shape.bias else 3) * self.shape.intermediate + 4 * d
        values = tokens * (k * widths + 4 * self.shape.shared + 4 * d + 4 * self.shape.experts)
        size = 4 * values + (64 << 20)
        self._memory = np.empty(size, np.uint8)
        pointer = ctypes.c_void_p(self._memory.ctypes.data)
        self._context = ggml.ggml_init(ggml.ggml_init_params(size, pointer, False))
        self._y = self._layer(tokens)
        self._graph = ggml.ggml_new_graph(self._context)
        ggml.ggml_build_forward_expand(self._graph, self._y)
        self._plans: dict = {}
        data = ctypes.cast(ggml.ggml_get_data(self._y), ctypes.POINTER(ctypes.c_float))
        self._result = np.ctypeslib.as_array(data, (tokens, d))

    def compute(self, threads: int) -> np.ndarray:
        if threads not in self._plans:
            plan = ggml.ggml_graph_plan(self._graph, threads, None)
            work = np.empty(max(plan.work_size, 1), np.uint8)
            plan.work_data = ctypes.cast(work.ctypes.data, type(plan.work_data))
            self._plans[threads] = plan, work
        plan, _ = self._plans[threads]
        status = ggml.ggml_graph_compute(self._graph, ctypes.byref(plan))
        if status != ggml.GGML_STATUS_SUCCESS:
            raise RuntimeError(f"ggml_graph_compute gave {status}")
        return self._result

    def _tensor(self, array: np.ndarray, kind: int, sizes: List[int]) -> Any:
        """A tensor over the array's memory; ggml's sizes begin with the innermost."""
        ggml.ggml_set_no_alloc(self._context, True)
        make = {1: ggml.ggml_new_tensor_1d, 2: ggml.ggml_new_tensor_2d, 3: ggml.ggml_new_tensor_3d}
        made = make[len(sizes)](self._context, kind, *sizes)
        ggml.ggml_set_no_alloc(self._context, False)
        made.contents.data = ctypes.c_void_p(array.ctypes.data)
        return made

    def _weight(self, name: str) -> Any:
        array, kind = self._system._arrays[name], self._system._kinds[name]
        sizes = list(array.shape[::-1])
        if array.dtype.names:  # of blocks
            sizes[0] *= _BLOCK
        return self._tensor(array, kind, sizes)

    def _layer(self, tokens: int) -> Any:
        c, shape = self._context, self.shape
        d, k, e = shape.hidden, shape.top_k, shape.experts
        x = self._tensor(self._x, ggml.GGML_TYPE_F32, [d, tokens])
        logits = ggml.ggml_mul_mat(c, self._weight("router.weight"), x)
        if shape.bias:
            logits = ggml.ggml_add(c, logits, self._weight("router.bias"))
        scores = logits if shape.selected else ggml.ggml_soft_max(c, logits)
        chosen = ggml.ggml_argsort_top_k(c, scores, k)
        scores = ggml.ggml_get_rows(c, ggml.ggml_reshape_3d(c, scores, 1, e, tokens), chosen)
        if shape.selected or shape.renormalize:
            scores = ggml.ggml_reshape_2d(c, scores, k, tokens)
            if shape.selected:
                scores = ggml.ggml_soft_max(c, scores)
            else:
                scores = ggml.ggml_div(c, scores, ggml.ggml_sum_rows(c, scores))
            scores = ggml.ggml_reshape_3d(c, scores, 1, k, tokens)
        rows = ggml.ggml_reshape_3d(c, x, d, 1, tokens)
        both = self._experts("experts.gate_up", rows, chosen)
        y = self._experts("experts.down", self._activate(both), chosen)
        y = self._sum(ggml.ggml_mul(c, y, scores), tokens)
        if shape.shared:
            both = ggml.ggml_mul_mat(c, self._weight("shared.gate_up.weight"), x)
            down = self._weight("shared.down.weight")
            y = ggml.ggml_add(c, y, ggml.ggml_mul_mat(c, down, self._activate(both)))
        return y

    def _experts(self, name: str, rows: Any, chosen: Any) -> Any:
        y = ggml.ggml_mul_mat_id(self._context, self._weight(name + ".weight"), rows, chosen)
        if not self.shape.bias:
            return y
        return ggml.ggml_add_id(self._context, y, self._weight(name + ".bias"), chosen)

    def _activate(self, both: Any) -> Any:
        c = self._context
        if self.shape.activation != "swigluoai":
            return ggml.ggml_swiglu(c, both)
        width, sizes, strides = self.shape.intermediate, both.contents.ne, both.contents.nb
        halves = [
            ggml.ggml_view_3d(c, both, width, *sizes[1:3], *strides[1:3], 4 * width * half)
            for half in (0, 1)
        ]
        return ggml.ggml_swiglu_oai(c, *halves, 1.702, 7.0)

    def _sum(self, y: Any, tokens: int) -> Any:
        """Over a token's experts, as llama.cpp does it."""
        c, d, strides = self._context, self.shape.hidden, y.contents.nb
        views = [
            ggml.ggml_view_2d(c, y, d, tokens, strides[2], j * strides[1])
            for j in range(self.shape.top_k)
        ]
        result = views[0]
        for view in views[1:]:
            result = ggml.ggml_add(c, result, view)
        return result
