"""The compiled layer, through the C interface."""

from __future__ import annotations

import time
from typing import Callable

import numpy as np

import moe_mlir
from moe_mlir._arguments import pointers
from moe_mlir._library import runtime
from moe_mlir._tensors import as_tensor

from ..problem import Batch, Weights, from_bf16


class Ours:
    """Borrows the weights, of which it keeps those that it packs as a copy."""

    name = "ours"

    def __init__(self, weights: Weights, threads: int):
        self.activation = "f32" if weights.dtype == "f32" else "bf16"
        start = time.perf_counter()
        package = moe_mlir.compile(weights.shape.spec(weights.dtype))
        self.compile_seconds = time.perf_counter() - start
        self.layer = package.layer()
        for name, array in weights.arrays.items():
            self.layer.borrow_weight(name, array)
        named = {w["name"]: w for w in package.manifest["weights"]}
        #: of the weights that it has in an order of its own
        self.packed_bytes = sum(
            array.nbytes for name, array in weights.arrays.items() if named[name].get("packed")
        )
        self.set_threads(threads)

    def set_threads(self, threads: int) -> None:
        moe_mlir.set_threads(threads)

    def bind(self, batch: Batch) -> Callable[[], np.ndarray]:
        """What computes the batch into memory that is there already."""
        y = np.zeros_like(batch.x)
        inputs, outputs = [as_tensor(batch.x, self.activation)], [as_tensor(y, self.activation)]
        x_pointers, y_pointers = pointers(inputs), pointers(outputs)
        run, handle = runtime().moe_layer_run, self.layer._handle

        def call() -> np.ndarray:
            run(handle, b"forward", x_pointers, y_pointers)
            return y

        call.keeps = self, inputs, outputs  # what the handle and the pointers are of
        return call

    @staticmethod
    def to_numpy(y: np.ndarray) -> np.ndarray:
        return from_bf16(y) if y.dtype == np.uint16 else y
