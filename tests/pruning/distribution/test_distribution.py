"""How a sparsity is divided among kernels."""

import itertools

import keras
import numpy as np
import pytest

import tfopt
from tfopt.pruning.distribution import by_sensitivity, erk, levels


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.8, 0.9, 0.98])
def test_erk_is_proportional_and_has_the_asked_sparsity_together(sparsity):
    shapes = [(3, 3, 1, 16), (3, 3, 16, 32), (1, 1, 32, 64), (256, 128), (128, 10)]
    sizes = np.array([np.prod(shape) for shape in shapes])
    found = np.array(erk(shapes, sparsity))
    assert ((found >= 0) & (found < 1)).all()
    assert found @ sizes == pytest.approx(sparsity * sizes.sum())
    ratios = np.array([sum(shape) for shape in shapes]) / sizes
    share = ((1 - found) / ratios)[found > 0]
    np.testing.assert_allclose(share, share[:1].repeat(len(share)))
    # What is whole would have more than all of its weights.
    if share.size:
        assert (share[0] * ratios[found == 0] >= 1 - 1e-9).all()


def test_by_sensitivity_is_the_best_of_all_divisions():
    """Against all combinations of what was tried, of losses that rise convexly."""
    tried, sizes, steep = (0.25, 0.5, 0.75), [8, 8, 16], [1.0, 5.0, 0.3]
    increases = [[slope * level**2 for level in tried] for slope in steep]
    found = by_sensitivity(sizes, increases, tried, 0.5)
    assert np.dot(found, sizes) == pytest.approx(16)

    def loss(shares):
        return sum(np.interp(s, (0, *tried), (0, *row)) for s, row in zip(shares, increases, strict=True))

    others = [
        loss(shares) for shares in itertools.product((0, *tried), repeat=3) if np.dot(shares, sizes) >= 16
    ]
    assert loss(found) <= min(others) + 1e-9
    assert found[1] < found[0] < found[2]


def test_noise_that_lowers_the_loss_counts_as_none():
    found = by_sensitivity([10, 10], [[-0.1, -0.2, 0.5], [0.0, 0.1, 0.2]], (0.5, 0.7, 0.9), 0.35)
    assert np.dot(found, [10, 10]) == pytest.approx(7)
    assert found[0] == pytest.approx(0.7)


def test_what_is_tried_reaches_beyond_what_is_asked():
    assert all(max(levels(sparsity)) > sparsity for sparsity in (0.0, 0.5, 0.98, 0.999))
    assert all(0 < level < 1 for level in levels(0.9999))


def _model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16,))
    x = keras.layers.Dense(32, name="idle")(inputs)
    y = keras.layers.Dense(32, name="busy")(inputs)
    x = keras.layers.Add()([keras.layers.Rescaling(1e-3)(x), y])
    return keras.Model(inputs, keras.layers.Dense(4, name="head")(x))


def test_a_kernel_that_matters_little_gets_the_zeros():
    rng = np.random.default_rng(0)
    model = _model()
    x = rng.normal(size=(64, 16)).astype("float32")
    y = model.predict(x, verbose=0)
    before = model.get_weights()
    pruned = tfopt.prune(
        model, 0.5, distribution="sensitivity", data=(x, y), loss="mse", rules={"head": None}
    )
    table = {kernel.layer: kernel.sparsity for kernel in tfopt.measure.layer_table(pruned)}
    assert table["idle"] > 0.9
    assert table["busy"] < 0.1
    assert table["head"] == 0
    assert (table["idle"] + table["busy"]) / 2 == pytest.approx(0.5, abs=0.01)
    uniform = tfopt.prune(model, 0.5, rules={"head": None})
    losses = [np.mean((each.predict(x, verbose=0) - y) ** 2) for each in (pruned, uniform)]
    assert losses[0] < losses[1] / 10
    # What was tried is undone.
    for old, new, other in zip(before, pruned.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, np.where(new == 0, 0, old))
        np.testing.assert_array_equal(old, other)


@pytest.mark.parametrize("pattern", [None, "1x4"])
def test_erk_gives_each_kernel_its_share_and_rules_stand_apart(pattern):
    pruned = tfopt.prune(_model(), 0.7, distribution="erk", pattern=pattern, rules={"head": 0.25})
    table = {kernel.layer: kernel.sparsity for kernel in tfopt.measure.layer_table(pruned)}
    assert table["head"] == 0.25
    assert table["idle"] == table["busy"] == pytest.approx(0.7, abs=0.01)


def test_the_older_scope_is_the_same_as_its_distribution():
    for scope, distribution in (("layer", "uniform"), ("global", "global")):
        one = tfopt.prune(_model(), 0.6, scope=scope)
        other = tfopt.prune(_model(), 0.6, distribution=distribution)
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
