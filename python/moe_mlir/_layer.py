"""Layers: weights and state for the code of a package."""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Union

import numpy as np

from . import _library
from ._arguments import as_input, as_output, bind_sizes, pointers, shape_of, wanted_places
from ._device import DeviceTensor, stream_handle
from ._errors import Error
from ._library import DLTensor
from ._tensors import Tensor, as_tensor, copy_out, empty, is_on_gpu, is_torch, like_input, type_name

if TYPE_CHECKING:
    from ._package import Package


MOST_IN_USE = 256  # tensors of calls in a stream, before there is a wait


class Statistics(NamedTuple):
    """Figures of the last forward."""

    loads: np.ndarray  #: slots routed to each expert
    imbalance: float  #: standard deviation over mean of the loads
    tokens: int
    routed: int  #: slots computed by an expert
    dropped: int  #: slots lost to capacity
    seconds: float
    routing_fraction: float  #: share of the time until slots were grouped


class Layer:
    """A Mixture-of-Experts layer. Call it as a function.

    A layer is used by one thread at a time; `share` makes another one with the same weights.

    >>> import moe_mlir, numpy as np
    >>> spec = {"hidden": 8, "router": {"experts": 4, "top_k": 2}, "experts": {"intermediate": 8}}
    >>> layer = moe_mlir.compile(spec).layer()
    >>> layer(np.zeros((1, 8), np.float32))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    moe_mlir._errors.Error: WEIGHT_MISSING: ...
    >>> layer.randomize(seed=7)
    >>> layer(np.zeros((1, 8), np.float32)).tolist() == [[0.0] * 8]
    True
    """

    def __init__(self, package: "Package", handle: ctypes.c_void_p):
        self.package = package
        self._handle = handle
        self._runtime = _library.runtime()
        #: What calls use that have returned before their end.
        self._in_use: List[Tensor] = []
        self._in_stream = False  #: one of the caller's
        self._destroy = weakref.finalize(
            self, _destroy, self._runtime, handle, package, self._in_use
        )
        self._functions = {f["name"]: f for f in package.manifest["functions"]}
        self._weights = {w["name"]: w for w in package.manifest["weights"]}
        #: Arrays whose memory the weights are, of all layers that share them.
        self._borrowed: Dict[str, Tensor] = {}

    def share(self) -> "Layer":
        """A further layer with the same weights and fresh state."""
        handle = ctypes.c_void_p()
        self._runtime.moe_layer_share(self._handle, ctypes.byref(handle))
        shared = Layer(self.package, handle)
        shared._borrowed = self._borrowed
        return shared

    @property
    def cpu(self) -> str:
        """The CPU whose code the layer runs, one of those of its package."""
        return self._runtime.moe_layer_cpu(self._handle).decode()

    @property
    def device(self) -> str:
        """What the layer runs on: "cpu", "cuda" or "sim"."""
        return self._runtime.moe_layer_device(self._handle).decode()

    # --- Weights ---

    def set_weight(self, name: str, value: Any) -> None:
        """Copies one weight in, by its name in docs/Spec.md section 5."""
        dtype = self._weights.get(name, {}).get("dtype", "f32")
        tensor = as_tensor(value, dtype, stream=self.stream)
        self._runtime.moe_layer_set_weight(self._handle, name.encode(), ctypes.byref(tensor.dl))
        self._borrowed.pop(name, None)

    def borrow_weight(self, name: str, value: Any) -> None:
        """Uses the memory of an array for one weight, without a copy.

        A weight that products on a CPU want in an order of their own (`packed` in the manifest)
        is copied; packages made with `unpacked=True` have none.

        The array is compact and of the weight's type; the layer keeps it alive. What is written
        into it later is what the layer computes with.
        """
        dtype = self._weights.get(name, {}).get("dtype", "f32")
        tensor = as_tensor(value, dtype, copy=False, stream=self.stream)
        self._runtime.moe_layer_borrow_weight(self._handle, name.encode(), ctypes.byref(tensor.dl))
        self._borrowed[name] = tensor

    def load_weights(
        self,
        path: Union[str, os.PathLike],
        progress: Optional[Callable[[str, int, int], Any]] = None,
        layer: Optional[int] = None,
    ) -> None:
        """Loads a .safetensors file, a sharded .safetensors.index.json, or a folder with either.

        `layer` is that of the package unless given; others have the same shape.
        `progress(tensor, done_bytes, total_bytes)` is called as weights arrive; it may raise, or
        return True, to cancel. The layer keeps the weights it had if anything fails.
        """
        raised: List[BaseException] = []

        def report(_user, tensor, done, total):
            try:
                return 1 if progress(tensor.decode(errors="replace"), done, total) is True else 0
            except BaseException as error:  # carried over the C frames between
                raised.append(error)
                return 1

        callback = _library.Progress(report) if progress else _library.Progress()
        try:
            where = (self._handle, os.fsencode(path))
            if layer is None:
                self._runtime.moe_layer_load_weights(*where, callback, None)
            else:
                self._runtime.moe_layer_load_weights_of(*where, layer, callback, None)
            self._borrowed.clear()
        except RuntimeError:
            if raised:
                raise raised[0]
            raise

    def randomize(self, seed: int = 0, exact: bool = False) -> None:
        """Uniform values, the same for the same seed everywhere.

        With `exact`, values whose sums of products f32 holds exactly in any order.
        """
        self._runtime.moe_layer_randomize(self._handle, seed, int(exact))
        self._borrowed.clear()

    def save_weights(self, path: Union[str, os.PathLike]) -> None:
        """Writes all weights to a .safetensors file."""
        self._runtime.moe_layer_save_weights(self._handle, os.fsencode(path))

    @property
    def weights(self) -> Dict[str, np.ndarray]:
        """Copies of all weights by name."""
        return {name: self.get(name) for name in self._weights}

    # --- Running ---

    def __call__(self, x: Any, token_ids: Any = None, out: Any = None, **inputs: Any) -> Any:
        """The forward of x [T, hidden] and of what else the router takes, such as `router_state`.

        The result is an array of the same library and type, on the same device, or `out`; with
        `router_state_next` a dict.
        """
        if token_ids is not None:
            inputs["token_ids"] = token_ids
        return self.run("forward", x=x, out=out, **inputs)

    def run(
        self,
        function: str = "forward",
        sizes: Optional[Dict[str, int]] = None,
        out: Any = None,
        **inputs: Any,
    ):
        """Runs a function of the package on inputs by name.

        The result is one array, a dict of them if there are several, or None. `sizes` gives sizes
        that no input's shape tells. `out` is what the result is written to, or a dict of some of
        the results: compact arrays of its type and shape, of the host or the layer's GPU.
        """
        if function not in self._functions:
            known = ", ".join(self._functions)
            raise KeyError(f"the package has no function {function!r}, only {known}")
        arguments = self._functions[function]["arguments"]
        wanted = [a for a in arguments if a["role"] == "input"]
        results = [a for a in arguments if a["role"] == "output"]
        if names := set(inputs) ^ {a["name"] for a in wanted}:
            needs = ", ".join(a["name"] for a in wanted) or "nothing"
            raise TypeError(f"{function} takes {needs}; missing or unknown: {sorted(names)}")
        places, stream = wanted_places(function, results, out), self.stream
        tensors = [as_input(inputs[a["name"]], a["dtype"], stream) for a in wanted]
        bound = bind_sizes(wanted, tensors, sizes or {})
        like = inputs[wanted[0]["name"]] if wanted else None
        outputs, wrapped = [], []
        for argument in results:
            name, dtype = argument["name"], argument["dtype"]
            if name in places:
                output = places[name]
            else:
                output = self._result(shape_of(argument["shape"], bound), dtype, like)
            outputs.append(output)
            wrapped.append(as_output(output, dtype, stream))
        if self._in_stream:
            self._keep(tensors + wrapped)
        self._runtime.moe_layer_run(
            self._handle, function.encode(), pointers(tensors), pointers(wrapped)
        )
        named = {}
        for argument, output in zip(results, outputs):
            name = argument["name"]
            named[name] = output if name in places else like_input(output, like)
        return None if not named else next(iter(named.values())) if len(named) == 1 else named

    def _result(self, shape: List[int], dtype: str, like: Any) -> Any:
        if is_on_gpu(like) and not is_torch(like):
            return self.empty(shape, dtype)
        return empty(shape, dtype, like)

    # --- On a GPU ---

    def empty(self, shape: Sequence[int], dtype: str = "f32") -> DeviceTensor:
        """A tensor in memory of the layer's GPU, with an element type of the manifest."""
        return DeviceTensor(self, shape, dtype)

    def use_graph(self, use: bool = True) -> None:
        """Records calls as CUDA graphs, and repeats them where sizes and addresses are the same."""
        self._runtime.moe_layer_set_graph(self._handle, int(use))

    def use_stream(self, stream: Any) -> None:
        """Puts later work into a stream of CUDA, behind what is in it; None: the layer's own.

        It is a stream of torch or another library, or the number of one. A call then returns
        before its end if all its tensors are on the device, and `wait` raises what it would have.
        """
        handle = stream_handle(stream)
        self._runtime.moe_layer_set_stream(self._handle, handle)
        self._in_use.clear()  # the runtime has waited
        self._in_stream = handle is not None

    @property
    def stream(self) -> Optional[int]:
        """The CUstream that calls use; None for a layer that is not on a GPU."""
        return self._runtime.moe_layer_stream(self._handle)

    def wait(self) -> None:
        """Waits for calls that returned before their end, and raises what the last one would."""
        try:
            self._runtime.moe_layer_wait(self._handle)
        finally:
            self._in_use.clear()

    def _keep(self, tensors: List[Tensor]) -> None:
        """Holds what the next call uses; whoever never waits does so now and then."""
        if len(self._in_use) > MOST_IN_USE:
            self.wait()
        self._in_use += tensors

    # --- Looking inside ---

    def get(self, name: str) -> np.ndarray:
        """A copy of a weight, a state tensor or a tensor of the last forward's plan."""
        view = DLTensor()
        self._runtime.moe_layer_get(self._handle, name.encode(), ctypes.byref(view))
        return copy_out(view, type_name(view))

    @property
    def plan(self) -> Dict[str, np.ndarray]:
        """What the last forward decided: indices, weights, rows, offsets, positions, counts, …"""
        arguments = self._functions["forward"]["arguments"]
        return {a["name"]: self.get(a["name"]) for a in arguments if a["role"] == "plan"}

    @property
    def state(self) -> Dict[str, np.ndarray]:
        """What is kept between forwards, such as `loads`; empty for most routers."""
        return {s["name"]: self.get(s["name"]) for s in self.package.manifest.get("state", [])}

    @property
    def statistics(self) -> Statistics:
        raw = _library.MoeStatistics()
        self._runtime.moe_layer_statistics(self._handle, ctypes.byref(raw))
        loads = np.array([raw.loads[i] for i in range(raw.experts)] if raw.loads else [], np.int32)
        rest = (getattr(raw, name) for name in Statistics._fields[1:])
        return Statistics(loads, *rest)

    def reset(self) -> None:
        """Puts the state back to what it was at creation."""
        self._runtime.moe_layer_reset(self._handle)

    def __repr__(self) -> str:
        return f"<moe_mlir.Layer of {self.package.manifest['name']}>"


def _destroy(
    runtime: ctypes.CDLL, handle: ctypes.c_void_p, package: "Package", in_use: List[Tensor]
) -> None:
    if in_use:
        try:
            runtime.moe_layer_wait(handle)
        except Error:  # nobody has asked
            pass
        in_use.clear()
    # Holding the package here keeps its code loaded until the layer is gone.
    runtime.moe_layer_destroy(handle)
