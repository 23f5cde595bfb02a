"""Faults planted into compiled kernels of warpgroups, each of which the simulator must find.

The kernels are those that moe-opt makes for sm_90a, as text of NVVM operations, of which a fault
takes one away or changes it. Rows and weights are ones.
"""

import re
import tempfile
import unittest
from pathlib import Path

from command import command

DEPTH, OUTPUTS, ROWS = 640, 64, 256
PRODUCT = f"""
module attributes {{moe.name = "product"}} {{
  func.func @forward(
      %rows: tensor<?x{DEPTH}xbf16> {{moe.name = "rows", moe.role = "input", moe.sizes = ["R"]}},
      %weight: tensor<{OUTPUTS}x{DEPTH}xbf16> {{moe.name = "weight", moe.role = "weight"}})
      -> (tensor<?x{OUTPUTS}xf32> {{moe.name = "y", moe.role = "output", moe.sizes = ["R"]}}) {{
    %y = moe.grouped_matmul %rows, %weight
        : (tensor<?x{DEPTH}xbf16>, tensor<{OUTPUTS}x{DEPTH}xbf16>) -> tensor<?x{OUTPUTS}xf32>
    return %y : tensor<?x{OUTPUTS}xf32>
  }}
}}
"""

WAIT = r"nvvm\.mbarrier\.try_wait\.parity (%\w+), (%\w+), (%\w+) .*"
# What a kernel has of each line, in order: waits for empty stages by the producer, and for full
# ones by consumers in the first step of a tile and in the others.
FAULTS = {
    # name: (pattern, which ones, replacement, report)
    "no wait for an empty stage": (WAIT, [0], "", "data race|overlapping|wrong mbarrier"),
    "no wait for a full stage": (WAIT, [1, 2], "", "data race|unwritten|wrong mbarrier|deadlock"),
    "wrong phase of a full stage": (
        WAIT, [2], r"%z = llvm.xor \2, %one : i32\n nvvm.mbarrier.try_wait.parity \1, %z, \3 "
        ": !llvm.ptr<3>, i32, i32", "data race|unwritten|deadlock",
    ),
    "wrong phase of an empty stage": (
        WAIT, [0], r"%z = llvm.xor \2, %one : i32\n nvvm.mbarrier.try_wait.parity \1, %z, \3 "
        ": !llvm.ptr<3>, i32, i32", "data race|deadlock|wrong mbarrier",
    ),
    "fewer bytes expected than come": (
        r"nvvm\.mbarrier\.arrive\.expect_tx (%\w+), (%\w+) .*", [0],
        r"%z = llvm.lshr \2, %one : i32\n nvvm.mbarrier.arrive.expect_tx \1, %z "
        ": !llvm.ptr<3>, i32", "wrong mbarrier|data race|unwritten|deadlock",
    ),
    "a stage given back before its products are made": (
        r"nvvm\.wgmma\.wait\.group\.sync\.aligned 1", [0], "", "data race",
    ),
    "the last stage given back before its products are made": (
        r"nvvm\.wgmma\.wait\.group\.sync\.aligned 0", [0], "", "data race",
    ),
    "a stage that is not given back": (
        r"nvvm\.mbarrier\.arrive (%\w+) :.*", [0], "", "deadlock",
    ),
    "no fence before the first products": (
        r"nvvm\.wgmma\.fence\.aligned", [0, 1], "", "without wgmma.fence",
    ),
    "no proxy fence after copies of threads": (
        r"nvvm\.fence\.proxy .*", [0, 1], "", "missing proxy fence",
    ),
    "copies of threads that do not arrive": (
        r"nvvm\.cp\.async\.mbarrier\.arrive .*", [0], "", "deadlock",
    ),
    "copies of threads that arrive beside those who are expected": (
        r"(nvvm\.cp\.async\.mbarrier\.arrive .*)\{noinc = true\}(.*)", [0], r"\1\2",
        "wrong mbarrier|deadlock|data race",
    ),
    "no barrier after the mbarriers are made": (
        r"nvvm\.barrier0", [0], "", "wrong mbarrier|data race|unwritten",
    ),
    "sums that are read before others have written them": (
        r"nvvm\.bar\.warp\.sync .*", [0], "", "data race|unwritten",
    ),
    "a swizzle that is off by one line": (
        r"nvvm\.cp\.async\.shared\.global (%\w+), (%\w+), 16, (.*)", [0],
        r"%z = llvm.getelementptr \1[128] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8" "\n"
        r" nvvm.cp.async.shared.global %z, \2, 16, \3", "data race|overlapping|unwritten",
    ),
}  # fmt: skip

# The same of blocks in pairs, which share the weights.
CLUSTER_BARRIER = r"nvvm\.cluster\.(arrive|wait) .*"
CLUSTER_FAULTS = {
    "no barrier of the cluster at the start": (
        CLUSTER_BARRIER, [0, 1], "", "wrong mbarrier|data race",
    ),
    "no barrier of the cluster at the end": (CLUSTER_BARRIER, [2, 3], "", "use after free"),
    "weights that go to one block only": (
        r"multicast_mask = (%\w+)", [0], "multicast_mask = %first",
        "wrong mbarrier|unwritten|deadlock|data race",
    ),
    "weights for a block that is not in the cluster": (
        r"multicast_mask = (%\w+)", [0], "multicast_mask = %third", "wrong operand",
    ),
    "weights that go to the block itself": (
        r" multicast_mask = (%\w+)", [0], "", "wrong mbarrier|unwritten|deadlock|data race",
    ),
    "half of the weights in the place of the other": (
        r"(nvvm\.cp\.async\.bulk\.tensor\S+) (%\w+),", [0],
        r"%z = llvm.getelementptr \2[4096] : (!llvm.ptr<7>) -> !llvm.ptr<7>, i8" "\n \\1 %z,",
        "overlapping|data race|unwritten|missing proxy fence",
    ),
    "a wait for the bytes that the block copies": (
        r"nvvm\.mbarrier\.arrive\.expect_tx (%\w+), (%\w+) .*", [0],
        r"%z = llvm.lshr \2, %one : i32\n nvvm.mbarrier.arrive.expect_tx \1, %z "
        ": !llvm.ptr<3>, i32", "wrong mbarrier|data race|unwritten|deadlock",
    ),
    "a stage that is empty when one block says so": (
        r"nvvm\.mbarrier\.init (%\w+), (%\w+) .*", [1],
        r"%z = llvm.lshr \2, %one : i32\n nvvm.mbarrier.init \1, %z : !llvm.ptr<3>, i32",
        "data race|overlapping|wrong mbarrier|deadlock",
    ),
    "a stage that is given back to one block": (
        r"nvvm\.mapa (%\w+), (%\w+) ", [0], r"nvvm.mapa \1, %zero ",
        "wrong mbarrier|deadlock|data race",
    ),
    "a stage that is given back to a block that is not in the cluster": (
        r"nvvm\.mapa (%\w+), (%\w+) ", [0], r"nvvm.mapa \1, %two ", "wrong operand",
    ),
    "no wait for the stages of the other block": (
        r"(%\w+) = nvvm\.mbarrier\.try_wait (%\w+), .*", [0],
        r"\1 = llvm.mlir.constant(true) : i1", "data race|overlapping|wrong mbarrier",
    ),
    "wrong phase of an empty stage": (
        r"(%\w+) = nvvm\.mbarrier\.try_wait (%\w+), (%\w+), (.*)", [0],
        r"%z = llvm.xor \3, %one : i32\n \1 = nvvm.mbarrier.try_wait \2, %z, \4",
        "data race|deadlock|wrong mbarrier",
    ),
    "a wait for what threads of the block did": (
        r"(nvvm\.mbarrier\.try_wait .*) \{scope = .*\}", [0], r"\1", "data race|overlapping",
    ),
    "a stage given back by what its own block sees": (
        r"(nvvm\.mbarrier\.arrive %\w+) \{scope = .*\}", [0, 1], r"\1", "data race|overlapping",
    ),
}  # fmt: skip
CONSTANTS = {"one": (1, "i32"), "two": (2, "i32"), "zero": (0, "i32"), "first": (1, "i16"),
             "third": (4, "i16")}  # fmt: skip


def plant(kernel, pattern, which, replacement):
    """The kernel with those matches replaced; a number that there is not is an error."""
    found = list(re.finditer(pattern, kernel))
    for number in sorted(which, reverse=True):
        match = found[number]
        kernel = kernel[: match.start()] + match.expand(replacement) + kernel[match.end() :]
    entry = kernel.index("{\n", kernel.index("gpu.kernel")) + 2
    constants = "".join(
        f"  %{name} = llvm.mlir.constant({value} : {type_}) : {type_}\n"
        for name, (value, type_) in CONSTANTS.items()
    )
    return kernel[:entry] + constants + kernel[entry:]


class WgmmaFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="moe-faults-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        product = cls.folder / "product.mlir"
        product.write_text(PRODUCT)
        cls.kernels = cls.compile(product, "never") + cls.compile(product, "always")[2:]

    @staticmethod
    def compile(product, clusters):
        """Modules of a kernel each: for few rows, for some and for many."""
        made = command("moe-opt", product, "--target=cuda", "--gpu-arch=sm_90a",
                       f"--gpu-clusters={clusters}", "--compile-to=target")  # fmt: skip
        assert made.returncode == 0, made.stdout
        module = made.stdout[made.stdout.index("gpu.module") :].rstrip().removesuffix("}")
        head, *kernels = re.split(r"(?m)^(?=    llvm\.func @forward_)", module)
        # The last one has the end of the module behind it.
        return [head + kernel + ("" if kernel is kernels[-1] else "}\n") for kernel in kernels]

    def run_kernel(self, kernel, threads, tiles, blocks):
        path = self.folder / "kernel.mlir"
        path.write_text(kernel)
        return command(
            "moe-sim", path, f"--block={threads}", f"--grid={blocks}", "--shared=223000",
            "--print=1", f"bf16x{ROWS * DEPTH}=ones", f"f32x{ROWS * OUTPUTS}=none", "i64=0",
            f"i64={tiles}", f"i64={ROWS}", f"map=0:{DEPTH}x64x1:64x{64 // blocks}x1:128", "i64=1",
        )  # fmt: skip

    def check(self, kernel, threads, tiles, faults, blocks=1):
        right = self.run_kernel(kernel, threads, tiles, blocks)
        self.assertEqual(right.returncode, 0, right.stdout)
        numbers = right.stdout.split("\n")[0].split(",")
        self.assertEqual(set(numbers), {str(DEPTH)})
        for name, (pattern, which, replacement, report) in faults.items():
            with self.subTest(name):
                wrong = plant(kernel, pattern, which, replacement)
                run = self.run_kernel(wrong, threads, tiles, blocks)
                self.assertNotEqual(run.returncode, 0, run.stdout)
                self.assertRegex(run.stdout, f"error: .*({report})")
                self.assertIn("kernel forward_", run.stdout)

    def test_shared_tiles(self):
        self.check(self.kernels[2], 384, ROWS // 128, FAULTS)

    def test_tiles_in_turns(self):
        self.check(self.kernels[1], 384, ROWS // 64, FAULTS)

    def test_clusters(self):
        self.check(self.kernels[3], 384, ROWS // 256, CLUSTER_FAULTS, blocks=2)


if __name__ == "__main__":
    unittest.main()
