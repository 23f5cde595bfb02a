"""Writes the golden files.

python3 generate.py [NAME...] [--out DIR]
"""

import argparse
import functools
import re
import tempfile
from pathlib import Path

import numpy as np
import transformers

import build
import golden
import hub
import options
import quantised
import record
import remote
import sigmoid
import softmax
import special

FAMILIES = {f.name: f for m in (softmax, sigmoid, special) for f in m.FAMILIES}


def inputs(family, hidden, seed):
    """name -> (x, extra)."""
    rng = np.random.default_rng([seed, 1])
    for name, x in remote.inputs(hidden, rng):
        yield name, (x, family.extra(family, len(x), rng))


def generate(family, seed=0):
    """A golden of the family; other seeds are tried while rounding could decide a choice.

    The stored golden, of seed 0, must also have a token whose choice a tie decides.
    """
    family = options.of(family).with_options(seed)
    for attempt in range(seed, seed + 50):
        try:
            made = generate_from(family, attempt)
        except record.NearTie:
            continue
        if seed or golden.has_ties(made):
            return made
    raise RuntimeError(f"{family.name}: every seed has near ties, or no ties")


def generate_from(family, seed):
    with tempfile.TemporaryDirectory() as folder:
        model, config, tensors = build.build(family, seed, Path(folder))
    modules = dict(model.named_modules())
    block = modules[family.block_path]
    hidden = block_width(family)
    cases, ties = {}, 0
    for name, given in inputs(family, hidden, seed):
        cases[name], more = record.record(family, block, given)
        ties += more
    config, tensors = family.adapt(config, tensors)
    keep = re.compile(family.keep.format(l=family.layer))
    return golden.Golden(
        family=family.name,
        source=f"transformers {transformers.__version__}",
        layer=family.layer,
        moe_layers=moe_layers(family, modules),
        config=config,
        tensors={n: t for n, t in tensors.items() if keep.search(n)},
        cases=cases,
        experts=experts_of(block),
        ties=ties,
        shards=family.shards,
        also=hub.configs_of(family.name, config) if hub.applies(family) else {},
    )


def block_width(family):
    config = family.config.get("text_config", family.config)
    return config.get("hidden_size") or config["d_model"]


def experts_of(block):
    return next(getattr(m, n) for m in block.modules() for n in ("num_experts",) if hasattr(m, n))


def moe_layers(family, modules):
    """The layers whose block is of the class that the family's layer has."""
    kind, found, layer = type(modules[family.block_path]), [], 0
    while f"{family.layers_path}.{layer}" in modules:
        if isinstance(modules.get(family.block.format(l=layer)), kind):
            found.append(layer)
        layer += 1
    return found


def makers():
    """name -> what gives its golden from a seed."""
    made = {name: functools.partial(generate, family) for name, family in FAMILIES.items()}
    for module in (remote, quantised):
        made |= {m.name: functools.partial(module.generate, m) for m in module.MODELS}
    return made


def check_names(parser, names):
    if unknown := sorted(set(names) - set(makers())):
        parser.error(f"no golden is called {', '.join(unknown)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="families; default: all")
    parser.add_argument("--out", type=Path, default=golden.GOLDEN)
    arguments = parser.parse_args()
    check_names(parser, arguments.names)
    for name, make in makers().items():
        if arguments.names and name not in arguments.names:
            continue
        made = make(0)
        golden.save(made, arguments.out / name)
        size = sum(p.stat().st_size for p in (arguments.out / name).iterdir())
        print(f"{name}: layer {made.layer} of {made.moe_layers}, {made.ties} ties, {size} bytes")


if __name__ == "__main__":
    main()
