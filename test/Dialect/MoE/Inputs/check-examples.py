"""Checks that every example of a reference page is quoted from a tested file.

Usage: check-examples.py PAGE TESTED
"""

import re
import sys

page, tested = (open(path, encoding="utf-8").read() for path in sys.argv[1:])


def words(text):
    return " ".join(text.split())


examples = re.findall(r"```mlir\n(.*?)```", page, re.S)
missing = [e for e in examples if words(e) not in words(tested)]
for example in missing:
    print("not tested:\n" + example)
print(len(examples), "examples")
sys.exit(bool(missing) or not examples)
