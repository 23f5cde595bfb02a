"""Layers of docs/Spec.md small enough to be worked out by hand."""

import doctest
import math
import unittest

import numpy as np

import floats
import formulas
import oracle
import routing
import weight_formats
from cases import make_spec, random_weights


class Docs(unittest.TestCase):
    def test_examples(self):
        for module in (floats, formulas, oracle, routing, weight_formats):
            self.assertEqual(doctest.testmod(module).failed, 0)


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


if __name__ == "__main__":
    unittest.main()
