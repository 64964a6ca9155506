"""ZClip against the authors' code: figures made with it, for a series of norms with spikes."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfopt.clipping import ZClip

GOLDEN = json.loads((Path(__file__).parent / "golden" / "zclip_author.json").read_text())
NAMES = {"eps": "epsilon"}


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: str(case["options"]))
def test_follows_the_authors(case):
    options = {NAMES.get(name, name): value for name, value in case["options"].items()}
    threshold = options.pop("z_thresh", 2.5)
    clip = ZClip(**options)
    step = tf.function(lambda gradient, state: clip([gradient, 0.0 * gradient], state, threshold))
    state, scales = clip.initial_state(), []
    for norm in GOLDEN["norms"]:
        gradient = tf.constant([0.6 * norm, -0.8 * norm], tf.float32)
        (clipped, _), state, _ = step(gradient, state)
        scales.append(float(clipped[0] / gradient[0]))
    np.testing.assert_allclose(scales, case["scales"], rtol=2e-5)
    np.testing.assert_allclose(state[1:], [case["mean"], case["var"]], rtol=1e-4)
    assert min(scales) < 0.9


def settled(clip):
    """The state after norms of 1 and 2 in turn: mean 1.5, standard deviation 0.5."""
    state = clip.initial_state()
    for step in range(clip.warmup_steps):
        _, state, bound = clip([tf.constant([1.0 + step % 2])], state)
        assert np.isinf(bound)
    return state


def test_bound_is_the_norm_that_is_still_let_through():
    clip = ZClip(warmup_steps=4)
    state = settled(clip)
    bound = clip([tf.constant([1.0])], state, 2.0).bound
    np.testing.assert_allclose(bound, 1.5 + 2 * 0.5, rtol=1e-5)
    (below,), *_ = clip([bound * 0.999], state, 2.0)
    (above,), *_ = clip([bound * 1.001], state, 2.0)
    assert below == bound * 0.999
    assert above < bound


@pytest.mark.parametrize("poison", [np.inf, np.nan])
@pytest.mark.parametrize("steps", [2, 4])
def test_inf_and_nan_leave_the_state(poison, steps):
    clip = ZClip(warmup_steps=4)
    state = clip.initial_state()
    for _ in range(steps):
        state = clip([tf.constant([1.0])], state).state
    np.testing.assert_array_equal(clip([tf.constant([poison])], state).state, state)
