"""The gradients of trained ranges against the papers' formulas, in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfopt.quantization.quantizers import activation_limits, learned_ranges

RNG = np.random.default_rng(0)
X = RNG.normal(0.3, 1.5, (4, 5, 6)).astype("float32")
DY = RNG.normal(size=X.shape).astype("float32")


def gradients(function, ends, minimum, maximum):
    x, low, high = tf.constant(X), tf.Variable(minimum), tf.Variable(maximum)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x, low.value(), high.value(), ends)
    return y.numpy(), [
        np.zeros(()) if g is None else g.numpy()
        for g in tape.gradient(y, [x, low, high], DY, unconnected_gradients="zero")
    ]


def lsq_plus(step, offset, q_n, q_p):
    """Bhalgat et al., 2020, equations 3 to 7; with offset 0, Esser et al., 2020, equations 1 to 3."""
    v = (X.astype(np.float64) - offset) / step
    y = np.clip(np.floor(v + 0.5), -q_n, q_p) * step + offset
    inside = (v >= -q_n) & (v <= q_p)
    by_step = np.where(inside, np.floor(v + 0.5) - v, np.where(v < 0, -q_n, q_p))
    return y, DY * inside, (DY * by_step).sum(), (DY * ~inside).sum()


@pytest.mark.parametrize(("low", "high"), [(-1.2, 2.1), (-0.4, 3.0), (-9.0, 9.0)])
def test_the_gradients_of_lsq_plus_are_the_papers(low, high):
    step = (high - low) / 255
    offset = -np.round(-low / step) * step  # the zero point is an integer
    y, dx, for_step, for_offset = lsq_plus(step, offset, 0, 255)
    got, (got_dx, for_minimum, for_maximum) = gradients(
        learned_ranges.lsq, activation_limits.asymmetric, np.float32(low), np.float32(high)
    )
    assert np.mean(np.abs(got - y) > 1e-5) < 0.01  # ties
    np.testing.assert_array_equal(got_dx, dx.astype("float32"))
    # s = (maximum - minimum) / 255 and b = minimum, by the chain rule.
    assert for_maximum == pytest.approx(for_step / 255, rel=2e-3, abs=1e-4)
    assert for_minimum == pytest.approx(for_offset - for_step / 255, rel=2e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("ends", "q_n", "q_p"), [(activation_limits.symmetric, 128, 127), (activation_limits.nonnegative, 0, 255)]
)
@pytest.mark.parametrize("high", [0.7, 1.9, 8.0])
def test_the_gradient_of_lsq_is_the_papers(ends, q_n, q_p, high):
    y, dx, for_step, _ = lsq_plus(high / q_p, 0.0, q_n, q_p)
    got, (got_dx, for_minimum, for_maximum) = gradients(
        learned_ranges.lsq, ends, np.float32(-0.1), np.float32(high)
    )
    assert np.mean(np.abs(got - y) > 1e-5) < 0.01
    np.testing.assert_array_equal(got_dx, dx.astype("float32"))
    assert for_minimum == 0
    assert for_maximum == pytest.approx(for_step / q_p, rel=2e-3, abs=1e-4)


def test_pact_moves_the_clipping_value_by_what_is_clipped():
    """Choi et al., 2018: the gradient is 1 where x >= alpha, else 0."""
    alpha = 1.3
    step = alpha / 255
    y, (dx, _, for_maximum) = gradients(
        learned_ranges.pact, activation_limits.nonnegative, np.float32(0), np.float32(alpha)
    )
    expected = np.floor(np.clip(X, 0, alpha) / step + 0.5) * step
    np.testing.assert_allclose(y, expected, atol=step * 1.01)
    assert np.mean(np.abs(y - expected) > 1e-5) < 0.01
    np.testing.assert_array_equal(dx, DY * ((alpha >= X) & (X >= 0)))
    assert for_maximum == pytest.approx(DY[alpha <= X].sum(), rel=1e-4)


def test_pact_has_two_ends_where_values_have_two_signs():
    low, high = -0.8, 1.3
    _, (_, for_minimum, for_maximum) = gradients(
        learned_ranges.pact, activation_limits.asymmetric, np.float32(low), np.float32(high)
    )
    assert for_minimum == pytest.approx(DY[low > X].sum(), rel=1e-3)
    assert for_maximum == pytest.approx(DY[high < X].sum(), rel=1e-3)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (-5.0, 0.2), (0.0, 0.0), (0.5, 2.0)])
def test_ends_of_a_symmetric_range_are_128_and_127_steps(low, high):
    bottom, top = (float(end) for end in activation_limits.symmetric(tf.constant(low), tf.constant(high)))
    assert top >= max(high, -low)
    assert bottom / 128 == pytest.approx(-top / 127)


def test_what_a_nonnegative_range_holds():
    low, high = activation_limits.nonnegative(tf.constant(0.0), tf.constant(3.0))
    assert (float(low), float(high)) == (0.0, 3.0)
    assert float(activation_limits.nonnegative(tf.constant(0.0), tf.constant(-1.0))[1]) > 0
