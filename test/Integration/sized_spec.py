"""Random specs whose sizes are at the edges of vectors, tiles and blocks, the same for a seed.

    python3 sized_spec.py SEED

Where random_spec.py is about features, this is about the products: every type of rows, every way
to store weights, and of each dimension every size of `SIZES`, or one that takes several chunks of
the depth. As many seeds as there are `CASES`, one after another, have each case once.
"""

import json
import math
import sys

from random_spec import UNITS, Dice

SIZES = (1, 2, 3, 5, 7, 17, 31, 33, 127, 129, 257)
DEEP = (1023, 1025, 2080, 4129)
MANY = (1031, 4099)  # tokens that are more than one chunk of them
TYPES = ("f32", "bf16", "f16")
BLOCKS = {
    None: [None],
    "int8": [None, [1, 64], [3, 31]],
    "int4": [None, [1, 128], [16, 2]],
    "fp8_e4m3": [None, [128, 128], [7, 5]],
    "mxfp4": [None],
    "nvfp4": [None],
}
CASES = [(t, kind, block) for t in TYPES for kind, blocks in BLOCKS.items() for block in blocks]
MOST_WEIGHTS = 1_500_000
MOST_WORK = 40_000_000  # multiplications of one matrix, which the reference does one by one


def _sizes(dice):
    """hidden, intermediate, experts, top_k and tokens that together are not too much."""
    while True:
        hidden, inner, experts, top_k, tokens = (dice.pick(*SIZES) for _ in range(5))
        if dice.chance(0.5):  # many rows for each
            experts = dice.pick(*SIZES[:5])
        if dice.chance(0.1):
            hidden = dice.pick(*DEEP)
        elif dice.chance(0.1):
            inner = dice.pick(*DEEP)
        if dice.chance(0.1):
            tokens = dice.pick(*MANY)
        fits = hidden * inner * experts <= MOST_WEIGHTS
        if top_k <= experts and fits and hidden * inner * tokens * top_k <= MOST_WORK:
            return hidden, inner, experts, top_k, tokens


def token_count(seed):
    return _sizes(Dice(f"sizes {seed}"))[4]


def random_spec(seed):
    hidden, inner, experts, top_k, _ = _sizes(Dice(f"sizes {seed}"))
    dice, (kind_of_rows, kind, block) = Dice(f"sized {seed}"), CASES[seed % len(CASES)]
    unit = UNITS.get(kind, 1)
    hidden, inner = (math.ceil(size / unit) * unit for size in (hidden, inner))
    part = {"intermediate": inner, "bias": dice.chance(0.3)}
    if dice.chance(0.3):
        part["form"] = "mlp"
    elif not block and dice.chance(0.3):
        part["gate_up"] = dice.pick("concatenated", "interleaved")
    if dice.chance(0.5):
        part["activation"] = dice.pick("gelu_tanh", "relu2", "g * sigmoid(1.5 * g)")
    spec = {
        "name": f"s{seed}",
        "hidden": hidden,
        "router": {"experts": experts, "top_k": top_k},
        "experts": part,
        "dtype": {"activation": kind_of_rows},
    }
    if dice.chance(0.3):
        spec["shared"] = {"intermediate": math.ceil(dice.pick(*SIZES) / unit) * unit}
    if kind:
        for section in {"experts", "shared"} & set(spec):
            quantization = spec[section]["quantization"] = {"kind": kind}
            if block:
                quantization["block"] = block
            if kind == "int4":
                quantization["zero_points"] = dice.chance(0.5)
            if kind == "fp8_e4m3" and block and block[1]:
                rows = Dice(f"activations {section} {seed}").pick("none", "fp8_e4m3")
                quantization["activations"] = rows
    elif dice.chance(0.3):
        spec["dtype"]["weights"] = dice.pick(*TYPES)
    return spec


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("usage: sized_spec.py SEED")
    print(json.dumps(random_spec(int(sys.argv[1])), indent=2))


if __name__ == "__main__":
    main()
