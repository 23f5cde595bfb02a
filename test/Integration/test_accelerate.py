"""Whole models of `transformers`, before and after their blocks are replaced."""

import copy
import gc
import os
import pickle
import re
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python")]

try:
    import torch
    import transformers
except ImportError as error:
    print(f"skipped: {error}; scripts/oracle.sh makes an environment that has it")
    sys.exit(77)

import moe_mlir
import tiny_models
from moe_mlir._block import Replacement

transformers.logging.set_verbosity_error()

#: Families whose block no module computes by itself, and what the warning says.
NOT_ONE_MODULE = {
    "gemma4_text": r"model.layers.0 \(Gemma4TextDecoderLayer\).*: it also has self_attn",
    "zaya": r"model.layers.0.mlp \(ZayaSparseMoeBlock\).*: returns a further value",
}


def logits(model, **options):
    with torch.no_grad():
        return model(tiny_models.prompt(), **options).logits


def replacements(model):
    forwards = (vars(module).get("forward") for module in model.modules())
    return [forward for forward in forwards if isinstance(forward, Replacement)]


def resident():
    """Bytes of this process that are in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Counter:
    """How often compiled layers run."""

    def __init__(self, model):
        self.calls = 0
        for forward in replacements(model):
            forward.compute = self.counting(forward.compute)

    def counting(self, compute):
        def counted(*arguments):
            self.calls += 1
            return compute(*arguments)

        return counted


class Accelerate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cache = tempfile.TemporaryDirectory(prefix="moe-cache-")
        cls.addClassCleanup(cls.cache.cleanup)

    def accelerate(self, model, **options):
        return moe_mlir.accelerate(model, cache=self.cache.name, **{"strict": True, **options})

    def check_family(self, family):
        model = tiny_models.build(family)
        names = list(model.state_dict())
        before, tokens = logits(model), tiny_models.greedy(model)
        self.assertGreater(len(tokens.unique()), 10, "the tokens say nothing")
        report = self.accelerate(model)
        self.assertEqual(len(replacements(model)), len(report.blocks))
        counter = Counter(model)
        after = logits(model)
        self.assertEqual(counter.calls, len(report.blocks))
        self.assertLess(float((after - before).norm() / before.norm()), 1e-5)
        self.assertTrue(torch.equal(tiny_models.greedy(model), tokens))
        self.assertGreaterEqual(counter.calls, 60 * len(report.blocks))
        self.assertEqual(list(model.state_dict()), names)
        self.assertEqual(moe_mlir.restore(model), len(report.blocks))
        self.assertTrue(torch.equal(logits(model), before))

    def check_refused(self, family, why):
        model = tiny_models.build(family)
        before = logits(model)
        with self.assertWarnsRegex(RuntimeWarning, why):
            report = self.accelerate(model, strict=False)
        self.assertFalse(report.replaced)
        self.assertTrue(torch.equal(logits(model), before))

    def test_bf16(self):
        for family in ("qwen3_moe", "gpt_oss", "ernie4_5_moe"):
            with self.subTest(family):
                model = tiny_models.build(family, torch.bfloat16)
                before = logits(model).float()
                report = self.accelerate(model)
                self.assertEqual({f.dtype for f in replacements(model)}, {"bf16"})
                counter = Counter(model)
                after = logits(model)
                self.assertEqual(after.dtype, torch.bfloat16)
                self.assertEqual(counter.calls, len(report.blocks))
                self.assertLess(float((after.float() - before).norm() / before.norm()), 5e-2)

    def test_router_logits(self):
        for family in ("mixtral", "qwen2_moe", "granitemoe", "minimax_m2"):
            with self.subTest(family):
                model = tiny_models.build(family)
                expected = model(tiny_models.prompt(), output_router_logits=True).router_logits
                self.accelerate(model)
                with torch.no_grad():
                    got = model(tiny_models.prompt(), output_router_logits=True).router_logits
                self.assertEqual(len(got), len(expected))
                for one, other in zip(got, expected):
                    torch.testing.assert_close(one, other.detach(), rtol=1e-4, atol=1e-4)
                counter = Counter(model)  # the recorders stay, but nobody asks them
                logits(model)
                self.assertEqual(counter.calls, len(replacements(model)))

    def test_results_of_blocks(self):
        x = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(5))
        for family in ("gpt_oss", "llama4_text"):
            with self.subTest(family), torch.no_grad():
                model = tiny_models.build(family)
                path = {"gpt_oss": "mlp", "llama4_text": "feed_forward"}[family]
                block = model.get_submodule(f"model.layers.1.{path}")
                expected = block(x)
                self.accelerate(model)
                got = block(x)
                self.assertEqual([v.shape for v in got], [v.shape for v in expected])
                torch.testing.assert_close(got[0], expected[0], rtol=1e-4, atol=1e-4)
                self.assertTrue(torch.equal(got[1], expected[1]))

    def test_calls_left_to_the_block(self):
        model = tiny_models.build("qwen3_moe")
        block = model.get_submodule("model.layers.1.mlp")
        x = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(5))
        expected = block(x)
        self.accelerate(model)
        counter = Counter(model)
        got = block(x)  # autograd is on, and the parameters want gradients
        self.assertTrue(torch.equal(got, expected))
        got.sum().backward()
        self.assertIsNotNone(block.experts.down_proj.grad)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            block(x)
        with torch.no_grad():
            block.train()
            self.assertTrue(torch.equal(block(x), expected))
            block.eval()
            model.bfloat16()
            self.assertEqual(block(x.bfloat16()).dtype, torch.bfloat16)
            model.float()
            self.assertEqual(counter.calls, 0)
            block(x)  # of weights that were rounded
            self.assertEqual(counter.calls, 1)
        block.requires_grad_(False)
        self.assertFalse(block(x).requires_grad)
        self.assertEqual(counter.calls, 2)
        with torch.inference_mode():
            self.assertFalse(block(x).requires_grad)
        self.assertEqual(counter.calls, 3)

    def test_weights_that_change(self):
        model, other = tiny_models.build("mixtral"), tiny_models.build("mixtral")
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.mul_(0.5)
        self.accelerate(model)
        before = logits(model)
        model.load_state_dict(other.state_dict())
        after = logits(model)
        self.assertFalse(torch.equal(after, before))
        torch.testing.assert_close(after, logits(other), rtol=1e-4, atol=1e-5)

    def test_memory(self):
        """Weights are used where they are, unless they lie otherwise."""
        sizes = dict(hidden_size=512, moe_intermediate_size=512, num_experts=32)
        for dtype in (torch.float32, torch.bfloat16):
            model = tiny_models.build("qwen3_moe", dtype, **sizes)
            block = model.get_submodule("model.layers.1.mlp")
            weights = sum(p.nbytes for p in block.parameters())
            self.assertGreater(weights, 48e6)
            before = resident()
            report = self.accelerate(model)
            self.assertLess(resident() - before, 0.3 * weights)
            self.assertEqual((report.shared_bytes, report.copied_bytes), (weights, 0))
            with torch.no_grad():
                x = torch.ones(1, 3, 512, dtype=dtype)
                y = block(x)
                block.experts.down_proj.data.mul_(2)
                self.assertTrue(torch.equal(block(x), 2 * y))
        model = tiny_models.build("llama4_text")
        report = self.accelerate(model)
        block = model.get_submodule("model.layers.1.feed_forward")
        copied = sum(p.nbytes for p in block.experts.parameters())
        self.assertEqual(report.copied_bytes, copied)
        self.assertEqual(report.shared_bytes, sum(p.nbytes for p in block.parameters()) - copied)

    def test_saving_and_copying(self):
        model = tiny_models.build("olmoe")
        before = logits(model)
        self.accelerate(model)
        self.assertTrue(torch.equal(logits(copy.deepcopy(model)), before))
        self.assertTrue(torch.equal(logits(pickle.loads(pickle.dumps(model))), before))
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            loaded = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
            self.assertTrue(torch.equal(logits(loaded), before))

    def test_inner_model(self):
        model = tiny_models.build("qwen2_moe")
        before = logits(model)
        report = self.accelerate(model.model)
        self.assertEqual(report.blocks[0].name, "layers.0.mlp (Qwen2MoeSparseMoeBlock)")
        counter = Counter(model)
        torch.testing.assert_close(logits(model), before, rtol=1e-4, atol=1e-4)
        self.assertEqual(counter.calls, 2)
        self.assertEqual(moe_mlir.restore(model), 2)

    def test_docs(self):
        page = (ROOT / "docs" / "Transformers.md").read_text()
        pattern = r"^<!-- test: transformers -->\n```python\n(.*?)^```$"
        blocks = re.findall(pattern, page, re.MULTILINE | re.DOTALL)
        self.assertEqual(len(blocks), 2)
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
        environment["MOE_MLIR_CACHE"] = self.cache.name
        for block in blocks:
            run = subprocess.run(
                [sys.executable, "-c", block], capture_output=True, text=True, env=environment
            )
            self.assertEqual(run.returncode, 0, block + run.stderr)
            self.assertRegex(run.stdout, r"^(\d) of \1 blocks replaced in ")

    def test_multimodal(self):
        for name in tiny_models.MULTIMODAL:
            with self.subTest(name):
                model = tiny_models.build_multimodal(name)
                before = logits(model)
                report = self.accelerate(model)
                self.assertIn("language_model", report.blocks[0].name)
                counter = Counter(model)
                torch.testing.assert_close(logits(model), before, rtol=1e-4, atol=1e-4)
                self.assertEqual(counter.calls, len(report.blocks))

    def test_dense_model(self):
        config = transformers.LlamaConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            vocab_size=9,
        )
        model = transformers.LlamaForCausalLM(config)
        with self.assertRaisesRegex(moe_mlir.AccelerateError, r"\(LlamaForCausalLM\).*llama"):
            self.accelerate(model)


def _add(family):
    why = NOT_ONE_MODULE.get(family)
    check = Accelerate.check_refused if why else Accelerate.check_family
    test = lambda self: check(self, family, *([why] if why else []))
    setattr(Accelerate, f"test_family_{family}", test)


for _family in tiny_models.FAMILIES:
    _add(_family)


if __name__ == "__main__":
    warnings.simplefilter("error", RuntimeWarning)
    unittest.main()
