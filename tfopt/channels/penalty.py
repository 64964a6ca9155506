"""The penalty of sparse learning: the sum of the norms of the units of a model."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfopt.channels.groups import FIXED, Dependencies, Slice
from tfopt.channels.importance.per_unit import other_axes, weight_slices

_TINY = 1e-12
"""Added to squared norms: the gradient of a norm at zero is infinite."""


def drop_penalty(model: keras.Model) -> None:
    """Let the training of a model add no penalty of `group_lasso` any more."""
    for variable in model.variables:
        if isinstance(variable.regularizer, _Both):
            variable.regularizer = variable.regularizer.own


def penalize(found: Dependencies, strength: float, growth: float) -> None:
    """Let the training of `found.model`, which has units, add the penalty of `group_lasso`."""
    penalty = GroupLasso(found, strength, growth)
    carrier = penalty.parts[0].variable
    carrier.regularizer = _Both(carrier.regularizer, penalty)


class GroupLasso(keras.regularizers.Regularizer):
    """The sum of the norms of the units of a model.

    A regularizer of one variable that looks at others too: Keras adds it to the loss wherever it adds a
    regularizer, and no config holds it.

    Args:
        found: the units.
        strength, growth: see `group_lasso`.
    """

    def __init__(self, found: Dependencies, strength: float, growth: float) -> None:
        self.strength, self.growth = strength, growth
        self.count = found.count
        self.parts = [part for part in weight_slices(found) if part.made or len(part.variable.shape) == 1]
        groups = np.zeros(found.count, np.int32)
        for number, group in enumerate(found.groups):
            groups[group.units] = number
        self._groups, self._number = groups, len(found.groups)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:  # noqa: ARG002 (that of the variable that carries it)
        """Return the penalty as the weights are now."""
        norms = self.norms()
        return self.strength * tf.reduce_sum(tf.stop_gradient(self._factors(norms)) * norms)

    def norms(self) -> tf.Tensor:
        """Return the norm of each unit, shape (units,)."""
        total = tf.fill([self.count], tf.constant(_TINY))
        for part in self.parts:
            along = tf.reduce_sum(tf.square(tf.cast(part.variable.value, tf.float32)), other_axes(part))
            total += tf.math.unsorted_segment_sum(along, _ids(part), self.count)  # FIXED is left out
        return tf.sqrt(total)

    def _factors(self, norms: tf.Tensor) -> tf.Tensor:
        """Return 2 ** (growth * distance), that of a unit from the largest of its group, from 0 to 1."""
        if not self.growth:
            return tf.ones_like(norms)
        largest = tf.gather(tf.math.unsorted_segment_max(norms, self._groups, self._number), self._groups)
        smallest = tf.gather(tf.math.unsorted_segment_min(norms, self._groups, self._number), self._groups)
        share = tf.math.divide_no_nan(largest - norms, largest - smallest)
        return tf.pow(2.0, self.growth * share)


class _Both(keras.regularizers.Regularizer):
    """A regularizer that a variable had, and the penalty."""

    def __init__(self, own: keras.regularizers.Regularizer | None, penalty: GroupLasso) -> None:
        self.own, self.penalty = own, penalty

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Return the sum of both."""
        return self.penalty(x) if self.own is None else self.own(x) + self.penalty(x)


def _ids(part: Slice) -> np.ndarray:
    assert FIXED < 0  # which segment sums leave out
    return part.units.astype(np.int32)
