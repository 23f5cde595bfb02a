"""Compiles the layer that a golden's config describes, runs it and compares."""

import json
import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import golden

# Bounds of the relative Frobenius error of each case. Where a module has an own error of y, ours
# may not be above that either.
WEIGHTS = 2e-6  # of f32 weights from f32 logits


def rounded(case):
    """Of y in bf16: what its rounding costs, and that of all that is kept as bf16 before it."""
    return 3.5 * relative_error([(golden.round_bf16(case.y), case.y, slice(None))])


def dequantised(case):
    """Of y where the weights, too, are rounded to bf16."""
    return 8e-3


class Mismatch(AssertionError):
    pass


@dataclass
class Report:
    """What one comparison found; `own_error` is None without a module."""

    name: str
    family: str = ""  # as moe-opt calls it
    tokens: int = 0
    error: float = 0.0
    own_error: float | None = None
    failure: str = ""

    def line(self):
        if self.failure:
            return f"FAIL {self.name}: {self.failure}"
        text = f"ok   {self.name}: indices equal in {self.tokens} tokens"
        theirs = "" if self.own_error is None else f", the module's {self.own_error:.1e}"
        return f"{text}, error {self.error:.1e}{theirs}"


def tool(name):
    home = os.environ.get("MOE_MLIR_HOME")
    return str(Path(home) / "bin" / name) if home else name


def run_tool(*command):
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if run.returncode:
        said = (run.stderr.strip() or f"status {run.returncode}").splitlines()
        raise Mismatch(f"{Path(command[0]).name}: {said[0]}")
    return run.stdout


class Packages:
    """Packages in a folder; equal specs are compiled once, whatever they are called."""

    def __init__(self, work):
        self._work, self._made, self._lock = work, {}, threading.Lock()

    def get(self, spec, command):
        key = json.dumps([{k: v for k, v in spec.items() if k != "name"}, command[2:]])
        with self._lock:
            new = threading.Lock(), self._work / str(len(self._made))
            lock, package = self._made.setdefault(key, new)
        with lock:
            if not package.exists():
                run_tool(tool("moe-opt"), *command, "--emit=package", "-o", str(package))
        return package


def check(folder, packages):
    """A Report of the golden in `folder`."""
    report = Report(folder.name)
    try:
        _check(golden.load(folder), folder, packages, report)
    except (Mismatch, RuntimeError, subprocess.TimeoutExpired) as mismatch:
        report.failure = str(mismatch).splitlines()[0]
    return report


def _check(made, folder, packages, report):
    config, layer = str(folder / "config.json"), f"--layer={made.layer}"
    layers = json.loads(run_tool(tool("moe-opt"), config, "--layers", "--json"))
    report.family = layers["family"]
    check_layers(made, layers)
    spec = json.loads(run_tool(tool("moe-opt"), config, layer, "--emit=spec"))
    for other in made.also:
        check_same(folder / f"config-{other}.json", layer, layers, spec)
    report.tokens = sum(len(case.x) for case in made.cases.values())
    package = packages.get(spec, [config, layer])
    report.error, report.own_error = check_package(made, folder, package, spec, rounded)
    if made.layout != "plain":
        package = packages.get(spec, [config, layer, "--dequantize"])
        try:
            check_package(made, folder, package, spec, dequantised)
        except (Mismatch, RuntimeError) as mismatch:
            raise Mismatch(f"--dequantize: {mismatch}") from mismatch


def check_package(made, folder, package, spec, bound):
    """The error of y, and of the module's own y where there is one."""
    import moe_mlir

    compiled = moe_mlir.load(package)
    compiled.load_weights(golden.weight_file(folder))
    errors = judge(made, spec, [run_layer(compiled, case) for case in made.cases.values()], bound)
    check_all_count(made, spec, compiled, bound)
    return errors


def check_all_count(made, spec, compiled, bound):
    """Each weight has a part in what is compared: with 0 in its place a comparison must fail."""
    for name, value in compiled.weights.items():
        compiled.set_weight(name, np.zeros_like(value))
        try:
            judge(made, spec, [run_layer(compiled, case) for case in made.cases.values()], bound)
        except Mismatch:
            compiled.set_weight(name, value)
        else:
            raise Mismatch(f"nothing depends on the weight {name}")


def judge(made, spec, outputs, bound):
    """Compares what `run_layer` gave for each case; the errors over all cases."""
    results = [Result(case, spec, *out) for case, out in zip(made.cases.values(), outputs)]
    for name, result in zip(made.cases, results):
        result.check_choice(name)
        result.check_weights(name)
        result.check_output(name, bound(result.case))
    whole = [(r.y, r.case.y, slice(None)) for r in results]
    if results[0].case.own_y is None:
        return relative_error(whole), None
    error = relative_error([(r.y, r.case.y, r.comparable) for r in results])
    own = relative_error([(r.case.own_y, r.case.y, r.comparable) for r in results])
    if sum(r.comparable.sum() for r in results) * 2 < sum(len(r.case.x) for r in results):
        raise Mismatch("too few tokens were routed alike for a comparison")
    if not error <= own:
        raise Mismatch(f"relative error of y is {error:.2e}, above the module's {own:.2e}")
    return relative_error(whole), own


def check_same(config, layer, layers, spec):
    """Another config of the same model: the same layers and the same spec."""
    if json.loads(run_tool(tool("moe-opt"), str(config), "--layers", "--json")) != layers:
        raise Mismatch(f"{config.name} has other layers than config.json")
    other = json.loads(run_tool(tool("moe-opt"), str(config), layer, "--emit=spec"))
    for section in spec:
        if other.get(section) != spec[section]:
            raise Mismatch(f"{config.name} gives another '{section}' than config.json")


def check_layers(made, table):
    found = sorted(l for g in table["groups"] if g["kind"] in ("moe", "hash") for l in g["layers"])
    if found != made.moe_layers:
        raise Mismatch(f"MoE layers are {found}, not {made.moe_layers}")


def run_layer(layer, case):
    """y in float64, the plan, and the next router state where there is one."""
    inputs = {"x": golden.to_bf16(case.x)}
    if case.token_ids is not None:
        inputs["token_ids"] = case.token_ids
    if case.router_state is not None:
        inputs["router_state"] = case.router_state.astype(np.float32)
    out = layer.run("forward", **inputs)
    y = out["y"] if isinstance(out, dict) else out
    following = out.get("router_state_next") if isinstance(out, dict) else None
    return golden.from_bf16(np.asarray(y).view(np.uint16)), layer.plan, following


class Result:
    """One case's results beside what they should be."""

    def __init__(self, case, spec, y, plan, following):
        self.case, self.y, self.following = case, y, following
        router = spec["router"]
        indices, weights = plan["indices"].astype(np.int64), plan["weights"].astype(np.float64)
        nulls = indices >= router["experts"]
        indices[(plan["positions"] < 0) & ~nulls] = -1
        if (router.get("null_experts") or {}).get("kind") == "skip":
            weights[nulls] = 0
        weights[indices < 0] = 0
        order = np.argsort(indices, axis=1, kind="stable")
        self.indices = np.take_along_axis(indices, order, 1)
        self.weights = np.take_along_axis(weights, order, 1)
        self.equal = (self.indices == case.indices).all(axis=1)
        self.comparable = self.equal.copy()
        if case.own_indices is not None:
            self.comparable &= (case.own_indices == case.indices).all(axis=1)

    def check_choice(self, name):
        if len(wrong := np.flatnonzero(~self.equal)):
            t = wrong[0]
            raise Mismatch(
                f"case {name}: experts of token {t} are {self.indices[t].tolist()}, not "
                f"{self.case.indices[t].tolist()} ({len(wrong)} of {len(self.equal)} tokens)"
            )

    def check_weights(self, name):
        error = relative_error([(self.weights, self.case.weights, slice(None))])
        if not error <= WEIGHTS:
            raise Mismatch(f"case {name}: relative error of weights is {error:.2e}")
        if self.case.router_state_next is not None:
            if self.following is None:
                raise Mismatch(f"case {name}: no output router_state_next")
            error = relative_error([(self.following, self.case.router_state_next, slice(None))])
            if not error <= 2.0**-8:
                raise Mismatch(f"case {name}: relative error of router_state_next is {error:.2e}")

    def check_output(self, name, bound):
        error = relative_error([(self.y, self.case.y, slice(None))])
        if not error <= bound:
            raise Mismatch(f"case {name}: relative error of y is {error:.2e}, above {bound:.2e}")


def relative_error(parts):
    """Frobenius, over the chosen rows of all (got, expected, rows)."""
    wrong = sum(np.sum((got[rows] - expected[rows]) ** 2) for got, expected, rows in parts)
    size = sum(np.sum(expected[rows] ** 2) for _, expected, rows in parts)
    return float(np.sqrt(wrong / size)) if size else float(np.sqrt(wrong))
