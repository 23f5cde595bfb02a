"""The Python package: its doctests, array libraries, errors and life times."""

import doctest
import gc
import importlib
import os
import pkgutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python")]

import moe_mlir
from moe_mlir import Error, Status

SPEC = {"hidden": 24, "router": {"experts": 5, "top_k": 2}, "experts": {"intermediate": 17}}


def optional(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


torch, jax, ml_dtypes = optional("torch"), optional("jax"), optional("ml_dtypes")


def spec(**sections):
    return {**SPEC, **sections}


class Doctests(unittest.TestCase):
    def test_all_modules(self):
        names = [m.name for m in pkgutil.iter_modules(moe_mlir.__path__)]
        modules = [moe_mlir, *(importlib.import_module(f"moe_mlir.{name}") for name in names)]
        for module in modules:
            self.assertEqual(doctest.testmod(module).failed, 0, module.__name__)


class Layers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.package = moe_mlir.compile(SPEC)
        cls.layer = cls.package.layer()
        cls.layer.randomize(seed=3)
        cls.x = np.random.default_rng(0).standard_normal((7, 24), np.float32)

    def status_of(self, function, *arguments):
        with self.assertRaises(Error) as caught:
            function(*arguments)
        self.assertTrue(str(caught.exception).split(": ", 1)[1], "no message")
        return caught.exception.status

    def test_numpy(self):
        y = self.layer(self.x)
        self.assertEqual((y.shape, y.dtype), ((7, 24), np.float32))
        np.testing.assert_array_equal(y[2:3], self.layer(self.x[2:3]))
        turned = np.asfortranarray(self.x)
        np.testing.assert_array_equal(self.layer(turned), y)
        self.assertEqual(self.layer(self.x[:0]).shape, (0, 24))

    def test_bf16_and_f16(self):
        for dtype, numpy_type in (("bf16", np.uint16), ("f16", np.float16)):
            layer = moe_mlir.compile(spec(dtype={"activation": dtype})).layer()
            layer.randomize(1)
            x = self.x.astype(np.float16)
            if dtype == "bf16":
                x = (self.x.view(np.uint32) >> 16).astype(np.uint16)
            y = layer(x)
            self.assertEqual(y.dtype, numpy_type)
            if dtype == "bf16" and ml_dtypes:
                typed = layer(x.view(ml_dtypes.bfloat16))
                self.assertEqual(typed.dtype, ml_dtypes.bfloat16)
                np.testing.assert_array_equal(typed.view(np.uint16), y)
            if dtype == "bf16" and torch:
                tensor = torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
                result = layer(tensor)
                self.assertEqual(result.dtype, torch.bfloat16)
                bits = result.view(torch.int16).numpy().view(np.uint16)
                np.testing.assert_array_equal(bits, y)

    @unittest.skipUnless(torch, "torch is not installed")
    def test_torch(self):
        tensor = torch.from_numpy(self.x).requires_grad_()
        y = self.layer(tensor)
        self.assertIsInstance(y, torch.Tensor)
        np.testing.assert_array_equal(y.numpy(), self.layer(self.x))
        np.testing.assert_array_equal(self.layer(tensor.T.contiguous().T).numpy(), y.numpy())

    @unittest.skipUnless(jax, "jax is not installed")
    def test_jax(self):
        y = self.layer(jax.numpy.asarray(self.x))
        self.assertIsInstance(y, jax.Array)
        np.testing.assert_array_equal(np.asarray(y), self.layer(self.x))

    def test_token_ids(self):
        router = {**SPEC["router"], "strategy": "hash"}
        layer = moe_mlir.compile(spec(router=router)).layer()
        layer.randomize(1)
        first = layer(self.x, [1, 2, 3, 4, 5, 6, 7])
        np.testing.assert_array_equal(layer(self.x, np.arange(1, 8, dtype=np.int32)), first)
        with self.assertRaises(TypeError):
            layer(self.x)

    def test_router_state(self):
        """What a layer says for the next one is what it would have found there as well."""
        recurrent = {"form": "recurrent", "hidden": 6}
        first, second = (
            moe_mlir.compile(
                spec(router={**SPEC["router"], "projection": {**recurrent, "chained": chained}})
            ).layer()
            for chained in (False, True)
        )
        first.randomize(1)
        second.randomize(2)
        for name, value in first.weights.items():
            second.set_weight(name, value)
        state = first(self.x)["router_state_next"]
        self.assertEqual((state.shape, state.dtype), ((7, 6), np.float32))
        np.testing.assert_array_equal(
            second(self.x, router_state=np.zeros_like(state))["y"], first(self.x)["y"]
        )
        after = second(self.x, router_state=state)["router_state_next"]
        scale = second.get("router.state.scale")
        np.testing.assert_allclose(after, state + state * scale, rtol=1e-5, atol=1e-6)
        with self.assertRaisesRegex(TypeError, "missing or unknown: .'router_state'"):
            second(self.x)

    def test_plan_and_statistics(self):
        self.layer(self.x)
        plan, statistics = self.layer.plan, self.layer.statistics
        self.assertEqual(plan["indices"].shape, (7, 2))
        np.testing.assert_array_equal(plan["counts"], np.bincount(plan["indices"].ravel(), None, 5))
        np.testing.assert_array_equal(statistics.loads, plan["counts"])
        self.assertEqual((statistics.tokens, statistics.routed, statistics.dropped), (7, 14, 0))
        kept = plan["indices"].copy()
        self.layer(-self.x)
        np.testing.assert_array_equal(plan["indices"], kept)

    def test_weights(self):
        other = self.package.layer()
        for name, value in self.layer.weights.items():
            other.set_weight(name, value)
        np.testing.assert_array_equal(other(self.x), self.layer(self.x))
        np.testing.assert_array_equal(self.layer.share()(self.x), self.layer(self.x))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "weights.safetensors"
            self.layer.save_weights(path)
            seen, other = [], self.package.layer()
            other.load_weights(path, lambda *step: seen.append(step))
            self.assertTrue(seen and seen[-1][1] == seen[-1][2])
            np.testing.assert_array_equal(other(self.x), self.layer(self.x))
            cancelled = self.package.layer()
            stop = lambda *step: True
            self.assertEqual(self.status_of(cancelled.load_weights, path, stop), Status.CANCELLED)
            with self.assertRaises(ZeroDivisionError):
                cancelled.load_weights(path, lambda *step: 1 / 0)

    def test_borrowed_weights(self):
        layer = self.package.layer()
        arrays = dict(self.layer.weights)
        for name, value in arrays.items():
            layer.borrow_weight(name, value)
        shared = layer.share()
        del layer
        name = "router.weight"
        borrowed, arrays = arrays.pop(name), None
        np.testing.assert_array_equal(shared(self.x), self.layer(self.x))
        borrowed[:] = 0
        np.testing.assert_array_equal(shared.get(name), borrowed)
        shared.set_weight(name, self.layer.get(name))
        self.assertFalse(borrowed.any())
        np.testing.assert_array_equal(shared(self.x), self.layer(self.x))
        with self.assertRaises(ValueError):
            shared.borrow_weight(name, np.asfortranarray(borrowed))
        with self.assertRaises(TypeError):
            shared.borrow_weight(name, [[1.0]])
        status = self.status_of(shared.borrow_weight, name, borrowed[:2])
        self.assertEqual(status, Status.SHAPE_MISMATCH)
        shared.randomize(3)
        self.assertFalse(borrowed.any())

    def test_weights_of_another_layer(self):
        spec = dict(SPEC, weights={"layer": 1, "prefix": "model.{l}."})
        package = moe_mlir.compile(spec)
        with tempfile.TemporaryDirectory() as folder:
            first, second = package.layer(), package.layer()
            first.randomize(1)
            first.save_weights(Path(folder) / "model.safetensors")
            second.load_weights(folder)
            np.testing.assert_array_equal(second(self.x), first(self.x))
            status = self.status_of(second.load_weights, folder, None, 2)
            self.assertEqual(status, Status.WEIGHT_MISSING)
            second.load_weights(folder, layer=1)

    def test_home_may_be_relative(self):
        home = moe_mlir._library.compiler().parent.parent
        script = f"import moe_mlir; moe_mlir.compile({SPEC!r})"
        path = os.pathsep.join([str(ROOT / "python"), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "MOE_MLIR_HOME": home.name, "PYTHONPATH": path}
        command = [sys.executable, "-c", script]
        subprocess.run(command, env=environment, cwd=home.parent, check=True)

    def test_errors(self):
        fresh, x = self.package.layer(), self.x
        self.assertEqual(self.status_of(fresh, x), Status.WEIGHT_MISSING)
        self.assertEqual(self.status_of(self.layer, x[:, :23]), Status.SHAPE_MISMATCH)
        self.assertEqual(self.status_of(self.layer, x.astype(np.float64)), Status.DTYPE_MISMATCH)
        self.assertEqual(self.status_of(fresh.load_weights, "/no/such"), Status.NOT_FOUND)
        self.assertEqual(self.status_of(self.layer.get, "nothing"), Status.NOT_FOUND)
        self.assertEqual(self.status_of(moe_mlir.load, "/no/such"), Status.NOT_FOUND)
        wrong = np.zeros((5, 23), np.float32)
        status = self.status_of(fresh.set_weight, "router.weight", wrong)
        self.assertEqual(status, Status.SHAPE_MISMATCH)
        bad = x.copy()
        bad[3] = np.nan
        self.assertEqual(self.status_of(self.layer, bad), Status.NOT_FINITE)
        with self.assertRaises(moe_mlir.CompileError) as caught:
            moe_mlir.compile(spec(hiden=3))
        self.assertIn("hiden", str(caught.exception))
        with self.assertRaises(KeyError):
            self.layer.run("backward")
        with self.assertRaises(TypeError):
            self.layer.run("forward", y=x)

    def test_package_outlives_its_layers(self):
        layer = moe_mlir.compile(SPEC, target="reference").layer()
        gc.collect()
        layer.randomize(3)
        expected = self.layer(self.x)
        error = np.linalg.norm(layer(self.x) - expected) / np.linalg.norm(expected)
        self.assertLess(error, 1e-6)

    def test_state(self):
        router = {**SPEC["router"], "load_balancing": "dynamic"}
        layer = moe_mlir.compile(spec(router=router, functions=["forward", "step"])).layer()
        layer.randomize(2)
        layer(self.x)
        self.assertEqual(layer.state["loads"].sum(), 14)
        self.assertIsNone(layer.run("step"))
        self.assertEqual(layer.state["loads"].sum(), 0)
        layer.reset()
        np.testing.assert_array_equal(
            layer.state["router.selection_bias"], layer.weights["router.selection_bias"]
        )

    def test_other_functions(self):
        names = ["forward", "quantize", "dequantize", "average"]
        layer = moe_mlir.compile(spec(functions=names)).layer()
        values = np.linspace(-2, 2, 100, dtype=np.float32)
        packed = layer.run("quantize", values=values)
        self.assertEqual(set(packed), {"data", "scales"})
        back = layer.run("dequantize", sizes={"n": 100}, **packed)
        np.testing.assert_allclose(back, values, atol=2 / 127)
        mean = layer.run("average", sets=np.stack([values, values + 1]))
        np.testing.assert_allclose(mean, values + 0.5, atol=1e-6)

    def test_example(self):
        script = ROOT / "examples" / "python" / "first_layer.py"
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
        run = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, env=environment
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
