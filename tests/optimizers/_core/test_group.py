"""Which variables are updated together, and that joining them loses nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.optimizers._core.group import JOINED_BELOW, Group, Layout, UpdateStep, layouts


def variable(*shape, dtype="float32"):
    return keras.Variable(np.zeros(shape), dtype=dtype)


def grouped(variables, decays=lambda _: True, joins=lambda _: True):
    return [(la.indices, la.joined) for la in layouts(variables, decays, joins)]


def test_small_variables_are_joined_and_large_ones_are_not():
    variables = [variable(3), variable(JOINED_BELOW), variable(2, 2), variable(JOINED_BELOW - 1)]
    assert grouped(variables) == [((1,), False), ((0, 2, 3), True)]


def test_what_decays_is_not_joined_with_what_does_not():
    variables = [variable(2, 2), variable(2), variable(3, 2), variable(3)]
    assert grouped(variables, decays=lambda v: len(v.shape) > 1) == [((0, 2), True), ((1, 3), True)]


def test_a_rule_can_keep_variables_single():
    variables = [variable(2, 2), variable(2), variable(3)]
    assert grouped(variables, joins=lambda v: len(v.shape) < 2) == [((0,), False), ((1, 2), True)]


def test_half_precision_is_computed_in_float32_and_joined_with_it():
    variables = [variable(2, dtype="float16"), variable(2), variable(2, dtype="float64")]
    found = {la.dtype: la.indices for la in layouts(variables, lambda _: True, lambda _: True)}
    assert found == {"float32": (0, 1), "float64": (2,)}


JOINED = Layout((4, 7), ((2, 2), (3,)), "float32", decays=True, joined=True)
SINGLE = Layout((4,), ((2, 3),), "float32", decays=True, joined=False)


def test_splitting_undoes_joining():
    tensors = [tf.constant([[1.0, 2.0], [3.0, 4.0]], "float16"), tf.constant([5.0, 6.0, 7.0])]
    together = JOINED.join(tensors)
    assert together.shape == JOINED.shape == (7,)
    assert together.dtype == "float32"
    for part, tensor in zip(JOINED.split(together), tensors, strict=True):
        np.testing.assert_array_equal(part, tf.cast(tensor, "float32"))
    whole = tf.reshape(tf.range(6.0), (2, 3))
    (part,) = SINGLE.split(SINGLE.join([whole]))
    np.testing.assert_array_equal(part, whole)


@pytest.mark.parametrize("layout", [JOINED, SINGLE], ids=["joined", "single"])
def test_sums_means_and_norms_are_of_each_variable_by_itself(layout):
    x = np.random.default_rng(0).normal(size=layout.shape).astype("float32")
    group = Group(layout, x, x, {}, UpdateStep(tf.constant(1), tf.constant(0.1), "float32"))
    parts = np.split(x, np.cumsum(layout.sizes)[:-1]) if layout.joined else [x]
    for method, reference in ((group.sum, np.sum), (group.mean, np.mean), (group.norm, np.linalg.norm)):
        expected = np.concatenate([np.full(part.size, reference(part)) for part in parts])
        found = np.broadcast_to(method(tf.constant(x)), x.shape).ravel()
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("number", [1, 2, 1000])
@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999999])
def test_the_bias_correction_is_exact(beta, number):
    step = UpdateStep(tf.constant(number), tf.constant(0.1), "float32")
    expected = -np.expm1(number * np.log1p(np.float64(beta) - 1)) if beta else 1.0
    np.testing.assert_allclose(step.bias_correction(beta), expected, rtol=3e-7)
