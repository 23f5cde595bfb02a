"""The generator makes what docs/Spec.md allows, all of it, and the same each time."""

import sys
import unittest
from collections import Counter
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Oracle")]

import files
import oracle
import random_spec
import sized_spec
from weight_formats import UNITS

SEEDS = range(400)


def leaves(value, path=""):
    """Every key of a spec with its value, formulas taken as one."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from leaves(inner, f"{path}{key}.")
        else:
            yield path + key, inner


def random_weight(rng, shape, dtype):
    if dtype in ("u8", "i8"):  # no code below 100 is NaN
        return rng.integers(0, 100, shape)
    return rng.integers(-8, 9, shape) / 8 / np.sqrt((1, *shape)[-1])


class RandomSpec(unittest.TestCase):
    def test_same_for_the_same_seed(self):
        for seed in SEEDS:
            self.assertEqual(random_spec.random_spec(seed), random_spec.random_spec(seed))

    def test_constraints(self):
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.check(oracle.resolve(random_spec.random_spec(seed)))

    def check(self, spec):
        router, capacity = spec["router"], spec["capacity"]
        balancing = router["load_balancing"]
        learned = oracle.is_learned(spec)
        nulls = router["null_experts"]["count"]
        always_on, strategy = router["always_on"], router["strategy"]
        total, k = router["experts"] + nulls - always_on, router["top_k"]
        groups = router["groups"]
        self.assertLessEqual(k, total)  # S3
        self.assertEqual(total % groups["count"], 0)  # S4
        self.assertLessEqual(groups["keep"], groups["count"])
        self.assertGreaterEqual(groups["keep"] * (total // groups["count"]), k)
        if groups["count"] > 1:
            if groups["reduce"] == "sum_top2":
                self.assertGreaterEqual(total // groups["count"], 2)
            self.assertTrue(learned and router["score_on"] == "all")  # S5
            self.assertNotIn(balancing, ("expert_choice", "round_robin"))
        if not learned:  # S6, S7, S8, S9, S12
            plain = oracle.resolve({"hidden": 1, "router": {"experts": 1, "top_k": 1}})["router"]
            keys = ["load_balancing", "selection_bias", "null_experts"]
            if strategy != "table":
                keys += ["score", "score_on", "renormalize"]
            if not oracle.has_logits(spec):
                keys += ["softcap", "expert_scale", "scale", "input_norm"]
                self.assertEqual(sum(spec["losses"][n] for n in ("importance", "router_z")), 0)
            for key in keys:
                self.assertEqual(router[key], plain[key], key)
        if balancing == "expert_choice":  # S7
            self.assertTrue(router["score_on"] == "all" and nulls == 0)
            self.assertFalse(router["renormalize"])
            self.assertFalse({"factor", "tokens"} & set(capacity))
        if balancing == "round_robin":
            self.assertEqual(nulls, 0)
        if strategy not in ("learned", "table", "sparsemixer"):  # S8
            self.assertEqual(router["projection"]["form"], "feed_forward")
            self.assertEqual(router["projection"]["layers"], 1)
            self.assertFalse(router["projection"]["bias"])
        self.assertFalse({"factor", "tokens"} <= set(capacity))  # S10
        if router["weight_on"] == "input":
            self.assertEqual(capacity["overflow"], "drop")
            self.assertTrue(nulls == 0 or router["null_experts"]["kind"] == "skip")
        experts, shared = spec["experts"], spec["shared"]
        if shared["gate"] != "none" or shared["scale"] != 1:  # S13
            self.assertGreater(shared["intermediate"], 0)
        if "latent_norm" in experts:  # S28
            self.assertGreater(experts["latent"], 0)
        if {experts["gate_up"], shared["gate_up"]} != {"separate"}:  # S29
            self.assertEqual(experts["form"], "glu")
        for part in (experts, shared):  # S30
            outputs = part["quantization"]["block"][0]
            if part["quantization"]["kind"] != "none" and outputs > 1:
                if part["gate_up"] == "concatenated":
                    self.assertEqual(part["intermediate"] % outputs, 0)
                elif part["gate_up"] == "interleaved":
                    self.assertEqual(outputs % 2, 0)
        self.check_quantization(spec)
        if "step" in spec["functions"]:  # S14
            self.assertEqual(balancing, "dynamic")
        if strategy == "table":  # S19
            self.assertGreater(router["vocabulary"], 0)
        if strategy == "sparsemixer":  # S20
            self.assertEqual(k, 2)
        if always_on:  # S21
            self.assertTrue(always_on < router["experts"] and learned and nulls == 0)
            self.assertEqual(balancing, "token_choice")
            self.assertFalse({"factor", "tokens"} & set(capacity))
        if router["projection"]["form"] == "recurrent":  # S22
            self.assertEqual(router["projection"]["layers"], 1)
        else:
            self.assertFalse(router["projection"]["chained"])
        if router["input_norm"]["factor"] != 1:  # S23
            self.assertIn("eps", router["input_norm"])
        if spec["dtype"]["products"] == "tf32":  # S34
            self.assertEqual({spec["dtype"][key] for key in ("activation", "weights")}, {"f32"})

    def check_quantization(self, spec):
        experts, shared, hidden = spec["experts"], spec["shared"], spec["hidden"]
        for part, width in ((experts, experts["latent"] or hidden), (shared, hidden)):
            kind, block = part["quantization"]["kind"], part["quantization"]["block"]
            if kind in ("mxfp4", "nvfp4"):  # S24
                self.assertEqual(block, [1, UNITS[kind]])
            if kind == "int4":
                self.assertEqual(block[1] % 2, 0)
            else:  # S25
                self.assertFalse(part["quantization"]["zero_points"])
            if part["quantization"]["activations"] != "none":  # S33
                self.assertEqual(kind, "fp8_e4m3")
                self.assertGreater(block[1], 0)
            for size in (width, part["intermediate"]):  # S26
                self.assertEqual(size % UNITS.get(kind, 1), 0)
            if kind != "none":  # S27
                self.assertGreater(part["intermediate"], 0)

    def test_every_feature_comes_up(self):
        seen = Counter()
        for seed in SEEDS:
            for key, value in leaves(random_spec.random_spec(seed)):
                seen[key] += 1
                seen[key, str(value)] += 1
        for key, values in {
            "router.strategy": "learned hash random load_based similarity table sparsemixer",
            "router.load_balancing": "expert_choice dynamic round_robin load_aware",
            "router.score": "softmax sigmoid sqrt_softplus identity",
            "router.score_on": "selected",
            "router.groups.reduce": "max sum_top2",
            "router.groups.fill": "zero neg_inf",
            "router.projection.form": "recurrent",
            "router.projection.chained": "True",
            "router.projection.layers": "2",
            "router.projection.dtype": "input",
            "router.null_experts.kind": "identity skip",
            "router.weight_on": "input",
            "experts.quantization.kind": "fp8_e4m3 int8 int4 mxfp4 nvfp4",
            "experts.quantization.zero_points": "True",
            "experts.quantization.activations": "fp8_e4m3",
            "shared.quantization.activations": "fp8_e4m3",
            "shared.quantization.kind": "fp8_e4m3 int8 int4 mxfp4 nvfp4",
            "experts.form": "mlp",
            "experts.activation": "situ swigluoai silu",
            "experts.gate_up": "concatenated interleaved separate",
            "shared.gate": "sigmoid softmax2",
            "shared.gate_up": "concatenated interleaved",
            "capacity.overflow": "pass_through",
            "capacity.priority": "probability choice_order",
            "dtype.activation": "bf16 f16 f32",
            "dtype.router": "bf16 f16 f32",
            "dtype.products": "tf32",
            "losses.load_balance_form": "switch",
        }.items():
            for value in values.split():
                self.assertGreater(seen[key, value], 0, f"{key}: {value}")
        for key in """router.softcap router.selection_bias router.expert_scale router.scale
            router.renormalize router.renormalize.eps router.renormalize.p router.always_on
            router.input_norm.eps router.input_norm.factor router.threshold capacity.factor
            capacity.tokens experts.latent experts.bias experts.output_bias experts.latent_norm
            experts.input_norm
            shared.activation shared.scale losses.importance losses.router_z""".split():
            self.assertGreater(seen[key], 0, key)

    def test_outputs_are_finite(self):
        """The oracle accepts every spec, and no spec makes numbers run away."""
        for seed in range(0, 400, 5):
            spec = oracle.resolve(random_spec.random_spec(seed))
            rng = np.random.default_rng(seed)
            x = rng.integers(-8, 9, (min(random_spec.token_count(seed), 40), spec["hidden"])) / 8
            table = oracle.weight_table(spec)
            weights = {name: random_weight(rng, *entry) for name, entry in table.items()}
            ids = np.arange(len(x)) % max(spec["router"]["vocabulary"], 1)
            if "router.table" in weights:
                table = rng.integers(0, spec["router"]["experts"], table["router.table"][0])
                weights["router.table"] = table
            router_state = rng.integers(-8, 9, (len(x), spec["router"]["projection"]["hidden"])) / 8
            result = oracle.forward(spec, weights, x, ids, None, router_state)
            self.assertTrue(np.isfinite(result.y).all() and result.status == 0, seed)
            self.assertEqual(result.offsets[-1], len(result.rows))


class SizedSpec(unittest.TestCase):
    def test_same_for_the_same_seed(self):
        for seed in range(100):
            self.assertEqual(sized_spec.random_spec(seed), sized_spec.random_spec(seed))
            self.assertEqual(sized_spec.token_count(seed), sized_spec.token_count(seed))

    def test_constraints(self):
        for seed in range(400):
            spec = oracle.resolve(sized_spec.random_spec(seed))
            self.assertLessEqual(spec["router"]["top_k"], spec["router"]["experts"])  # S3
            for section, width in (("experts", spec["hidden"]), ("shared", spec["hidden"])):
                part = spec[section]
                unit = UNITS.get(part["quantization"]["kind"], 1)
                self.assertFalse(width % unit or part["intermediate"] % unit)  # S26
                if part["gate_up"] != "separate":  # S29
                    self.assertEqual(spec["experts"]["form"], "glu")

    def test_every_size_and_case_occurs(self):
        sizes, cases = Counter(), Counter()
        for seed in range(800):
            spec = oracle.resolve(sized_spec.random_spec(seed))
            part, router = spec["experts"], spec["router"]
            for name, size in (
                ("hidden", spec["hidden"]),
                ("intermediate", part["intermediate"]),
                ("experts", router["experts"]),
                ("top_k", router["top_k"]),
                ("tokens", sized_spec.token_count(seed)),
            ):
                sizes[name, size] += 1
            cases[spec["dtype"]["activation"], part["quantization"]["kind"], part["form"]] += 1
        for name in ("hidden", "intermediate", "experts", "top_k", "tokens"):
            for size in sized_spec.SIZES:
                self.assertGreater(sizes[name, size], 0, (name, size))
        for size in sized_spec.DEEP:
            self.assertGreater(sizes["hidden", size] + sizes["intermediate", size], 0, size)
        for tokens in sized_spec.MANY:
            self.assertGreater(sizes["tokens", tokens], 0, tokens)
        for rows in sized_spec.TYPES:
            for kind in sized_spec.BLOCKS:
                for form in ("glu", "mlp"):
                    self.assertGreater(cases[rows, kind or "none", form], 0, (rows, kind, form))


class Files(unittest.TestCase):
    def test_safetensors_round_trip(self):
        import tempfile

        tensors = {
            "a": (np.arange(6, dtype=np.float32).reshape(2, 3), "F32"),
            "b": (np.array([1, 2], np.uint16), "BF16"),
            "empty": (np.zeros((0, 4), np.int64), "I64"),
        }
        with tempfile.TemporaryDirectory() as folder:
            files.write_safetensors(f"{folder}/t", tensors)
            back = files.read_safetensors(f"{folder}/t")
        for name, (array, dtype) in tensors.items():
            np.testing.assert_array_equal(back[name][0], array)
            self.assertEqual(back[name][1], dtype)


if __name__ == "__main__":
    unittest.main()
