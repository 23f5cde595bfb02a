"""What an installation is used for, from the installed tree alone.

The build named by MOE_MLIR_HOME is installed into a scratch folder, and the
Python package into a fresh virtual environment; nothing leads back to the build.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("MOE_MLIR_HOME", "")
NEEDED = ("ensurepip", "numpy", "setuptools", "wheel")
MISSING = [name for name in NEEDED if not importlib.util.find_spec(name)]


@unittest.skipUnless((Path(BUILD) / "cmake_install.cmake").is_file(), "MOE_MLIR_HOME is no build")
class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="moe-install-")
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = Path(scratch.name)
        cls.prefix = cls.scratch / "prefix"
        ours = ("MOE_MLIR_HOME", "PYTHONPATH", "LD_LIBRARY_PATH")
        cls.environment = {k: v for k, v in os.environ.items() if k not in ours}
        cls.environment.update(
            PATH=os.pathsep.join([str(cls.prefix / "bin"), os.defpath]),
            PKG_CONFIG_PATH=str(cls.prefix / "lib" / "pkgconfig"),
            CMAKE_PREFIX_PATH=str(cls.prefix),
        )
        cls.run_command("cmake", "--install", BUILD, "--prefix", cls.prefix, "--strip")
        spec = ROOT / "examples" / "specs" / "tiny.json"
        cls.package = cls.scratch / "tiny"
        cls.run_command("moe-opt", spec, "--emit=package", "-o", cls.package)
        cls.weights = cls.scratch / "weights.safetensors"
        cls.run_command(
            "moe-run", cls.package, "--random", 1, "--tokens", 1, "--save-weights", cls.weights
        )

    @classmethod
    def run_command(cls, *command, **environment):
        """Its output; whatever fails is shown."""
        run = subprocess.run(
            [shutil.which(str(command[0]), path=cls.environment["PATH"]) or command[0]]
            + [str(argument) for argument in command[1:]],
            cwd=cls.scratch,
            env={**cls.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        if run.returncode:
            raise AssertionError(f"{' '.join(map(str, command))}\n{run.stdout}")
        return run.stdout

    def run_application(self, application):
        library = str(self.prefix / "lib")
        output = self.run_command(application, self.weights, LD_LIBRARY_PATH=library)
        self.assertIn("token 3: experts", output)

    def test_engines(self):
        built = {library.name for library in (Path(BUILD) / "lib").glob("libmoe_engine_*.so")}
        folder = next(self.prefix.rglob("libmoe_runtime.so")).parent
        self.assertIn("libmoe_engine_nccl.so", built)
        self.assertEqual({library.name for library in folder.glob("libmoe_engine_*")}, built)

    def test_c_with_cmake(self):
        build = self.scratch / "c"
        source = ROOT / "examples" / "c"
        self.run_command("cmake", "-S", source, "-B", build, f"-Dtiny_DIR={self.package}")
        self.run_command("cmake", "--build", build)
        self.run_application(build / "application")

    @unittest.skipUnless(shutil.which("make"), "make is not installed")
    def test_c_with_make(self):
        copy = self.scratch / "make"
        shutil.copytree(ROOT / "examples" / "c", copy)
        self.run_command("make", "-C", copy, f"PACKAGE={self.package}")
        self.run_application(copy / "application")

    def test_c_on_several_ranks(self):
        """Each rank is a thread; together they have what the layer of one rank has."""
        sharded = self.scratch / "sharded"
        spec = ROOT / "examples" / "specs" / "tiny.json"
        self.run_command("moe-opt", spec, "--grid=ep=2,tp=2", "--emit=package", "-o", sharded)
        results = []
        for package, source in ((self.package, "main.c"), (sharded, "ranks.c")):
            pkg_config = os.pathsep.join([str(package), self.environment["PKG_CONFIG_PATH"]])
            flags = self.run_command("pkg-config", "--cflags", "--libs", "tiny",
                                     PKG_CONFIG_PATH=pkg_config).split()
            application = self.scratch / source.removesuffix(".c")
            self.run_command("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pthread",
                             ROOT / "examples" / "c" / source, *flags, "-o", application)
            output = self.run_command(application, self.weights,
                                      LD_LIBRARY_PATH=str(self.prefix / "lib"))
            results.append([float(y) for y in re.findall(r"y\[0\] = (\S+)", output)])
        self.assertEqual(len(results[0]), 4)
        for whole, ranks in zip(*results, strict=True):
            self.assertAlmostEqual(whole, ranks, delta=1e-7)
        with self.assertRaisesRegex(AssertionError, "rank 0: MOE_NOT_FOUND: none: error: No such"):
            self.run_command(application, "none", LD_LIBRARY_PATH=str(self.prefix / "lib"))

    @unittest.skipIf(MISSING, f"Python has no {', '.join(MISSING)}")
    def test_python(self):
        # A copy, as the build writes beside the sources. What it needs is
        # the system's, so that nothing is downloaded.
        copy = self.scratch / "python"
        shutil.copytree(ROOT / "python", copy)
        venv = self.scratch / "venv"
        self.run_command(sys.executable, "-m", "venv", "--system-site-packages", venv)
        python = venv / "bin" / "python"
        self.run_command(
            python, "-m", "pip", "install", "--no-index", "--no-build-isolation", "./python"
        )
        shutil.rmtree(copy)
        where = self.run_command(python, "-c", "import moe_mlir; print(moe_mlir.__file__)")
        self.assertTrue(where.startswith(str(venv)), where)
        readme = (ROOT / "README.md").read_text()
        example = re.search(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
        self.run_command(python, "-c", example[1])
        self.run_command(python, ROOT / "examples" / "python" / "first_layer.py")


if __name__ == "__main__":
    unittest.main()
