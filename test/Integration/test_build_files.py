"""What the layout promises, checked on the files themselves.

python3 test_build_files.py BUILD_FOLDER
"""

import re
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None


def static_mlir(ninja):
    """The static archives of MLIR and LLVM on link lines of a build.ninja."""
    linked = re.findall(r"^\s*LINK_LIBRARIES = (.*)$", ninja, re.MULTILINE)
    return sorted(
        {w for line in linked for w in re.findall(r"\S*lib(?:MLIR|LLVM)[A-Z]\w*\.a", line)}
    )


def pass_arguments(tablegen):
    """The command-line names of the passes in a Passes.td."""
    return re.findall(r'def\s+\w+\s*:\s*(?:Interface)?Pass<\s*"([\w-]+)"', tablegen)


class BuildFiles(unittest.TestCase):
    def test_checks_themselves(self):
        ninja = "  LINK_LIBRARIES = lib/libMoe.a /x/libMLIRIR.a -lMLIR\n  DEP = libMLIRFoo.a\n"
        self.assertEqual(static_mlir(ninja), ["/x/libMLIRIR.a"])
        self.assertEqual(pass_arguments('def A : Pass<"moe-a", "X">;'), ["moe-a"])

    @unittest.skipUnless(BUILD, "no build folder was given")
    def test_no_static_mlir(self):
        """libMLIR.so and an archive of its parts in one program register everything twice."""
        self.assertEqual(static_mlir((BUILD / "build.ninja").read_text()), [])

    def test_headers_mirror_lib(self):
        headers = ROOT / "include" / "moe"
        for header in headers.rglob("*"):
            if header.suffix in (".h", ".td"):
                folder = header.relative_to(headers).parent
                if folder.name == "Support":
                    continue  # nothing but headers, for tools with and without LLVM
                self.assertTrue((ROOT / "lib" / folder).is_dir(), f"{header} has no lib/{folder}")

    def test_one_version(self):
        pattern = r"^(?:project\(moe-mlir VERSION |version = \")([\d.]+)"
        files = ("CMakeLists.txt", "python/pyproject.toml")
        found = [re.search(pattern, (ROOT / f).read_text(), re.M) for f in files]
        self.assertEqual(*(match.group(1) for match in found))

    def test_every_pass_has_a_test(self):
        kinds = (".mlir", ".json", ".test", ".py", ".cpp")
        tests = "\n".join(
            f.read_text(errors="replace")
            for f in (ROOT / "test").rglob("*")
            if f.suffix in kinds and f.is_file()
        )
        untested = [
            name
            for table in (ROOT / "include").rglob("Passes.td")
            for name in pass_arguments(table.read_text())
            if not re.search(rf"\b{re.escape(name)}\b", tests)
        ]
        self.assertEqual(untested, [], "passes that no test names")

    def test_readme_maps_every_folder(self):
        readme = (ROOT / "README.md").read_text()
        for folder in sorted((ROOT / "lib").iterdir()):
            if folder.is_dir():
                self.assertIn(f"lib/{folder.name}/", readme)

    def test_scripts_parse(self):
        for script in [*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"]:
            run = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stderr)

    def test_python_has_one_style(self):
        for folder in ("python", "test", "scripts", "examples"):
            for source in (ROOT / folder).rglob("*.py"):
                for number, line in enumerate(source.read_text().splitlines(), 1):
                    where = f"{source.relative_to(ROOT)}:{number}"
                    self.assertLessEqual(len(line), 100, where)
                    self.assertNotIn("\t", line, where)
                    self.assertEqual(line, line.rstrip(), where)


if __name__ == "__main__":
    unittest.main()
