"""A Keras loss of the scores that boosting adds up: value, gradient, best constant, best step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import minimize, minimize_scalar

from tfopt.errors import InvalidArgumentError, NonFiniteError

_ACTIVATIONS = {
    "BinaryCrossentropy": "sigmoid",
    "BinaryFocalCrossentropy": "sigmoid",
    "CategoricalCrossentropy": "softmax",
    "CategoricalFocalCrossentropy": "softmax",
    "SparseCategoricalCrossentropy": "softmax",
}
"""Losses of probabilities that take logits too -> what makes probabilities of scores."""

_OF_POSITIVE = ("KLDivergence", "Poisson", "MeanSquaredLogarithmicError")
"""Losses that no unbounded score fits."""

_LARGEST_STEP = 100.0
"""The end of the line search: learners are fitted to the gradient, which makes steps near 1 usual."""


class ScoreLoss:
    """The mean of a loss over samples, of scores without bounds.

    Args:
        loss: what `compile` takes, for one output: a name, a `keras.losses.Loss` or a function of (y_true,
            y_pred). A cross-entropy is computed from the scores as logits.

    Attributes:
        activation: what makes predictions of scores: `"sigmoid"`, `"softmax"` or `"linear"`.
        is_sparse: whether targets are numbers of classes, of which scores have one column each.

    Raises:
        InvalidArgumentError: there is no such loss, or it takes positive numbers only.
    """

    def __init__(self, loss: Any) -> None:
        try:
            found = keras.losses.get(loss)
        except (ValueError, TypeError) as error:
            raise InvalidArgumentError(
                f"Expected loss to be a name, a keras.losses.Loss or a function, got {loss!r}."
            ) from error
        if not callable(found):
            raise InvalidArgumentError(f"Expected one loss, got {loss!r}.")
        name = _class_name(found)
        if name in _OF_POSITIVE:
            raise InvalidArgumentError(
                f"The loss {name} takes positive predictions, and boosting adds up scores of any sign: give "
                "a function such as lambda y, scores: keras.losses.poisson(y, keras.ops.exp(scores))."
            )
        self.activation = _ACTIVATIONS.get(name, "linear")
        self.is_sparse = name == "SparseCategoricalCrossentropy"
        if name in _ACTIVATIONS:
            config = found.get_config() if isinstance(found, keras.losses.Loss) else {}
            found = getattr(keras.losses, name)(**config | {"from_logits": True})
        self._call = found.call if isinstance(found, keras.losses.Loss) else found

    def value(self, y: np.ndarray, scores: np.ndarray, weights: np.ndarray | None) -> float:
        """Return the mean over samples, weighted where `weights` are given."""
        return float(self._mean(y, tf.constant(scores, tf.float32), weights))

    def negative_gradient(self, y: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Return, for each sample, minus the gradient of its loss by its scores."""
        variable = tf.convert_to_tensor(scores, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(variable)
            total = tf.reduce_sum(self._of_samples(y, variable))
        gradient = tape.gradient(total, variable)
        if gradient is None:
            raise InvalidArgumentError("The loss has no gradient by the predictions: give one that has.")
        if not np.isfinite(gradient.numpy()).all():
            raise NonFiniteError("The gradient of the loss is NaN or infinite: look for NaN in the targets.")
        return -gradient.numpy()

    def best_constant(self, y: np.ndarray, columns: int, weights: np.ndarray | None) -> np.ndarray:
        """Return the scores, one a column, that have the lowest loss when all samples have them."""

        def value_and_gradient(constant: np.ndarray) -> tuple[float, np.ndarray]:
            point = tf.constant(constant, tf.float32)
            with tf.GradientTape() as tape:
                tape.watch(point)
                loss = self._mean(y, tf.broadcast_to(point, (len(y), columns)), weights)
            gradient = tape.gradient(loss, point)
            slope = np.zeros(columns) if gradient is None else gradient.numpy().astype(float)
            return float(loss), slope

        return minimize(value_and_gradient, np.zeros(columns), jac=True, method="L-BFGS-B").x

    def best_step(
        self, y: np.ndarray, scores: np.ndarray, direction: np.ndarray, weights: np.ndarray | None
    ) -> float:
        """Return the factor of `direction`, at least 0, that makes the loss least; 0 where nothing helps."""
        found = minimize_scalar(
            lambda step: self.value(y, scores + step * direction, weights),
            bounds=(0.0, _LARGEST_STEP),
            method="bounded",
            options={"xatol": 1e-3},
        )
        return float(found.x) if found.fun < self.value(y, scores, weights) else 0.0

    def _of_samples(self, y: np.ndarray, scores: Any) -> Any:
        loss = tf.convert_to_tensor(self._call(tf.convert_to_tensor(y), scores))
        if loss.shape.rank == 0:
            raise InvalidArgumentError(
                "Expected the loss to return one number a sample, got a scalar: take the mean over the last "
                "axis alone, as keras.losses do."
            )
        return tf.reduce_mean(loss, axis=list(range(1, loss.shape.rank)))

    def _mean(self, y: np.ndarray, scores: Any, weights: np.ndarray | None) -> Any:
        loss = self._of_samples(y, scores)
        if weights is None:
            return tf.reduce_mean(loss)
        return tf.reduce_sum(loss * weights) / tf.reduce_sum(weights)


def _class_name(loss: Any) -> str:
    """Return the class of one of Keras's losses, also where it is the function; "" of any other."""
    if isinstance(loss, keras.losses.Loss):
        return type(loss).__name__ if getattr(keras.losses, type(loss).__name__, None) is type(loss) else ""
    name: str = getattr(loss, "__name__", "")
    if getattr(keras.losses, name, None) is not loss:
        return ""
    words = name.replace("_", "")
    return next((each for each in dir(keras.losses) if each.lower() == words and each != name), "")
