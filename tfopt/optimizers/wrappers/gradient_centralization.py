"""Gradient centralization: gradients of zero mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import checked
from tfopt.errors import InvalidArgumentError
from tfopt.optimizers.wrappers.base import Wrapper


@keras.saving.register_keras_serializable(package="tfopt")
class GradientCentralization(Wrapper):
    """Takes the mean out of the gradient of each output unit before any optimizer sees it.

    For kernels, and whatever else has two axes or more, `g <- g - mean(g)` over all axes but that of the
    units: the last in Keras's layouts. (optax's `centralize` leaves out the first, as is right for torch's.)
    Biases and scales are left as they are. Keeps no state. An Embedding's gradient becomes dense.

    Reference: Yong et al., Gradient Centralization: A New Optimization Technique for Deep Neural Networks
    (2020, arXiv 2004.01461), equation 1.

    Args:
        inner_optimizer: the optimizer that gets the centralized gradients.
        unit_axis: the axis over which no mean is taken; -1 or 0.
        name: of the optimizer.

    Raises:
        InvalidArgumentError: `unit_axis` is another number, or see `Wrapper`.

    Example:
        >>> optimizer = GradientCentralization(keras.optimizers.SGD(0.1, momentum=0.9))
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
    """

    @checked
    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer,
        unit_axis: int = -1,
        name: str = "gradient_centralization",
    ) -> None:
        if unit_axis not in (-1, 0):
            raise InvalidArgumentError(
                f"GradientCentralization: expected unit_axis -1 (Keras) or 0 (torch), got {unit_axis!r}."
            )
        super().__init__(inner_optimizer, name=name)
        self.unit_axis = unit_axis

    def update_variables(self, gradients: Sequence, variables: Sequence, learning_rate: Any) -> None:
        """Update the variables of one replica."""
        self.update_inner([self._centralized(gradient) for gradient in gradients], variables, learning_rate)

    def _centralized(self, gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor:
        axes = list(range(len(gradient.shape)))
        if len(axes) < 2:
            return gradient
        del axes[self.unit_axis]
        gradient = tf.convert_to_tensor(gradient)
        return gradient - tf.reduce_mean(gradient, axes, keepdims=True)
