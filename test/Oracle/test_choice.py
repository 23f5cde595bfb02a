"""Routers of docs/Spec.md, with few enough experts to be worked out by hand."""

import math
import unittest

import numpy as np

import oracle
import routing
from cases import logit_spec, make_spec, random_weights, run_logits


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


if __name__ == "__main__":
    unittest.main()
