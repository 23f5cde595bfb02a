"""Layers on a GPU agree with the CPU's code of the same package, and sanitizers find nothing.

    python3 test_device.py                        here; status 77 where there is no GPU
    python3 test_device.py --build-only DIR       packages to carry to a machine without a compiler
    python3 test_device.py --packages DIR         runs those
    python3 test_device.py --device sim           the same on the simulator

`scripts/test.sh --gpu` is the first of them, after a look for a GPU.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import random_spec

EXAMPLES = HERE.parents[1] / "examples" / "specs"
LARGE = ("olmoe", "qwen3_30b", "gpt_oss_20b")  # whose weights a GPU has room for
BF16 = {
    "name": "half",
    "hidden": 64,
    "dtype": {"weights": "bf16", "activation": "bf16"},
    "router": {"experts": 4, "top_k": 2},
    "experts": {"intermediate": 96},
}
ARCHITECTURES = "sm_80,sm_90a,compute_80"


def cases(device):
    """Name, spec and numbers of tokens."""
    few = (0, 1, 5) if device == "sim" else (0, 1, 5, 70, 1000)
    for name in ("tiny", "switch", "hash") if device == "cuda" else ("tiny",):
        yield name, json.loads((EXAMPLES / f"{name}.json").read_text()), few
    yield "half", BF16, few
    for number in range(12 if device == "cuda" else 2):
        yield f"random_{number}", random_spec.random_spec(number), (13,)
    if device == "cuda":
        for name in LARGE:
            yield name, json.loads((EXAMPLES / f"{name}.json").read_text()), (1, 300)


def build(folder, device):
    """A package for each case, and what runs it."""
    home = Path(os.environ["MOE_MLIR_HOME"])
    for name, spec, _ in cases(device):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(spec))
        command = [home / "bin/moe-opt", path, "--emit=package", f"--target=cpu,{device}"]
        command += ["--cpu=x86-64-v3", "-o", folder / name]
        if device == "cuda":
            command.append(f"--gpu-arch={os.environ.get('MOE_TEST_GPU_ARCH', ARCHITECTURES)}")
        subprocess.run(command, check=True)
    for kind, names in (("bin", ["moe-run"]), ("lib", ["libmoe_runtime.so.1", "libmoe_sim.so"])):
        (folder / kind).mkdir(exist_ok=True)
        for name in names:
            shutil.copy(home / kind / name, folder / kind / name)


def why_not(folder, device):
    """What keeps a layer from running there; nothing where it runs."""
    run = subprocess.run(
        [folder / "bin/moe-run", folder / "tiny", f"--device={device}", "--tokens=1"],
        capture_output=True, text=True,
    )  # fmt: skip
    return run.stderr.strip() if "MOE_UNAVAILABLE" in run.stderr else ""


class Device(unittest.TestCase):
    def run_case(self, name, tokens, *prefix):
        command = [*prefix, FOLDER / "bin/moe-run", FOLDER / name, f"--device={DEVICE}"]
        command += ["--tokens", str(tokens), "--exact", "1", "--against", FOLDER / name]
        run = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600
        )
        self.assertEqual(run.returncode, 0, f"{name}, {tokens} tokens\n{run.stdout}")
        self.assertRegex(run.stdout, rf"(?m)^device +{DEVICE}$")
        self.assertRegex(run.stdout, r"(?m)^against.device +cpu$")

    def test_agrees_with_the_cpu(self):
        for name, _, counts in cases(DEVICE):
            for tokens in counts:
                with self.subTest(name=name, tokens=tokens):
                    self.run_case(name, tokens)

    def sanitize(self, tool):
        program = shutil.which("compute-sanitizer")
        if not program or DEVICE != "cuda":
            self.skipTest("no compute-sanitizer")
        for name in ("tiny", "half", "random_0"):
            with self.subTest(name=name):
                self.run_case(name, 13, program, "--tool", tool, "--error-exitcode", "9")

    def test_memcheck(self):
        self.sanitize("memcheck")

    def test_racecheck(self):
        self.sanitize("racecheck")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-only", type=Path, metavar="DIR")
    parser.add_argument("--packages", type=Path, metavar="DIR")
    parser.add_argument("--device", choices=("cuda", "sim"), default="cuda")
    options, rest = parser.parse_known_args()
    DEVICE = options.device
    if options.build_only:
        options.build_only.mkdir(parents=True, exist_ok=True)
        build(options.build_only, DEVICE)
        sys.exit(0)
    with tempfile.TemporaryDirectory(prefix="moe-device-") as scratch:
        FOLDER = (options.packages or Path(scratch)).resolve()
        if not options.packages:
            # The machine is asked with one package before all are made.
            home = Path(os.environ["MOE_MLIR_HOME"])
            probe = Path(scratch) / "probe"
            command = [home / "bin/moe-opt", EXAMPLES / "tiny.json", "--emit=package"]
            command += [f"--target={DEVICE}", "--gpu-arch=compute_80", "-o", probe / "tiny"]
            subprocess.run(command, check=True)
            (probe / "bin").symlink_to(home / "bin")
            if reason := why_not(probe, DEVICE):
                print(reason)
                sys.exit(77)
            build(FOLDER, DEVICE)
        elif reason := why_not(FOLDER, DEVICE):
            print(reason)
            sys.exit(77)
        result = unittest.main(argv=[sys.argv[0], *rest], exit=False).result
    sys.exit(not result.wasSuccessful())
