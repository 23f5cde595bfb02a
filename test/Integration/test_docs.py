"""Runs the examples in the documentation.

A fenced block is run if the line before it is `<!-- test -->`; with
`<!-- test: file NAME -->` it is written to NAME for the blocks after it. The
blocks of a page run in order in one scratch folder in which the project's
folders stand, as if it were the project's root, with the build installed
beside it where MOE_MLIR_HOME names a build.
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"^<!-- test(?:: file (?P<file>\S+))? -->\n```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# What a page may name; output goes to the scratch folder.
FOLDERS = ("docs", "examples", "include", "python", "scripts", "test")


def blocks(page):
    """(line, language, file, text) of each marked block."""
    for match in BLOCK.finditer(page):
        line = page.count("\n", 0, match.start()) + 2
        yield line, match["language"], match["file"], match["text"]


def commands(language, text):
    if language == "python":
        return [sys.executable, "-c", text]
    if language == "sh":
        return ["bash", "-euo", "pipefail", "-c", text]
    raise ValueError(f"cannot run {language}")


def installed(build, prefix):
    """An environment in which what the build installs is found by every tool."""
    environment = dict(os.environ)
    # `python3` of an example is the one that runs this.
    folders = [str(Path(sys.executable).parent), environment.get("PATH", "")]
    environment["PATH"] = os.pathsep.join(folders)
    if not build or not (Path(build) / "cmake_install.cmake").is_file():
        return environment
    command = ["cmake", "--install", build, "--prefix", str(prefix)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    library = prefix / "lib"
    environment.update(
        MOE_MLIR_HOME=str(prefix),
        CMAKE_PREFIX_PATH=str(prefix),
        LD_LIBRARY_PATH=str(library),
        PKG_CONFIG_PATH=str(library / "pkgconfig"),
        PATH=f"{prefix / 'bin'}{os.pathsep}{environment['PATH']}",
        PYTHONPATH=str(ROOT / "python"),
    )
    return environment


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.prefix = tempfile.TemporaryDirectory(prefix="moe-installed-")
        cls.addClassCleanup(cls.prefix.cleanup)
        cls.environment = installed(os.environ.get("MOE_MLIR_HOME"), Path(cls.prefix.name))

    def test_markers(self):
        page = "a\n<!-- test -->\n```sh\nls\n```\n```sh\nno\n```\n"
        page += "<!-- test: file f.c -->\n```c\nx\n```\n"
        expected = [(3, "sh", None, "ls\n"), (10, "c", "f.c", "x\n")]
        self.assertEqual(list(blocks(page)), expected)

    def run_page(self, page):
        with tempfile.TemporaryDirectory(prefix="moe-docs-") as scratch:
            for folder in FOLDERS:
                os.symlink(ROOT / folder, Path(scratch) / folder)
            for line, language, file, text in blocks(page.read_text()):
                where = f"{page.relative_to(ROOT)}:{line}"
                if file:
                    target = Path(scratch) / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(text)
                    continue
                run = subprocess.run(
                    commands(language, text),
                    cwd=scratch,
                    env=self.environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=600,
                )
                self.assertEqual(run.returncode, 0, f"{where}\n{text}\n{run.stdout}")


def _add_page(page):
    name = "test_" + re.sub(r"\W", "_", str(page.relative_to(ROOT)))
    setattr(Docs, name, lambda self: self.run_page(page))


for _page in [ROOT / "README.md", ROOT / "python" / "README.md", *(ROOT / "docs").rglob("*.md")]:
    if _page.is_file() and any(True for _ in blocks(_page.read_text())):
        _add_page(_page)


if __name__ == "__main__":
    unittest.main()
