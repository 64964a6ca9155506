"""Clusters whose weights may move to a nearer centroid while they train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.clustering.constraint import KeptClusters


@keras.saving.register_keras_serializable(package="tfopt")
class NearestClusters(KeptClusters):
    """Keeps weights at centroids, each at the one that is nearest to what the weight would be by itself.

    Next to the variable it holds the weights as they would be without clusters: each step that the optimizer
    makes is added to them, which is the straight-through estimator. After every step each weight goes to the
    centroid nearest to that. The centroids move by the mean of the steps, as those of `KeptClusters`.

    A file holds which centroid each weight has, and not what it would be by itself: a loaded model begins
    anew from the centroids.

    Args:
        assignment: the number of each weight's cluster, from 0; an integer array of the variable's shape.
        constraint: another constraint of the same variable; it is applied first.
        weights: the weights without clusters; None where they are not known.
        start: the centroids before the first step, where the weights are known.
        fixed: the number of a cluster that nothing joins or leaves, that of zeros; None without one.
    """

    def __init__(
        self,
        assignment: np.ndarray,
        constraint: Callable | None = None,
        *,
        weights: np.ndarray | None = None,
        start: np.ndarray | None = None,
        fixed: int | None = None,
    ) -> None:
        super().__init__(assignment, constraint)
        self.fixed = fixed
        known = weights is not None and start is not None
        self._known = _state(known, "bool", "known")
        self._numbers = _state(self.assignment, "int32", "assignment")
        self._weights = _state(weights if known else np.zeros(self.assignment.shape), "float32", "weights")
        self._centroids = _state(start if known else np.zeros(self.clusters), "float32", "centroids")

    def __call__(self, w: Any) -> Any:
        """Return `w` with each weight at the centroid nearest to what it would be by itself."""
        w = self._checked(w)
        steps = tf.cast(w, tf.float32)
        numbers, known = self._numbers.value, self._known.value
        # Before the first step of a loaded model all weights of a cluster were equal, so that the mean of the
        # new ones is where the centroid has moved to.
        means = tf.math.unsorted_segment_mean(steps, numbers, self.clusters)
        filled = tf.math.unsorted_segment_sum(tf.ones_like(steps), numbers, self.clusters) > 0
        centroids = tf.where(filled, means, self._centroids.value)
        before = tf.gather(self._centroids.value, numbers)
        weights = tf.where(known, self._weights.value + steps - before, steps)
        numbers = self._nearest(weights, centroids, numbers)
        for variable, value in ((self._weights, weights), (self._centroids, centroids)):
            variable.assign(value)
        self._numbers.assign(numbers)
        self._known.assign(tf.ones_like(known))
        return tf.cast(tf.gather(centroids, numbers), w.dtype)

    def _nearest(self, weights: tf.Tensor, centroids: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        # The fixed one goes to the end, where it is cut off: XLA needs to know how many are left.
        apart = [number == self.fixed for number in range(self.clusters)]
        order = tf.argsort(tf.where(apart, tf.fill([self.clusters], np.inf), centroids))
        order = order if self.fixed is None else order[:-1]
        in_order = tf.gather(centroids, order)
        middles = (in_order[1:] + in_order[:-1]) / 2
        found = tf.searchsorted(middles, tf.reshape(weights, [-1]))
        found = tf.cast(tf.reshape(tf.gather(order, found), tf.shape(weights)), numbers.dtype)
        return found if self.fixed is None else tf.where(numbers == self.fixed, numbers, found)

    @property
    def numbers(self) -> Any:
        """The number of each weight's cluster, as it is while a model trains."""
        return self._numbers.value

    def current(self) -> np.ndarray:
        """Return the number of each weight's cluster as it is now."""
        return np.asarray(keras.ops.convert_to_numpy(self._numbers))

    def get_config(self) -> dict[str, Any]:
        """Return the assignment as it is now, compressed, and what goes with it."""
        config = super().get_config()
        del config["per_channel"], config["centroids"]
        return {**config, "fixed": self.fixed}


def _state(value: Any, dtype: str, name: str) -> keras.Variable:
    """Return a variable that a training step changes alike on each device."""
    return keras.Variable(
        np.asarray(value), dtype=dtype, trainable=False, name=name, aggregation="only_first_replica"
    )
