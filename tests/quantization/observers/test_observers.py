"""Observers against brute force, published figures and NumPy."""

import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.quantization.observers import (
    OBSERVERS,
    Entropy,
    Histogram,
    MeanSquaredError,
    MinMax,
    MovingAverage,
    Percentile,
    new_observer,
)

RNG = np.random.default_rng(0)
DISTRIBUTIONS = {
    "normal": RNG.normal(size=40_000),
    "shifted": RNG.normal(1.5, 0.7, 40_000),
    "one-sided": np.maximum(RNG.normal(size=40_000), 0),
    "heavy tails": RNG.laplace(size=40_000),
    "outlier": np.append(RNG.uniform(-1, 1, 40_000), [30.0]),
    "negative": -RNG.exponential(size=40_000),
}


@pytest.fixture(params=DISTRIBUTIONS)
def values(request):
    return DISTRIBUTIONS[request.param].astype("float32")


def seen(observer, values, batches=1):
    for batch in np.array_split(values, batches):
        observer.update(batch)
        if not isinstance(observer, Histogram):
            observer.end_batch()
    return observer


def bin_width(values, bins):
    """At least `bins / 2` of the bins are in use on one side."""
    return 2 * float(np.abs(values).max()) / bins


def test_a_histogram_counts_as_numpy_does_in_any_order(values):
    histogram = seen(Histogram(512), values)
    edges = np.arange(-512, 513) * histogram.width
    expected = np.histogram(values[values != 0], edges)[0]
    np.testing.assert_array_equal(histogram.counts, expected)
    assert histogram.zeros == np.count_nonzero(values == 0)
    assert np.flatnonzero(histogram.magnitudes())[-1] >= 255
    growing = seen(Histogram(512), values[np.argsort(np.abs(values))], batches=9)
    np.testing.assert_array_equal(growing.counts, histogram.counts)
    assert (growing.width, growing.minimum) == (histogram.width, values.min())
    coarse = histogram.coarser(128)
    np.testing.assert_array_equal(coarse.counts, np.histogram(values[values != 0], edges[::4])[0])


def test_what_is_not_finite_does_not_count():
    for make in OBSERVERS.values():
        clean, dirty = make(), make()
        clean.update(np.array([-1.0, 0.5, 2.0]))
        dirty.update(np.array([-1.0, np.nan, 0.5, np.inf, 2.0, -np.inf], np.float16))
        dirty.update(np.array([np.nan]))
        assert dirty.range(8, False) == clean.range(8, False)
        assert make().range(8, False) is None


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0, 1e-38, 1e38])
def test_a_constant_has_a_range(value):
    for make in OBSERVERS.values():
        low, high = seen(make(), np.full(10, value, np.float32)).range(8, False)
        np.testing.assert_allclose((min(low, 0), max(high, 0)), (min(value, 0), max(value, 0)), rtol=1e-3)


def test_extremes_and_their_averages():
    batches = [np.array(x) for x in ([-1.0, 2.0], [-3.0, 0.5], [0.0, 6.0])]
    extremes, average, short = MinMax(), MovingAverage(), MovingAverage(momentum=0.5)
    for batch in batches:
        for observer in (extremes, average, short):
            observer.update(batch[:1])  # as of two tensors that share the range
            observer.update(batch[1:])
            observer.end_batch()
    assert extremes.range(8, False) == (-3.0, 6.0)
    assert average.range(8, False) == pytest.approx((-4 / 3, 8.5 / 3))
    assert short.range(8, False) == pytest.approx(((-1 / 2 - 3 / 2) / 2, (2.5 / 2 + 6) / 2))


@pytest.mark.parametrize("percentile", [90.0, 99.0, 99.9, 100.0])
def test_percentiles_are_those_of_numpy_to_one_bin(values, percentile):
    low, high = seen(Percentile(percentile), values, 3).range(8, False)
    width = 2 * bin_width(values, 8192)
    expected = np.percentile(values, [100 - percentile, percentile], method="inverted_cdf")
    assert low == pytest.approx(min(expected[0], max(values.min(), 0)), abs=width)
    assert high == pytest.approx(max(expected[1], min(values.max(), 0)), abs=width)
    bound = seen(Percentile(percentile), values).range(8, True)[1]
    expected = np.percentile(np.abs(values), percentile, method="inverted_cdf")
    assert bound == pytest.approx(expected, abs=width)


def squared_error(values, low, high, steps):
    """What quantizing costs, by the model of an error spread evenly over a step."""
    clipped = np.square(values - values.clip(low, high)).sum()
    return clipped + np.count_nonzero(values) * ((high - low) / steps) ** 2 / 12


def descent(values, steps):
    """Return the best range by golden sections in turn; the error is convex."""

    def best(error, low, high):
        for _ in range(40):
            a, b = high - (high - low) / 1.618034, low + (high - low) / 1.618034
            low, high = (low, b) if error(a) < error(b) else (a, high)
        return (low + high) / 2

    low, high = min(values.min(), 0), max(values.max(), 0)
    ends = low, high
    for _ in range(12):
        low = best(lambda x, high=high: squared_error(values, x, high, steps), ends[0], 0)
        high = best(lambda x, low=low: squared_error(values, low, x, steps), 0, ends[1])
    return low, high


@pytest.mark.parametrize("num_bits", [4, 8])
def test_the_mse_range_is_the_best_to_one_bin(values, num_bits):
    values = values[::4]
    low, high = seen(MeanSquaredError(), values, 2).range(num_bits, False)
    steps = 2**num_bits - 1
    expected = descent(values, steps)
    width = bin_width(values, 2048)
    np.testing.assert_allclose((min(low, 0), max(high, 0)), expected, atol=width)


@pytest.mark.parametrize(
    ("distribution", "num_bits", "expected"),
    [("normal", 4, 2.55), ("normal", 8, 3.92), ("laplace", 4, 5.03), ("laplace", 8, 9.89)],
)
def test_the_mse_range_of_known_distributions_is_the_published_one(distribution, num_bits, expected):
    """Banner et al., 2019, for a normal distribution of variance 1 and a Laplace one of scale 1."""
    values = getattr(np.random.default_rng(1), distribution)(size=2_000_000)
    observer = seen(MeanSquaredError(), values)
    low, high = observer.range(num_bits, False)
    assert (-low, high) == pytest.approx((expected, expected), rel=0.04)


@pytest.mark.parametrize("num_bits", [4, 8])
def test_the_symmetric_mse_range_is_the_best_to_one_bin(values, num_bits):
    values = values[::4]
    bound = seen(MeanSquaredError(), values).range(num_bits, True)[1]
    bounds = np.linspace(1e-3, np.abs(values).max(), 400)
    errors = [squared_error(values, -b, b, 2 * (2 ** (num_bits - 1) - 1)) for b in bounds]
    assert bound == pytest.approx(bounds[np.argmin(errors)], abs=bin_width(values, 2048) + float(bounds[1]))


def divergence_threshold(magnitudes, width, bins, levels):
    """TensorRT's calibration as in the slides, bin by bin."""
    counts = np.histogram(magnitudes[magnitudes > 0], np.arange(bins + 1) * width)[0]
    best, threshold = np.inf, bins
    for end in range(levels, bins + 1):
        counted = counts.astype(float)
        if counted[end:].any() and not counted[end - 1]:
            counted[end - 1] = counted[:end].sum() * 1e-4
        p = counted[:end].copy()
        p[-1] += counts[end:].sum()
        q = np.zeros(end)
        for level in range(levels):
            members = [i for i in range(end) if i * levels // end == level and counted[i] > 0]
            q[members] = sum(counted[i] for i in members) / max(1, len(members))
        p, q = p / p.sum(), q / q.sum()
        divergence = sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
        if divergence < best:
            best, threshold = divergence, end
    return threshold * width


def test_the_entropy_range_is_tensorrts(values, monkeypatch):
    monkeypatch.setattr("tfopt.quantization.observers.entropy._BINS", 64)
    values = values[::20]
    low, high = seen(Entropy(), values).range(4, False)
    one_sign = values.min() >= 0 or values.max() <= 0
    width = seen(Histogram(), values).coarser(64).width
    bins = int(np.floor(np.abs(values).max() / width)) + 1
    threshold = divergence_threshold(np.abs(values), width, bins, 16 if one_sign else 8)
    assert (low, high) == (max(values.min(), -threshold), min(values.max(), threshold))


def test_what_clips_an_outlier():
    values = DISTRIBUTIONS["outlier"]
    ends = {name: seen(make(), values).range(8, False)[1] for name, make in OBSERVERS.items()}
    assert ends["min_max"] == ends["moving_average"] == 30
    assert ends["percentile"] < 1.1
    assert ends["entropy"] <= 2
    # Clipping one value of 30 costs 841, and rounding forty thousand to steps of 31/255 less than 50.
    assert 27 < ends["mse"] <= 30


def test_observers_are_made_by_name_or_copied():
    given = Percentile(99.0)
    first, second = new_observer(given), new_observer(given)
    first.update(np.array([5.0]))
    assert second.range(8, False) is None
    assert isinstance(new_observer("mse"), MeanSquaredError)
    with pytest.raises(InvalidArgumentError, match=r"'moving_average', .*got 'kl'"):
        new_observer("kl")
    with pytest.raises(InvalidArgumentError, match="observer"):
        new_observer(Percentile)
    with pytest.raises(InvalidArgumentError, match="percentile"):
        Percentile(40)
    with pytest.raises(InvalidArgumentError, match="momentum"):
        MovingAverage(1.0)
