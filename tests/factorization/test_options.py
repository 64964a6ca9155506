import keras
import numpy as np
import pytest
from keras import layers

from tfopt.errors import InvalidArgumentError
from tfopt.factorization.candidates import candidates
from tfopt.factorization.options import EXTRA_LAYER_BYTES, Options


def _options(shape, layer, kernel=None, method="tucker"):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    if kernel is not None:
        layer.kernel.assign(kernel)
    (candidate,), _ = candidates(model, method)
    return Options(candidate)


def _decaying(rows, columns):
    """A matrix whose squared singular values halve from one to the next."""
    generator = np.random.default_rng(0)
    left, _ = np.linalg.qr(generator.standard_normal((rows, rows)))
    right, _ = np.linalg.qr(generator.standard_normal((columns, columns)))
    count = min(rows, columns)
    return left[:, :count] * 0.5 ** (np.arange(count) / 2) @ right[:count]


def test_the_energy_decides_how_many_singular_values_stay():
    options = _options((20,), layers.Dense(30), _decaying(20, 30))
    for rank in (1, 3, 5):
        kept = 1 - 0.5**rank  # of the infinite sum, which twenty terms are but for a millionth
        option = options.keeping(kept - 1e-4)
        assert option.ranks == (rank,)
        assert option.error == pytest.approx(0.5**rank, abs=1e-4)
    assert options.keeping(1.0).ranks == (20,)


def test_wide_ranks_are_multiples_of_eight():
    options = _options((64,), layers.Dense(100), _decaying(64, 100))
    assert options.keeping(0.99).ranks == (8,)  # seven would do
    assert options.keeping(0.999).ranks == (16,)
    assert [options.share(ratio).ranks for ratio in (0.01, 0.3, 0.5, 1.0)] == [(8,), (24,), (32,), (64,)]
    narrow = _options((20,), layers.Dense(31))
    assert [narrow.share(ratio).ranks for ratio in (0.01, 0.3, 1.0)] == [(1,), (6,), (20,)]


def test_tucker_takes_the_ranks_that_keep_the_energy_with_the_least_to_compute():
    options = _options((16, 16, 16), layers.Conv2D(24, 3, padding="same"))
    option = options.keeping(0.6)
    assert option.error <= 0.4
    for inputs in range(1, 17):
        for outputs in range(1, 25):
            other = options.of((inputs, outputs))
            assert other.error > 0.4 or other.macs >= option.macs


def test_given_ranks_are_taken_as_they_are_and_checked():
    options = _options((64,), layers.Dense(100))
    assert options.fixed(13).ranks == (13,)
    assert options.fixed(1000).ranks == (64,)
    assert options.fixed((13,)).ranks == (13,)
    with pytest.raises(
        InvalidArgumentError, match=r"'dense.*' is factorized by 'svd' and takes one rank from 1"
    ):
        options.fixed((3, 4))
    convolution = _options((8, 8, 16), layers.Conv2D(24, 3, name="conv"))
    assert convolution.fixed(20).ranks == (16, 20)
    with pytest.raises(InvalidArgumentError, match=r"two ranks from 1 to \(16, 24\), got \(17, 3\)"):
        convolution.fixed((17, 3))


def test_a_layer_gains_only_where_it_is_smaller_in_int8_and_has_less_to_compute():
    options = _options((64,), layers.Dense(100))
    weights = 64 * 100
    for rank in (8, 24, 35, 39, 40):
        option = options.of((rank,))
        saved = weights - rank * 164
        assert options.gains(option) == (saved > EXTRA_LAYER_BYTES)
    assert not options.gains(options.whole)
    # The 1x1 convolution before it would read every input of the large image.
    early = _options((64, 64, 32), layers.Conv2D(64, 3, strides=4))
    option = early.of((24, 8))
    assert option.weights < early.whole.weights
    assert option.macs < early.whole.macs
    assert not early.gains(early.of((32, 64)))


def test_the_frontier_is_what_nothing_beats():
    options = _options((8, 8, 32), layers.Conv2D(64, 3))
    whole, *frontier = options.frontier()
    assert whole == options.whole
    assert 3 < len(frontier) <= 12
    assert all(options.gains(option) for option in frontier)
    costs = [option.macs / whole.macs + option.weights / whole.weights for option in frontier]
    errors = [option.error for option in frontier]
    assert costs == sorted(costs, reverse=True)
    assert errors == sorted(errors)
    assert len(options.frontier(3)) == 4


def test_where_nothing_gains_the_layer_stays_as_it_is():
    options = _options((4,), layers.Dense(4))
    assert options.frontier() == [options.whole]
