"""Section 7 of docs/Spec.md: averaging and quantisation."""

import math

import numpy as np

from formulas import clamp


def accumulate(total, values):
    return np.float32(total) + np.float32(values)


def average(sets):
    """The mean [n] in f32 and the status."""
    total = np.zeros(sets.shape[1])
    for values in sets.astype(np.float64):
        total = total + values
    finite = np.isfinite(sets).all(axis=0)
    status = 0 if finite.all() else 1 + int(np.argmin(finite))
    return (total / len(sets)).astype(np.float32), status


def _fp8_values(exponent_bits, mantissa_bits, finite_only):
    """The values of all 256 codes; what is not a number is NaN."""
    values = np.zeros(256)
    bias = 2 ** (exponent_bits - 1) - 1
    for code in range(128):
        exponent, mantissa = code >> mantissa_bits, code & ((1 << mantissa_bits) - 1)
        fraction = mantissa / (1 << mantissa_bits)
        if exponent == 0:
            value = fraction * 2.0 ** (1 - bias)
        else:
            value = (1 + fraction) * 2.0 ** (exponent - bias)
        special = code == 127 if finite_only else exponent == (1 << exponent_bits) - 1
        values[code] = np.nan if special else value
    values[128:] = -values[:128]
    return values


FP8 = {
    "fp8_e4m3": (_fp8_values(4, 3, True), 448.0),
    "fp8_e5m2": (_fp8_values(5, 2, False), 57344.0),
}
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def nearest_code(magnitudes, table):
    """The code of the nearest value of an ascending table, ties to the even code, saturating."""
    above = np.clip(np.searchsorted(table, magnitudes), 1, len(table) - 1)
    low, high = table[above - 1], table[above]
    with np.errstate(all="ignore"):
        up = (magnitudes - low > high - magnitudes) | (
            (magnitudes - low == high - magnitudes) & (above % 2 == 0)
        )
    return np.where(up, above, above - 1)


def quantize(kind, block, values):
    """data, scales, status."""
    values = np.asarray(values, np.float32)
    finite = np.isfinite(values)
    status = 0 if finite.all() else 1 + int(np.argmin(finite))
    values = np.where(finite, values, np.float32(0))
    data, scales = [], []
    for begin in range(0, len(values), block):
        d, s = _quantize_block(kind, values[begin : begin + block])
        data.append(d)
        scales.append(s)
    data = np.concatenate(data) if data else np.zeros(0, np.uint8)
    if kind == "mxfp4":
        data = np.append(data, np.zeros(len(data) % 2, np.uint8))
        data = data[0::2] | (data[1::2] << 4)
        return data.astype(np.uint8), np.array(scales, np.uint8), status
    kinds = {"blockwise_int8": np.int8}
    return data.astype(kinds.get(kind, np.uint8)), np.array(scales, np.float32), status


def _quantize_block(kind, v):
    largest = np.max(np.abs(v))
    if kind == "mxfp4":
        if largest == 0:
            return np.zeros(len(v), np.uint8), 0
        exponent = int(clamp(math.frexp(float(largest))[1] - 1 - 2, -127, 127))
        code = nearest_code(np.ldexp(np.abs(v).astype(np.float64), -exponent), FP4)
        return (code | np.where(np.signbit(v), 8, 0)).astype(np.uint8), 127 + exponent
    top = np.float32(127.0) if kind == "blockwise_int8" else np.float32(FP8[kind][1])
    scale = np.float32(largest / top)
    if scale == 0:
        return np.zeros(len(v), np.int64), scale
    scaled = v / scale
    if kind == "blockwise_int8":
        return clamp(np.rint(scaled), -127, 127).astype(np.int64), scale
    table = FP8[kind][0][:128]
    code = nearest_code(np.abs(scaled).astype(np.float64), table[np.isfinite(table)])
    return code | np.where(np.signbit(v), 128, 0), scale


def round_rows(quantization, rows):
    """What products see of rows: section 5.1, in f32 arithmetic. A block with a value that is not
    finite is not a number."""
    if quantization["activations"] == "none":
        return rows
    block, rounded = quantization["block"][1], []
    for row in np.asarray(rows, np.float32):
        for begin in range(0, len(row), block):
            part = row[begin : begin + block]
            if not np.isfinite(part).all():
                rounded.append(np.full(len(part), np.nan))
                continue
            codes, scale = _quantize_block(quantization["activations"], part)
            table = FP8[quantization["activations"]][0]
            rounded.append(table[codes] * np.float64(scale))
    return np.concatenate(rounded).reshape(rows.shape) if rounded else rows


def dequantize(kind, block, data, scales, count):
    """The values, f32."""
    blocks = np.arange(count) // block
    if kind == "mxfp4":
        codes = np.stack([data & 15, data >> 4], axis=1).ravel()[:count]
        values = np.where(codes & 8, -1.0, 1.0) * FP4[codes & 7]
        exponents = scales[blocks].astype(np.int64) - 127
        return np.ldexp(values, exponents).astype(np.float32)
    values = data.astype(np.float32) if kind == "blockwise_int8" else FP8[kind][0][data]
    return (values.astype(np.float32) * scales[blocks]).astype(np.float32)
