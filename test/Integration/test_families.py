"""Layers of Hugging Face models against golden files that transformers' own modules made.

    MOE_MLIR_HOME=build/release python3 test_families.py [NAME...] [--jobs N]

Each golden's config.json is compiled and run with the golden's weights. Experts must be those of
the module in f64, and errors against f64 within what bf16 rounds, and not above those of the module
in bf16. The measure is the relative Frobenius norm, beside the module's over the tokens that both
routed alike. Without any one of its weights, the layer must fail the same comparison.
"""

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "Oracle" / "families"), str(HERE.parent.parent / "python")]

import compare
import golden
import table


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="goldens; default: all")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    names = arguments.names or golden.names()
    reports = {}
    with tempfile.TemporaryDirectory(prefix="moe-families-") as work:
        packages = compare.Packages(Path(work))
        with ThreadPoolExecutor(arguments.jobs) as pool:
            check = lambda name: compare.check(golden.GOLDEN / name, packages)
            for report in pool.map(check, names):
                print(report.line(), flush=True)
                reports[report.name] = report
    failed = [name for name, report in reports.items() if report.failure]
    if not arguments.names:
        page = (golden.ROOT / "docs" / "Families.md").read_text()
        for line in table.differences(page, reports):
            print(f"FAIL {line}")
            failed.append(line)
    print(f"{len(names)} goldens, {len(failed)} failures")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
