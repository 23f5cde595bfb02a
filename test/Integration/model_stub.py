"""Models of numpy arrays that look to `moe_mlir.accelerate` as those of torch do."""

import numpy as np


class Module:
    """Children and arrays are attributes; a call runs `forward`, then hooks."""

    def __init__(self, **members):
        self.training, self._forward_hooks, self._forward_pre_hooks = False, {}, {}
        vars(self).update(members)

    def __call__(self, *arguments, **options):
        result = self.forward(*arguments, **options)
        for hook, with_options in list(self._forward_hooks.values()):
            hook(self, arguments, *([options] if with_options else []), result)
        return result

    def register_forward_hook(self, hook, with_kwargs=False):
        self._forward_hooks[id(hook)] = (hook, with_kwargs)
        return Handle(self._forward_hooks, id(hook))

    def named_children(self):
        return [(k, v) for k, v in vars(self).items() if isinstance(v, Module)]

    def named_modules(self, prefix=""):
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self):
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, np.ndarray):
                    yield f"{path}.{name}" if path else name, value

    def named_buffers(self):
        return []


class Handle:
    def __init__(self, hooks, key):
        self.hooks, self.key = hooks, key

    def remove(self):
        del self.hooks[self.key]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Router(Module):
    def forward(self, x):
        logits = x @ self.weight.T
        scores = np.exp(logits - logits.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        chosen = np.argsort(-scores, axis=-1, kind="stable")[:, :2]
        return logits, np.take_along_axis(scores, chosen, -1), chosen


class Experts(Module):
    """Gate and up rows one after the other, `[out, in]`."""

    def matrices(self, e):
        gate, up = np.split(self.gate_up_proj[e], 2)
        return gate, up, self.down_proj[e]

    def forward(self, x, chosen, weights):
        y = np.zeros_like(x)
        for t, j in np.ndindex(*chosen.shape):
            gate, up, down = self.matrices(chosen[t, j])
            g = gate @ x[t]
            y[t] += weights[t, j] * (down @ (g * sigmoid(g) * (up @ x[t])))
        return y


class InterleavedExperts(Experts):
    """Gate and up columns by turns, `[in, out]`."""

    def matrices(self, e):
        both = self.gate_up_proj[e].T
        return both[0::2], both[1::2], self.down_proj[e].T


class RowsByTurns(Experts):
    """Gate and up rows by turns, `[out, in]`."""

    def matrices(self, e):
        return self.gate_up_proj[e][0::2], self.gate_up_proj[e][1::2], self.down_proj[e]


class SeparateExperts(Experts):
    """A module for each expert."""

    def matrices(self, e):
        expert = getattr(self, str(e))
        return expert.w1, expert.w3, expert.w2


class Block(Module):
    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        _, weights, chosen = self.gate(flat)
        return self.experts(flat, chosen, weights).reshape(x.shape)


class TableRouter(Module):
    """Weights of the scores, for experts that the token's number decides."""

    def forward(self, x, ids):
        logits = x @ self.weight.T
        scores = np.exp(logits - logits.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        chosen = self.table[ids.reshape(-1)]
        return np.take_along_axis(scores, chosen, -1), chosen


class TableBlock(Block):
    def forward(self, x, input_ids=None):
        flat = x.reshape(-1, x.shape[-1])
        weights, chosen = self.gate(flat, input_ids)
        return self.experts(flat, chosen, weights).reshape(x.shape)


class TupleBlock(Block):
    """Gives its router's scores, too, and the tokens in one row."""

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        _, weights, chosen = self.gate(flat)
        return self.experts(flat, chosen, weights), weights


class Norm(Module):
    def forward(self, x):
        return x / np.sqrt((x * x).mean(-1, keepdims=True)) * self.weight


class NormedBlock(Block):
    """Ends in a norm of its own."""

    def forward(self, x):
        return self.norm(Block.forward(self, x))


class DenseLayer(Module):
    def forward(self, x):
        return x + self.mlp(x)


class Dense(Module):
    def forward(self, x):
        return x @ self.weight.T


class MoeLayer(Module):
    def forward(self, x):
        result = self.mlp(x)
        y = result[0] if isinstance(result, tuple) else result
        return x + y.reshape(x.shape)


class Layers(Module):
    pass


class Model(Module):
    base_model_prefix = "model"

    def forward(self, x):
        for _, layer in self.model.layers.named_children():
            x = layer(x)
        return x


D, I, E = 16, 12, 4

SPEC = {
    "hidden": D,
    "router": {"experts": E, "top_k": 2},
    "experts": {"intermediate": I},
    "weights": {
        "prefix": ["text.layers.{l}.mlp.", "model.layers.{l}.mlp."],
        "tensors": {
            "router.weight": "gate.weight",
            "experts.gate.weight": [
                "experts.{e}.w1",
                {"name": "experts.gate_up_proj", "part": [0, 2]},
            ],
            "experts.up.weight": [
                "experts.{e}.w3",
                {"name": "experts.gate_up_proj", "part": [1, 2]},
            ],
            "experts.down.weight": ["experts.{e}.w2", "experts.down_proj"],
        },
    },
}

INTERLEAVED = {
    "router.weight": "gate.weight",
    "experts.gate.weight": {
        "name": "experts.gate_up_proj",
        "part": [0, 2],
        "interleaved": True,
        "transposed": True,
    },
    "experts.up.weight": {
        "name": "experts.gate_up_proj",
        "part": [1, 2],
        "interleaved": True,
        "transposed": True,
    },
    "experts.down.weight": {"name": "experts.down_proj", "transposed": True},
}


def values(generator, *shape):
    return generator.standard_normal(shape, np.float32) * np.float32(0.3)


def experts(generator, kind=Experts):
    if kind is SeparateExperts:
        shapes = {"w1": (I, D), "w3": (I, D), "w2": (D, I)}
        make = lambda: Module(**{k: values(generator, *s) for k, s in shapes.items()})
        return kind(**{str(e): make() for e in range(E)})
    both, down = (E, 2 * I, D), (E, D, I)
    if kind is InterleavedExperts:
        both, down = (E, D, 2 * I), (E, I, D)
    return kind(gate_up_proj=values(generator, *both), down_proj=values(generator, *down))


def block(generator, kind=Block, experts_kind=Experts):
    gate = Router(weight=values(generator, E, D))
    return kind(gate=gate, experts=experts(generator, experts_kind))


def model(blocks=2, kind=Block, experts_kind=Experts, seed=0):
    """A dense layer, then layers with experts."""
    generator = np.random.default_rng(seed)
    layers = {"0": DenseLayer(mlp=Dense(weight=values(generator, D, D)))}
    for l in range(1, blocks + 1):
        layers[str(l)] = MoeLayer(mlp=block(generator, kind, experts_kind))
    return Model(model=Module(layers=Layers(**layers)))
