"""What the machine can do, by ceilings.cpp."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict

KINDS = ("read", "f32", "bf16", "int8")
_SOURCE = Path(__file__).with_name("ceilings.cpp")


def build(folder: Path) -> Path:
    """The program, compiled anew where its source is newer."""
    program = folder / "ceilings"
    if program.exists() and program.stat().st_mtime > _SOURCE.stat().st_mtime:
        return program
    folder.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CXX", "g++")
    command = [compiler, "-std=c++20", "-O2", "-pthread", str(_SOURCE), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


class Ceilings:
    """A process of its own that answers when it is asked, and sleeps otherwise."""

    def __init__(self, folder: Path):
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([build(folder)], stdin=pipe, stdout=pipe, text=True)
        self.instructions: Dict[str, str] = {}

    def measure(self, kind: str, threads: int) -> float:
        """1e9 bytes or operations a second; 0 where the CPU has no such instruction."""
        self._process.stdin.write(f"{kind} {threads}\n")
        self._process.stdin.flush()
        number, instruction = self._process.stdout.readline().split()
        self.instructions[kind] = instruction
        return float(number)

    def peak(self, compute: str, threads: int) -> float:
        """1e9 operations a second in a type, or in f32 where the CPU computes it so."""
        return self.measure(compute, threads) or self.measure("f32", threads)

    def __enter__(self) -> "Ceilings":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
