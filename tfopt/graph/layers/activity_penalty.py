"""Activity regularizers, as operations on the outputs of their layers.

A layer that is made of others, or split into several, has one for what comes out in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfopt")
class ActivityPenalty(keras.layers.Layer):
    """Returns what Keras adds to the loss for an output of a layer with an activity regularizer.

    Args:
        regularizer: of a tensor, as Keras takes them.
    """

    def __init__(self, regularizer: Any, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.regularizer = keras.regularizers.get(regularizer)
        self.supports_masking = True  # lest Keras warns: a regularizer looks at masked steps too

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the penalty of a sample, on average."""
        penalty = self.regularizer(inputs)
        if not inputs.shape.rank:
            return penalty
        return tf.math.divide_no_nan(penalty, tf.cast(tf.shape(inputs)[0], penalty.dtype))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Return None: a penalty is of no sequence."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "regularizer": keras.regularizers.serialize(self.regularizer)}


def penalties(outputs: Any, penalty: Callable[[Any], Any]) -> list[Any]:
    """Return the losses of the outputs of a layer with an activity regularizer.

    Args:
        outputs: a structure with symbolic tensors.
        penalty: returns what is added for one of them.
    """
    return [penalty(x) for x in keras.tree.flatten(outputs) if isinstance(x, keras.KerasTensor)]


class ActivityRegularizers:
    """Takes the activity regularizers off layers, so that what these are made of has none.

    The layers must be private to the caller.
    """

    def __init__(self) -> None:
        self._taken: dict[int, tuple[keras.Operation, Any]] = {}

    def taken(self, operation: Any) -> Any:
        """Return the regularizer that an operation had, None without."""
        regularizer = getattr(operation, "activity_regularizer", None)
        if regularizer is not None:
            self._taken[id(operation)] = operation, regularizer
            operation.activity_regularizer = None
        return self._taken.get(id(operation), (None, None))[1]

    def give_back(self, operation: Any) -> None:
        """Let an operation add its penalty by itself again."""
        _, regularizer = self._taken.pop(id(operation), (None, None))
        if regularizer is not None:
            operation.activity_regularizer = regularizer
