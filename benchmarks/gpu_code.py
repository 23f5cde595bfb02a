"""What kernels for GPUs take: registers, memory and time of compiling, of all example specs, and
of programs with the formats and products that these do not have.

    benchmarks/gpu_code.py > benchmarks/results/DATE-gpu-code.md
    benchmarks/gpu_code.py --part kernels       what ptxas says about each kernel
    benchmarks/gpu_code.py --part times         processor seconds of moe-opt and ptxas

It needs moe-opt and ptxas on the path, and no GPU.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "test" / "Integration")]

from benchmarks.cpu.about import about
from benchmarks.markdown import head, row
from gpu_programs import write_programs
from test_gpu_code import ARCHITECTURES, COMPLAINTS, SPECS, assemble, kernels, processor_seconds

WANTED_SECONDS = 10


def emitted(spec: Path, kind: str, arch: str) -> str:
    command = ["moe-opt", spec, "--target=cuda", f"--emit={kind}", f"--gpu-arch={arch}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def shared_bytes(spec: Path, arch: str) -> Dict[str, int]:
    """What each kernel gets at its launch."""
    names = re.findall(r"\.entry (\w+)", emitted(spec, "ptx", arch))
    launch = r"call void @moe_gpu_launch\(ptr \S+, i32 (\d+), (?:i64 \S+, ){6}i32 (\d+),"
    given: Dict[str, int] = {}
    for index, count in re.findall(launch, emitted(spec, "llvm", arch)):
        name = names[int(index)]
        given[name] = max(given.get(name, 0), int(count))
    return given


def print_kernels(specs: List[Path]) -> None:
    titles = ["spec", "for", "kernels", "most registers", "most shared", "stack", "spills", "said"]
    summary, each = head(titles, 2), head(["spec", "kernel", *ARCHITECTURES], 2)
    for spec in specs:
        found: Dict[str, Dict[str, str]] = {}
        for arch in ARCHITECTURES:
            log, given = assemble(spec, arch), shared_bytes(spec, arch)
            made = list(kernels(log))
            most = [max(k.registers for k in made), max(given.values())]
            sums = [sum(k.stack for k in made), sum(k.spills for k in made)]
            said = len(re.findall(f"warning|{COMPLAINTS}", log))
            summary.append(row([spec.stem, arch, *map(str, [len(made), *most, *sums, said])]))
            for kernel in made:
                cells = found.setdefault(kernel.name, {})
                cells[arch] = f"{kernel.registers}, {given[kernel.name]}"
        for name in sorted(found, key=lambda name: [int(n) for n in re.findall(r"\d+", name)]):
            cells = [found[name].get(arch, "–") for arch in ARCHITECTURES]
            each.append(row([spec.stem, f"`{name}`", *cells]))
    print("## Kernels\n")
    print("Registers of a thread and bytes of shared memory of a block, at most; bytes of stack")
    print("frames and of spilled registers, all together; messages of ptxas.\n")
    print("\n".join(summary))
    print("\n## Each of them\n\nRegisters, bytes of shared memory.\n")
    print("\n".join(each) + "\n")


def print_times() -> None:
    architectures = ",".join(ARCHITECTURES)
    print("## Compiling\n")
    print(f"Processor seconds of `moe-opt --emit=fatbin --gpu-arch={architectures}` and of the ptxas")
    print("that it calls, one after the other on one core, so that they are the time on a machine that")
    print(f"does nothing else; less than {WANTED_SECONDS} are wanted.\n")
    lines = head(["spec", "seconds"], 1)
    with tempfile.TemporaryDirectory() as folder:
        for spec in SPECS:
            command = ["moe-opt", spec, "--target=cuda", "--emit=fatbin"]
            command += [f"--gpu-arch={architectures}", "-o", f"{folder}/kernels.fatbin"]
            before = processor_seconds()
            subprocess.run(command, check=True)
            lines.append(row([spec.stem, f"{processor_seconds() - before:.1f}"]))
    print("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("kernels", "times"))
    part = parser.parse_args().part
    if part is None:
        where = about()
        print(f"# Code for GPUs, {where['date']}\n")
        cpu = f"{where['cpu']}, {where['cores']} cores"
        print(f"By `benchmarks/gpu_code.py`; commit {where['commit']}, {cpu}.\n")
    if part != "times":
        with tempfile.TemporaryDirectory() as folder:
            print_kernels([*SPECS, *write_programs(folder)])
    if part != "kernels":
        print_times()


if __name__ == "__main__":
    main()
