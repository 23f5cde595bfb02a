"""moe-run --weights: which layer of a model, and how far it has come."""

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "test" / "Integration")]

import files
import moe_mlir

MOE_RUN = Path(os.environ["MOE_MLIR_HOME"]) / "bin" / "moe-run"
SPEC = {
    "hidden": 8,
    "router": {"experts": 3, "top_k": 2},
    "experts": {"intermediate": 6},
    "weights": {"layer": 1, "prefix": "model.{l}."},
}
# A disk on which every read takes its time.
SLOW = """
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
ssize_t pread(int file, void *to, size_t count, off_t offset) {
  usleep(150000);
  return syscall(SYS_pread64, file, to, count, offset);
}
ssize_t pread64(int file, void *to, size_t count, off_t offset) {
  return pread(file, to, count, offset);
}
"""


class Loading(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.package, cls.weights = cls.folder / "p", cls.folder / "model.safetensors"
        package, tensors, cls.layers = moe_mlir.compile(SPEC, output=cls.package), {}, {}
        for number in (1, 4):
            layer = package.layer()
            layer.randomize(number)
            layer.save_weights(cls.weights)
            cls.layers[number] = layer
            for name, value in files.read_safetensors(cls.weights).items():
                tensors[name.replace("model.1.", f"model.{number}.")] = value
        files.write_safetensors(cls.weights, tensors)
        cls.x = np.random.default_rng(0).standard_normal((5, 8), np.float32)
        np.save(cls.folder / "x.npy", cls.x)

    def run_layer(self, *arguments):
        command = [MOE_RUN, self.package, "--weights", self.weights, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def test_layer(self):
        y = self.folder / "y.npy"
        files_of = ["--input", self.folder / "x.npy", "--output", y]
        for number, arguments in {1: [], 4: ["--layer", "4"]}.items():
            run = self.run_layer(*arguments, *files_of)
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            np.testing.assert_array_equal(np.load(y), self.layers[number](self.x))
        self.assertFalse(np.array_equal(self.layers[1](self.x), self.layers[4](self.x)))

    def test_layer_that_is_not_there(self):
        run = self.run_layer("--layer", "2")
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertRegex(
            run.stderr,
            r"^.*model\.safetensors: error: there is no tensor 'model\.2\.[^\n]*; found "
            r"'model\.1\.[^\n]*' of layers 1 to 4, expected layer 2 \(MOE_WEIGHT_MISSING\)\n$",
        )

    def test_layer_without_weights(self):
        command = [MOE_RUN, self.package, "--layer", "2"]
        run = subprocess.run(command, capture_output=True, text=True)
        message = "moe-run: error: --layer expects --weights beside it\n"
        self.assertEqual((run.returncode, run.stdout, run.stderr), (1, "", message))

    def on_terminal(self, environment, *arguments):
        """What a terminal sees of stderr."""
        command = [MOE_RUN, self.package, "--weights", self.weights, *arguments]
        ours, theirs = pty.openpty()
        with open(self.folder / "out.txt", "wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=theirs, env=environment)
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:  # the terminal is gone when nobody has it open
            pass
        os.close(ours)
        return process.wait(timeout=60), seen.decode()

    def slow(self):
        library, source = self.folder / "slow.so", self.folder / "slow.c"
        source.write_text(SLOW)
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, source]
        subprocess.run(command, check=True)
        asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return {**os.environ, "LD_PRELOAD": str(library), "ASAN_OPTIONS": asan}

    @unittest.skipUnless(shutil.which("cc") and sys.platform == "linux", "needs cc and Linux")
    def test_progress(self):
        environment = self.slow()
        status, seen = self.on_terminal(environment)
        self.assertEqual(status, 0, seen)
        self.assertTrue(seen.endswith("\r\x1b[K"), seen)
        lines = seen[: -len("\r\x1b[K")].split("\r\x1b[K")
        self.assertEqual(lines.pop(0), "")
        self.assertTrue(lines)
        parts = []
        for line in lines:
            found = re.fullmatch(r"loading: (\d+)% of 0\.0 GB, ([a-z.]+)", line)
            self.assertTrue(found, line)
            parts.append(int(found[1]))
        self.assertEqual(parts, sorted(parts))
        self.assertLessEqual(parts[-1], 100)
        # A message stands on a line of its own.
        status, seen = self.on_terminal(environment, "--layer", "2")
        self.assertEqual(status, 1)
        self.assertRegex(seen, r"^[^\r\x1b]*: error: there is no tensor[^\r\x1b]*\r\n$")

    def test_no_progress(self):
        # Neither where loading is quick nor where nobody looks.
        self.assertEqual(self.on_terminal(dict(os.environ)), (0, ""))

    @unittest.skipUnless(shutil.which("cc") and sys.platform == "linux", "needs cc and Linux")
    def test_no_progress_without_a_terminal(self):
        command = [MOE_RUN, self.package, "--weights", self.weights]
        run = subprocess.run(command, capture_output=True, text=True, env=self.slow())
        self.assertEqual((run.returncode, run.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
