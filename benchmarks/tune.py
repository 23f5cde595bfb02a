"""Whether the blocks that moe-opt chooses are near the best that there are.

Each layer is compiled with every combination of the sizes below, and with those that moe-opt
chooses. All are timed once; then the fastest, and the chosen ones, in turns. `chosen/best` is the
median over the turns of the time of the chosen blocks over that of the best.

  benchmarks/tune.py [--tokens N] [--experts N] [--rows N,...] [--outs N,...] [--depth N,...]
                     [--turns N] [--threads N] [--limit RATIO] [--json FILE] [SPEC ...]

A layer has at most `--experts` experts, so that it fits any memory: blocks are those of one expert.
The exit status is 1 if `chosen/best` of some layer is over `--limit`.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("olmoe", "qwen3_30b", "gpt_oss_20b", "mixtral")
FINALISTS = 4
CHOSEN = "chosen"


def numbers(text):
    return [int(number) for number in text.split(",")]


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("specs", nargs="*", type=Path, metavar="SPEC")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--cpu", default="native")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--experts", type=int, default=8)
    parser.add_argument("--rows", type=numbers, default=[24, 48, 96, 192])
    parser.add_argument("--outs", type=numbers, default=[64, 128])
    parser.add_argument("--depth", type=numbers, default=[256, 512, 1024, 2048])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="default: all")
    parser.add_argument("--limit", type=float, default=1.1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.specs = options.specs or [ROOT / f"examples/specs/{name}.json" for name in LAYERS]
    return options


def run(command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} failed, see above")
    return done.stdout


class Layer:
    """A layer, and a package of it for each choice of blocks."""

    def __init__(self, path, options, folder):
        self.options, self.folder = options, folder
        spec = json.loads(path.read_text())
        router = spec["router"]
        router["experts"] = min(router["experts"], options.experts)
        router["top_k"] = min(router["top_k"], router["experts"])
        self.name = spec.get("name", path.stem)
        self.spec = folder / "spec.json"
        self.spec.write_text(json.dumps(spec))

    def _compile(self, blocks, *more):
        forced = [] if blocks == CHOSEN else [f"--blocks={blocks}"]
        program = self.options.build / "bin" / "moe-opt"
        return run([program, self.spec, f"--cpu={self.options.cpu}", *forced, *more])

    def add(self, blocks):
        """Makes the package; answers in what time it is expected to run."""
        self._compile(blocks, "--emit=package", "-o", self.folder / blocks)
        plan = self._compile(blocks, "--plan", "--json", f"--tokens={self.options.tokens}")
        return json.loads(plan)["points"][0]["seconds"]

    def seconds(self, blocks):
        threads = ["--threads", self.options.threads] if self.options.threads else []
        program = self.options.build / "bin" / "moe-run"
        package, tokens = self.folder / blocks, self.options.tokens
        timed = run([program, package, "--tokens", tokens, "--bench", "--json", *threads])
        return json.loads(timed)["bench"]["median_seconds"]


def tune(path, options):
    with tempfile.TemporaryDirectory() as folder:
        layer = Layer(path, options, Path(folder))
        every = itertools.product(options.rows, options.outs, options.depth)
        candidates = [CHOSEN, *(f"rows={r},outs={o},depth={d}" for r, o, d in every)]
        predicted = {blocks: layer.add(blocks) for blocks in candidates}
        times = {blocks: [layer.seconds(blocks)] for blocks in candidates}
        finalists = sorted(candidates, key=times.get)[:FINALISTS]
        last = list(dict.fromkeys([CHOSEN, *finalists]))
        for _, blocks in itertools.product(range(options.turns), last):
            times[blocks].append(layer.seconds(blocks))
    medians = {blocks: statistics.median(times[blocks]) for blocks in candidates}
    best = min(finalists, key=medians.get)
    turns = zip(times[CHOSEN][1:], times[best][1:]) if best != CHOSEN else [(1, 1)]
    ratio = statistics.median(chosen / other for chosen, other in turns)

    print(f"{layer.name}, {options.tokens} tokens: chosen/best {ratio:.3f}")
    for blocks in sorted(last, key=medians.get):
        milliseconds = medians[blocks] * 1e3, predicted[blocks] * 1e3
        print("  {:28} {:9.3f} ms, predicted {:9.3f} ms".format(blocks, *milliseconds))
    measured = [
        {"blocks": blocks, "seconds": times[blocks], "predicted_seconds": predicted[blocks]}
        for blocks in candidates
    ]
    return {"name": layer.name, "chosen_over_best": ratio, "best": best, "measured": measured}


def main():
    options = parse()
    layers = [tune(path, options) for path in options.specs]
    if options.json:
        about = {"tokens": options.tokens, "experts": options.experts, "layers": layers}
        options.json.write_text(json.dumps(about, indent=1) + "\n")
    slow = [layer["name"] for layer in layers if layer["chosen_over_best"] > options.limit]
    if slow:
        sys.exit(f"over {options.limit}: {', '.join(slow)}")


if __name__ == "__main__":
    main()
