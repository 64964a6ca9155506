"""AutoClip against NumPy's percentiles."""

import numpy as np
import pytest
import tensorflow as tf

from tfopt.clipping import AutoClip

NORMS = np.exp(np.random.default_rng(1).normal(0, 1, 60)).astype("float32")


def bounds(clip, percentile, norms=NORMS):
    """Return the bound and the clipped norm at each step."""
    step = tf.function(lambda gradient, state: clip([gradient], state, percentile))
    state, found = clip.initial_state(), []
    for norm in norms:
        (clipped,), state, bound = step(tf.constant([0.6 * norm, 0.8 * norm], tf.float32), state)
        found.append((bound, np.linalg.norm(clipped)))
    return np.transpose(found)


@pytest.mark.parametrize("history", [60, 1000])
@pytest.mark.parametrize("percentile", [10.0, 50.0, 33.3, 0.0, 100.0])
def test_percentile_of_all_norms_so_far(percentile, history):
    found, clipped = bounds(AutoClip(history=history), percentile)
    expected = [np.percentile(NORMS[: i + 1].astype(float), percentile) for i in range(len(NORMS))]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(clipped, np.minimum(NORMS, expected), rtol=1e-5)


@pytest.mark.parametrize("history", [1, 7])
def test_forgets_the_oldest(history):
    found, _ = bounds(AutoClip(history=history), 25.0)
    expected = [np.percentile(NORMS[max(0, i + 1 - history) : i + 1], 25.0) for i in range(len(NORMS))]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_first_gradient_comes_back_bit_for_bit():
    gradient = tf.constant([0.3, 0.4])
    (clipped,), *_ = AutoClip()([gradient], AutoClip().initial_state())
    np.testing.assert_array_equal(clipped, gradient)


@pytest.mark.parametrize("poison", [np.inf, np.nan])
def test_inf_and_nan_leave_the_state(poison):
    clip = AutoClip(history=3)
    state = clip([tf.constant([1.0])], clip.initial_state()).state
    np.testing.assert_array_equal(clip([tf.constant([poison])], state).state, state)
