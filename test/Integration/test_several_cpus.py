"""One package with code for several CPUs: each that runs here agrees with the reference.

Which are chosen and refused, and how, has its tests in test/Unit/Runtime/VariantsTest.cpp and
test/Driver/several-cpus.test.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

import moe_mlir
from moe_mlir import Error, Status

HOME = Path(os.environ["MOE_MLIR_HOME"])
CPUS = ["x86-64", "x86-64-v3", "x86-64-v4", "znver4", "sapphirerapids", "diamondrapids"]
SPEC = {
    "name": "several",
    "hidden": 96,
    "router": {"experts": 6, "top_k": 2},
    "experts": {"intermediate": 40},
    "functions": ["forward", "quantize"],
}
TINY = ROOT / "examples" / "specs" / "tiny.json"
T = 37


@unittest.skipUnless(platform.machine() == "x86_64", "these CPUs are of x86")
class SeveralCpus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = Path(tempfile.mkdtemp(prefix="moe-several-"))
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.package = moe_mlir.compile(SPEC, output=cls.work / "several", cpu=CPUS)
        reference = moe_mlir.compile(SPEC, "reference").layer()
        reference.randomize(1)
        cls.weights = reference.weights
        cls.x = np.random.default_rng(0).standard_normal((T, SPEC["hidden"]), np.float32)
        cls.y = reference(cls.x)
        cls.indices = reference.get("indices")

    def variants(self):
        """CPU -> (a layer, or the error where it does not run)."""
        for cpu in CPUS:
            try:
                yield cpu, self.package.layer(cpu)
            except Error as error:
                yield cpu, error

    def test_each_agrees_with_the_reference(self):
        ran = []
        for cpu, layer in self.variants():
            if isinstance(layer, Error):
                continue
            self.assertEqual(layer.cpu, cpu)
            for name, value in self.weights.items():
                layer.set_weight(name, value)
            y = layer(self.x)
            error = np.linalg.norm(y - self.y) / np.linalg.norm(self.y)
            self.assertLess(error, 4e-7 * np.sqrt(SPEC["hidden"]), cpu)
            np.testing.assert_array_equal(layer.get("indices"), self.indices, cpu)
            ran.append(cpu)
        self.assertIn("x86-64", ran)

    def test_what_does_not_run_says_why(self):
        for cpu, layer in self.variants():
            if isinstance(layer, Error):
                self.assertEqual(layer.status, Status.CPU_MISMATCH)
                start = f"CPU_MISMATCH: 'several' cannot run for cpu '{cpu}': this CPU lacks "
                self.assertTrue(str(layer).startswith(start), layer)
                self.assertIn("; it runs x86-64", str(layer))
        self.assertIsInstance(dict(self.variants())["diamondrapids"], Error)

    def test_without_a_choice_the_best_runs(self):
        listed = self.package.manifest["target"]["variants"]
        self.assertEqual([variant["cpu"] for variant in listed], CPUS)
        run = [cpu for cpu, layer in self.variants() if not isinstance(layer, Error)]
        most = max((v for v in listed if v["cpu"] in run), key=lambda v: len(v["features"]))
        self.assertEqual(self.package.layer().cpu, most["cpu"])

    def test_moe_cpu(self):
        command = [HOME / "bin" / "moe-run", self.work / "several", "--json"]
        environment = {**os.environ, "MOE_CPU": "x86-64"}
        run = subprocess.run(command, env=environment, capture_output=True, check=True)
        self.assertEqual(json.loads(run.stdout)["cpu"], "x86-64")
        environment["MOE_CPU"] = "diamondrapids"
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn("cpu 'diamondrapids', which MOE_CPU asks for: this CPU lacks", run.stderr)

    def test_linked_into_a_program(self):
        compiler, library = shutil.which("cc"), HOME / "lib" / "libmoe_runtime.so"
        if not compiler or not library.is_file():
            self.skipTest("no C compiler, or no build")
        package = moe_mlir.compile(TINY, output=self.work / "tiny", cpu=CPUS)
        weights = self.work / "weights.safetensors"
        layer = package.layer()
        layer.randomize(1)
        layer.save_weights(weights)
        program = self.work / "program"
        source, archive = ROOT / "examples" / "c" / "main.c", package.path / "libtiny.a"
        include = [f"-I{folder}" for folder in (ROOT / "include", package.path)]
        link = [f"-Wl,-rpath,{library.parent}", "-lm"]
        command = [compiler, *include, source, archive, library, *link, "-o", program]
        subprocess.run(command, check=True)
        environment = {key: os.environ[key] for key in os.environ if key != "MOE_CPU"}
        for cpu in ("", "x86-64"):
            run = subprocess.run(
                [program, weights], env={**environment, "MOE_CPU": cpu}, capture_output=True
            )
            self.assertEqual(run.returncode, 0, run.stderr)
        environment["MOE_CPU"] = "diamondrapids"
        run = subprocess.run([program, weights], env=environment, capture_output=True, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertIn("create: MOE_CPU_MISMATCH: 'tiny' cannot run for cpu", run.stderr)


if __name__ == "__main__":
    unittest.main()
