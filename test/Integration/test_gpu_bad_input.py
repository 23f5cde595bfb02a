"""Bad input to what is for GPUs, through moe-opt, moe-run and Python: each has one message.

Devices that are not here are a driver of a few lines (test/Unit/Runtime/FakeCuda.c), which
variables tell what is wrong, and the simulator. A caller has no workspace to give, so that one
which is too small is a device that has no room for it.
"""

import ctypes
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python")]

import moe_mlir
from moe_mlir import Error, _library

HOME = Path(os.environ["MOE_MLIR_HOME"])
FAKE = HOME / "test" / "Unit" / "Runtime" / "fakes" / "libfake_cuda.so"
NO_DRIVER = "/nonexistent/libcuda.so.1"
SPEC = {
    "name": "tiny",
    "hidden": 8,
    "router": {"experts": 4, "top_k": 2},
    "experts": {"intermediate": 6},
}
ARCHITECTURES = (
    "sm_80, sm_86, sm_87, sm_89, sm_90, sm_90a, sm_100, sm_100a, sm_103, sm_120, sm_120a, or for"
    " PTX compute_80 and so on"
)


def call(*command, **variables):
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("MOE_DEVICE", "MOE_GPU"))
    }
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**environment, **variables}
    )


def compile_to(folder, *options):
    made = call(HOME / "bin/moe-opt", WORK / "tiny.json", "--emit=package", "-o", folder, *options)
    if made.returncode:
        raise AssertionError(made.stderr)
    return folder


def setUpModule():
    global WORK, CUDA, EITHER, HOPPER
    WORK = Path(tempfile.mkdtemp(prefix="moe-gpu-bad-"))
    (WORK / "tiny.json").write_text(json.dumps(SPEC))
    CUDA = compile_to(WORK / "cuda", "--target=cuda", "--gpu-arch=compute_80,compute_90")
    EITHER = compile_to(WORK / "either", "--target=cpu,sim", "--cpu=generic")
    HOPPER = compile_to(WORK / "hopper", "--target=sim", "--gpu-arch=sm_90a")


def tearDownModule():
    shutil.rmtree(WORK, ignore_errors=True)


class Compiler(unittest.TestCase):
    def refused(self, message, *options, **variables):
        """Status 1, this message alone, and no output."""
        output = WORK / "output"
        command = [HOME / "bin/moe-opt", WORK / "tiny.json", *options, "-o", output]
        run = call(*command, **variables)
        self.assertEqual(run.stderr, f"moe-opt: error: {message}\n")
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertFalse(output.exists())

    def program(self, text):
        path = WORK / "program"
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def test_unknown_architecture(self):
        self.refused(
            f"unknown gpu architecture 'sm_90b'; expected one of {ARCHITECTURES}; "
            f"did you mean 'sm_90'?",
            "--target=cuda", "--emit=ptx", "--gpu-arch=sm_90b",
        )  # fmt: skip

    def test_old_architecture(self):
        self.refused(
            "gpu architecture 'sm_75' is too old; expected 'sm_80' or later",
            "--target=cuda", "--emit=package", "--gpu-arch=sm_80,sm_75",
        )  # fmt: skip

    def test_architecture_twice(self):
        self.refused(
            "'sm_80' is twice in 'sm_80,sm_80' for --gpu-arch",
            "--target=cuda", "--emit=fatbin", "--gpu-arch=sm_80,sm_80",
        )  # fmt: skip

    def test_text_as_machine_code(self):
        self.refused(
            "found 'compute_90' for --gpu-arch, expected one such as 'sm_80' with --emit=cubin",
            "--target=cuda", "--emit=cubin", "--gpu-arch=compute_90",
        )  # fmt: skip

    def test_two_architectures_of_a_simulator(self):
        self.refused(
            "expected one name for --gpu-arch with --target=sim",
            "--target=cpu,sim", "--emit=package", "--gpu-arch=sm_80,sm_90a",
        )  # fmt: skip

    def test_two_devices(self):
        self.refused(
            "found 'cuda,sim' for --target, expected one name, cpu,cuda or cpu,sim",
            "--target=cuda,sim", "--emit=package",
        )  # fmt: skip

    def test_no_ptxas(self):
        self.refused(
            "cannot find 'ptxas' of the CUDA toolkit; expected it in MOE_PTXAS, in "
            "bin/ of CUDA_HOME or "
            "CUDA_PATH, or on PATH; --emit=ptx and --gpu-arch=compute_80 do not need it",
            "--target=cuda", "--emit=package", "--gpu-arch=sm_80",
            MOE_PTXAS="", CUDA_HOME="", CUDA_PATH="", PATH="/nonexistent",
        )  # fmt: skip

    def test_no_ptxas_where_it_is_named(self):
        self.refused(
            "MOE_PTXAS names '/nonexistent/ptxas', which cannot be run",
            "--target=cpu,cuda", "--emit=package", MOE_PTXAS="/nonexistent/ptxas",
        )  # fmt: skip

    def test_ptxas_fails(self):
        ptxas = self.program("#!/bin/sh\necho 'line 7: unknown symbol' >&2\nexit 2\n")
        self.refused(
            f"'{ptxas}' failed: line 7: unknown symbol",
            "--target=cuda", "--emit=cubin", MOE_PTXAS=ptxas,
        )  # fmt: skip

    def test_ptxas_writes_nothing(self):
        """It says that all is well, and there is an empty file."""
        ptxas = self.program("#!/bin/sh\nexit 0\n")
        self.refused(
            f"'{ptxas}' wrote no code for sm_80",
            "--target=cuda", "--emit=package", "--gpu-arch=sm_80", MOE_PTXAS=ptxas,
        )  # fmt: skip

    def test_no_fatbinary(self):
        self.refused(
            "MOE_FATBINARY names '/nonexistent/fatbinary', which cannot be run",
            "--target=cuda", "--emit=fatbin", "--gpu-arch=compute_80",
            MOE_FATBINARY="/nonexistent/fatbinary",
        )  # fmt: skip


class Runs(unittest.TestCase):
    def refused(self, message, package, *options, **variables):
        run = call(HOME / "bin/moe-run", package, "--tokens=3", *options, **variables)
        self.assertEqual(run.stderr, f"moe-run: error: {message}\n")
        self.assertEqual((run.returncode, run.stdout), (1, ""))

    def on_fake(self, message, *options, **variables):
        self.refused(message, CUDA, *options, MOE_CUDA=str(FAKE), **variables)

    def test_no_driver(self):
        self.refused(
            f"cannot load the CUDA driver from '{NO_DRIVER}': {NO_DRIVER}: cannot "
            f"open shared object "
            "file: No such file or directory; MOE_CUDA names another file (MOE_UNAVAILABLE)",
            CUDA, MOE_CUDA=NO_DRIVER,
        )  # fmt: skip

    def test_no_simulator(self):
        """Beside a runtime that was copied alone."""
        (WORK / "lib").mkdir()
        shutil.copy(HOME / "lib" / "libmoe_runtime.so.1", WORK / "lib")
        file = f"{WORK}/lib/libmoe_sim.so"
        self.refused(
            f"cannot load the simulator from '{file}': {file}: cannot open shared "
            f"object file: No such "
            "file or directory; MOE_CUDA names another file (MOE_UNAVAILABLE)",
            EITHER, "--device=sim", LD_LIBRARY_PATH=f"{WORK}/lib",
        )  # fmt: skip

    def test_no_driver_but_another_library(self):
        file = str(FAKE.parent / "fake.so")
        self.refused(
            f"'{file}' is no CUDA driver: it has no cuGetErrorString (MOE_UNAVAILABLE)",
            CUDA, MOE_CUDA=file,
        )  # fmt: skip

    def test_old_driver(self):
        self.on_fake(
            f"'{FAKE}' is a driver for CUDA 11.8, expected one for CUDA 12.0 or later"
            " (MOE_UNAVAILABLE)",
            FAKE_CUDA_VERSION="11080",
        )

    def test_driver_without_a_device(self):
        self.on_fake("cuInit: no CUDA-capable device (MOE_UNAVAILABLE)", FAKE_CUDA_INIT="100")

    def test_no_such_device(self):
        self.on_fake(
            "found GPU number 3, expected one below 1, as so many are there (MOE_UNAVAILABLE)",
            MOE_GPU="3",
        )

    def test_old_device(self):
        self.on_fake(
            "'tiny' has no code for Fake 0, which is sm_75; it has compute_80, compute_90"
            " (MOE_GPU_MISMATCH)",
            FAKE_CUDA_CAPABILITY="75",
        )

    def test_machine_code_for_another_device(self):
        self.refused(
            "'tiny' has no code for moe-mlir simulator, sm_80, which is sm_80; it has sm_90a "
            "(MOE_GPU_MISMATCH)",
            HOPPER, MOE_SIM_ARCH="sm_80",
        )  # fmt: skip

    def test_code_that_the_driver_refuses(self):
        self.on_fake(
            "'tiny': the code for compute_90 cannot be loaded: some error (MOE_GPU_MISMATCH)",
            FAKE_CUDA_LOAD="222",
        )

    def test_kernel_that_cannot_be_launched(self):
        self.on_fake(
            "kernel 'forward_0_clock': an illegal memory access (MOE_DEVICE_FAILED)",
            FAKE_CUDA_LAUNCH="700",
        )

    def test_device_without_room_for_the_weights(self):
        self.on_fake(
            "out of memory on Fake 0 for 768 bytes (MOE_OUT_OF_MEMORY)", FAKE_CUDA_MEMORY="256"
        )

    def test_misspelt_device(self):
        self.refused(
            "--device expects cpu, cuda or sim, found 'cudda'; did you mean 'cuda'?",
            CUDA, "--device=cudda",
        )  # fmt: skip

    def test_device_that_the_package_is_not_for(self):
        self.refused(
            "'tiny' has no code for device 'cpu'; it has cuda (MOE_NOT_FOUND)", CUDA, "--device=cpu"
        )

    def test_misspelt_variable(self):
        self.refused(
            "'tiny' has no code for device 'simm', which MOE_DEVICE asks for; it "
            "has cpu, sim; did you mean "
            "'sim'? (MOE_INVALID_ARGUMENT)",
            EITHER, MOE_DEVICE="simm",
        )  # fmt: skip


class Layers(unittest.TestCase):
    """One layer, which is as good as before after each error."""

    @classmethod
    def setUpClass(cls):
        os.environ["MOE_SIM_MEMORY"] = str(1 << 20)
        package = moe_mlir.Package(EITHER)
        cls.layer, cls.onCpu = package.layer(device="sim"), package.layer(device="cpu")
        for layer in (cls.layer, cls.onCpu):
            layer.randomize(1, exact=True)

    def tearDown(self):
        x = np.arange(24, dtype=np.float32).reshape(3, 8) / 8
        np.testing.assert_allclose(self.layer(x), self.onCpu(x), rtol=1e-6)

    def tensor(self, shape, data=None, device=(1, 0)):
        """What DLPack has for it; its memory need not be there."""
        tensor = _library.DLTensor()
        tensor.data = data if data is not None else self.values.ctypes.data
        tensor.device = _library.DLDevice(*device)
        tensor.ndim = len(shape)
        tensor.dtype = _library.DLDataType(2, 32, 1)
        tensor.shape = (ctypes.c_int64 * len(shape))(*shape)
        return tensor

    def refused(self, status, message, x, y=None, layer=None):
        tensors = [ctypes.pointer(t) for t in (x, y or self.tensor(x.shape[: x.ndim]))]
        arrays = [(ctypes.POINTER(_library.DLTensor) * 1)(t) for t in tensors]
        with self.assertRaises(Error) as caught:
            _library.runtime().moe_layer_run((layer or self.layer)._handle, b"forward", *arrays)
        self.assertEqual(str(caught.exception), f"{status}: {message}")

    def setUp(self):
        self.values = np.zeros(64, np.float32)

    def test_out_of_memory(self):
        with self.assertRaises(Error) as caught:
            self.layer(np.zeros((40000, 8), np.float32))
        self.assertEqual(
            str(caught.exception),
            "OUT_OF_MEMORY: out of memory on moe-mlir simulator, sm_90 for 1280000 bytes",
        )

    def test_too_many_tokens(self):
        self.refused(
            "SHAPE_MISMATCH",
            "function 'forward': found T = 2147483648, expected at most 2147483647",
            self.tensor((1 << 31, 8)),
        )  # fmt: skip

    def test_more_slots_than_an_index_counts(self):
        self.refused(
            "SHAPE_MISMATCH",
            "tensor 'indices': found the shape [1100000000, 2], expected at most "
            "2147483647 entries",
            self.tensor((1100000000, 8)),
        )  # fmt: skip

    def test_shape_that_no_memory_holds(self):
        self.refused(
            "SHAPE_MISMATCH",
            "tensor 'x': found [4611686018427387904, 8], which is negative or too large",
            self.tensor((1 << 62, 8)),
        )  # fmt: skip

    def test_tensor_of_another_gpu(self):
        self.refused(
            "INVALID_ARGUMENT", "tensor 'x': expected memory of GPU 0, found that of GPU 1",
            self.tensor((3, 8), device=(2, 1)),
        )  # fmt: skip

    def test_memory_of_the_host_as_that_of_a_gpu(self):
        self.refused(
            "INVALID_ARGUMENT", "tensor 'x': it says that it is on a GPU, but its data is not",
            self.tensor((3, 8), device=(2, 0)),
        )  # fmt: skip

    def test_tensor_of_another_kind_of_device(self):
        self.refused(
            "INVALID_ARGUMENT",
            "tensor 'x': expected memory of the CPU or of CUDA, found device type 4",
            self.tensor((3, 8), device=(4, 0)),
        )  # fmt: skip

    def test_tensor_of_a_gpu_for_the_cpu(self):
        self.refused(
            "INVALID_ARGUMENT", "tensor 'x': expected memory of the CPU, found device type 2",
            self.tensor((3, 8), device=(2, 0)), layer=self.onCpu,
        )  # fmt: skip

    def test_misaligned_pointer(self):
        self.refused(
            "INVALID_ARGUMENT", "tensor 'x': expected data aligned to 4 bytes",
            self.tensor((3, 8), data=self.values.ctypes.data + 2),
        )  # fmt: skip


if __name__ == "__main__":
    unittest.main()
