"""compile-examples.py MOE_OPT SPECS WORK: a package of every spec for every target."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

moe_opt, specs, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
shutil.rmtree(work, ignore_errors=True)
paths = sorted(specs.glob("*.json"))
assert paths, specs
for path in paths:
    for target in ("cpu", "reference"):
        folder = work / path.stem / target
        command = [moe_opt, path, "--emit=package", f"--target={target}", "-o", folder]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0 and not run.stdout + run.stderr, f"{path} {target}: {run.stderr}"
        (manifest,) = folder.glob("*.json")
        manifest = json.loads(manifest.read_text())
        assert manifest["target"]["kind"] == target, path
        names = [function["name"] for function in manifest["functions"]]
        assert names == json.loads(path.read_text()).get("functions", ["forward"]), path
