"""Section 2 of docs/Spec.md: formulas, activations and scores."""

import math
import re

import numpy as np

_erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def softplus(x):
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def relu(x):
    return np.maximum(x, 0.0)


def silu(x):
    return x * sigmoid(x)


def gelu(x):
    return 0.5 * x * (1.0 + _erf(x * 0.7071067811865476))


def gelu_tanh(x):
    return 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


def clamp(x, low, high):
    return np.minimum(np.maximum(x, low), high)


FUNCTIONS = {
    "exp": (1, np.exp),
    "log": (1, np.log),
    "log1p": (1, np.log1p),
    "sqrt": (1, np.sqrt),
    "tanh": (1, np.tanh),
    "erf": (1, _erf),
    "abs": (1, np.abs),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "pow": (2, np.power),
    "sigmoid": (1, sigmoid),
    "softplus": (1, softplus),
    "relu": (1, relu),
    "silu": (1, silu),
    "gelu": (1, gelu),
    "gelu_tanh": (1, gelu_tanh),
    "clamp": (3, clamp),
}

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|([-+*/(),]))"
)


def _tokens(text):
    at, text = 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise ValueError(f"not a formula: {text!r} at {at}")
        at = match.end()
        yield match.groups()
    yield (None, None, "end")


class _Parser:
    """sum := product (+|- product)*; product := unary (*|/ unary)*; unary := - unary | atom."""

    def __init__(self, text, variables):
        self.text, self.variables = text, variables
        self.tokens = list(_tokens(text))
        self.at = 0

    def take(self, *symbols):
        symbol = self.tokens[self.at][2]
        if symbol not in symbols:
            return None
        self.at += 1
        return symbol

    def expect(self, symbol):
        if not self.take(symbol):
            raise ValueError(f"expected {symbol!r} in {self.text!r}")

    def sum(self, values):
        result = self.product(values)
        while operator := self.take("+", "-"):
            right = self.product(values)
            result = result + right if operator == "+" else result - right
        return result

    def product(self, values):
        result = self.unary(values)
        while operator := self.take("*", "/"):
            right = self.unary(values)
            result = result * right if operator == "*" else result / right
        return result

    def unary(self, values):
        return -self.unary(values) if self.take("-") else self.atom(values)

    def atom(self, values):
        if self.take("("):
            result = self.sum(values)
            self.expect(")")
            return result
        number, name, _ = self.tokens[self.at]
        self.at += 1
        if number is not None:
            return np.float64(number)
        if name in self.variables:
            return values[name]
        if name not in FUNCTIONS:
            raise ValueError(f"unknown name {name!r} in {self.text!r}")
        count, function = FUNCTIONS[name]
        self.expect("(")
        arguments = [self.sum(values)]
        while self.take(","):
            arguments.append(self.sum(values))
        self.expect(")")
        if len(arguments) != count:
            raise ValueError(f"{name} takes {count} arguments in {self.text!r}")
        return function(*arguments)


def evaluate(text, **values):
    """The value of a formula.

    >>> float(evaluate("1 - 2 - -x * 3", x=4.0))
    11.0
    """
    parser = _Parser(text, values)
    with np.errstate(all="ignore"):
        result = parser.sum(values)
    if parser.tokens[parser.at][2] != "end":
        raise ValueError(f"text after the formula in {text!r}")
    shapes = [np.shape(value) for value in values.values()]
    return np.broadcast_to(result, np.broadcast_shapes(*shapes)).astype(np.float64)


ACTIVATIONS = {
    "silu": "silu(g)",
    "swish": "silu(g)",
    "gelu": "gelu(g)",
    "gelu_erf": "gelu(g)",
    "gelu_tanh": "gelu_tanh(g)",
    "gelu_new": "gelu_tanh(g)",
    "gelu_pytorch_tanh": "gelu_tanh(g)",
    "quick_gelu": "g * sigmoid(1.702 * g)",
    "relu": "relu(g)",
    "relu2": "relu(g) * relu(g)",
    "sigmoid": "sigmoid(g)",
    "tanh": "tanh(g)",
    "identity": "g",
    "linear": "g",
}

GLU_ACTIVATIONS = {
    "swigluoai": "min(g, 7) * sigmoid(1.702 * min(g, 7)) * (clamp(u, -7, 7) + 1)",
    "situ": "4 * tanh(g / 4) * sigmoid(g) * 25 * tanh(u / 25)",
}

SCORES = {"sigmoid": "sigmoid(x)", "sqrt_softplus": "sqrt(softplus(x))", "identity": "x"}


def activate(activation, g, u=None):
    """An activation by name or formula; `u` is None for mlp experts."""
    if u is None:
        return evaluate(ACTIVATIONS.get(activation, activation), g=g)
    if activation in ACTIVATIONS:
        return evaluate(ACTIVATIONS[activation], g=g) * u
    return evaluate(GLU_ACTIVATIONS.get(activation, activation), g=g, u=u)


def softmax(x):
    """Over the last axis."""
    with np.errstate(all="ignore"):
        e = np.exp(x - np.max(x, axis=-1, keepdims=True, initial=-np.inf))
        return e / np.sum(e, axis=-1, keepdims=True)
