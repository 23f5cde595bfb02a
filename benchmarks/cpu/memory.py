"""How much memory a forward takes beside one copy of the weights, x and y. Run in a process of its
own: python -m benchmarks.cpu.memory SHAPE DTYPE TOKENS THREADS
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_STATUS = "/proc/self/status"


def in_process(shape: str, dtype: str, tokens: int, threads: int) -> int:
    """Bytes at the peak of compiling, loading and running."""
    command = [sys.executable, "-m", __name__, shape, dtype, str(tokens), str(threads)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def available() -> int:
    """Bytes that processes can still have."""
    return _field("/proc/meminfo", "MemAvailable")


def _field(path: str, name: str) -> int:
    text = Path(path).read_text()
    return 1024 * int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE).group(1))


def _above(shape: str, dtype: str, tokens: int, threads: int) -> int:
    from .problem import Weights, batches
    from .shapes import SHAPES
    from .systems.ours import Ours

    weights = Weights(SHAPES[shape], dtype)
    batch = batches(SHAPES[shape], dtype, tokens, "uniform", 1)[0]
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _field(_STATUS, "VmRSS")
    ours = Ours(weights, threads)
    ours.bind(batch)()
    above = _field(_STATUS, "VmHWM") - before - ours.packed_bytes
    return max(0, above - batch.x.nbytes)  # y is as large as x


if __name__ == "__main__":
    print(_above(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
