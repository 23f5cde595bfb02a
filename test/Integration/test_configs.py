"""Published configurations are imported, and have the shapes that their models are known for."""

import json
import subprocess
import time
import unittest
from pathlib import Path

from config_shapes import SHAPES

CONFIGS = Path(__file__).resolve().parents[2] / "examples" / "configs"
# Of one import, process and all. Meant are 0.05; the rest is for machines that do other things too.
SECONDS = 2.0


def moe_opt(*arguments):
    return subprocess.run(["moe-opt", *arguments], capture_output=True, text=True)


class Configs(unittest.TestCase):
    def imported(self, path, *arguments):
        run = moe_opt(path, *arguments)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        return json.loads(run.stdout)

    def test_each_has_a_shape(self):
        self.assertEqual({path.stem for path in CONFIGS.glob("*.json")}, set(SHAPES))

    def test_shapes(self):
        for name, (*shape, moe, layers) in SHAPES.items():
            with self.subTest(name):
                spec = self.imported(CONFIGS / f"{name}.json", "--emit=spec")
                found = [
                    spec["hidden"],
                    spec["router"]["experts"],
                    spec["router"]["top_k"],
                    spec["experts"]["intermediate"],
                    spec["shared"]["intermediate"],
                ]
                self.assertEqual(found, shape)
                table = self.imported(CONFIGS / f"{name}.json", "--layers", "--json")
                kinds = [group["kind"] for group in table["groups"] for _ in group["layers"]]
                self.assertEqual(kinds.count("moe") + kinds.count("hash"), moe)
                self.assertEqual((len(kinds), table["count"]), (layers, layers))

    def test_an_imported_spec_is_a_spec(self):
        """What --emit=spec prints is the native form, which says the same again."""
        for name in SHAPES:
            with self.subTest(name):
                printed = moe_opt(CONFIGS / f"{name}.json", "--emit=spec").stdout
                run = subprocess.run(
                    ["moe-opt", "-", "--emit=spec"], input=printed, capture_output=True, text=True
                )
                self.assertEqual((run.returncode, run.stderr, run.stdout), (0, "", printed))

    def test_import_is_quick(self):
        times = {}
        for name in SHAPES:
            start = time.perf_counter()
            self.imported(CONFIGS / f"{name}.json", "--emit=spec")
            times[name] = time.perf_counter() - start
        slowest = max(times, key=times.get)
        median = sorted(times.values())[len(times) // 2]
        print(f"import: median {median * 1e3:.0f} ms, {slowest} {times[slowest] * 1e3:.0f} ms")
        self.assertLess(median, SECONDS)


if __name__ == "__main__":
    unittest.main()
