"""When, on what and of which commit something was measured."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

#: Distributions, and the module that shows that one is in use.
_PEERS = {
    "numpy": "numpy",
    "torch": "torch",
    "transformers": "transformers",
    "jax": "jax",
    "jaxlib": "jaxlib",
    "ggml-python": "ggml",
}


def _onednn(built_with: str) -> str:
    """
    >>> _onednn("  - Intel(R) MKL-DNN v3.13.3 (Git Hash b38f)")
    '3.13.3'
    """
    found = re.search(r"MKL-DNN v(\S+)", built_with)
    return found.group(1) if found else "none"


def about() -> Dict[str, Any]:
    models = [t for t in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in t]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True
    )
    versions = {"python": platform.python_version()}
    for distribution, module in _PEERS.items():
        if module in sys.modules:
            versions[distribution] = importlib.metadata.version(distribution)
    if "torch" in sys.modules:
        versions["oneDNN in torch"] = _onednn(sys.modules["torch"].__config__.show())
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": models[0].split(":")[1].strip() if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "commit": commit.stdout.decode().strip(),
        "versions": versions,
    }
