"""The table at the end of quickstart.sh: report.py SPEC COMPILE_SECONDS FOLDER."""

import json
import sys
from pathlib import Path


def find(value, key):
    """The first value of `key` at any depth, or None."""
    if not isinstance(value, dict):
        return None
    if key in value:
        return value[key]
    return next((v for v in (find(inner, key) for inner in value.values()) if v is not None), None)


def number(value, form, unit=""):
    return "not reported" if value is None else f"{value:{form}}{unit}"


def describe(manifest):
    spec = manifest["spec"]
    router, experts = spec["router"], spec["experts"]
    shape = f"{router['experts']} experts × {spec['hidden']} × {experts['intermediate']}"
    return f"{manifest['name']}: {shape}, top {router['top_k']}, {spec['dtype']['activation']}"


def main():
    spec, seconds, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    bench = json.loads((folder / "bench.json").read_text())
    against = json.loads((folder / "error.json").read_text())
    manifests = (json.loads(f.read_text()) for f in (folder / "cpu").glob("*.json"))
    manifest = next(m for m in manifests if "moe_package" in m)
    target = manifest["target"]
    error, bound = find(against, "relative_error"), find(against, "bound")
    rows = [
        ("layer", describe(manifest)),
        ("from", spec),
        ("package", str(folder / "cpu")),
        ("for", " ".join([target["kind"], *(v["cpu"] for v in target["variants"])])),
        ("compile time", f"{seconds:.2f} s"),
        ("tokens", number(find(bench, "tokens"), ",d")),
        ("speed", number(find(bench, "tokens_per_second"), ",.0f", " tokens/s")),
        ("arithmetic", number(find(bench, "gflop_per_second"), ",.1f", " GFLOP/s")),
        ("error", f"{number(error, '.1e')} against the reference, allowed {number(bound, '.1e')}"),
    ]
    print()
    for name, value in rows:
        print(f"  {name:<14}{value}")


if __name__ == "__main__":
    main()
