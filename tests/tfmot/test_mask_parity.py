"""Masks beside those of tensorflow-model-optimization, weight by weight, where both define the same."""

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.callbacks import PruningSchedule
from tfopt.pruning import ConstantSparsity, Cubic
from tfopt.pruning.masks import masked
from tfopt.pruning.patterns import Layout, pattern_of
from tfopt.pruning.selection import select_masks
from tfopt.tfmot.library import tfmot

SHAPES = [(7, 3), (64, 24), (3, 3, 4, 6), (3, 3, 5, 11), (1, 1, 16, 8)]


class _Theirs:
    """Their masks of one kernel, step by step."""

    def __init__(self, weights, schedule, **options):
        tfmot()
        module = importlib.import_module(
            "tensorflow_model_optimization.python.core.sparsity.keras.pruning_impl"
        )
        self.step = tf.Variable(0, dtype="int64")
        self.weights = tf.Variable(weights)
        self._mask = tf.Variable(np.ones_like(weights))
        arguments = {"block_size": (1, 1), "block_pooling_type": "AVG", **options}
        self._pruning = module.Pruning(
            lambda: self.step, [(self.weights, self._mask, tf.Variable(0.0))], schedule, **arguments
        )

    def update(self, step):
        self.step.assign(step)
        self._pruning.conditional_mask_update()
        self._pruning.weight_mask_op()
        return self._mask.numpy() != 0


def _constant(sparsity):
    return tfmot().sparsity.keras.ConstantSparsity(sparsity, 0, frequency=1)


def _layout(shape):
    axes = tuple(range(len(shape)))
    return Layout(axes[:-2], axes[-1:], axes[-2:-1], shape)


def _ours(weights, sparsity, pattern=None, mask=None):
    mask = np.ones(weights.shape, bool) if mask is None else mask
    return select_masks(
        [np.abs(weights)], [mask], sparsity, layouts=[_layout(weights.shape)], pattern=pattern_of(pattern)
    )[0]


def _weights(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("shape", SHAPES)
def test_single_weights(shape):
    for sparsity in (0.0, 0.1, 0.25, 0.333, 0.5, 0.75, 0.8, 0.9, 0.95, 0.99, 0.999):
        weights = _weights(shape)
        theirs = _Theirs(weights, _constant(sparsity)).update(1)
        np.testing.assert_array_equal(_ours(weights, sparsity), theirs, err_msg=str(sparsity))


@pytest.mark.parametrize("shape", [*SHAPES, (4, 1), (2, 5), (3, 3, 1, 2)])
@pytest.mark.parametrize("pattern", ["2:4", "1:4", "3:4", "4:8", "1:2"])
def test_n_of_m_also_at_sizes_that_do_not_divide(shape, pattern):
    n, m = map(int, pattern.split(":"))
    weights = _weights(shape)
    weights.flat[::5] = 0  # of equal ones the same go
    theirs = _Theirs(weights, _constant(0.5), sparsity_m_by_n=(m - n, m)).update(1)
    np.testing.assert_array_equal(_ours(weights, 1 - n / m, pattern), theirs)


@pytest.mark.parametrize("pattern", ["1x4", "4x1", "1x16", "4x4"])
@pytest.mark.parametrize("shape", [(64, 24), (32, 16)])
def test_blocks(shape, pattern):
    """Their block size is of the Keras kernel, [in, out]."""
    outputs, inputs = map(int, pattern.split("x"))
    for sparsity in (0.1, 0.5, 0.8, 0.95):
        weights = _weights(shape)
        theirs = _Theirs(weights, _constant(sparsity), block_size=(inputs, outputs)).update(1)
        np.testing.assert_array_equal(_ours(weights, sparsity, pattern), theirs, err_msg=str(sparsity))


def test_steps_of_a_polynomial_schedule_while_all_weights_train():
    """At each of its steps, weights that were pruned come back where an optimizer has made them large."""
    schedule = tfmot().sparsity.keras.PolynomialDecay(0.1, 0.9, begin_step=2, end_step=22, frequency=5)
    # In steps that are done, where theirs are numbers of steps from 1 on.
    ours = Cubic(begin=1, end=21, initial_sparsity=0.1, frequency=5)
    rng = np.random.default_rng(1)
    weights = _weights((24, 18))
    theirs = _Theirs(weights, schedule)
    mask, back = np.ones(weights.shape, bool), 0
    for step in range(1, 27):
        their_mask = theirs.update(step)
        if step >= 2 and (step - 2) % 5 == 0 and step <= 22:
            new = _ours(weights, ours.sparsity_at(step - 1, None, 0.9))
            back += np.count_nonzero(new & ~mask)
            mask = new
        weights = weights * mask
        np.testing.assert_array_equal(mask, their_mask, err_msg=f"step {step}")
        np.testing.assert_array_equal(weights, theirs.weights.numpy())
        weights = weights + rng.normal(size=weights.shape).astype("float32")
        theirs.weights.assign(weights)
    assert back


def _plain(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.Input((12,)), keras.layers.Dense(24, "relu", name="one"), keras.layers.Dense(10, name="two")]
    )


@pytest.mark.parametrize(
    "schedule", [Cubic(end=0.75, frequency=3, regrow=True), Cubic(begin=4, end=24, frequency=1, regrow=True)]
)
def test_a_whole_training_on_a_schedule_that_regrows(schedule):
    """Both engines in a Keras 3 fit, from the same weights on the same batches."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 12)).astype("float32"), rng.integers(0, 10, 64)
    found = []
    for engine in ("keras", "tfmot"):
        model = tfopt.prune(_plain(), 0.8, schedule=schedule, engine=engine)
        model.compile(
            keras.optimizers.SGD(0.1, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        model.fit(x, y, batch_size=8, epochs=4, shuffle=False, verbose=0, callbacks=[PruningSchedule()])
        found.append(tfopt.tfmot.strip(model) if engine == "tfmot" else model)
    for one, other in zip(*map(masked, found), strict=True):
        np.testing.assert_array_equal(one.mask.value, other.mask.value)
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-6)


def test_a_constant_sparsity_regrows_as_theirs_does():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 12)).astype("float32"), rng.integers(0, 10, 64)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    theirs = tfmot().sparsity.keras.ConstantSparsity(0.6, begin_step=5, end_step=23, frequency=3)
    models = [
        tfopt.prune(_plain(), 0.6, schedule=ConstantSparsity(begin=4, end=22, frequency=3)),
        tfopt.prune(_plain(), 0.6, engine="tfmot", engine_options={"pruning_schedule": theirs}),
    ]
    for model in models:
        model.compile(keras.optimizers.SGD(0.1), loss)
        model.fit(x, y, batch_size=8, epochs=4, shuffle=False, verbose=0, callbacks=[PruningSchedule()])
    models[1] = tfopt.tfmot.strip(models[1])
    for one, other in zip(*map(masked, models), strict=True):
        np.testing.assert_array_equal(one.mask.value, other.mask.value)
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-6)
