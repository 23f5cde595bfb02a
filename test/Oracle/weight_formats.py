"""Section 5.1 of docs/Spec.md: weights stored in few bits."""

import re

import numpy as np

DEFAULT = {"kind": "none", "zero_points": False, "activations": "none"}
# What the widths of a layer are multiples of.
UNITS = {"int4": 2, "mxfp4": 32, "nvfp4": 16}
_PROJECTION = re.compile(r"(experts|shared)\.(gate|gate_proj|gate_up|up|down)\.weight")


def default_block(kind):
    return {"mxfp4": [1, 32], "nvfp4": [1, 16]}.get(kind, [1, 0])


def quantization_of(spec, name):
    """How a resolved spec has the weight of this name stored; None: as it is."""
    match = _PROJECTION.fullmatch(name)
    if not match or name == "shared.gate.weight":
        return None
    quantization = spec[match[1]]["quantization"]
    return None if quantization["kind"] == "none" else quantization


def parts(name, shape, quantization):
    """What stands in place of the weight: name -> (shape, dtype)."""
    kind, (o, i) = quantization["kind"], quantization["block"]
    *matrices, outputs, inputs = shape
    blocks = (*matrices, -(-outputs // (o or outputs)), -(-inputs // (i or inputs)))
    packed, small = kind in UNITS, kind in ("mxfp4", "nvfp4")
    data = (*matrices, outputs, inputs // 2 if packed else inputs)
    base = name.removesuffix("weight")
    found = {name: (data, "i8" if kind == "int8" else "u8")}
    found[base + "scales"] = (blocks, "u8" if small else "f32")
    if quantization["zero_points"]:
        found[base + "zeros"] = (blocks, "u8")
    if kind == "nvfp4":
        found[base + "global_scale"] = (tuple(matrices), "f32")
    return found


def small_float(code, exponent_bits, mantissa_bits):
    """The value of a float of few bits that has neither infinity nor NaN.

    >>> [small_float(c, 2, 1) for c in (0, 1, 2, 3, 7, 15)]
    [0.0, 0.5, 1.0, 1.5, 6.0, -6.0]
    """
    code = int(code)
    bias = 2 ** (exponent_bits - 1) - 1
    sign = -1.0 if code >> (exponent_bits + mantissa_bits) else 1.0
    exponent = code >> mantissa_bits & (1 << exponent_bits) - 1
    fraction = (code & (1 << mantissa_bits) - 1) / (1 << mantissa_bits)
    if exponent == 0:
        return sign * fraction * 2.0 ** (1 - bias)
    return sign * (1 + fraction) * 2.0 ** (exponent - bias)


E4M3 = np.array([np.nan if c & 127 == 127 else small_float(c, 4, 3) for c in range(256)])
E2M1 = np.array([small_float(c, 2, 1) for c in range(16)])
E8M0 = np.array([2.0 ** (c - 127) for c in range(255)] + [np.nan])


def _nibbles(data):
    """The even value of a pair is in the low four bits."""
    pairs = np.stack([data & 15, data >> 4], axis=-1)
    return pairs.reshape(*data.shape[:-1], 2 * data.shape[-1])


def _spread(blocks, shape, block):
    """One number per value instead of one per block."""
    for axis, size in zip((-2, -1), block):
        index = np.arange(shape[axis]) // (size or shape[axis])
        blocks = np.take(blocks, index, axis)
    return blocks


def decode(quantization, data, scales, zeros=None, global_scale=None):
    """The values in float64."""
    kind, block = quantization["kind"], quantization["block"]
    data = np.asarray(data).astype(np.int64)
    if kind in UNITS:
        data = _nibbles(data)
    if kind in ("mxfp4", "nvfp4"):
        table = E8M0 if kind == "mxfp4" else E4M3
        values, scales = E2M1[data], table[np.asarray(scales).astype(np.int64)]
    elif kind == "fp8_e4m3":
        values = E4M3[data]
    elif kind == "int4":
        offset = 8.0 if zeros is None else _spread(zeros, data.shape, block)
        values = data - offset
    else:
        values = data.astype(np.float64)
    values = values * _spread(np.asarray(scales, np.float64), data.shape, block)
    if global_scale is not None:
        values = values * np.asarray(global_scale)[..., None, None]
    return values


def decode_weights(spec, weights):
    """The weights with the values of what is encoded, under its name."""
    decoded = dict(weights)
    for name, data in weights.items():
        quantization = quantization_of(spec, name)
        if quantization is None:
            continue
        base = name.removesuffix("weight")
        others = ("scales", "zeros", "global_scale")
        given = {other: decoded.pop(base + other, None) for other in others}
        decoded[name] = decode(quantization, data, **given)
    return decoded
