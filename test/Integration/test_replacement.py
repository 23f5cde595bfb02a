"""Replacing the blocks of a model, on models of numpy arrays."""

import copy
import ctypes
import os
import pickle
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python")]

import model_stub as stub
import moe_mlir
from moe_mlir import _cache, _library, _sources


def spec(**changes):
    return {**copy.deepcopy(stub.SPEC), **changes}


def tensors(sources):
    return spec(weights={**stub.SPEC["weights"], "tensors": sources})


def input_of(shape=(2, 5, stub.D), seed=3):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def address(layer, name):
    """Where the layer has a weight."""
    view = _library.DLTensor()
    layer._runtime.moe_layer_get(layer._handle, name.encode(), ctypes.byref(view))
    return view.data + view.byte_offset


class Replacement(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cache = tempfile.TemporaryDirectory(prefix="moe-cache-")
        cls.addClassCleanup(cls.cache.cleanup)

    def accelerate(self, model, spec=stub.SPEC, **options):
        return moe_mlir.accelerate(model, spec, cache=self.cache.name, **options)

    def check_like(self, model, **options):
        """Replaced, close to what it was, and after `restore` the very same."""
        x = input_of()
        expected, names = model(x), [name for name, _ in model.named_parameters()]
        report = self.accelerate(model, strict=True, **options)
        self.assertEqual([name for name, _ in model.named_parameters()], names)
        got = model(x)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
        self.assertTrue((got != expected).any(), "the compiled layers did not run")
        self.assertEqual(moe_mlir.restore(model), len(report.blocks))
        np.testing.assert_array_equal(model(x), expected)
        self.assertTrue(all("forward" not in vars(m) for _, m in model.named_modules()))
        return report

    def test_stacked(self):
        report = self.check_like(stub.model())
        self.assertEqual([block.layer for block in report.blocks], [1, 2])
        self.assertEqual(report.blocks[0].name, "model.layers.1.mlp (Block)")
        weights = 4 * (stub.E * stub.D + 3 * stub.E * stub.D * stub.I)
        self.assertEqual(report.shared_bytes + report.copied_bytes, 2 * weights)
        self.assertLess(report.blocks[0].error, 1e-5)
        self.assertIn("2 of 2 blocks replaced", str(report))

    def test_config(self):
        config = {
            "model_type": "qwen3_moe",
            "hidden_size": stub.D,
            "num_hidden_layers": 3,
            "mlp_only_layers": [0],
            "num_experts": stub.E,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": stub.I,
            "norm_topk_prob": False,
            "quantization_config": {"quant_method": "of the file that it was loaded from"},
        }
        model = stub.model()
        model.config = config
        report = self.check_like(model, spec=None)
        self.assertEqual([block.layer for block in report.blocks], [1, 2])
        model.config = {**config, "num_experts_per_tok": 9}
        message = self.failure(model, None)
        self.assertRegex(message, r"^the model \(Model\) cannot be replaced: config.json:1:\d+: ")
        self.assertIn("num_experts_per_tok", message)
        model.config = {**config, "mlp_only_layers": [0, 1, 2]}
        message = self.failure(model, None)
        self.assertIn("the model (Model) cannot be replaced: ", message)

    def test_shared_memory(self):
        model, x = stub.model(blocks=1), input_of()
        block = dict(model.named_modules())["model.layers.1.mlp"]
        report = self.accelerate(model, strict=True)
        self.assertEqual(report.copied_bytes, 0)
        owners = {
            "router.weight": block.gate.weight,
            "experts.gate_up.weight": block.experts.gate_up_proj,
            "experts.down.weight": block.experts.down_proj,
        }
        for name, array in owners.items():
            self.assertEqual(address(block.forward.layer, name), array.ctypes.data, name)
        before = block(x)
        block.experts.down_proj *= 2
        np.testing.assert_array_equal(block(x), 2 * before)

    def test_other_layouts(self):
        report = self.check_like(stub.model(experts_kind=stub.SeparateExperts))
        self.assertEqual(report.shared_bytes, 2 * 4 * stub.E * stub.D)  # the routers
        model = stub.model(experts_kind=stub.InterleavedExperts)
        report = self.check_like(model, spec=tensors(stub.INTERLEAVED))
        self.assertEqual(report.shared_bytes, 2 * 4 * stub.E * stub.D)
        sources = copy.deepcopy(stub.SPEC["weights"]["tensors"])
        for part in ("gate", "up"):  # of files, where experts lie the other way
            sources[f"experts.{part}.weight"][1]["transposed"] = True
        sources["experts.down.weight"] = {"name": "experts.down_proj", "transposed": True}
        self.assertEqual(self.check_like(stub.model(), spec=tensors(sources)).copied_bytes, 0)
        model = stub.model(experts_kind=stub.RowsByTurns)
        sources = copy.deepcopy(stub.INTERLEAVED)
        for source in list(sources.values())[1:]:
            del source["transposed"]
        report = self.check_like(model, spec=tensors(sources))
        self.assertEqual(report.copied_bytes, 0)

    def test_inner_model(self):
        model = stub.model()
        inner = model.model
        inner.base_model_prefix, inner.forward = "model", model.forward
        report = self.accelerate(inner, strict=True)
        self.assertEqual(report.blocks[0].name, "layers.1.mlp (Block)")
        self.assertEqual(moe_mlir.restore(inner), 2)
        self.assertEqual(inner.forward, model.forward)

    def test_tuples(self):
        model = stub.model(kind=stub.TupleBlock)
        x, block = input_of(), dict(model.named_modules())["model.layers.1.mlp"]
        expected = block(x)
        self.check_like(model)
        self.accelerate(model, strict=True)
        got = block(x)
        self.assertIsInstance(got, tuple)
        self.assertEqual(got[0].shape, (10, stub.D))
        np.testing.assert_array_equal(got[1], expected[1])

    def test_module_after_the_experts(self):
        model = stub.model(kind=stub.NormedBlock)
        for path, module in model.named_modules():
            if isinstance(module, stub.NormedBlock):
                module.norm = stub.Norm(weight=np.linspace(1, 2, stub.D, dtype=np.float32))
        self.check_like(model)
        block = dict(model.named_modules())["model.layers.1.mlp"]
        block.forward = lambda x: stub.NormedBlock.forward(block, x) + 0  # something comes after
        message = self.failure(model)
        self.assertIn("it also has norm.weight, which the compiled layer does not use", message)

    def test_sources(self):
        tensors = {f"w.{e}": np.full((2, 3), e, np.float32) for e in range(4)}
        tensors["all"] = np.arange(30, dtype=np.float32).reshape(5, 2, 3)
        tensors["rows"] = tensors["all"].reshape(10, 3)
        tensors["one"] = np.array([7], np.float16)

        def read(name, shape, source, experts=4, nulls=0, dtype="f32"):
            weight = _sources.Weight(name, dtype, shape, experts, nulls)
            found = _sources.find(weight, source, "", tensors.get)
            return _sources.read(weight, found, tensors.get)

        up = "experts.up.weight"
        for source in ("all", ["none", "all"], "rows"):
            value, of_model = read(up, [5, 2, 3], source, experts=5)
            self.assertTrue(of_model and np.shares_memory(value, tensors["all"]), source)
        value, of_model = read(up, [3, 2, 3], "all", experts=3, nulls=2)
        self.assertTrue(of_model and value.base is not None)
        np.testing.assert_array_equal(value, tensors["all"][:3])
        value, of_model = read(up, [4, 2, 3], "w.{e}")
        self.assertFalse(of_model)
        np.testing.assert_array_equal(value[:, 0, 0], [0, 1, 2, 3])
        value, _ = read(up, [4, 3, 2], {"name": "w.{e}", "transposed": True})
        self.assertEqual(value.shape, (4, 3, 2))
        value, _ = read("router.expert_scale", [4], {"name": "one", "broadcast": True})
        np.testing.assert_array_equal(value, np.full(4, 7, np.float32))
        for source, message in (
            ({"name": "all", "broadcast": True}, r"all has shape \[5, 2, 3\], expected one number"),
            ({"name": "all", "decode": {"kind": "int8"}}, f"{up} is quantised in the model"),
            ("all", r"all has shape \[5, 2, 3\], expected \[4, 2, 3\]"),
            (["a", {"name": "b"}], f"{up} is not there; looked for a, b"),
            ([["rows", "rows"]], f"{up}: only tensors of one expert each can follow each other"),
        ):
            with self.assertRaisesRegex(_sources.SourceError, message):
                read(up, [4, 2, 3], source)

    def test_token_ids(self):
        generator = np.random.default_rng(4)
        block = stub.block(generator, stub.TableBlock)
        table = np.argsort(generator.random((9, stub.E)), axis=-1)[:, :2]
        block.gate = stub.TableRouter(weight=block.gate.weight, table=table)
        model = stub.Module(mlp=block)
        router = {**stub.SPEC["router"], "strategy": "table", "vocabulary": 9}
        sources = {**stub.SPEC["weights"]["tensors"], "router.table": "gate.table"}
        weights = {"prefix": "mlp.", "tensors": sources}
        x, ids = input_of((2, 3, stub.D)), np.array([[1, 2, 3], [8, 2, 0]])
        expected = block(x, input_ids=ids)
        self.accelerate(model, spec(router=router, weights=weights), strict=True)
        got = block(x, input_ids=ids)
        self.assertTrue((got != expected).any())
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
        with self.assertRaises(AttributeError):  # as its own forward has it
            block(x)
        got = block(x, ids)
        np.testing.assert_array_equal(got, expected)

    def test_packages_are_shared(self):
        before = set(os.listdir(self.cache.name))
        self.accelerate(stub.model(blocks=3), spec(hidden=stub.D, name="shared"), strict=True)
        self.assertLessEqual(len(set(os.listdir(self.cache.name)) - before), 1)

    def test_twice(self):
        model = stub.model()
        first, second = self.accelerate(model, strict=True), self.accelerate(model, strict=True)
        self.assertEqual(first.copied_bytes, second.copied_bytes)
        self.assertEqual(len(second.replaced), 2)
        self.assertEqual((moe_mlir.restore(model), moe_mlir.restore(model)), (2, 0))

    def test_forward_of_an_instance_comes_back(self):
        model = stub.model(blocks=1)
        block = dict(model.named_modules())["model.layers.1.mlp"]
        own = block.forward = lambda x: stub.Block.forward(block, x)
        self.accelerate(model, strict=True)
        self.assertIsNot(block.forward, own)
        moe_mlir.restore(model)
        self.assertIs(block.forward, own)

    def test_calls_left_to_the_block(self):
        model, x = stub.model(blocks=1), input_of()
        block = dict(model.named_modules())["model.layers.1.mlp"]
        expected = block(x)
        self.accelerate(model, strict=True)
        self.assertTrue((block(x) != expected).any())
        block.training = True
        np.testing.assert_array_equal(block(x), expected)
        block.training = False
        wide = x.astype(np.float64)
        self.assertEqual(block(wide).dtype, np.float64)
        broken = x.copy()
        broken[1, 2] = np.nan
        got = block(broken)
        self.assertTrue(np.isnan(got[1, 2]).all())
        np.testing.assert_array_equal(got[0], expected[0])

    def test_empty_input(self):
        model = stub.model(blocks=1)
        self.accelerate(model, strict=True)
        self.assertEqual(model(input_of((1, 0, stub.D))).shape, (1, 0, stub.D))

    def test_hooks(self):
        model, x, seen = stub.model(blocks=1), input_of(), []
        block = dict(model.named_modules())["model.layers.1.mlp"]
        expected = block(x)
        self.accelerate(model, strict=True)
        handle = block.gate.register_forward_hook(lambda m, args, out: seen.append(out[0]))
        compiled = block(x)
        handle.remove()
        self.assertTrue((compiled != expected).any())
        np.testing.assert_array_equal(seen[0], block.gate(x.reshape(-1, stub.D))[0])
        handle = block.experts.register_forward_hook(lambda m, args, out: seen.append(out))
        np.testing.assert_array_equal(block(x), expected)  # only its own forward has that call
        handle.remove()
        self.assertEqual(len(seen), 2)
        self.assertTrue((block(x) != expected).any())

    def test_changed_weights(self):
        model, x = stub.model(blocks=1, experts_kind=stub.InterleavedExperts), input_of()
        block = dict(model.named_modules())["model.layers.1.mlp"]
        self.accelerate(model, tensors(stub.INTERLEAVED), strict=True)
        before = block(x)
        block.experts.down_proj *= 2
        np.testing.assert_array_equal(block(x), before)  # of copies, and nobody counts
        self.assertEqual(moe_mlir.refresh(model), 1)
        np.testing.assert_array_equal(block(x), 2 * before)
        block.experts.down_proj = block.experts.down_proj * 2  # other memory is seen at once
        np.testing.assert_array_equal(block(x), 4 * before)

    def test_copies_are_plain(self):
        model, x = stub.model(), input_of()
        expected = model(x)
        self.accelerate(model, strict=True)
        copied = copy.deepcopy(model)
        np.testing.assert_array_equal(copied(x), expected)
        copied.model.layers.named_children()[1][1].mlp.gate.weight[...] = 0
        self.assertTrue((copied(x) != expected).any())
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model))(x), expected)
        self.assertEqual(moe_mlir.restore(copied), 0)

    # --- What cannot be replaced ---

    def failure(self, model, *arguments):
        """The message, after checking that the model goes on as before."""
        x = input_of()
        expected = model(x)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            report = self.accelerate(model, *arguments)
        self.assertEqual([w.category for w in caught], [RuntimeWarning])
        self.assertEqual(caught[0].filename, __file__)
        self.assertTrue(report.failed)
        self.assertIn(report.failed[0].why, str(report))
        with self.assertRaises(moe_mlir.AccelerateError) as raised:
            self.accelerate(copy.deepcopy(model), *arguments, strict=True)
        self.assertEqual(str(raised.exception), str(caught[0].message))
        moe_mlir.restore(model)
        np.testing.assert_array_equal(model(x), expected)
        return str(raised.exception)

    def test_missing_weights(self):
        model = stub.model(experts_kind=stub.SeparateExperts)
        del dict(model.named_modules())["model.layers.1.mlp.experts"].__dict__["3"]
        model.model.layers.__dict__.pop("2")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.accelerate(model)
        self.assertRegex(
            str(caught[0].message),
            "^layer 1 cannot be replaced: experts.gate.weight is not there; looked for "
            r"model.layers.1.mlp.experts.\{e\}.w1, model.layers.1.mlp.experts.gate_up_proj$",
        )

    def test_block_with_more(self):
        model = stub.model()
        block = dict(model.named_modules())["model.layers.2.mlp"]
        block.bias = np.zeros(3, np.float32)
        self.assertEqual(
            self.failure(model),
            "model.layers.2.mlp (Block) cannot be replaced: it also has bias, which the compiled "
            "layer does not use",
        )

    def test_spread_over_a_layer(self):
        model = stub.model(blocks=1)
        layer = dict(model.named_modules())["model.layers.1"]
        layer.norm = Module = stub.Module(weight=np.ones(3, np.float32))
        sources = copy.deepcopy(stub.SPEC["weights"]["tensors"])
        moved = {k: v for k, v in sources.items() if k != "router.weight"}
        layer.router, layer.mlp.gate = layer.mlp.gate, layer.mlp.gate
        moved["router.weight"] = {"name": "model.layers.{l}.router.weight", "absolute": True}
        self.assertRegex(
            self.failure(model, tensors(moved)),
            r"^model.layers.1 \(MoeLayer\) cannot be replaced: it also has .*, which the compiled",
        )

    def test_other_formula(self):
        wrong = spec(experts={"intermediate": stub.I, "activation": "gelu"})
        self.assertRegex(
            self.failure(stub.model(), wrong),
            r"^model.layers.1.mlp \(Block\), and 1 more, cannot be replaced: the compiled layer's "
            r"result is off by \de-01, allowed 1e-04$",
        )

    def test_other_shape(self):
        wrong = spec(hidden=stub.D + 1)
        message = self.failure(stub.model(), wrong)
        self.assertIn("gate.weight has shape [4, 16], expected [4, 17]", message)

    def test_other_type(self):
        model = stub.model(blocks=1)
        block = dict(model.named_modules())["model.layers.1.mlp"]
        block.experts.down_proj = block.experts.down_proj.astype(np.float64)
        self.assertIn("its weights are f64, expected f32, bf16, f16", self.failure(model))
        model = stub.model(blocks=1)
        block = dict(model.named_modules())["model.layers.1.mlp"]
        block.experts.gate_up_proj = block.experts.gate_up_proj.astype(np.float64)
        self.assertIn("experts.gate_up_proj is f64, expected f32", self.failure(model))

    def test_further_value(self):
        model = stub.model(blocks=1)
        block = dict(model.named_modules())["model.layers.1.mlp"]
        block.forward = lambda x: (stub.Block.forward(block, x), x.sum())
        self.assertIn("returns a further value that is none of its router's", self.failure(model))

    def test_other_result(self):
        model = stub.model(blocks=1)
        block = dict(model.named_modules())["model.layers.1.mlp"]
        block.forward = lambda x: stub.Block.forward(block, x)[..., None]
        self.assertIn("returns shape [2, 4, 16, 1] for [2, 4, 16]", self.failure(model))

    def test_unsaid_weight(self):
        sources = dict(stub.SPEC["weights"]["tensors"])
        del sources["router.weight"]
        message = self.failure(stub.model(), tensors(sources))
        self.assertIn("the spec does not say where router.weight is", message)
        shared = {**tensors(stub.SPEC["weights"]["tensors"]), "shared": {"intermediate": 4}}
        message = self.failure(stub.model(), shared)
        self.assertIn("the spec does not say where shared.gate_proj.weight is", message)

    def test_refused_spec(self):
        wrong = spec(router={"experts": stub.E, "top_k": stub.E + 1})
        message = self.failure(stub.model(), wrong)
        self.assertIn("(Block), and 1 more, cannot be replaced: spec.json:1:", message)
        self.assertIn("top_k", message)

    def test_one_bad_block_does_not_stop_the_others(self):
        model = stub.model()
        dict(model.named_modules())["model.layers.1.mlp"].bias = np.zeros(3, np.float32)
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            report = self.accelerate(model)
        self.assertEqual([block.replaced for block in report.blocks], [False, True])
        self.assertEqual(moe_mlir.restore(model), 1)

    # --- The cache ---

    def test_two_processes(self):
        with tempfile.TemporaryDirectory() as cache:
            script = "import json, sys; from moe_mlir import _cache; "
            script += "print(_cache.package(json.loads(sys.argv[1]), sys.argv[2]).path)"
            plain = {k: v for k, v in stub.SPEC.items() if k != "weights"}
            command = [sys.executable, "-c", script, __import__("json").dumps(plain), cache]
            environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
            run = lambda: subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
            processes = [run(), run()]
            paths = {process.communicate()[0] for process in processes}
            self.assertEqual([process.returncode for process in processes], [0, 0])
            self.assertEqual(len(paths), 1)
            self.assertEqual(len(os.listdir(cache)), 1, os.listdir(cache))

    def test_damaged_package(self):
        with tempfile.TemporaryDirectory() as cache:
            plain = {k: v for k, v in stub.SPEC.items() if k != "weights"}
            folder = Path(cache) / _cache.key(plain)
            folder.mkdir()
            (folder / "block.json").write_text("{")
            self.assertEqual(_cache.package(plain, cache).manifest["spec"]["hidden"], stub.D)
            self.assertEqual(os.listdir(cache), [folder.name])

    def test_default_folder(self):
        saved = {k: os.environ.pop(k, None) for k in ("MOE_MLIR_CACHE", "XDG_CACHE_HOME")}
        try:
            self.assertEqual(_cache.folder(), Path.home() / ".cache" / "moe-mlir")
            os.environ["XDG_CACHE_HOME"] = "/x"
            self.assertEqual(_cache.folder(), Path("/x/moe-mlir"))
            os.environ["MOE_MLIR_CACHE"] = "/y"
            self.assertEqual(_cache.folder(), Path("/y"))
        finally:
            for name, value in saved.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    def test_torch_is_not_imported(self):
        script = "import sys, moe_mlir; sys.exit('torch' in sys.modules)"
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
        self.assertEqual(
            subprocess.run([sys.executable, "-c", script], env=environment).returncode, 0
        )


if __name__ == "__main__":
    unittest.main()
