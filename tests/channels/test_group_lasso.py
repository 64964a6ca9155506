"""Training with a penalty on whole units."""

import keras
import numpy as np
import pytest

import tfopt
from tests.channels.two_convolutions import FIRST, SECOND, two_convolutions
from tfopt.channels import dependencies, group_lasso
from tfopt.channels.penalty import GroupLasso
from tfopt.errors import InvalidArgumentError


def _norms(model):
    return GroupLasso(dependencies(model), 1.0, 0.0).norms().numpy()


def test_the_penalty_is_the_sum_of_the_norms_of_what_makes_and_scales_units():
    found = two_convolutions()
    conv1, bn1, conv2 = (found.model.get_layer(name) for name in ("conv1", "bn1", "conv2"))
    first = np.square(conv1.kernel.numpy()).sum((0, 1, 2))
    first += np.square(bn1.gamma.numpy()) + np.square(bn1.beta.numpy())
    second = np.square(conv2.kernel.numpy()).sum((0, 1, 2)) + np.square(conv2.bias.numpy())
    expected = np.sqrt(np.concatenate([first, second]))
    penalty = GroupLasso(found, 0.1, 0.0)
    np.testing.assert_allclose(penalty.norms(), expected, rtol=1e-5)
    assert float(penalty(conv1.kernel)) == pytest.approx(0.1 * expected.sum(), rel=1e-5)


def test_growth_pulls_the_smallest_unit_of_each_group_most():
    found = two_convolutions()
    plain, growing = GroupLasso(found, 1.0, 0.0), GroupLasso(found, 1.0, 3.0)
    norms = plain.norms().numpy()
    factors = np.empty(20)
    for group in (FIRST, SECOND):
        own = norms[group]
        factors[group] = 2 ** (3 * (own.max() - own) / (own.max() - own.min()))
        assert factors[group][own.argmin()] == pytest.approx(8)
    assert float(growing(None)) == pytest.approx((factors * norms).sum(), rel=1e-5)


def test_training_makes_units_small_and_the_result_has_no_penalty(small_cnn, tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 8, 8, 1)).astype("float32"), rng.integers(0, 10, 64)
    trained = {}
    for strength in (1e-6, 1.0):
        sparse = group_lasso(small_cnn(width=8), strength, growth=4)
        assert len(sparse.losses) == 1
        sparse.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        sparse.fit(x, y, epochs=6, batch_size=16, verbose=0)
        trained[strength] = sparse
    free, sparse = _norms(trained[1e-6]), _norms(trained[1.0])
    assert np.quantile(sparse, 0.25) < 0.2 * np.quantile(free, 0.25)
    smaller = tfopt.prune_channels(trained[1.0], 0.5, rules={"conv1": None})
    assert not smaller.losses
    trained[1.0].save(tmp_path / "sparse.keras")
    loaded = keras.saving.load_model(tmp_path / "sparse.keras")
    assert not loaded.losses
    np.testing.assert_allclose(loaded(x), trained[1.0](x), atol=1e-5)


def test_the_model_and_its_own_regularizers_stay():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(8, kernel_regularizer="l2", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, name="head")(x))
    own = float(model.losses[0])
    sparse = group_lasso(model, 0.1)
    assert [float(loss) for loss in model.losses] == [own]
    assert sum(map(float, sparse.losses)) == pytest.approx(own + 0.1 * _norms(model).sum(), rel=1e-5)
    (kept,) = tfopt.prune_channels(sparse, 0.5).losses
    assert 0 < float(kept) < own


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 0}, "strength to be a finite number > 0"),
        ({"growth": -1}, "growth to be a finite number"),
    ],
)
def test_bad_arguments(small_cnn, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        group_lasso(small_cnn(), **options)


def test_a_model_without_units_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="head")])
    with pytest.raises(InvalidArgumentError, match="nothing to prune"):
        group_lasso(model)
