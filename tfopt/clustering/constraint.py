"""The clusters of a kernel, as a Keras constraint: weights that are equal stay equal while they train."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InvalidArgumentError

MAX_CLUSTERS = 256
"""A kernel of more distinct values is none that was clustered: int8 has no more."""


@keras.saving.register_keras_serializable(package="tfopt")
class KeptClusters(keras.constraints.Constraint):
    """Keeps every weight in its cluster, all of which have one value, their centroid.

    Every Keras optimizer applies a variable's constraint after every step. The centroid then moves by the
    mean of the steps of its weights: with SGD and momentum, as if it was trained with the mean of their
    gradients. With `summed_gradients` all weights of a cluster get the same gradient, their sum, under any
    optimizer (Han et al., 2016, Deep Compression, arXiv 1510.00149, section 3).

    Args:
        assignment: the number of each weight's cluster, from 0; an integer array of the variable's shape.
        constraint: another constraint of the same variable; it is applied first.
        per_channel: whether each output channel has clusters of its own.
        centroids: the values of the clusters where training leaves them as they are; None where it moves
            them.
    """

    keeps_clusters = True

    def __init__(
        self,
        assignment: np.ndarray,
        constraint: Callable | None = None,
        per_channel: bool = False,
        centroids: Sequence[float] | None = None,
    ) -> None:
        self.assignment = np.asarray(assignment, np.int32)
        self.constraint = constraint
        self.per_channel = per_channel
        self.centroids = None if centroids is None else [float(value) for value in centroids]
        self.clusters = int(self.assignment.max()) + 1

    def __call__(self, w: Any) -> Any:
        """Return `w` with the mean of its cluster in place of each weight, or with the fixed centroid."""
        w = self._checked(w)
        if self.centroids is not None:
            return tf.gather(tf.constant(self.centroids, w.dtype), self.assignment)
        return tf.gather(tf.math.unsorted_segment_mean(w, self.assignment, self.clusters), self.assignment)

    def summed_gradients(self, w: tf.Tensor) -> tf.Tensor:
        """Return `w`; the gradient of a weight becomes the sum over its cluster."""

        @tf.custom_gradient
        def same(values: tf.Tensor) -> tuple[tf.Tensor, Callable]:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                sums = tf.math.unsorted_segment_sum(upstream, self.numbers, self.clusters)
                return tf.gather(sums, self.numbers)

            return tf.identity(values), gradient

        return same(w)

    @property
    def numbers(self) -> Any:
        """The number of each weight's cluster, as it is while a model trains."""
        return self.assignment

    def current(self) -> np.ndarray:
        """Return the number of each weight's cluster as it is now."""
        return self.assignment

    def get_config(self) -> dict[str, Any]:
        """Return the assignment, compressed, and what goes with it."""
        smallest = np.uint8 if self.clusters <= MAX_CLUSTERS else np.int32
        packed = zlib.compress(self.current().astype(smallest).tobytes(), 9)
        return {
            "assignment": base64.b64encode(packed).decode("ascii"),
            "dtype": np.dtype(smallest).name,
            "shape": list(self.assignment.shape),
            "constraint": keras.saving.serialize_keras_object(self.constraint),
            "per_channel": self.per_channel,
            "centroids": self.centroids,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> KeptClusters:
        """Return the constraint that `get_config` described."""
        config = dict(config)
        values = np.frombuffer(
            zlib.decompress(base64.b64decode(config.pop("assignment"))), config.pop("dtype")
        )
        constraint = keras.saving.deserialize_keras_object(config.pop("constraint"))
        return cls(values.reshape(config.pop("shape")), constraint, **config)

    def _checked(self, w: Any) -> tf.Tensor:
        """Return `w` as a tensor that the other constraint has seen."""
        if tuple(w.shape) != self.assignment.shape:
            raise InvalidArgumentError(
                f"The clusters have the shape {self.assignment.shape}, their variable {tuple(w.shape)}: "
                "cluster the model again after a change of shapes."
            )
        return keras.ops.convert_to_tensor(w if self.constraint is None else self.constraint(w))


def kept_clusters(constraint: Any) -> KeptClusters | None:
    """Return the clusters that a variable's constraint keeps, alone or inside a mask; None without any."""
    while constraint is not None and not isinstance(constraint, KeptClusters):
        constraint = getattr(constraint, "constraint", None)
    return constraint


def assignment_of(kernel: np.ndarray, axes: Sequence[int] = (), most: int | None = None) -> np.ndarray | None:
    """Return the cluster of each weight, by its value, or None where the kernel is not clustered.

    Clustered is a kernel of two values or more, each of which stands twice or more on average, and of
    `MAX_CLUSTERS` at most.

    Args:
        kernel: the weights.
        axes: those that number the output channels, where each has clusters of its own; the same then holds
            of each channel that has several values.
        most: how many values there may be, where it is known that there are clusters; None to tell by the
            numbers above.
    """
    if axes:
        return _by_channel(kernel, axes, most)
    values, numbers = np.unique(kernel, return_inverse=True)
    few = min(MAX_CLUSTERS, kernel.size // 2) if most is None else most
    if not 2 <= len(values) <= few:
        return None
    return numbers.reshape(kernel.shape)


def _by_channel(kernel: np.ndarray, axes: Sequence[int], most: int | None) -> np.ndarray | None:
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(kernel, axes, last)
    columns = moved.reshape(-1, int(np.prod(moved.shape[-len(axes) :])))
    few = max(1, min(MAX_CLUSTERS, len(columns) // 2)) if most is None else most
    numbers, count = np.empty(columns.shape, np.int64), 0
    for channel in range(columns.shape[1]):
        values, inverse = np.unique(columns[:, channel], return_inverse=True)
        if len(values) > few:
            return None
        numbers[:, channel] = inverse.ravel() + count
        count += len(values)
    if count == columns.shape[1]:  # one value a channel is how weights begin, not what clustering leaves
        return None
    return np.moveaxis(numbers.reshape(moved.shape), last, axes)
