"""The clusters of a kernel, as a Keras constraint: weights that were equal stay equal while they train."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
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

    Every Keras optimizer applies a variable's constraint after every step. With `summed_gradients` all
    weights of a cluster get the same gradient, that of their centroid, and so the same step: the centroids
    are what is trained (Han et al., 2016, Deep Compression, arXiv 1510.00149, section 3).

    Args:
        assignment: the number of each weight's cluster, from 0; an integer array of the variable's shape.
        constraint: another constraint of the same variable; it is applied first.
    """

    def __init__(self, assignment: np.ndarray, constraint: Callable | None = None) -> None:
        self.assignment = np.asarray(assignment, np.int32)
        self.constraint = constraint
        self.clusters = int(self.assignment.max()) + 1

    def __call__(self, w: Any) -> Any:
        """Return `w` with the mean of its cluster in place of each weight."""
        if tuple(w.shape) != self.assignment.shape:
            raise InvalidArgumentError(
                f"The clusters have the shape {self.assignment.shape}, their variable {tuple(w.shape)}: "
                "cluster the model again after a change of shapes."
            )
        w = keras.ops.convert_to_tensor(w if self.constraint is None else self.constraint(w))
        sums = tf.math.unsorted_segment_mean(w, self.assignment, self.clusters)
        return tf.gather(sums, self.assignment)

    def summed_gradients(self, w: tf.Tensor) -> tf.Tensor:
        """Return `w`; the gradient of a weight becomes the sum over its cluster."""

        @tf.custom_gradient
        def same(values: tf.Tensor) -> tuple[tf.Tensor, Callable]:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                sums = tf.math.unsorted_segment_sum(upstream, self.assignment, self.clusters)
                return tf.gather(sums, self.assignment)

            return tf.identity(values), gradient

        return same(w)

    def get_config(self) -> dict[str, Any]:
        """Return the assignment, compressed, and what goes with it."""
        smallest = np.uint8 if self.clusters <= MAX_CLUSTERS else np.int32
        packed = zlib.compress(self.assignment.astype(smallest).tobytes(), 9)
        return {
            "assignment": base64.b64encode(packed).decode("ascii"),
            "dtype": np.dtype(smallest).name,
            "shape": list(self.assignment.shape),
            "constraint": keras.saving.serialize_keras_object(self.constraint),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> KeptClusters:
        """Return the constraint that `get_config` described."""
        values = np.frombuffer(zlib.decompress(base64.b64decode(config["assignment"])), config["dtype"])
        return cls(
            values.reshape(config["shape"]), keras.saving.deserialize_keras_object(config["constraint"])
        )


def kept_clusters(constraint: Any) -> KeptClusters | None:
    """Return the clusters that a variable's constraint keeps, alone or inside a mask; None without any."""
    while constraint is not None and not isinstance(constraint, KeptClusters):
        constraint = getattr(constraint, "constraint", None)
    return constraint


def assignment_of(kernel: np.ndarray) -> np.ndarray | None:
    """Return the cluster of each weight, by its value, or None where the kernel is not clustered.

    Clustered is a kernel of two values or more, each of which stands twice or more on average, and of
    `MAX_CLUSTERS` at most.
    """
    values, numbers = np.unique(kernel, return_inverse=True)
    if not 2 <= len(values) <= min(MAX_CLUSTERS, kernel.size // 2):
        return None
    return numbers.reshape(kernel.shape)
