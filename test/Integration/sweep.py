"""Random specs, compiled and run: reference, cpu and oracle must agree.

    python3 sweep.py --moe-opt PATH --moe-run PATH --count N [--seed S] [--jobs J] [--cpu NAME,...]
        [--sizes] [--work DIR]
    python3 sweep.py ... --device sim [--arch NAME,...] [--schedules N]

Each seed gives a spec (random_spec.py, or with --sizes sized_spec.py) with exact weights and
inputs: small multiples of a power of two whose sums of products f32 holds exactly, so that a
comparison sees wrong arithmetic and not rounding. Choices must be the same except where the
oracle says that rounding decided them; outputs must be within the rounding of their type; any
number of threads gives the same bits.

With --device sim the layers run on simulated GPUs of each architecture, N times with other
choices of the simulator, which must find nothing and give the same bits. Every second spec then
has sizes that matrix instructions take.

The last line is `N passed, N failed`. A failure is printed with what reproduces it, and leaves
its spec, inputs and weights in the work folder.
"""

import argparse
import json
import multiprocessing
import multiprocessing.connection
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Oracle"), str(HERE.parent.parent / "python")]

import files
import oracle
import random_spec
import routing
import sized_spec

THREADS = (1, 2, 4)
TIE = 1e-5  # margins below this may be decided by rounding
UNIT = {"f32": 0.0, "bf16": 2.0**-8, "f16": 2.0**-11}
TINY = {"f32": 2.0**-149, "bf16": 2.0**-133, "f16": 2.0**-25}


TF32 = 2.0**-11  # half a unit of factors that are rounded to it


class Mismatch(AssertionError):
    pass


def expect(condition, message):
    if not condition:
        raise Mismatch(message)


# --- One seed ----------------------------------------------------------------------------------


def make_inputs(seed, spec, tokens):
    """The inputs by name, in float64 and int64: multiples of 1/8 in [-1, 1], and token ids."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-8, 9, (tokens, spec["hidden"])) / 8.0
    ids = rng.integers(-1000, 150000, tokens)
    inputs = {"x": x}
    if spec["router"]["strategy"] == "table":
        inputs["token_ids"] = ids % spec["router"]["vocabulary"]
    elif spec["router"]["strategy"] == "hash":
        inputs["token_ids"] = ids
    if spec["router"]["projection"]["chained"]:
        shape = (tokens, spec["router"]["projection"]["hidden"])
        inputs["router_state"] = rng.integers(-8, 9, shape) / 8.0
    return inputs


def compile_package(tools, spec_path, target, output, *options):
    command = [tools.moe_opt, str(spec_path), "--emit=package", f"--target={target}", *options]
    run = subprocess.run([*command, "-o", str(output)], capture_output=True, text=True, timeout=300)
    if run.returncode:
        reason = run.stderr.strip() or f"status {run.returncode}"
        raise Mismatch(f"moe-opt --target={target} failed: {reason[-2000:]}")


def read_weights(layer):
    """The layer's weights in float64."""
    dtypes = {w["name"]: w["dtype"] for w in layer.package.manifest["weights"]}
    weights = {}
    for name, value in layer.weights.items():
        bits = value.view(np.uint16) if dtypes[name] == "bf16" else value
        weights[name] = oracle.from_storage(bits, dtypes[name])
    return weights


def run_forward(layer, spec, inputs):
    """One forward: y as bits and in float64, and the plan with the state for the next router."""
    dtype, inputs = spec["dtype"]["activation"], dict(inputs)
    inputs["x"] = oracle.to_storage(inputs["x"], dtype)
    if "router_state" in inputs:
        inputs["router_state"] = inputs["router_state"].astype(np.float32)
    outputs = layer.run("forward", **inputs)
    if not isinstance(outputs, dict):
        outputs = {"y": outputs}
    bits, plan = outputs.pop("y"), layer.plan
    return bits, oracle.from_storage(bits.copy(), dtype), {**plan, **outputs}


def close(name, got, expected, scale, bound, smallest):
    """Relative Frobenius error within `bound`."""
    bad = ~np.isfinite(got)
    expect(not bad.any(), f"{name}: {int(bad.sum())} values are not finite")
    error = np.linalg.norm(got - expected)
    allowed = bound * max(np.linalg.norm(expected), scale) + smallest * np.sqrt(max(got.size, 1))
    size = max(np.linalg.norm(expected), 1e-300)
    expect(error <= allowed, f"{name}: relative error {error / size:.3g} > {allowed / size:.3g}")


# A code of e4m3 that rounding of f32 has decided, in few of the rows' values.
CODE = 2.0**-9


def bound_of(spec):
    """How far sums in f32 may be from exact ones."""
    rows = {spec[part]["quantization"]["activations"] for part in ("experts", "shared")}
    return 4e-7 * np.sqrt(oracle.longest_reduction(spec)) + (CODE if rows != {"none"} else 0)


def compare(who, spec, got, result, bound):
    """One target's forward against the oracle's. True if near ties kept some of it out."""
    _, y, plan = got
    tokens = len(result.indices)
    # A near tie that fell the same way needs no allowance.
    alike = all(np.array_equal(plan[n], getattr(result, n)) for n in ("indices", "positions"))
    if spec["router"]["strategy"] == "sparsemixer":  # whose weights jump as well
        alike = alike and np.allclose(plan["weights"], result.weights, rtol=1e-3, atol=0)
    near = (result.margin < TIE) & (not alike)
    shared = result.lost.any() or spec["router"]["load_balancing"] == "expert_choice"
    sure = ~near
    if near.any() and shared:  # one token's choice moves others'
        choice = spec["router"]["load_balancing"] == "expert_choice"
        in_order = spec["capacity"]["priority"] == "token_order" and not choice
        first = int(np.argmax(near)) if in_order else 0
        sure &= np.arange(tokens) < first
    same = (plan["indices"] == result.indices).all(axis=1)
    wrong = np.flatnonzero(~same & sure)
    if len(wrong):
        t = wrong[0]
        raise Mismatch(
            f"{who}: indices of token {t} are {plan['indices'][t].tolist()}, not "
            f"{result.indices[t].tolist()} (margin {result.margin[t]:.3g}; {len(wrong)} tokens)"
        )
    everything = bool(same.all()) and not (near.any() and shared)
    if everything:
        compare_grouping(who, plan, result)
        compare_figures(who, plan, result)
    kept = (plan["positions"] >= 0) == (result.positions >= 0)
    sure &= same & kept.all(axis=1) if not everything else True
    smallest = 16 * TINY[spec["dtype"]["activation"]]
    w = plan["weights"][sure].astype(np.float64)
    chosen = result.indices[sure] >= 0
    w, expected = w[chosen], result.weights[sure][chosen]
    # Sums of what was rounded before may cancel.
    size = 0.0 if routing.exact_logits(spec) else 0.01 * np.sqrt(w.size)
    close(f"{who}: weights", w, expected, size, 4e-6, 1e-30)
    if result.router_state is not None:
        close(f"{who}: state", plan["router_state_next"], result.router_state, 1.0, 4e-6, 1e-30)
    scale = np.linalg.norm(result.magnitude[sure]) / np.sqrt(oracle.longest_reduction(spec))
    # Of y, and of what lies between the products, which may be kept as bf16.
    roundings = 2 if spec["dtype"]["activation"] == "bf16" else 1
    bound = bound + roundings * UNIT[spec["dtype"]["activation"]]
    close(f"{who}: y", y[sure], result.y[sure], scale, bound, smallest)
    return not alike


def compare_grouping(who, plan, result):
    filled = int(result.offsets[-1])
    for name in ("offsets", "positions", "counts"):
        expected = getattr(result, name)
        expect(np.array_equal(plan[name], expected), f"{who}: {name} differ")
    expect(np.array_equal(plan["rows"][:filled], result.rows), f"{who}: rows differ")
    expect((plan["rows"][filled:] == -1).all(), f"{who}: rows past the end are not -1")


def compare_figures(who, plan, result):
    got = {"imbalance": result.imbalance, "status": result.status}
    got.update({f"loss.{name}": value for name, value in result.losses.items()})
    for name, expected in got.items():
        if name in plan or name.startswith("loss."):
            error = abs(float(plan[name]) - expected)
            expect(error <= 1e-5 * abs(expected) + 1e-7, f"{who}: {name} is {plan[name]}")


def check_seed(tools, seed, folder):
    """Raises Mismatch; returns whether near ties kept part of the comparison out."""
    import moe_mlir

    folder.mkdir(parents=True, exist_ok=True)
    specs = sized_spec if tools.sizes else random_spec
    given, tokens = specs.random_spec(seed), specs.token_count(seed)
    if tools.device == "sim":
        turn = seed // len(sized_spec.CASES) if tools.sizes else seed
        given, tokens = for_simulator(turn, given, tokens)
    elif seed % 3 == 0 and not tools.sizes:
        in_steps(given, 64)  # so that weights fill strips
    spec = oracle.resolve(given)
    spec_path = folder / "spec.json"
    spec_path.write_text(json.dumps(given, indent=1))
    compile_package(tools, spec_path, "reference", folder / "reference")
    reference = moe_mlir.load(folder / "reference")
    reference.randomize(seed, exact=True)
    weight_path = folder / "weights.safetensors"
    reference.save_weights(weight_path)
    if spec["router"]["strategy"] == "table":
        fill_table(seed, spec, weight_path)
        reference.load_weights(weight_path)
    weights = read_weights(reference)
    table = oracle.weight_table(spec)
    shapes = {name: value.shape for name, value in weights.items()}
    expect(shapes == {name: shape for name, (shape, _) in table.items()}, "weights differ")
    check_weight_file(spec, weight_path, table)

    inputs = make_inputs(seed, spec, tokens)
    np.save(folder / "x.npy", oracle.to_storage(inputs["x"], spec["dtype"]["activation"]))
    for name in inputs.keys() - {"x"}:
        np.save(folder / f"{name}.npy", inputs[name])
    if tools.device == "sim":
        return check_simulated(tools, folder, spec, weights, inputs)
    compile_package(tools, spec_path, "cpu", folder / "cpu", f"--cpu={tools.cpu}")
    cpus = cpu_layers(moe_mlir, moe_mlir.Package(folder / "cpu"), weight_path)
    bound = bound_of(spec)

    def run(result):
        got = run_forward(reference, spec, inputs)
        near_tie = compare("reference", spec, got, result, REFERENCE_BOUND)
        for name, layers in cpus.items():
            near_tie |= run_cpu(moe_mlir, name, layers, spec, inputs, result, bound)
        return near_tie

    layers = [(name, layer) for name, layers in cpus.items() for layer in layers]
    near_tie = check_steps(spec, weights, inputs, [("reference", reference), *layers], run)
    for layers in cpus.values():
        check_empty(layers[0], spec, inputs)
    return near_tie


def check_steps(spec, weights, inputs, layers, run):
    """What has state runs again on it, after a step where there is one."""
    state, near_tie = oracle.initial_state(spec, weights), False
    for _ in range(2 if state else 1):
        result = oracle.forward(spec, weights, state=state, **inputs)
        near_tie |= run(result)
        if near_tie:  # state went another way, too
            break
        state = check_state(layers, spec, result.state)
    return near_tie


MOST_WORK = 2**24  # multiplications of one matrix


def for_simulator(turn, spec, tokens):
    """Of a size that is soon done; in every second turn of depths in steps of 32."""
    if turn % 2:
        in_steps(spec, 32)
    work = spec["hidden"] * spec["experts"]["intermediate"] * spec["router"]["top_k"]
    return spec, min(tokens, 70, max(1, MOST_WORK // work))


def in_steps(spec, size):
    """Widths that are multiples of `size`."""
    experts = [spec["experts"], *filter(None, [spec.get("shared")])]
    for part, key in [(spec, "hidden"), *((e, k) for e in experts for k in SIZES if k in e)]:
        part[key] += -part[key] % size


SIZES = ("intermediate", "latent")


# With few of them a block that stays takes several tiles.
MULTIPROCESSORS = (2, 132, 5)


def check_simulated(tools, folder, spec, weights, inputs):
    """On a device of each architecture; whatever chance decides, the same bits."""
    near_tie = False
    for arch in tools.arch.split(","):
        compile_package(tools, folder / "spec.json", "sim", folder / arch, f"--gpu-arch={arch}")
        runs = []
        for schedule in range(1, tools.schedules + 1):
            size = MULTIPROCESSORS[schedule % len(MULTIPROCESSORS)]
            os.environ.update(
                MOE_SIM_ARCH=arch, MOE_SIM_SEED=str(schedule), MOE_SIM_MULTIPROCESSORS=str(size)
            )
            who = f"{arch}, schedule {schedule}"
            run = in_child(simulate, who, folder, arch, spec, weights, inputs)
            expect(isinstance(run, tuple), run)
            runs.append(run[0])
            near_tie |= run[1]
            expect(run[0] == runs[0], f"{who}: other bits than with schedule 1")
    return near_tie


def simulate(who, folder, arch, spec, weights, inputs):
    import moe_mlir

    layer = moe_mlir.load(folder / arch)
    layer.load_weights(folder / "weights.safetensors")
    bound, every = bound_of(spec), []
    if spec["dtype"]["products"] == "tf32":
        bound += 2 * TF32

    def run(result):
        got = run_forward(layer, spec, inputs)
        every.append(got[0].tobytes())
        return compare(who, spec, got, result, bound)

    near_tie = check_steps(spec, weights, inputs, [(who, layer)], run)
    check_empty(layer, spec, inputs)
    return every, near_tie


def in_child(function, who, *arguments):
    """In a process of its own, since a process has one device: the result, or what went wrong."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            result = function(who, *arguments)
        except Mismatch as mismatch:
            result = str(mismatch)
        except BaseException:
            result = f"{who}: {traceback.format_exc(limit=-4).strip()}"
        with os.fdopen(writes, "wb") as pipe:
            pickle.dump(result, pipe)
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    return pickle.loads(data) if data else f"{who}: ended with status {status}"


def cpu_layers(moe_mlir, package, weight_path):
    """CPU of the package that can run here -> a layer for each number of threads."""
    result = {}
    for variant in package.manifest["target"]["variants"]:
        try:
            layer = package.layer(variant["cpu"])
        except moe_mlir.Error as error:
            if error.status != moe_mlir.Status.CPU_MISMATCH:
                raise
            continue
        layer.load_weights(weight_path)
        result[variant["cpu"]] = [layer] + [layer.share() for _ in THREADS[1:]]
    return result


# The reference computes in f64 and stores y in f32 at best.
REFERENCE_BOUND = 1e-12 + 2.0**-24


def check_weight_file(spec, path, table):
    prefix = spec["weights"]["prefix"].replace("{l}", str(spec["weights"]["layer"]))
    stored = {name: dtype.lower() for name, (_, dtype) in files.read_safetensors(path).items()}
    expected = {prefix + name: dtype for name, (_, dtype) in table.items()}
    expect(stored == expected, f"the weight file holds {stored}")


def fill_table(seed, spec, path):
    """Experts at random, all of them, in the place of small numbers."""
    tensors = files.read_safetensors(path)
    rng, router = np.random.default_rng(seed), spec["router"]
    for name, (value, dtype) in tensors.items():
        if name.endswith("router.table"):
            table = rng.integers(0, router["experts"], value.shape, np.int32)
            tensors[name] = (table, dtype)
    files.write_safetensors(path, tensors)


def run_cpu(moe_mlir, cpu, layers, spec, inputs, result, bound):
    """The same on every number of threads, each with a layer and so a state of its own."""
    runs = []
    for threads, layer in zip(THREADS, layers):
        moe_mlir.set_threads(threads)
        runs.append(run_forward(layer, spec, inputs))
    moe_mlir.set_threads(0)
    bits, _, plan = runs[0]
    for threads, (other_bits, _, other_plan) in zip(THREADS[1:], runs[1:]):
        expect(bits.tobytes() == other_bits.tobytes(), f"{cpu}: y differs on {threads} threads")
        for name, value in other_plan.items():
            equal = name == "clock" or plan[name].tobytes() == value.tobytes()
            expect(equal, f"{cpu}: {name} differs on {threads} threads")
    return compare(cpu, spec, runs[0], result, bound)


def check_state(layers, spec, state):
    if "step" in spec["functions"]:
        state = oracle.step(spec, state)
    for who, layer in layers:
        if "step" in spec["functions"]:
            layer.run("step")
        for name, expected in state.items():
            got = layer.state[name]
            if expected.dtype.kind == "f":
                error = np.max(np.abs(got - expected))
                expect(error <= 1e-6 * (1 + np.abs(expected).max()), f"{who}: {name} differs")
            else:
                expect(np.array_equal(got, expected), f"{who}: {name} differs")
    return state


def check_empty(layer, spec, inputs):
    """No tokens are fine at any time."""
    _, y, plan = run_forward(layer, spec, {name: value[:0] for name, value in inputs.items()})
    expect(y.shape == (0, spec["hidden"]), f"y of no tokens has shape {y.shape}")
    expect(not plan["offsets"].any() and not plan["counts"].any(), "no tokens, but slots")


# --- Many seeds --------------------------------------------------------------------------------


def worker(tools, pipe):
    """Runs seeds as they come, so that a crash takes one seed with it."""
    for seed in iter(pipe.recv, None):
        folder = tools.work / str(seed)
        try:
            near_tie = check_seed(tools, seed, folder)
            if not tools.keep:
                shutil.rmtree(folder, ignore_errors=True)
            pipe.send((seed, None, near_tie))
        except Mismatch as mismatch:
            pipe.send((seed, str(mismatch), False))
        except Exception:
            pipe.send((seed, traceback.format_exc(limit=-4).strip(), False))


class Pool:
    """Processes of `worker`; one that dies or hangs is replaced and its seed has failed."""

    def __init__(self, tools, jobs):
        self.tools, self.busy = tools, {}
        self.context = multiprocessing.get_context("fork")
        self.idle = [self.start() for _ in range(jobs)]

    def start(self):
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=worker, args=(self.tools, theirs), daemon=True)
        process.start()
        theirs.close()
        return ours, process

    def give(self, seed):
        pipe, process = self.idle.pop()
        pipe.send(seed)
        self.busy[pipe] = (process, seed, time.monotonic())

    def results(self):
        """What has come since the last call; waits for at least a moment."""
        for pipe in multiprocessing.connection.wait(list(self.busy), timeout=1):
            process, seed, _ = self.busy.pop(pipe)
            try:
                yield pipe.recv()
                self.idle.append((pipe, process))
            except EOFError:
                process.join()
                yield seed, f"crashed with status {process.exitcode}", False
                self.idle.append(self.start())
        for pipe, (process, seed, began) in list(self.busy.items()):
            if time.monotonic() - began > self.tools.timeout:
                del self.busy[pipe]
                process.kill()
                process.join()
                yield seed, f"took more than {self.tools.timeout} s", False
                self.idle.append(self.start())

    def close(self):
        for pipe, process in self.idle:
            pipe.send(None)
            process.join()


def sweep(tools, seeds, jobs):
    pool, left = Pool(tools, jobs), list(reversed(seeds))
    passed, near_ties, failed = 0, [], []
    while left or pool.busy:
        while left and pool.idle:
            pool.give(left.pop())
        for seed, reason, near_tie in pool.results():
            if reason is None:
                passed += 1
                near_ties += [seed] * near_tie
                continue
            failed.append(seed)
            print(f"FAIL seed {seed}: {reason}")
            print(f"  reproduce: {reproduction(tools, seed)}")
            print(f"  spec:      {tools.work / str(seed) / 'spec.json'}", flush=True)
    pool.close()
    return passed, near_ties, failed


def reproduction(tools, seed):
    script = os.path.relpath(__file__)
    return (
        f"python3 {script} --moe-opt {tools.moe_opt} --moe-run {tools.moe_run} "
        f"--cpu {tools.cpu} {'--sizes ' * tools.sizes}"
        f"{f'--device sim --arch {tools.arch} ' * (tools.device == 'sim')}"
        f"--seed {seed} --count 1 --keep"
    )


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--moe-opt", required=True)
    parser.add_argument("--moe-run", required=True, help="tells where the runtime is")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--cpu", default="native", help="of several, all that run here are tested")
    parser.add_argument("--device", choices=("cpu", "sim"), default="cpu")
    parser.add_argument("--arch", default="sm_80,sm_90a", help="of simulated devices")
    parser.add_argument("--schedules", type=int, default=3, help="runs with other choices")
    parser.add_argument("--sizes", action="store_true", help="specs of sizes at the edges")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one seed")
    parser.add_argument("--work", type=Path, help="where specs and packages go")
    parser.add_argument("--keep", action="store_true", help="keep what passes, too")
    return parser.parse_args()


def main():
    tools = parse_arguments()
    tools.moe_opt = os.path.abspath(tools.moe_opt)
    tools.moe_run = os.path.abspath(tools.moe_run)
    os.environ["MOE_MLIR_HOME"] = str(Path(tools.moe_run).parent.parent)
    if tools.work is None:
        tools.work = Path(tempfile.mkdtemp(prefix="moe-sweep-"))
    tools.work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    seeds = range(tools.seed, tools.seed + tools.count)
    passed, near_ties, failed = sweep(tools, seeds, max(1, tools.jobs))
    # One or two say nothing about a rate.
    too_near = len(near_ties) > max(2, tools.count // 100)
    print(f"{len(near_ties)} specs compared only up to a near tie:", *sorted(near_ties))
    if too_near:
        print("too many near ties: the comparison says too little")
    if failed:
        print("failed seeds:", *sorted(failed))
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {len(failed)} failed")
    if not failed and not tools.keep:
        shutil.rmtree(tools.work, ignore_errors=True)
    sys.exit(1 if failed or too_near else 0)


if __name__ == "__main__":
    main()
