"""What every criterion must do, and each by its definition."""

import logging

import keras
import numpy as np
import pytest

from tests.channels.two_convolutions import FIRST, SECOND, data, permuted, scale_unit, two_convolutions
from tfopt.channels.importance import CRITERIA, samples_for, scores
from tfopt.channels.importance.normalize import normalized
from tfopt.errors import DataError, InvalidArgumentError

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RANKING = [name for name in CRITERIA if name != "random"]


def _scores(dependencies, importance, **options):
    return scores(dependencies, importance, samples=samples_for(importance, data(), LOSS), **options)


@pytest.mark.parametrize("importance", CRITERIA)
class TestEveryCriterion:
    def test_scores_every_unit_and_leaves_the_model_as_it_is(self, importance):
        dependencies = two_convolutions()
        before = dependencies.model.get_weights()
        found = _scores(dependencies, importance)
        assert found.shape == (20,)
        assert found.dtype == np.float64
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        assert len(np.unique(found)) > 2
        for old, new in zip(before, dependencies.model.get_weights(), strict=True):
            assert np.array_equal(old, new)

    def test_gives_the_same_scores_again(self, importance):
        assert np.array_equal(
            _scores(two_convolutions(), importance), _scores(two_convolutions(), importance)
        )

    def test_normalization_makes_groups_comparable(self, importance):
        for normalization, measure in (("mean", np.mean), ("max", np.max)):
            found = _scores(two_convolutions(), importance, normalization=normalization)
            assert measure(found[FIRST]) == pytest.approx(1)
            assert measure(found[SECOND]) == pytest.approx(1)


@pytest.mark.parametrize("importance", RANKING)
class TestEveryCriterionButRandom:
    def test_ranks_a_unit_that_does_next_to_nothing_last(self, importance):
        dependencies = two_convolutions()
        if importance == "geometric_median":  # what the others can do too
            kernel = dependencies.model.get_layer("conv2").kernel
            values = kernel.numpy()
            values[..., 5] = np.median(np.delete(values, 5, axis=-1), axis=-1)
            kernel.assign(values)
        elif importance == "nonzero":  # never active
            dependencies.model.get_layer("conv2").bias.assign(np.where(np.arange(12) == 5, -1e3, 1.0))
        else:
            scale_unit(dependencies, 13, 1e-3)
        assert np.argmin(_scores(dependencies, importance)[SECOND]) == 5

    def test_scores_go_with_their_units(self, importance):
        order = np.random.default_rng(1).permutation(12)
        dependencies = two_convolutions()
        there = _scores(permuted(dependencies, order), importance)
        here = _scores(dependencies, importance)
        np.testing.assert_allclose(there[FIRST], here[FIRST], rtol=1e-4)
        np.testing.assert_allclose(there[SECOND], here[SECOND][order], rtol=1e-4)


@pytest.mark.parametrize("importance", ["l1", "l2", "geometric_median"])
def test_the_scale_of_a_layer_does_not_matter(importance):
    dependencies = two_convolutions()
    here = _scores(dependencies, importance)
    for variable in {id(part.variable): part.variable for part in dependencies.slices}.values():
        variable.assign(variable.numpy() * 100)
    np.testing.assert_allclose(_scores(dependencies, importance), here, rtol=1e-5)


def test_magnitudes_are_norms_of_all_weights_of_a_unit():
    dependencies = two_convolutions()
    model, unit = dependencies.model, 3
    weights = np.concatenate(
        [
            model.get_layer("conv1").kernel.numpy()[..., unit].ravel(),
            model.get_layer("bn1").gamma.numpy()[[unit]],
            model.get_layer("bn1").beta.numpy()[[unit]],
            model.get_layer("conv2").kernel.numpy()[:, :, unit].ravel(),
        ]
    )
    for importance, order in (("l1", 1), ("l2", 2)):
        found = scores(dependencies, importance, normalization="none")
        assert found[unit] == pytest.approx(np.linalg.norm(weights, order), rel=1e-6)


def test_statistics_are_no_weights_and_frozen_weights_are():
    dependencies = two_convolutions()
    here = scores(dependencies, "l2", normalization="none")
    dependencies.model.trainable = False
    dependencies.model.get_layer("bn1").moving_mean.assign(np.full(8, 1e6))
    assert np.array_equal(scores(dependencies, "l2", normalization="none"), here)


def test_batch_norm_is_the_scale_where_there_is_one(caplog):
    dependencies = two_convolutions()
    gamma = np.abs(dependencies.model.get_layer("bn1").gamma.numpy())
    with caplog.at_level(logging.INFO, "tfopt"):
        found = scores(dependencies, "batch_norm")
    np.testing.assert_allclose(found[FIRST], gamma / gamma.mean(), rtol=1e-6)
    np.testing.assert_allclose(found[SECOND], scores(dependencies, "l2")[SECOND])
    assert (
        "Scored by the L2 norm of their weights, for no batch normalization scales them: conv2" in caplog.text
    )


def test_taylor_is_the_gradient_of_gates():
    """A gate on the activations of conv2 has the product of head's rows and their gradient as gradient."""
    dependencies = two_convolutions()
    samples = samples_for("taylor", data(32), LOSS)
    (x, y), model = next(samples.batches()), dependencies.model
    parts = dependencies.slices
    only_head = type(dependencies)(model, dependencies.groups, parts[-1:], {}, dependencies.axes)
    found = CRITERIA["taylor"](only_head, samples)[SECOND]
    features = keras.Model(model.inputs, model.get_layer("mean").output)(x).numpy()
    head = model.get_layer("head")

    def loss(gate):
        return float(LOSS(y, features * gate @ head.kernel.numpy() + head.bias.numpy()))

    step = 1e-2
    expected = [(loss(1 + step * row) - loss(1 - step * row)) / (2 * step) for row in np.eye(12)]
    np.testing.assert_allclose(found, np.square(expected), rtol=0.02, atol=1e-6)


def test_activations_are_those_that_are_read():
    dependencies = two_convolutions()
    samples = samples_for("activation", data(32)[0], None)
    (x, _), model = next(samples.batches()), dependencies.model
    read = keras.Model(model.inputs, [model.get_layer("relu1").output, model.get_layer("mean").output])(x)
    found = scores(dependencies, "activation", samples=samples, normalization="none")
    np.testing.assert_allclose(found[FIRST], np.mean(read[0], axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(found[SECOND], np.mean(read[1], axis=0), rtol=1e-4)
    share = scores(dependencies, "nonzero", samples=samples, normalization="none")
    np.testing.assert_allclose(share[FIRST], np.mean(np.asarray(read[0]) != 0, axis=(0, 1, 2)), rtol=1e-4)


def test_geometric_median_is_the_sum_of_distances():
    dependencies = two_convolutions()
    rows = dependencies.model.get_layer("conv2").kernel.numpy().reshape(-1, 12).T
    expected = [sum(np.linalg.norm(row - other) for other in rows) for row in rows]
    found = scores(dependencies, "geometric_median", normalization="none")
    np.testing.assert_allclose(found[SECOND], expected, rtol=1e-4)


def test_random_goes_by_its_seed():
    dependencies = two_convolutions()
    first, same, other = (scores(dependencies, "random", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_a_group_of_zeros_stays_zero():
    found = normalized(two_convolutions(), np.repeat([0.0, 2.0], [8, 12]), "mean")
    assert np.array_equal(found, np.repeat([0.0, 1.0], [8, 12]))


X, Y = data(40)


@pytest.mark.parametrize(
    ("importance", "given", "loss", "error", "message"),
    [
        (
            "taylor",
            None,
            LOSS,
            InvalidArgumentError,
            r"looks at samples, and there are none: give data=\(x, y\)",
        ),
        ("activation", None, None, InvalidArgumentError, "give data=x"),
        ("taylor", X, LOSS, InvalidArgumentError, "needs labels"),
        ("taylor", (X, Y), None, InvalidArgumentError, "needs a loss"),
        ("taylor", (X[:31], Y[:31]), LOSS, DataError, "needs a batch of 32 samples at least, got 31"),
        ("activation", X[:5], None, DataError, "got 5"),
        ("taylor", (X, Y[:39]), LOSS, DataError, "as many labels as inputs"),
        ("nonzero", np.where(X > 2, np.nan, X), None, DataError, "NaN or infinite"),
        ("snip", X, None, InvalidArgumentError, "importance to be one of 'l1', 'l2'"),
    ],
)
def test_data_is_checked_first(importance, given, loss, error, message):
    with pytest.raises(error, match=message):
        samples_for(importance, given, loss)


def test_without_any_batch_normalization_its_scale_is_refused():
    dependencies = two_convolutions()
    dependencies.model.get_layer("bn1").scale = False
    with pytest.raises(InvalidArgumentError, match=r'no BatchNormalization with a scale.*importance="l2"'):
        scores(dependencies, "batch_norm")
    scores(dependencies, "l2")


def test_samples_are_spread_over_the_data_and_come_in_whole_batches():
    samples = samples_for("taylor", data(1000), LOSS, batch_size=64)
    batches = list(samples.batches())
    assert len(batches) == 512 // 64
    assert np.array_equal(batches[-1][0][-1], data(1000)[0][-1])
    assert {len(x) for x, _ in batches} == {64}
