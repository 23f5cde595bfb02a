"""How fast weights are loaded, beside what the machine can do at all.

For each layout a file with one layer is written and read once, so that it is in the page cache.
Then, in turns, each as often as `--runs` says:
  load   our time to load the layer from it
  read   read() of the file once, into 4 MiB that are used again
  pack   the same movement by numpy or torch, whichever is faster, from memory into new memory:
         a copy of the strided view, or what decodes with tables or vectors
  copy   a plain copy of as many bytes as the weights have, into new memory
`ratio` is (read + pack) / load, `bound` is (read + copy) / load; medians of all runs. Both are of
wall time; `cpu` is that ratio of processor time. A load on one thread is compared with one thread
that reads and packs, and one on all threads with one that reads and with all that pack.

  benchmarks/loading.py [--megabytes N] [--runs N] [--threads N ...] [--json FILE] [LAYOUT ...]
"""

import argparse
import datetime
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

try:
    import torch
except ImportError:
    torch = None

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))
import moe_mlir  # noqa: E402

BF16, F8, F32, U8 = ("BF16", 2), ("F8_E4M3", 1), ("F32", 4), ("U8", 1)
NUMPY = {"BF16": np.uint16, "F8_E4M3": np.uint8, "F32": np.float32, "U8": np.uint8}
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


def mxfp4_decoded(inputs, outputs):
    def source(name):
        decode = {"kind": "mxfp4"}
        return {**each(name), "decode": decode, "scales": each(name + "_scales")}

    tensors = []
    for name, _, (a, b) in matrices(U8, inputs, outputs):
        tensors.append((name, U8, [a, b // 2]))
        tensors.append((name + "_scales", U8, [a, b // 32]))
    return {m: source(m) for m in ("gate", "up", "down")}, tensors


def views_of(file, transposed, interleaved):
    """The weights of a stacked file, as `[expert, output, input]`."""
    both, down = file["m.gate_up"], file["m.down"]
    if transposed:
        both, down = both.transpose(0, 2, 1), down.transpose(0, 2, 1)
    half = both.shape[1] // 2
    if interleaved:
        return [both[:, ::2], both[:, 1::2], down]
    return [both[:, :half], both[:, half:], down]


def experts_of(file):
    return [t for name, t in file.items() if name.endswith(("gate", "up", "down"))]


def copy_numpy(view):
    to = np.empty(view.shape, view.dtype)
    np.copyto(to, view)
    return to


def copy_torch(view):
    return torch.from_numpy(view.view(np.int16)).clone(memory_format=torch.contiguous_format)


def all_of(pack, items):
    """Keeps what is packed until the end: a layer is in new memory, too."""
    return lambda: [pack(item) for item in items]


def packers(in_numpy, in_torch, items):
    return [all_of(in_numpy, items)] + ([all_of(in_torch, items)] if torch else [])


def copies(views):
    return lambda file: packers(copy_numpy, copy_torch, views(file))


def bf16(values):
    """The bits, rounded to even; what there is here needs no NaN."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def e4m3():
    code = np.arange(128)
    small = code % 8 / 8 * 2.0**-6
    values = np.where(code < 8, small, (1 + code % 8 / 8) * 2.0 ** (code // 8 - 7.0))
    return np.concatenate([values, -values]).astype(np.float32)


def fp8_numpy(pair):
    codes, scales = pair
    values, to = e4m3(), np.empty(codes.shape, np.uint16)
    for o, i in np.ndindex(scales.shape):
        block = np.s_[o * 128 : o * 128 + 128, i * 128 : i * 128 + 128]
        to[block] = bf16(values * scales[o, i])[codes[block]]
    return to


def fp8_torch(pair):
    codes, scales = pair
    (rows, columns), (a, b) = codes.shape, scales.shape
    values = torch.from_numpy(codes).view(torch.float8_e4m3fn).float()
    values.view(a, rows // a, b, columns // b).mul_(torch.from_numpy(scales)[:, None, :, None])
    return values.to(torch.bfloat16)


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


BYTES = np.stack([E2M1[np.arange(256) & 15], E2M1[np.arange(256) >> 4]], axis=1)


def mxfp4_numpy(pair):
    codes, scales = pair
    values = BYTES[codes].reshape(*scales.shape, 32)
    values *= np.exp2(scales.astype(np.float32) - 127)[:, :, None]
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def mxfp4_torch(pair):
    codes, scales = map(torch.from_numpy, pair)
    table = torch.from_numpy(BYTES).to(torch.bfloat16)
    values = table[codes.int()].view(*scales.shape, 32)
    return torch.ldexp(values, (scales.int() - 127)[:, :, None])


def decoders(end, in_numpy, in_torch):
    def make(file):
        pairs = [(t, file[name + end]) for name, t in file.items() if name + end in file]
        return packers(in_numpy, in_torch, pairs)

    return make


def stacked(transposed, interleaved):
    views = lambda file: views_of(file, transposed, interleaved)  # noqa: E731
    return fused(transposed, interleaved), copies(views)


# How each is written, and what packs it.
LAYOUTS = {
    "per_expert": (per_expert, copies(experts_of)),
    "stacked_parts": stacked(False, False),
    "stacked_interleaved": stacked(False, True),
    "stacked_transposed": stacked(True, False),
    "stacked_transposed_interleaved": stacked(True, True),
    "fp8_decoded": (fp8_decoded, decoders("_scale_inv", fp8_numpy, fp8_torch)),
    "mxfp4_decoded": (mxfp4_decoded, decoders("_scales", mxfp4_numpy, mxfp4_torch)),
}


def write(path, tensors):
    """Writes a file of bytes that are good scales too; gives what is in it."""
    header, offset = {}, 0
    for name, (dtype, size), shape in tensors:
        end = offset + size * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random, file = np.random.default_rng(0), {}
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, (dtype, _), shape in tensors:
            if dtype == "F32":
                values = random.uniform(0.01, 1, shape).astype(np.float32)
            elif name.endswith("_scales"):
                values = random.integers(100, 140, shape, np.uint8)
            elif dtype == "BF16":
                values = random.integers(0, 0x4000, shape, np.uint16)
            else:
                values = random.integers(0, 0x7F, shape, np.uint8)
            out.write(values.tobytes())
            file[name] = values
    return file


def read(path):
    buffer = memoryview(bytearray(4 << 20))
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def medians(runs, bodies):
    """Name -> (wall, processor) of bodies that take turns; the first turn does not count."""
    times = {name: [] for name in bodies}
    for turn in range(runs + 1):
        for name, body in bodies.items():
            wall, cpu = time.perf_counter(), time.process_time()
            body()
            if turn:
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: tuple(map(statistics.median, zip(*all))) for name, all in times.items()}


def measure(name, folder, megabytes, runs, threads):
    inputs = max(megabytes * 1_000_000 // (EXPERTS * OUTPUTS * 3 * 2) // 128 * 128, 128)
    layout, packers_of = LAYOUTS[name]
    sources, tensors = layout(inputs, OUTPUTS)
    tensors = [("m.router", BF16, [EXPERTS, inputs]), *tensors]
    path = Path(folder) / "model.safetensors"
    file = write(path, tensors)
    named = {f"experts.{matrix}.weight": source for matrix, source in sources.items()}
    spec = {
        "hidden": inputs,
        "router": {"experts": EXPERTS, "top_k": 2},
        "experts": {"intermediate": OUTPUTS},
        "dtype": {"activation": "bf16"},
        "weights": {"prefix": "m.", "tensors": {"router.weight": "router", **named}},
    }
    layer = moe_mlir.compile(spec).layer()
    moe_mlir.set_threads(threads)
    if torch:
        torch.set_num_threads(threads)
    size = sum(2 * int(np.prod(w["shape"])) for w in layer.package.manifest["weights"])
    source = np.ones(size, np.uint8)
    packs = {f"pack{i}": pack for i, pack in enumerate(packers_of(file))}
    bodies = {
        "load": lambda: layer.load_weights(path),
        "read": lambda: read(path),
        "copy": lambda: source.copy(),
        **packs,
    }
    times = medians(runs, bodies)
    best = min(packs, key=lambda pack: times[pack][0])
    wall = {key: times[key][0] for key in ("load", "read", "copy")}
    wall["pack"] = times[best][0]
    cpu = [times[key][1] for key in ("read", best, "load")]
    return {
        "layout": name,
        "threads": threads,
        **wall,
        "packed_by": "torch" if best == "pack1" else "numpy",
        "ratio": (wall["read"] + wall["pack"]) / wall["load"],
        "bound": (wall["read"] + wall["copy"]) / wall["load"],
        "cpu": (cpu[0] + cpu[1]) / cpu[2],
        "gigabytes_per_second": path.stat().st_size / wall["load"] * 1e-9,
    }


def about():
    """When, on what, and of which commit."""
    models = [t for t in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in t]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True
    )
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": f"{len(os.sched_getaffinity(0))} x {models[0].split(':')[1].strip()}",
        "commit": commit.stdout.decode().strip(),
        "numpy": np.__version__,
        "torch": torch and torch.__version__,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = sorted({1, len(os.sched_getaffinity(0))})
    parser.add_argument("--megabytes", type=int, default=1000, help="of the weights")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=every)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("layouts", nargs="*", choices=[*LAYOUTS, []], metavar="LAYOUT")
    options = parser.parse_args()
    columns = ("load", "read", "pack", "copy", "ratio", "bound", "cpu")
    print(f"{'layout':31}{'threads':>8} {'GB/s':>6}", *(f"{c:>6}" for c in columns), "packed by")
    results = []
    for name in options.layouts or LAYOUTS:
        for threads in options.threads:
            with tempfile.TemporaryDirectory() as folder:
                found = measure(name, folder, options.megabytes, options.runs, threads)
            numbers = " ".join(f"{found[c]:6.3f}" for c in columns)
            speed = found["gigabytes_per_second"]
            print(f"{name:31}{threads:8} {speed:6.2f} {numbers} {found['packed_by']}", flush=True)
            results.append(found)
    if options.json:
        document = {**about(), "megabytes": options.megabytes, "results": results}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
