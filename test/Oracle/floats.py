"""The storage types f32, bf16 and f16 in terms of float64."""

import numpy as np

# Bits of precision, smallest spacing, largest value.
FLOATS = {
    "f32": (24, 2.0**-149, float(np.finfo(np.float32).max)),
    "bf16": (8, 2.0**-133, float.fromhex("0x1.fep127")),
    "f16": (11, 2.0**-24, 65504.0),
}


def round_to(values, dtype):
    """Nearest value of `dtype`, ties to even, in float64.

    >>> float(round_to(np.array(1 + 2.0**-8), "bf16")), float(round_to(np.array(65520.0), "f16"))
    (1.0, inf)
    """
    values = np.asarray(values, np.float64)
    if dtype == "f64":
        return values
    bits, smallest, largest = FLOATS[dtype]
    with np.errstate(all="ignore"):
        spacing = np.maximum(np.ldexp(1.0, np.frexp(values)[1] - bits), smallest)
        rounded = np.rint(values / spacing) * spacing
    rounded = np.where(np.abs(rounded) > largest, np.copysign(np.inf, values), rounded)
    return np.where(np.isfinite(values), rounded, values)


def to_storage(values, dtype):
    """The array as stored: float32, float16, or bf16 bits as uint16."""
    rounded = round_to(values, dtype)
    if dtype == "bf16":
        return (rounded.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return rounded.astype({"f32": np.float32, "f16": np.float16}[dtype])


def from_storage(stored, dtype):
    """The inverse of `to_storage`, in float64."""
    if dtype == "bf16":
        return (stored.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return stored.astype(np.float64)
