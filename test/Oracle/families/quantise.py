"""Matrices in the formats of quantised checkpoints, and the values those mean, in f64.

Each function takes W [out, in] and gives ({suffix: (array, type)}, values). Groups run along `in`.
"""

import numpy as np

import golden


def _fp8_values():
    """Of the codes 0 to 126 of e4m3fn, ascending."""
    codes = np.arange(127)
    exponent, mantissa = codes >> 3, codes & 7
    normal = (1 + mantissa / 8) * 2.0 ** (exponent - 7)
    return np.where(exponent > 0, normal, mantissa / 8 * 2.0**-6)


FP8 = _fp8_values()
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def nearest(values, table):
    """(codes, values): the nearest of an ascending table, the sign in the bit above it."""
    magnitude = np.abs(values)
    above = np.clip(np.searchsorted(table, magnitude), 1, len(table) - 1)
    lower = magnitude - table[above - 1] <= table[above] - magnitude
    code = np.where(lower, above - 1, above)
    bit = 128 if len(table) > 16 else 8
    negative = values < 0
    return (code + bit * negative).astype(np.uint8), np.where(negative, -table[code], table[code])


def largest_of(blocks, axes):
    return np.maximum(np.abs(blocks).max(axis=axes, keepdims=True), 1e-6)


def grouped(w, size):
    return w.reshape(w.shape[0], -1, size)


def f32(values):
    return values.astype(np.float32).astype(np.float64)


def fp8_blocks(w, block=128, suffix="weight_scale_inv", powers=False):
    """A scale for each block by block tile; the last tiles may be smaller."""
    rows, columns = (-(-n // block) for n in w.shape)
    scales = np.zeros((rows, columns))
    codes, values = np.zeros(w.shape, np.uint8), np.zeros(w.shape)
    for r in range(rows):
        for c in range(columns):
            tile = np.s_[r * block : (r + 1) * block, c * block : (c + 1) * block]
            scale = np.abs(w[tile]).max() / 448
            scale = 2.0 ** np.ceil(np.log2(scale)) if powers else f32(scale)
            scales[r, c] = scale
            codes[tile], values[tile] = nearest(w[tile] / scale, FP8)
            values[tile] *= scale
    stored = (np.log2(scales).astype(int) + 127, "F8_E8M0") if powers else (scales, "F32")
    return {"weight": (codes, "F8_E4M3"), suffix: stored}, values


def fp8_tensor(w, input_scale=False):
    scale = f32(np.abs(w).max() / 448)
    codes, values = nearest(w / scale, FP8)
    stored = {"weight": (codes, "F8_E4M3"), "weight_scale": (np.array(scale), "F32")}
    if input_scale:
        stored["input_scale"] = (np.array(1.0), "F32")
    return stored, values * scale


def fp8_channels(w):
    scale = golden.round_bf16(np.abs(w).max(axis=1, keepdims=True) / 448)
    codes, values = nearest(w / scale, FP8)
    stored = {"weight": (codes, "F8_E4M3"), "weight_scale": (golden.to_bf16(scale), "BF16")}
    return stored, values * scale


def int8_channels(w):
    scale = f32(np.abs(w).max(axis=1, keepdims=True) / 127)
    codes = np.clip(np.round(w / scale), -127, 127)
    return {"weight": (codes, "I8"), "weight_scale": (scale, "F32")}, codes * scale


def pairs(codes):
    """Two to a byte, the even one in the low nibble."""
    return (codes[..., 0::2] | codes[..., 1::2] << 4).astype(np.uint8)


def _mxfp4(w):
    blocks = grouped(w, 32)
    exponent = np.clip(np.floor(np.log2(largest_of(blocks, -1))) - 2, -127, 127)
    codes, values = nearest(blocks / 2.0**exponent, FP4)
    scales = (exponent[..., 0] + 127).astype(np.uint8)
    return pairs(codes), scales, (values * 2.0**exponent).reshape(w.shape)


def mxfp4(w, names=("weight_packed", "weight_scale"), types=("U8", "U8")):
    packed, scales, values = _mxfp4(w)
    packed = packed.reshape(w.shape[0], -1)
    return dict(zip(names, zip((packed, scales), types))), values


def mxfp4_blocks(w):
    """gpt-oss: the bytes of a group are a dimension of their own."""
    packed, scales, values = _mxfp4(w)
    return {"blocks": (packed, "U8"), "scales": (scales, "U8")}, values


def nvfp4(w):
    blocks = grouped(w, 16)
    whole = f32(np.abs(w).max() / (6 * 448))
    codes, scales = nearest(largest_of(blocks, -1) / 6 / whole, FP8)
    scales = np.maximum(scales, FP8[1])
    codes = np.maximum(codes, 1)
    packed, values = nearest(blocks / (scales * whole), FP4)
    stored = {
        "weight": (pairs(packed).reshape(w.shape[0], -1), "U8"),
        "weight_scale": (codes[..., 0], "F8_E4M3"),
        "weight_scale_2": (np.array(whole), "F32"),
        "input_scale": (np.array(1.0), "F32"),
    }
    return stored, (values * scales * whole).reshape(w.shape)


def eights(codes, order=range(8)):
    """Eight to an i32 along the last dimension; the i-th nibble from below has the order[i]-th."""
    codes = codes.astype(np.uint32).reshape(*codes.shape[:-1], -1, 8)
    packed = np.zeros(codes.shape[:-1], np.uint32)
    for i, which in enumerate(order):
        packed |= codes[..., which] << np.uint32(4 * i)
    return packed.view(np.int32)


def int4_packed(w, group=32):
    """compressed-tensors: symmetric, 8 added."""
    blocks = grouped(w, group)
    scale = golden.round_bf16(largest_of(blocks, -1) / 7)
    codes = np.clip(np.round(blocks / scale), -8, 7)
    stored = {
        "weight_packed": (eights((codes + 8).reshape(w.shape)), "I32"),
        "weight_scale": (golden.to_bf16(scale[..., 0]), "BF16"),
        "weight_shape": (np.array(w.shape), "I64"),
    }
    return stored, (codes * scale).reshape(w.shape)


def _asymmetric(w, group):
    blocks = grouped(w, group)
    low, high = blocks.min(axis=-1, keepdims=True), blocks.max(axis=-1, keepdims=True)
    scale = ((high - low) / 15).astype(np.float16).astype(np.float64)
    zero = np.clip(np.round(-low / scale), 1, 15)
    codes = np.clip(np.round(blocks / scale + zero), 0, 15)
    values = ((codes - zero) * scale).reshape(w.shape)
    return codes.reshape(w.shape), zero[..., 0], scale[..., 0], values


def gptq(w, group=32):
    """Transposed, eight inputs to an i32; zeros are stored less 1."""
    codes, zeros, scales, values = _asymmetric(w, group)
    stored = {
        "qweight": (eights(codes).T, "I32"),
        "qzeros": (eights((zeros - 1).T), "I32"),
        "scales": (scales.T, "F16"),
        "g_idx": (np.arange(w.shape[1]) // group, "I32"),
    }
    return stored, values


AWQ = (0, 2, 4, 6, 1, 3, 5, 7)


def awq(w, group=32):
    """Transposed, eight outputs to an i32, in an order of its own."""
    codes, zeros, scales, values = _asymmetric(w, group)
    stored = {
        "qweight": (eights(codes.T, AWQ), "I32"),
        "qzeros": (eights(zeros.T, AWQ), "I32"),
        "scales": (scales.T, "F16"),
    }
    return stored, values
