"""How much the outputs of a model depend on each of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InvalidArgumentError

_BATCH = 32
_BATCHES = 8
_LEAST = 1e-3


def importances(
    model: keras.Model, x: Any, variables: Sequence[keras.Variable], seed: int = 0
) -> list[np.ndarray]:
    """Return, for each variable, the mean square of the gradients of the model's outputs, a weight each.

    An error in a weight changes the outputs by its gradient: squared, this is how much the error counts. The
    squares over all outputs come from one gradient, of their sum with random signs. At least a thousandth of
    the mean counts, so that no weight may go anywhere.

    Args:
        model: built.
        x: inputs, some hundred samples at most are used.
        variables: the kernels.
        seed: of the signs.

    Raises:
        InvalidArgumentError: there are no inputs.

    Reference:
        Choi et al., 2017, Towards the Limit of Network Quantization (arXiv 1612.01543), section 3.3,
        "Hessian-weighted k-means".
    """
    arrays = keras.tree.flatten(x)
    if not arrays or not len(arrays[0]):
        raise InvalidArgumentError('cluster: init="gradient" reads samples: give data=x_train[:256].')
    rng = np.random.default_rng(seed)
    sums = [np.zeros(tuple(variable.shape)) for variable in variables]
    samples = min(len(arrays[0]), _BATCH * _BATCHES)
    for start in range(0, samples, _BATCH):
        end = min(start + _BATCH, samples)
        batch = keras.tree.map_structure(lambda array, s=start, e=end: array[s:e], x)
        gradients = _gradients(model, batch, variables, rng)
        for total, gradient in zip(sums, gradients, strict=True):
            total += np.square(gradient, dtype=np.float64)
    return [np.maximum(total, _LEAST * total.mean()) for total in sums]


def _gradients(
    model: keras.Model, x: Any, variables: Sequence[keras.Variable], rng: np.random.Generator
) -> list[np.ndarray]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([variable.value for variable in variables])
        outputs = keras.tree.flatten(model(x, training=False))
        total = sum(
            tf.reduce_sum(tf.cast(y, tf.float32) * rng.choice([-1.0, 1.0], y.shape).astype(np.float32))
            for y in outputs
        )
    found = tape.gradient(total, [variable.value for variable in variables])
    return [
        np.zeros(tuple(variable.shape)) if gradient is None else np.asarray(tf.convert_to_tensor(gradient))
        for gradient, variable in zip(found, variables, strict=True)
    ]
