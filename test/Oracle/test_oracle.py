"""Cases of docs/Spec.md small enough to be worked out by hand, and what torch says."""

import doctest
import math
import unittest

import numpy as np

import floats
import formulas
import oracle
import routing
import weight_formats

try:
    import torch
except ImportError:
    torch = None


def make_spec(experts=4, top_k=2, hidden=3, intermediate=2, **sections):
    router = {"experts": experts, "top_k": top_k, **sections.pop("router", {})}
    inner = {"intermediate": intermediate, **sections.pop("experts_section", {})}
    return oracle.resolve({"hidden": hidden, "router": router, "experts": inner, **sections})


def random_weights(spec, seed=0):
    rng = np.random.default_rng(seed)
    table = oracle.weight_table(spec)
    return {name: rng.uniform(-1, 1, shape) for name, (shape, _) in table.items()}


def logit_spec(values, **router):
    """A spec and its weights whose logits are `values` when x is the identity."""
    values = np.array(values, np.float64)
    tokens, experts = values.shape
    router = {"top_k": 2, **router}
    spec = make_spec(experts, router.pop("top_k"), tokens, router={"score": "identity", **router})
    weights = random_weights(spec)
    weights["router.weight"] = values.T.copy()
    return spec, weights, np.eye(tokens)


def run_logits(values, extra=None, state=None, **router):
    spec, weights, x = logit_spec(values, **router)
    weights.update(extra or {})
    return oracle.forward(spec, weights, x, None, state)


class Docs(unittest.TestCase):
    def test_examples(self):
        for module in (floats, formulas, oracle, routing, weight_formats):
            self.assertEqual(doctest.testmod(module).failed, 0)


class WeightFormats(unittest.TestCase):
    def decode(self, kind, data, scales, block=None, **others):
        block = block or weight_formats.default_block(kind)
        quantization = {"kind": kind, "block": block}
        return weight_formats.decode(quantization, np.array(data), np.array(scales), **others)

    def test_by_hand(self):
        # 1.0 and -1.125 in e4m3; the largest and the smallest
        got = self.decode("fp8_e4m3", [[0x38, 0xB9], [0x7E, 0x01]], [[2.0], [1.0]])
        np.testing.assert_array_equal(got, [[2.0, -2.25], [448.0, 2.0**-9]])
        got = self.decode("int8", [[-128, 127, 3]], [[0.5, 2.0]], [0, 2])
        np.testing.assert_array_equal(got, [[-64.0, 63.5, 6.0]])
        got = self.decode("int4", [[0xF0, 0x8A]], [[1.0, 0.5]], [1, 2])
        np.testing.assert_array_equal(got, [[-8.0, 7.0, 1.0, 0.0]])
        zeros = np.array([[1, 200]])
        got = self.decode("int4", [[0xF0, 0x8A]], [[1.0, 0.5]], [1, 2], zeros=zeros)
        np.testing.assert_array_equal(got, [[-1.0, 14.0, -95.0, -96.0]])
        got = self.decode("mxfp4", [[0xF1] * 16 + [0x52] * 16], [[128, 126]])
        np.testing.assert_array_equal(got[0, [0, 1, 32, 33]], [1.0, -12.0, 0.5, 1.5])
        got = self.decode("nvfp4", [[[0x24] * 8]], [[[0x40]]], global_scale=np.array([0.25]))
        np.testing.assert_array_equal(got[0, 0, :2], [1.0, 0.5])

    def test_tables(self):
        self.assertTrue(np.isnan(weight_formats.E4M3[[127, 255]]).all())
        self.assertEqual(np.isnan(weight_formats.E4M3).sum(), 2)
        np.testing.assert_array_equal(weight_formats.E2M1[:8], [0, 0.5, 1, 1.5, 2, 3, 4, 6])
        self.assertEqual(weight_formats.E8M0[0], 2.0**-127)
        if torch:
            codes = torch.arange(256, dtype=torch.uint8)
            expected = codes.view(torch.float8_e4m3fn).double().numpy()
            np.testing.assert_array_equal(weight_formats.E4M3, expected)

    def test_a_layer_of_few_bits(self):
        quantization = {"kind": "int8", "block": [0, 0]}
        plain = make_spec(experts=1, top_k=1)
        coded = make_spec(experts=1, top_k=1, experts_section={"quantization": quantization})
        weights, rng = random_weights(plain), np.random.default_rng(3)
        encoded = {"router.weight": weights["router.weight"]}
        for name in ("gate", "up", "down"):
            data = rng.integers(-128, 128, weights[f"experts.{name}.weight"].shape)
            weights[f"experts.{name}.weight"] = data * 0.25
            encoded[f"experts.{name}.weight"] = data
            encoded[f"experts.{name}.scales"] = np.full((1, 1, 1), 0.25)
        self.assertEqual(
            {name: value.shape for name, value in encoded.items()},
            {name: shape for name, (shape, _) in oracle.weight_table(coded).items()},
        )
        x = rng.uniform(-1, 1, (4, 3))
        expected = oracle.forward(plain, weights, x).y
        np.testing.assert_array_equal(oracle.forward(coded, encoded, x).y, expected)


class Formulas(unittest.TestCase):
    def test_precedence(self):
        for text, expected in [
            ("1 + 2 * 3", 7),
            ("8 / 4 / 2", 1),
            ("8 - 4 - 2", 2),
            ("-2 * -3", 6),
            ("--2", 2),
            ("-(1 + 2)", -3),
            ("1.5e1 + .5", 15.5),
            ("clamp(5, 0, 1)", 1),
            ("max(1, min(2, 3))", 2),
            ("pow(2, 10)", 1024),
            ("abs(-3) + sqrt(9)", 6),
        ]:
            self.assertEqual(float(oracle.evaluate(text, x=0.0)), expected, text)

    def test_errors(self):
        for text in ["", "1 +", "y", "exp()", "exp(1, 2)", "(1", "1)", "1 2", "2 ^ 3"]:
            with self.assertRaises(ValueError, msg=text):
                oracle.evaluate(text, x=0.0)

    def test_functions(self):
        self.assertEqual(float(oracle.evaluate("sigmoid(x)", x=0.0)), 0.5)
        self.assertAlmostEqual(float(oracle.evaluate("softplus(x)", x=0.0)), math.log(2))
        self.assertAlmostEqual(float(oracle.evaluate("gelu(x)", x=1.0)), 0.8413447460685429)
        self.assertEqual(float(oracle.evaluate("relu(x)", x=-1.0)), 0)
        self.assertEqual(float(oracle.evaluate("sigmoid(x)", x=-1e6)), 0)

    def test_activations(self):
        g, u = np.array([9.0, -1.0]), np.array([-9.0, 0.5])
        silu = 7 / (1 + math.exp(-1.702 * 7))
        np.testing.assert_allclose(oracle.activate("swigluoai", g, u)[0], silu * (-7 + 1))
        np.testing.assert_allclose(oracle.activate("relu2", g), [81, 0])
        np.testing.assert_allclose(oracle.activate("relu", g, u), [-81, 0])
        np.testing.assert_allclose(oracle.activate("g + u", g, u), [0, -0.5])


class Rounding(unittest.TestCase):
    def test_f32_and_f16_agree_with_numpy(self):
        rng = np.random.default_rng(1)
        values = rng.standard_normal(1000) * 10.0 ** rng.integers(-50, 45, 1000)
        with np.errstate(over="ignore"):
            for name, dtype in [("f32", np.float32), ("f16", np.float16)]:
                expected = values.astype(dtype).astype(np.float64)
                np.testing.assert_array_equal(oracle.round_to(values, name), expected)

    def test_bf16_ties_to_even(self):
        values = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, -1e39])
        expected = [1, 1 + 2.0**-6, 1 + 2.0**-7, -np.inf]
        np.testing.assert_array_equal(oracle.round_to(values, "bf16"), expected)

    def test_storage_round_trip(self):
        for dtype in ("f32", "bf16", "f16"):
            values = oracle.round_to(np.linspace(-3, 3, 41), dtype)
            stored = oracle.to_storage(values, dtype)
            np.testing.assert_array_equal(oracle.from_storage(stored, dtype), values)


class Logits(unittest.TestCase):
    def test_two_layers(self):
        spec = make_spec(2, 1, 2, router={"projection": {"layers": 2, "hidden": 1, "bias": True}})
        weights = random_weights(spec)
        weights["router.hidden.weight"] = np.array([[1.0, -1.0]])
        weights["router.hidden.bias"] = np.array([0.5])
        weights["router.weight"] = np.array([[2.0], [-1.0]])
        weights["router.bias"] = np.array([0.25, 0.0])
        l = oracle.logits(spec, weights, np.array([[3.0, 1.0], [0.0, 4.0]]))
        np.testing.assert_array_equal(l, [[5.25, -2.5], [0.25, 0.0]])

    def test_similarity(self):
        spec = make_spec(2, 1, 2, router={"strategy": "similarity", "temperature": 0.5})
        weights = {"router.weight": np.array([[3.0, 4.0], [0.0, 0.0]])}
        l = oracle.logits(spec, weights, np.array([[1.0, 0.0], [0.0, 0.0]]))
        np.testing.assert_allclose(l, [[1.2, 0], [0, 0]])

    def test_softcap_then_rounding(self):
        spec, weights, x = logit_spec([[40.0, 1.0]], softcap=2.0, projection={"dtype": "input"})
        spec["dtype"]["activation"] = "bf16"
        expected = oracle.round_to(2 * np.tanh(np.array([[20.0, 0.5]])), "bf16")
        np.testing.assert_array_equal(oracle.logits(spec, weights, x), expected)


    def test_input_norm(self):
        norm = {"eps": 2.5, "factor": 0.5}
        spec = make_spec(2, 1, 2, router={"input_norm": norm})
        weights = {"router.weight": np.eye(2), "router.input_scale": np.array([1.0, -2.0])}
        # The mean of squares is 10.
        l = oracle.logits(spec, weights, np.array([[2.0, 4.0], [0.0, 0.0]]))
        np.testing.assert_allclose(l, np.array([[1, -4], [0, 0]]) / np.sqrt(12.5))

    def test_recurrent(self):
        projection = {"form": "recurrent", "hidden": 2, "chained": True, "eps": 0.5}
        spec = make_spec(2, 1, 1, router={"projection": {**projection, "activation": "relu"}})
        weights = {
            "router.state.down.weight": np.array([[1.0], [2.0]]),
            "router.state.down.bias": np.array([1.0, 0.0]),
            "router.state.scale": np.array([2.0, -1.0]),
            "router.norm.weight": np.array([1.0, 3.0]),
            "router.hidden.weight": np.eye(2),
            "router.hidden.bias": np.array([0.0, 1.0]),
            "router.hidden2.weight": np.array([[0.0, 1.0], [1.0, 0.0]]),
            "router.hidden2.bias": np.array([0.0, -4.0]),
            "router.weight": np.array([[1.0, 0.0], [1.0, 1.0]]),
        }
        x, state = np.array([[1.0]]), np.array([[0.5, 1.0]])
        r = routing.next_state(spec, weights, x, state)
        np.testing.assert_array_equal(r, [[3.0, 1.0]])
        # Its mean square is 5: v = (3, 1·3)/sqrt(5.5), and relu leaves (v₁ + 1, 0).
        expected = 3 / np.sqrt(5.5) + 1
        l = oracle.logits(spec, weights, x, state)
        np.testing.assert_allclose(l, [[expected, expected]])


class Choice(unittest.TestCase):
    def test_ties_go_to_the_lower_index(self):
        result = run_logits([[1.0, 2.0, 2.0, 1.0]], top_k=3)
        np.testing.assert_array_equal(result.indices, [[1, 2, 0]])

    def test_nan_is_smallest(self):
        result = run_logits([[4.0, -1.0, 0.25]], score="sqrt(x)", top_k=2)
        np.testing.assert_array_equal(result.indices, [[0, 2]])

    def test_selection_bias_decides_but_does_not_weigh(self):
        bias = {"router.selection_bias": np.array([0.0, 0.0, 10.0])}
        result = run_logits([[3.0, 2.0, 1.0]], bias, selection_bias=True)
        np.testing.assert_array_equal(result.indices, [[2, 0]])
        np.testing.assert_array_equal(result.weights, [[1, 3]])

    def test_not_finite_token(self):
        result = run_logits([[1.0, 2.0], [np.inf, 0.0], [np.nan, 1.0]], top_k=1)
        # One bad weight spoils every token here: inf·0 is NaN.
        self.assertEqual(result.status, 1)
        np.testing.assert_array_equal(result.indices, [[-1]] * 3)

    def test_always_on(self):
        bias = {"router.selection_bias": np.array([0.0, 0.0, 5.0])}
        values = [[1.0, 2.0, 3.0, 9.0, 6.0]]
        result = run_logits(values, bias, always_on=2, top_k=2, selection_bias=True)
        np.testing.assert_array_equal(result.indices, [[2, 1, 3, 4]])
        np.testing.assert_array_equal(result.weights, [[3, 2, 9, 6]])
        result = run_logits(values, always_on=2, top_k=2, renormalize=True)
        np.testing.assert_allclose(result.weights, [[0.15, 0.1, 0.45, 0.3]])

    def test_margin(self):
        self.assertEqual(run_logits([[1.0, 1.0, 0.0, 0.5]]).margin[0], 0.5)
        self.assertEqual(run_logits([[1.0, 1.0, 1.0]], top_k=1).margin[0], np.inf)
        self.assertLess(run_logits([[1.0, 1.0 + 1e-9]], top_k=1).margin[0], 1e-8)

    def test_groups(self):
        values = [[5.0, 0.0, 3.0, 3.0, 1.0, 1.5]]
        for reduce, fill, expected in [
            ("max", "neg_inf", [0, 1]),
            ("sum_top2", "neg_inf", [2, 3]),
            ("max", "zero", [0, 1]),
        ]:
            groups = {"count": 3, "keep": 1, "reduce": reduce, "fill": fill}
            result = run_logits(values, groups=groups)
            np.testing.assert_array_equal(result.indices, [expected])
        groups = {"count": 2, "keep": 1, "reduce": "max", "fill": "zero"}
        result = run_logits([[2.0, -1.0, 1.0, 1.0]], groups=groups)
        np.testing.assert_array_equal(result.indices, [[0, 2]])
        np.testing.assert_array_equal(result.weights, [[2, 1]])


class Weights(unittest.TestCase):
    def test_renormalize(self):
        values = [[3.0, 1.0, 0.0]]
        for renormalize, expected in [
            (True, [0.75, 0.25]),
            ({"eps": 1.0}, [0.6, 0.2]),
            ({"eps": 8.0, "mode": "clamp"}, [0.375, 0.125]),
            ({"eps": 1.0, "mode": "clamp"}, [0.75, 0.25]),
        ]:
            result = run_logits(values, renormalize=renormalize)
            np.testing.assert_allclose(result.weights, [expected])

    def test_norm(self):
        result = run_logits([[3.0, -4.0, -9.0]], renormalize={"p": 2})
        np.testing.assert_allclose(result.weights, [[0.6, -0.8]])
        result = run_logits([[3.0, 4.0, 1.0]], renormalize={"p": 1, "eps": 1})
        np.testing.assert_allclose(result.weights, [[0.5, 0.375]])

    def test_scales(self):
        extra = {"router.expert_scale": np.array([2.0, 5.0])}
        spec, weights, x = logit_spec([[3.0, 1.0, 2.0]])
        spec["router"].update(experts=2, scale=10.0, expert_scale=True)
        spec["router"]["null_experts"]["count"] = 1
        weights.update(extra)
        result = oracle.forward(spec, weights, x)
        np.testing.assert_array_equal(result.indices, [[0, 2]])
        np.testing.assert_array_equal(result.weights, [[60, 20]])

    def test_selected_softmax(self):
        values = [[1.0, 2.0, -5.0]]
        result = run_logits(values, score="softmax", score_on="selected")
        e = math.exp(-1)
        np.testing.assert_allclose(result.weights, [[1 / (1 + e), e / (1 + e)]])
        # The same as softmax over all, renormalised.
        other = run_logits(values, score="softmax", renormalize=True)
        np.testing.assert_allclose(result.weights, other.weights)


class Balancing(unittest.TestCase):
    def test_expert_choice(self):
        values = [[1.0, 0.0], [2.0, 0.0], [3.0, 1.0]]
        result = run_logits(values, top_k=1, load_balancing="expert_choice")
        # ceil(3·1/2) = 2 tokens each; expert 1's tie goes to token 0.
        np.testing.assert_array_equal(result.indices, [[-1, 1], [0, -1], [0, 1]])
        np.testing.assert_array_equal(result.weights, [[0, 0], [2, 0], [3, 1]])
        np.testing.assert_array_equal(result.counts, [2, 2])

    def test_round_robin(self):
        result = run_logits([[1.0, 2.0, 3.0]] * 2, load_balancing="round_robin")
        np.testing.assert_array_equal(result.indices, [[0, 1], [2, 0]])
        np.testing.assert_array_equal(result.weights, [[1, 2], [3, 1]])

    def test_load_aware(self):
        state = {"loads": np.array([4, 0, 2])}
        result = run_logits([[1.0, 0.0, 0.5]], None, state, top_k=1, load_balancing="load_aware")
        # q = l − L/2 = −1, 0, −0.5
        np.testing.assert_array_equal(result.indices, [[1]])
        np.testing.assert_array_equal(result.weights, [[0]])
        np.testing.assert_array_equal(result.state["loads"], [4, 1, 2])

    def test_dynamic(self):
        spec, weights, x = logit_spec([[2.0, 1.0, 0.0]], top_k=1, load_balancing="dynamic")
        weights["router.selection_bias"] = np.zeros(3)
        spec["router"]["balance"]["rate"] = 0.5
        first = oracle.forward(spec, weights, x)
        np.testing.assert_array_equal(first.state["loads"], [1, 0, 0])
        state = oracle.step(spec, first.state)
        np.testing.assert_array_equal(state["router.selection_bias"], [-0.5, 0.5, 0.5])
        np.testing.assert_array_equal(state["loads"], [0, 0, 0])
        second = oracle.forward(spec, weights, x, None, state)
        # 1.5, 1.5, 0.5: a tie
        np.testing.assert_array_equal(second.indices, [[0]])


class Unlearned(unittest.TestCase):
    def test_hash(self):
        spec = make_spec(5, 3, router={"strategy": "hash", "seed": 7})
        ids = np.array([0, -1, 12345])
        indices = oracle.choose_by_hash(spec, ids)
        golden, word = 0x9E3779B97F4A7C15, 1 << 64
        for t, token in enumerate([0, word - 1, 12345]):
            left = [0, 1, 2, 3, 4]
            for j in range(3):
                h = oracle.mix((7 + golden * ((token * 3 + j + 1) % word)) % word)
                self.assertEqual(indices[t, j], left.pop(h % len(left)))

    def test_random_is_hash_of_the_index(self):
        router = {"strategy": "random", "seed": 3}
        spec = make_spec(6, 2, router=router)
        result = oracle.forward(spec, random_weights(spec), np.ones((4, 3)))
        hashed = make_spec(6, 2, router={**router, "strategy": "hash"})
        other = oracle.forward(hashed, random_weights(spec), np.ones((4, 3)), np.arange(4))
        np.testing.assert_array_equal(result.indices, other.indices)
        np.testing.assert_array_equal(result.weights, np.full((4, 2), 0.5))

    def test_load_based(self):
        spec = make_spec(3, 2, router={"strategy": "load_based"})
        state = {"loads": np.array([0, 2, 1])}
        result = oracle.forward(spec, random_weights(spec), np.ones((3, 3)), None, state)
        np.testing.assert_array_equal(result.indices, [[0, 2], [0, 1], [0, 2]])
        np.testing.assert_array_equal(result.state["loads"], [3, 3, 3])
        self.assertEqual(state["loads"][0], 0)


class Table(unittest.TestCase):
    def run_ids(self, ids, **router):
        values = np.arange(4.0) + np.zeros((len(ids), 4))
        spec, weights, x = logit_spec(values, strategy="table", vocabulary=3, **router)
        weights["router.table"] = np.array([[3, 1], [2, 2], [0, 4]])
        return oracle.forward(spec, weights, x, np.array(ids))

    def test_weights_are_those_of_the_logits(self):
        result = self.run_ids([0, 1], renormalize=True)
        np.testing.assert_array_equal(result.indices, [[3, 1], [2, 2]])
        np.testing.assert_array_equal(result.weights, [[0.75, 0.25], [0.5, 0.5]])
        np.testing.assert_array_equal(result.counts, [0, 1, 2, 1])
        self.assertEqual(result.status, 0)

    def test_out_of_range(self):
        result = self.run_ids([1, 2, 3, -1, 0])
        np.testing.assert_array_equal(result.indices, [[2, 2], *[[-1, -1]] * 3, [3, 1]])
        np.testing.assert_array_equal(result.weights, [[2, 2], *[[0, 0]] * 3, [3, 1]])
        self.assertEqual(result.status, -2)


class Sparsemixer(unittest.TestCase):
    def test_what_transformers_says(self):
        values = [[1.0, 0.9, -2.0, 0.5], [-1.0, -1.0, -1.1, -3.0], [0.0, 0.0, -1.0, 4.0]]
        result = run_logits(values, score="softmax", strategy="sparsemixer", threshold=0.1)
        np.testing.assert_array_equal(result.indices, [[0, 1], [0, 1], [3, 0]])
        one, two = 0.5249791874789399, 0.34425334574357264
        np.testing.assert_allclose(result.weights, [[one, 1], [two, one], [1, 0.5]], rtol=1e-14)

    def test_margin(self):
        exact = run_logits([[4.0, 2.0, 1.0]], strategy="sparsemixer", threshold=0.25)
        self.assertEqual(exact.margin[0], 0.25)  # of the second: 1/2 of 2, not exactly 1/2 of 4
        near = run_logits([[4.0, 2.0 - 1e-9, 1.0]], strategy="sparsemixer", threshold=0.25)
        self.assertLess(near.margin[0], 1e-8)


class Grouping(unittest.TestCase):
    indices = np.array([[1, 0], [1, 2], [0, 1], [1, -1]])
    weights = np.array([[0.1, 0.5], [0.3, 0.7], [0.5, 0.2], [0.3, 0.0]])

    def group(self, **capacity):
        spec = make_spec(2, 2, capacity=capacity)
        spec["router"]["null_experts"]["count"] = 1
        return oracle.group(spec, self.indices, self.weights)

    def test_dropless(self):
        grouping = self.group()
        np.testing.assert_array_equal(grouping.rows, [1, 4, 0, 2, 5, 6])
        np.testing.assert_array_equal(grouping.offsets, [0, 2, 6])
        np.testing.assert_array_equal(grouping.positions, [[2, 0], [3, -1], [1, 4], [5, -1]])
        np.testing.assert_array_equal(grouping.counts, [2, 4, 1])

    def test_token_order(self):
        grouping = self.group(tokens=2)
        np.testing.assert_array_equal(grouping.rows, [1, 4, 0, 2])
        np.testing.assert_array_equal(grouping.counts, [2, 4, 1])
        np.testing.assert_array_equal(np.argwhere(grouping.lost), [[2, 1], [3, 0]])

    def test_probability(self):
        grouping = self.group(tokens=2, priority="probability")
        np.testing.assert_array_equal(grouping.rows, [1, 4, 2, 6])
        grouping = self.group(tokens=1, priority="probability")
        np.testing.assert_array_equal(grouping.rows, [1, 2])

    def test_choice_order(self):
        grouping = self.group(tokens=3, priority="choice_order")
        # Expert 1 has slots 0, 2 and 6 of first choices, and then 5.
        np.testing.assert_array_equal(grouping.rows, [1, 4, 0, 2, 6])
        grouping = self.group(tokens=1, priority="choice_order")
        np.testing.assert_array_equal(grouping.rows, [4, 0])

    def test_factor(self):
        spec = make_spec(3, 2, capacity={"factor": 1.25})
        self.assertEqual(oracle.capacity(spec, 4), 4)
        self.assertEqual(oracle.capacity(spec, 0), 0)

    def test_imbalance(self):
        self.assertEqual(oracle.imbalance(np.array([2, 2, 2])), 0)
        self.assertEqual(oracle.imbalance(np.array([0, 0])), 0)
        self.assertEqual(oracle.imbalance(np.array([0, 4])), 1)


class Experts(unittest.TestCase):
    def scalar(self, **sections):
        """One feature, one expert of width 1 with F(v) = relu(3v)·2."""
        inner = {"form": "mlp", "activation": "relu", **sections.pop("experts_section", {})}
        spec = make_spec(1, 1, 1, 1, experts_section=inner, **sections)
        weights = random_weights(spec)
        weights["experts.up.weight"] = np.full((1, 1, 1), 3.0)
        weights["experts.down.weight"] = np.full((1, 1, 1), 2.0)
        return spec, weights, np.array([[0.5]])

    def y(self, spec, weights, x):
        return float(oracle.forward(spec, weights, x).y[0, 0])

    def test_weight_on(self):
        for side, expected in [("output", 0.5 * 3), ("input", 0.5 * 3)]:
            router = {"score": "identity", "weight_on": side}
            spec, weights, x = self.scalar(router=router)
            weights["router.weight"] = np.array([[1.0]])
            self.assertEqual(self.y(spec, weights, x), expected)
        spec["experts"]["activation"] = "relu2"
        self.assertEqual(self.y(spec, weights, x), (0.25 * 3) ** 2 * 2)

    def test_biases(self):
        spec, weights, x = self.scalar(experts_section={"bias": True})
        weights["experts.up.bias"] = np.array([[0.25]])
        weights["experts.down.bias"] = np.array([[-1.0]])
        self.assertEqual(self.y(spec, weights, x), 1.75 * 2 - 1)

    def test_latent(self):
        spec, weights, x = self.scalar(experts_section={"latent": 1})
        weights["latent.down.weight"] = np.array([[4.0]])
        weights["latent.up.weight"] = np.array([[-1.0]])
        self.assertEqual(self.y(spec, weights, x), -12)

    def test_latent_norm(self):
        spec, weights, x = self.scalar(experts_section={"latent": 2, "latent_norm": 0.5})
        weights["latent.down.weight"] = np.array([[1.0], [0.0]])
        weights["latent.up.weight"] = np.array([[1.0, -1.0]])
        weights["experts.up.weight"] = np.array([[[3.0, 0.0]]])
        weights["experts.down.weight"] = np.array([[[2.0], [1.0]]])
        weights["latent.norm.weight"] = np.array([4.0, 5.0])
        # (3, 1.5) over sqrt((9 + 2.25)/2 + 0.5)
        self.assertAlmostEqual(self.y(spec, weights, x), (12 - 7.5) / math.sqrt(6.125))

    def test_norm_of_what_experts_see(self):
        spec, weights, x = self.scalar(experts_section={"input_norm": 0.25})
        plain = self.y(spec, {**weights, "experts.input_scale": np.array([2.0])}, x)
        root = math.sqrt(float(x[0, 0]) ** 2 + 0.25)
        bare, _, _ = self.scalar()
        seen = x / root * 2.0
        self.assertAlmostEqual(plain, self.y(bare, weights, seen))

    def test_output_bias(self):
        spec, weights, x = self.scalar(
            experts_section={"output_bias": True}, capacity={"tokens": 1}
        )
        weights["experts.output_bias"] = np.array([0.25])
        y = oracle.forward(spec, weights, np.repeat(x, 2, axis=0)).y
        np.testing.assert_array_equal(y, [[3.25], [0.25]])

    def test_gate_up(self):
        """Rows of one weight are those of two."""
        sections = {"experts_section": {"bias": True}, "shared": {"intermediate": 5}}
        spec = make_spec(4, 2, 3, 7, **sections)
        weights = random_weights(spec)
        x = np.random.default_rng(1).uniform(-1, 1, (9, 3))
        expected = oracle.forward(spec, weights, x).y
        for form, join in [
            ("concatenated", lambda a, b, axis: np.concatenate([a, b], axis)),
            ("interleaved", lambda a, b, axis: np.stack([a, b], axis + 1)),
        ]:
            joined = dict(weights)
            for whole, gate, up, axis in [
                ("experts.gate_up.weight", "experts.gate.weight", "experts.up.weight", 1),
                ("experts.gate_up.bias", "experts.gate.bias", "experts.up.bias", 1),
                ("shared.gate_up.weight", "shared.gate_proj.weight", "shared.up.weight", 0),
            ]:
                both = join(joined.pop(gate), joined.pop(up), axis)
                shape = list(weights[up].shape)
                shape[axis] *= 2
                joined[whole] = both.reshape(shape)
            spec["experts"]["gate_up"] = spec["shared"]["gate_up"] = form
            self.assertEqual(set(joined), set(oracle.weight_table(spec)))
            np.testing.assert_array_equal(oracle.forward(spec, joined, x).y, expected)

    def test_shared_alone(self):
        """Its own activation, and a factor on top of any gate."""
        for gate, expected in [("none", 3 - 50), ("sigmoid", 3 - 25), ("softmax2", 1.5 - 25)]:
            shared = {"intermediate": 1, "activation": "g", "scale": -20, "gate": gate}
            spec, weights, x = self.scalar(shared=shared)
            weights["shared.up.weight"] = np.array([[5.0]])
            weights["shared.down.weight"] = np.array([[1.0]])
            for name in ("shared.gate.weight", "shared.gate.bias"):
                weights[name] = weights.get(name, np.zeros(1)) * 0
            self.assertEqual(self.y(spec, weights, x), expected)

    def test_shared(self):
        for gate, expected in [("none", 3 + 2.5), ("sigmoid", 3 + 1.25), ("softmax2", 2.75)]:
            spec, weights, x = self.scalar(shared={"intermediate": 1, "gate": gate})
            weights["shared.up.weight"] = np.array([[5.0]])
            weights["shared.down.weight"] = np.array([[1.0]])
            if gate != "none":
                weights["shared.gate.weight"] *= 0
            if gate == "softmax2":
                weights["shared.gate.bias"] *= 0
            self.assertEqual(self.y(spec, weights, x), expected)

    def test_null_experts(self):
        for kind, expected in [("identity", 0.5 * 0.5 + 0.5 * 3), ("skip", 0.5 * 3)]:
            router = {"null_experts": {"count": 1, "kind": kind}}
            spec, weights, x = self.scalar(router=router)
            spec["router"]["top_k"] = 2
            weights["router.weight"] = np.array([[1.0], [1.0]])
            self.assertEqual(self.y(spec, weights, x), expected)

    def test_overflow(self):
        for overflow, expected in [("drop", 0), ("pass_through", 0.5)]:
            spec, weights, x = self.scalar(capacity={"tokens": 1, "overflow": overflow})
            y = oracle.forward(spec, weights, np.repeat(x, 2, axis=0)).y
            np.testing.assert_array_equal(y, [[3], [expected]])

    def test_no_tokens(self):
        spec = make_spec(shared={"intermediate": 2}, losses={"router_z": 1, "load_balance": 1})
        result = oracle.forward(spec, random_weights(spec), np.zeros((0, 3)))
        self.assertEqual(result.y.shape, (0, 3))
        self.assertEqual(result.losses, {"router_z": 0, "load_balance": 0})
        self.assertEqual(result.imbalance, 0)

    def test_experts_and_their_order_do_not_matter(self):
        """Renaming experts renames indices and changes nothing else."""
        spec = make_spec(5, 2, 4, 3, shared={"intermediate": 2})
        weights = random_weights(spec)
        x = np.random.default_rng(3).uniform(-1, 1, (7, 4))
        order = np.array([3, 1, 4, 0, 2])
        renamed = {
            name: value[order] if name.startswith(("experts.", "router.")) else value
            for name, value in weights.items()
        }
        a, b = oracle.forward(spec, weights, x), oracle.forward(spec, renamed, x)
        np.testing.assert_array_equal(a.indices, order[b.indices])
        np.testing.assert_allclose(a.y, b.y, rtol=1e-12, atol=1e-12)


class Losses(unittest.TestCase):
    def losses(self, form="hf"):
        spec = make_spec(
            2, 1, 2, losses=dict(load_balance=1, load_balance_form=form, importance=2, router_z=3)
        )
        l = np.log(np.array([[3.0, 1.0], [1.0, 1.0]]))
        return oracle.losses(spec, l, np.array([[0], [0]]))

    def test_values(self):
        values = self.losses()
        self.assertAlmostEqual(values["load_balance"], 2 * (0.75 + 0.5) / 2)
        self.assertAlmostEqual(values["importance"], 2 * 0.25**2)
        self.assertAlmostEqual(values["router_z"], 3 * (math.log(4) ** 2 + math.log(2) ** 2) / 2)
        self.assertAlmostEqual(self.losses("switch")["load_balance"], values["load_balance"])


class Quantisation(unittest.TestCase):
    kinds = ("blockwise_int8", "fp8_e4m3", "fp8_e5m2", "mxfp4")

    def test_int8(self):
        data, scales, status = oracle.quantize("blockwise_int8", 2, [127, -1.5, 0, 0, 254])
        np.testing.assert_array_equal(data, [127, -2, 0, 0, 127])
        np.testing.assert_array_equal(scales, [1, 0, 2])
        self.assertEqual(status, 0)

    def test_fp8_values(self):
        e4m3, e5m2 = oracle.FP8["fp8_e4m3"][0], oracle.FP8["fp8_e5m2"][0]
        self.assertEqual((e4m3[0x7E], e4m3[0x38], e4m3[1]), (448, 1, 2.0**-9))
        self.assertEqual((e5m2[0x7B], e5m2[0x3C], e5m2[1]), (57344, 1, 2.0**-16))
        data, scales, _ = oracle.quantize("fp8_e4m3", 4, [448, -448, 17, 19])
        np.testing.assert_array_equal(data, [0x7E, 0xFE, 0x58, 0x5A])
        np.testing.assert_array_equal(scales, [1])

    def test_mxfp4(self):
        values = [6, -0.25, 2.5, 5, 1.75, 0.75]
        data, scales, _ = oracle.quantize("mxfp4", 32, values)
        np.testing.assert_array_equal(scales, [127])
        # 6, −0, 2, 4, 2, 1 with ties to the even code
        np.testing.assert_array_equal(data, [0x87, 0x64, 0x24])
        back = oracle.dequantize("mxfp4", 32, data, scales, 6)
        np.testing.assert_array_equal(back, [6, 0, 2, 4, 2, 1])

    def test_round_trip(self):
        values = np.random.default_rng(5).standard_normal(203).astype(np.float32)
        for kind, bound in zip(self.kinds, (1 / 254, 1 / 16, 1 / 8, 1 / 4)):
            data, scales, _ = oracle.quantize(kind, 32, values)
            back = oracle.dequantize(kind, 32, data, scales, len(values))
            largest = [np.max(np.abs(values[i : i + 32])) for i in range(0, 203, 32)]
            error = np.abs(back - values) / np.repeat(largest, 32)[:203]
            self.assertLessEqual(error.max(), bound * 1.01, kind)
            again, scales_again, _ = oracle.quantize(kind, 32, back)
            if kind != "mxfp4":
                np.testing.assert_allclose(scales_again, scales, rtol=1e-6)
            self.assertEqual(len(again), len(data))

    def test_not_finite(self):
        values = np.array([1, np.nan, 2, np.inf], np.float32)
        for kind in self.kinds:
            data, scales, status = oracle.quantize(kind, 4, values)
            self.assertEqual(status, 2)
            back = oracle.dequantize(kind, 4, data, scales, 4)
            np.testing.assert_allclose(back, [1, 0, 2, 0], rtol=1e-2)

    def test_average(self):
        sets = np.array([[1, 2, np.inf], [3, 5, 0]], np.float32)
        mean, status = oracle.average(sets)
        np.testing.assert_array_equal(mean, [2, 3.5, np.inf])
        self.assertEqual(status, 3)
        np.testing.assert_array_equal(oracle.accumulate(sets[0, :2], sets[1, :2]), [4, 7])


@unittest.skipUnless(torch, "torch is not installed")
class Torch(unittest.TestCase):
    """The same layers written with torch."""

    def layer(self, normalise):
        spec = make_spec(8, 2, 16, 12, router={"renormalize": normalise})
        weights = random_weights(spec)
        x = np.random.default_rng(9).uniform(-1, 1, (11, 16))
        tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
        return spec, weights, x, tensors

    def test_softmax_top_k(self):
        for normalise in (True, False):
            spec, weights, x, w = self.layer(normalise)
            hidden = torch.from_numpy(x)
            p = torch.softmax(hidden @ w["router.weight"].T, dim=-1)
            value, index = torch.topk(p, 2, dim=-1)
            if normalise:
                value = value / value.sum(dim=-1, keepdim=True)
            y = torch.zeros_like(hidden)
            for t in range(len(x)):
                for j in range(2):
                    e = int(index[t, j])
                    gate = torch.nn.functional.silu(w["experts.gate.weight"][e] @ hidden[t])
                    inner = gate * (w["experts.up.weight"][e] @ hidden[t])
                    y[t] += value[t, j] * (w["experts.down.weight"][e] @ inner)
            result = oracle.forward(spec, weights, x)
            np.testing.assert_array_equal(result.indices, index.numpy())
            np.testing.assert_allclose(result.y, y.numpy(), rtol=1e-12, atol=1e-12)

    def test_activations(self):
        g = torch.linspace(-4, 4, 33, dtype=torch.float64)
        functional = torch.nn.functional
        for name, function in [
            ("silu", functional.silu),
            ("gelu", functional.gelu),
            ("gelu_tanh", lambda v: functional.gelu(v, approximate="tanh")),
            ("relu", functional.relu),
        ]:
            ours = oracle.activate(name, g.numpy())
            np.testing.assert_allclose(ours, function(g).numpy(), rtol=1e-12, atol=1e-12)

    def test_bf16(self):
        values = np.random.default_rng(2).standard_normal(1000)
        ours = oracle.round_to(oracle.round_to(values, "f32"), "bf16")
        theirs = torch.from_numpy(values).float().bfloat16().double().numpy()
        np.testing.assert_array_equal(ours, theirs)


if __name__ == "__main__":
    unittest.main()
