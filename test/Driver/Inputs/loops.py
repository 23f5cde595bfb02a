"""Says what the innermost loops of x86 assembly add up: one line for each kind of loop.

    moe-opt spec.json --emit=asm | python3 loops.py

A line such as

    24 sums in zmm: 24 vdpbf16ps, 11 loads, 2 times; 0 vectors and 1 scalars spilled; 8 loops

has the registers that only multiply-adds write, the multiply-adds of one step and how many of its
instructions read memory, how many steps the loop is unrolled to, how many instructions read or
write what a function keeps on its stack for want of registers, and how many loops are like this.
Arrays on the stack are memory like any other: what reads them has an index.
"""

import collections
import re
import sys

PRODUCT = re.compile(r"\t(vdpbf16ps|vpdpbusd|vfn?m(?:add|sub)(?:132|213|231)[ps][sd])\t")
ROUND = re.compile(r"\tv(round|rndscale)[ps][sd]\t")
LOAD = re.compile(r"\t(?!prefetch|lea).*\(")
SPILL = re.compile(r"-?\d*\(%rsp\)")
FRAME_SPILL = re.compile(r"-?\d*\(%r[sb]p\)")


def functions(lines):
    """The lines of each."""
    body = []
    for line in lines:
        if re.match(r"[\w\"].*:$", line):
            yield body
            body = []
        body.append(line)
    yield body


def innermost_loops(lines):
    """The instructions between a label and a jump back to it, but for those of loops inside it. A
    loop that others of multiply-adds are in is left out."""
    places = {line[:-1]: i for i, line in enumerate(lines) if re.fullmatch(r"\.L\w+:", line)}
    jumps = [(i, re.match(r"\tj\w+\t(\.L\w+)$", line)) for i, line in enumerate(lines)]
    back = [(places[m[1]], i) for i, m in jumps if m and places.get(m[1], i) < i]
    for begin, end in back:
        inner = [(b, e) for b, e in back if begin < b <= end or (b == begin and e < end)]
        if any(PRODUCT.search(line) for b, e in inner for line in lines[b : e + 1]):
            continue
        own = set(range(begin, end + 1)).difference(*(range(b, e + 1) for b, e in inner))
        yield [lines[i] for i in sorted(own) if lines[i].startswith("\t")]


def describe(loop, spill):
    """None if the loop adds up nothing, or what it adds up is no vector and in memory."""
    products = [(m[1], line) for line in loop if (m := PRODUCT.search(line))]
    target = lambda line: line.split(" ")[-1]
    sums = {target(line) for _, line in products}
    sums -= {target(line) for line in loop if not PRODUCT.search(line)}
    spilled = [line for line in loop if spill.search(line)]
    vectors = sum("mm" in line for line in spilled)
    if not products or any(ROUND.search(line) for line in loop) or not (sums or vectors):
        return None
    kinds = collections.Counter(re.sub(r"\d{3}(?=[ps][sd])", "", name) for name, _ in products)
    registers = "/".join(sorted({name[1:4] for name in sums})) or "memory"
    isWhole = sums and len(products) % len(sums) == 0 and len(kinds) == 1
    times = len(products) // len(sums) if isWhole else 1
    counts = ", ".join(f"{count // times} {name}" for name, count in sorted(kinds.items()))
    loads = sum(bool(LOAD.match(line)) for line in loop) - len(spilled)
    stack = f"{vectors} vectors and {len(spilled) - vectors} scalars spilled"
    step = f"{counts}, {loads / times:g} loads, {times} times"
    return f"{len(sums)} sums in {registers}: {step}; {stack}"


def main():
    lines = [re.sub(r"\s*#.*", "", line.rstrip("\n")) for line in sys.stdin]
    found = collections.Counter()
    for body in functions(lines):
        spill = FRAME_SPILL if "\tmovq\t%rsp, %rbp" in body else SPILL
        found.update(filter(None, (describe(loop, spill) for loop in innermost_loops(body))))
    for line, count in sorted(found.items(), key=lambda item: (-int(item[0].split()[0]), item[0])):
        print(f"{line}; {count} loops")


if __name__ == "__main__":
    main()
