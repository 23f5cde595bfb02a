"""Compiles the layer that a golden's config describes, runs it and compares."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import golden

# Relative Frobenius errors. Where a module has an own error, ours may not be above it.
BOUND = 4e-3  # of y in bf16 where there is no module: its rounding, and that of what is between
WEIGHTS = 2e-6  # of f32 weights from f32 logits
ROUNDED = 1.25  # times the module's, of weights from logits that both round to bf16


class Mismatch(AssertionError):
    pass


@dataclass
class Report:
    """What one comparison found; `own_error` is None without a module."""

    name: str
    tokens: int = 0
    rounded: int = 0  # tokens in which rounded logits chose as the module does, not as f64
    error: float = 0.0
    own_error: float | None = None
    failure: str = ""

    def line(self):
        if self.failure:
            return f"FAIL {self.name}: {self.failure}"
        text = f"ok   {self.name}: indices equal in {self.tokens} tokens"
        if self.rounded:
            text += f" ({self.rounded} by rounded logits)"
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


def check(folder, work):
    """A Report of the golden in `folder`; packages go to `work`."""
    report = Report(folder.name)
    try:
        _check(golden.load(folder), folder, work / folder.name, report)
    except (Mismatch, RuntimeError, subprocess.TimeoutExpired) as mismatch:
        report.failure = str(mismatch).splitlines()[0]
    return report


def _check(made, folder, package, report):
    import moe_mlir

    config, layer = str(folder / "config.json"), f"--layer={made.layer}"
    check_layers(made, json.loads(run_tool(tool("moe-opt"), config, "--layers", "--json")))
    spec = json.loads(run_tool(tool("moe-opt"), config, layer, "--emit=spec"))
    run_tool(tool("moe-opt"), config, layer, "--emit=package", "-o", str(package))
    compiled = moe_mlir.load(package)
    compiled.load_weights(golden.weight_file(folder))
    results = [Result(case, spec, *run_layer(compiled, case)) for case in made.cases.values()]
    report.tokens = sum(len(r.case.x) for r in results)
    report.rounded = sum(int((~r.equal).sum()) for r in results)
    for name, result in zip(made.cases, results):
        result.check_choice(name)
        result.check_weights(name)
    report.error = relative_error([(r.y, r.case.y, r.comparable) for r in results])
    bound = BOUND
    if results[0].case.own_y is not None:
        bound = relative_error([(r.case.own_y, r.case.y, r.comparable) for r in results])
        report.own_error = bound
    if sum(r.comparable.sum() for r in results) * 2 < report.tokens:
        raise Mismatch("too few tokens were routed alike for a comparison")
    if not report.error <= bound:
        raise Mismatch(f"relative error of y is {report.error:.2e}, above {bound:.2e}")


def check_layers(made, table):
    found = sorted(l for g in table["groups"] if g["kind"] != "dense" for l in g["layers"])
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
        self.rounds = router.get("projection", {}).get("dtype") == "input"
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
        """Where logits are rounded as the module does, its choice is as good as that of f64."""
        right = self.equal
        if self.rounds and self.case.own_indices is not None:
            right = right | (self.indices == self.case.own_indices).all(axis=1)
        if len(wrong := np.flatnonzero(~right)):
            t = wrong[0]
            raise Mismatch(
                f"case {name}: experts of token {t} are {self.indices[t].tolist()}, not "
                f"{self.case.indices[t].tolist()} ({len(wrong)} of {len(right)} tokens)"
            )

    def check_weights(self, name):
        error = relative_error([(self.weights, self.case.weights, self.comparable)])
        bound = WEIGHTS
        if self.rounds and self.case.own_weights is not None:
            own = [(self.case.own_weights, self.case.weights, self.comparable)]
            bound += ROUNDED * relative_error(own)
        if not error <= bound:
            raise Mismatch(f"case {name}: relative error of weights is {error:.2e}, above {bound:.2e}")
        if self.case.router_state_next is not None:
            if self.following is None:
                raise Mismatch(f"case {name}: no output router_state_next")
            error = relative_error([(self.following, self.case.router_state_next, slice(None))])
            if not error <= 2.0**-8:
                raise Mismatch(f"case {name}: relative error of router_state_next is {error:.2e}")


def relative_error(parts):
    """Frobenius, over the chosen rows of all (got, expected, rows)."""
    wrong = sum(np.sum((got[rows] - expected[rows]) ** 2) for got, expected, rows in parts)
    size = sum(np.sum(expected[rows] ** 2) for _, expected, rows in parts)
    return float(np.sqrt(wrong / size)) if size else float(np.sqrt(wrong))
