"""Fresh goldens from other seeds, compared and thrown away; writes docs/Families.md.

python3 live.py [NAME...] [--seeds N] [--first SEED] [--table FILE]
"""

import argparse
import dataclasses
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import compare
import generate
import golden
import table

sys.path.append(str(golden.ROOT / "python"))


def run(name, make, seeds, jobs):
    """One report of the golden and those of all seeds: the largest errors, the first failure."""
    with tempfile.TemporaryDirectory(prefix="moe-live-") as work:
        folders = [golden.GOLDEN / name]
        for seed in seeds:
            folders.append(Path(work) / f"seed-{seed}" / name)
            golden.save(make(100 * seed), folders[-1])
        with ThreadPoolExecutor(jobs) as pool:
            packages = compare.Packages(Path(work))
            return worst(list(pool.map(lambda folder: compare.check(folder, packages), folders)))


def worst(reports):
    failures = [r.failure for r in reports if r.failure]
    own = [r.own_error for r in reports if r.own_error is not None]
    return dataclasses.replace(
        reports[0],
        tokens=sum(r.tokens for r in reports),
        error=max(r.error for r in reports),
        own_error=max(own) if own else None,
        failure=failures[0] if failures else "",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="goldens; default: all")
    parser.add_argument("--seeds", type=int, default=2, help="per family, beside its golden")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--table", type=Path, help="write the table here, if all is well or not")
    arguments = parser.parse_args()
    generate.check_names(parser, arguments.names)
    makers = generate.makers()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    reports = {}
    for name in sorted(arguments.names or makers):
        reports[name] = run(name, makers[name], seeds, arguments.jobs)
        print(reports[name].line(), flush=True)
    if arguments.table:
        arguments.table.write_text(table.page(reports, len(seeds)))
    failed = [name for name, report in reports.items() if report.failure]
    print(f"{len(reports) - len(failed)} passed, {len(failed)} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
