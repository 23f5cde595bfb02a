"""A compiled layer in the place of a module's forward."""

from __future__ import annotations

import inspect
import sys
import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ._errors import Error, Status
from ._layer import Layer
from ._locate import Located, also_has
from ._sources import Found, Weight, read
from ._tensors import element_type, is_torch


class Companion(NamedTuple):
    """A child module that sees the block's input and nothing else, such as its router."""

    module: Any
    flat: bool  #: whether it is given [tokens, hidden]


Extra = Tuple[Companion, Optional[int]]  #: whose output, and which entry of it


class Shape(NamedTuple):
    """What a block returns, as one call of it showed."""

    flat: bool  #: whether the result is [tokens, hidden] whatever the input's shape
    extras: Optional[List[Extra]]  #: what follows the result in a tuple
    companions: List[Companion]
    tail: Optional[Any] = None  #: the child module that makes the result of the layer's


class Replacement:
    """What stands as `forward` in a module: the compiled layer, or else the module's own forward.

    The compiled layer computes what it can with the same result. It leaves to the module's own
    forward: training, calls that autograd follows, autocast, tracing, inputs on other devices or
    of another type than at the time of replacement, tokens whose logits are not finite, and calls
    while somebody listens, by a hook, to a part that the compiled layer does not run.
    """

    def __init__(self, located: Located, layer: Layer, weights: List[Tuple[Weight, Found]]):
        self.module, self.lookup, self.unused = located.module, located.lookup, located.unused
        self.layer, self.weights = layer, weights
        self.own = vars(self.module).get("forward")  # that of an instance, as other tools set it
        self.original: Callable = self.module.forward
        arguments = layer.package.manifest["functions"][0]["arguments"]
        inputs = {a["name"]: a["dtype"] for a in arguments if a["role"] == "input"}
        self.dtype, self.takes_ids = inputs.pop("x"), inputs.pop("token_ids", None) is not None
        if inputs:
            raise ValueError(f"the compiled layer takes {', '.join(inputs)}, which it is not given")
        self.shape = Shape(False, None, [])
        self.of_torch = is_torch(self.lookup(weights[0][1].names[0]))
        self._lock = threading.Lock()
        names = dict.fromkeys(name for _, found in weights for name in found.names)
        self._places = [self.lookup.place(name) for name in names]
        self._inner = [m for _, m in self.module.named_modules() if m is not self.module]
        self.bind()

    def bind(self) -> None:
        """Takes the weights as they are in the module now."""
        self.shared_bytes = self.copied_bytes = 0
        for weight, found in self.weights:
            value, of_model = read(weight, found, self.lookup)
            if of_model:
                self.layer.borrow_weight(weight.name, value)
                self.shared_bytes += value.nbytes
            else:
                self.layer.set_weight(weight.name, value)
                self.copied_bytes += value.nbytes
        self._bound = self._stamps()

    def _tensors(self) -> List[Any]:
        return [getattr(module, leaf) for module, leaf in self._places]

    def _stamps(self) -> List[Tuple[int, int]]:
        return [_stamp(tensor) for tensor in self._tensors()]

    def compute(self, flat: Any, ids: Any = None) -> Any:
        """The compiled layer's result for [tokens, hidden]."""
        with self._lock:
            if self._stamps() != self._bound:
                self.bind()
            return self.layer(flat, ids.reshape(-1)) if self.takes_ids else self.layer(flat)

    def __call__(self, x: Any, *rest: Any, **options: Any) -> Any:
        ids = options.get("input_ids")
        if rest or set(options) - {"input_ids"} or not self._can_run(x):
            return self.original(x, *rest, **options)
        listening = [m for m in self._inner if _is_heard(m)]
        known = {id(c.module): c for c in self.shape.companions}
        if any(id(m) not in known for m in listening) or self.takes_ids and ids is None:
            return self.original(x, **options)
        flat = x.reshape(-1, x.shape[-1])
        try:
            y = self.compute(flat, ids)
        except Error as error:
            if error.status != Status.NOT_FINITE:
                raise
            return self.original(x, **options)
        y = y if self.shape.flat else y.reshape(x.shape)
        y = self.shape.tail(y) if self.shape.tail else y
        wanted = {id(c.module): c for c, _ in self.shape.extras or []}
        wanted.update((id(m), known[id(m)]) for m in listening)
        seen = {i: c.module(flat if c.flat else x) for i, c in wanted.items()}
        if self.shape.extras is None:
            return y
        return (y, *(_entry(seen[id(c.module)], i) for c, i in self.shape.extras))

    def _can_run(self, x: Any) -> bool:
        if getattr(self.module, "training", False) or element_type(x) != self.dtype:
            return False
        if not is_torch(x):
            return isinstance(x, np.ndarray)
        import torch

        if type(x) not in (torch.Tensor, torch.nn.Parameter) or x.device.type != "cpu":
            return False
        if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
            return False
        if not torch.is_grad_enabled():
            return True
        return not (x.requires_grad or any(t.requires_grad for t in self._tensors()))

    def look(self, x: Any, ids: Any) -> Tuple[Any, Any]:
        """Calls the block once to see what it returns; its result and the compiled layer's."""
        named = "input_ids" in inspect.signature(self.original).parameters
        calls: Dict[int, Tuple[Any, tuple, Any]] = {}

        def record(module, arguments, options, output):
            calls[id(module)] = (module, (*arguments, *options.values()), output)

        children = self.module.named_children()
        hooks = [m.register_forward_hook(record, with_kwargs=True) for _, m in children]
        try:
            result = self.original(x, **({"input_ids": ids} if named else {}))
        finally:
            for hook in hooks:
                hook.remove()
        self.shape = _shape_of(result, x, calls, self.unused)
        first = result[0] if isinstance(result, tuple) else result
        flat = x.reshape(-1, x.shape[-1])
        y = self.compute(flat, ids)
        return first.reshape(flat.shape), self.shape.tail(y) if self.shape.tail else y

    def install(self) -> None:
        self.module.forward = self

    def remove(self) -> None:
        if self.own is None:
            del self.module.forward
        else:
            self.module.forward = self.own

    def __reduce__(self):
        # A copy of the module, by pickle or deepcopy, has its own forward.
        return getattr, (self.module, "forward")


def _shape_of(result: Any, x: Any, calls: Dict[int, Tuple[Any, tuple, Any]], unused) -> Shape:
    flat = x.reshape(-1, x.shape[-1])
    companions, outputs = [], []
    for module, arguments, output in calls.values():
        if len(arguments) == 1 and getattr(arguments[0], "shape", None) in (x.shape, flat.shape):
            if bool((arguments[0].reshape(flat.shape) == flat).all()):
                companions.append(Companion(module, arguments[0].shape == flat.shape))
                outputs.append(output)
    extras = None
    if isinstance(result, tuple):
        extras = [_origin(entry, companions, outputs) for entry in result[1:]]
        result = result[0]
    if tuple(result.shape) not in (tuple(x.shape), tuple(flat.shape)):
        raise ValueError(f"returns shape {list(result.shape)} for {list(x.shape)}")
    tail = None
    if unused:
        tail = next(
            (m for m, arguments, y in calls.values() if y is result and len(arguments) == 1), None
        )
        if tail is None or len([*tail.named_parameters(), *tail.named_buffers()]) != len(unused):
            raise ValueError(also_has(unused))
    return Shape(tuple(result.shape) != tuple(x.shape), extras, companions, tail)


def _origin(entry: Any, companions: List[Companion], outputs: List[Any]):
    for companion, output in zip(companions, outputs):
        if output is entry:
            return companion, None
        if isinstance(output, tuple):
            for i, value in enumerate(output):
                if value is entry:
                    return companion, i
    raise ValueError("returns a further value that is none of its router's")


def _entry(output: Any, index: Optional[int]) -> Any:
    return output if index is None else output[index]


def _is_heard(module: Any) -> bool:
    """Whether a hook on the module wants its calls now."""
    if getattr(module, "_forward_pre_hooks", None):
        return True
    hooks = getattr(module, "_forward_hooks", None)
    return bool(hooks) and any(_is_active(hook) for hook in hooks.values())


def _is_active(hook: Callable) -> bool:
    # transformers leaves its recorders in place and switches them by what is collected.
    name = "transformers.utils.output_capturing"
    if getattr(hook, "__module__", None) != name:
        return True
    collected = sys.modules[name]._active_collector.get()
    if collected is None:
        return False
    variables = getattr(hook, "__code__", None) and hook.__code__.co_freevars or ()
    if "key" not in variables:
        return True
    return hook.__closure__[variables.index("key")].cell_contents in collected


def _stamp(tensor: Any) -> Tuple[int, int]:
    """Changes when the tensor's memory or, as far as the library knows, its values do."""
    if is_torch(tensor):
        return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version
    return tensor.ctypes.data, 0
