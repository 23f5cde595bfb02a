#!/usr/bin/env python3
"""How fast weights are loaded, beside what the machine can do at all.

For each layout a file with one layer is written and read once, so that it is in the page cache.
Then, each the best of several runs:
  load   our time to load the layer from it
  read   read() of the file once, into 4 MiB that are used again
  copy   a copy of as many bytes as the weights have, into new memory
`ratio` is (read + copy) / load: 1 means that a load costs what reading and copying must.

  benchmarks/loading.py [--megabytes N] [--runs N] [LAYOUT ...]
"""

import argparse
import json
import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))
import moe_mlir  # noqa: E402

BF16, F8, F32 = ("BF16", 2), ("F8_E4M3", 1), ("F32", 4)
EXPERTS, OUTPUTS = 16, 1024


def each(name, part=None):
    return {"name": f"experts.{{e}}.{name}"} if part is None else {"name": name, "part": part}


def matrices(dtype, inputs, outputs):
    """Tensors of one expert each, as most models have them."""
    for e in range(EXPERTS):
        yield f"m.experts.{e}.gate", dtype, [outputs, inputs]
        yield f"m.experts.{e}.up", dtype, [outputs, inputs]
        yield f"m.experts.{e}.down", dtype, [inputs, outputs]


def per_expert(inputs, outputs):
    return {m: each(m) for m in ("gate", "up", "down")}, matrices(BF16, inputs, outputs)


def fused(transposed, interleaved):
    def layout(inputs, outputs):
        flags = {"transposed": transposed, "interleaved": interleaved}
        sources = {
            "gate": {**each("gate_up", [0, 2]), **flags},
            "up": {**each("gate_up", [1, 2]), **flags},
            "down": {"name": "down", "transposed": transposed},
        }
        shapes = [EXPERTS, 2 * outputs, inputs], [EXPERTS, inputs, outputs]
        if transposed:
            shapes = [[e, b, a] for e, a, b in shapes]
        return sources, [("m.gate_up", BF16, shapes[0]), ("m.down", BF16, shapes[1])]

    return layout


def fp8_decoded(inputs, outputs):
    def source(name):
        decode = {"kind": "fp8_e4m3", "block": [128, 128]}
        return {**each(name), "decode": decode, "scales": each(name + "_scale_inv")}

    tensors = []
    for name, dtype, (a, b) in matrices(F8, inputs, outputs):
        tensors.append((name, dtype, [a, b]))
        tensors.append((name + "_scale_inv", F32, [-(-a // 128), -(-b // 128)]))
    return {m: source(m) for m in ("gate", "up", "down")}, tensors


LAYOUTS = {
    "per_expert": per_expert,
    "stacked_parts": fused(False, False),
    "stacked_interleaved": fused(False, True),
    "stacked_transposed": fused(True, False),
    "stacked_transposed_interleaved": fused(True, True),
    "fp8_decoded": fp8_decoded,
}


def write(path, tensors):
    header, offset = {}, 0
    for name, (dtype, size), shape in tensors:
        end = offset + size * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    block = np.arange(1 << 22, dtype=np.uint8).tobytes()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while offset:
            offset -= file.write(block[: min(offset, len(block))])


def best(runs, body):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        body()
        times.append(time.perf_counter() - start)
    return min(times)


def read(path):
    buffer = memoryview(bytearray(4 << 20))
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def measure(name, folder, megabytes, runs):
    inputs = max(megabytes * 1_000_000 // (EXPERTS * OUTPUTS * 3 * 2) // 128 * 128, 128)
    sources, tensors = LAYOUTS[name](inputs, OUTPUTS)
    tensors = [("m.router", BF16, [EXPERTS, inputs]), *tensors]
    path = Path(folder) / "model.safetensors"
    write(path, tensors)
    named = {f"experts.{matrix}.weight": source for matrix, source in sources.items()}
    spec = {
        "hidden": inputs,
        "router": {"experts": EXPERTS, "top_k": 2},
        "experts": {"intermediate": OUTPUTS},
        "dtype": {"activation": "bf16"},
        "weights": {"prefix": "m.", "tensors": {"router.weight": "router", **named}},
    }
    layer = moe_mlir.compile(spec).layer()
    size = sum(2 * int(np.prod(w["shape"])) for w in layer.package.manifest["weights"])
    source = np.ones(size, np.uint8)
    result = {
        "load": best(runs, lambda: layer.load_weights(path)),
        "read": best(runs, lambda: read(path)),
        "copy": best(runs, lambda: source.copy()),
    }
    result["ratio"] = (result["read"] + result["copy"]) / result["load"]
    result["gigabytes_per_second"] = path.stat().st_size / result["load"] * 1e-9
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("layouts", nargs="*", choices=[*LAYOUTS, []], metavar="LAYOUT")
    options = parser.parse_args()
    print(f"{'layout':32} {'load s':>8} {'read s':>8} {'copy s':>8} {'GB/s':>6} {'ratio':>6}")
    for name in options.layouts or LAYOUTS:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(name, folder, options.megabytes, options.runs)
        times = " ".join(f"{found[key]:8.3f}" for key in ("load", "read", "copy"))
        print(f"{name:32} {times} {found['gigabytes_per_second']:6.2f} {found['ratio']:6.2f}")


if __name__ == "__main__":
    main()
