"""Every example compiles to a package, for the machine and as a reference."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

SPECS = sorted((Path(__file__).resolve().parents[2] / "examples" / "specs").glob("*.json"))


class Examples(unittest.TestCase):
    def check(self, target):
        self.assertTrue(SPECS)
        for path in SPECS:
            with self.subTest(path.name), tempfile.TemporaryDirectory() as folder:
                command = ["moe-opt", path, "--emit=package", f"--target={target}", "-o", folder]
                run = subprocess.run(command, capture_output=True, text=True)
                self.assertEqual((run.returncode, run.stdout + run.stderr), (0, ""))
                (manifest,) = Path(folder).glob("*.json")
                manifest = json.loads(manifest.read_text())
                self.assertEqual(manifest["target"]["variants"][0]["kind"], target)
                names = [function["name"] for function in manifest["functions"]]
                spec = json.loads(path.read_text())
                self.assertEqual(names, spec.get("functions", ["forward"]))

    def test_cpu(self):
        self.check("cpu")

    def test_reference(self):
        self.check("reference")


if __name__ == "__main__":
    unittest.main()
