"""When, on what and of which commit something was measured."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

_PEERS = ("numpy", "torch", "transformers", "jax", "jaxlib", "onednn")


def about() -> Dict[str, Any]:
    models = [t for t in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in t]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True
    )
    versions = {"python": platform.python_version()}
    for name in _PEERS:
        if name in sys.modules:
            versions[name] = importlib.metadata.version(name)
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": models[0].split(":")[1].strip() if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "commit": commit.stdout.decode().strip(),
        "versions": versions,
    }
