"""Loss, gradient and Hessian-vector products of a model on all data, as functions of one vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfopt.errors import InvalidArgumentError, UnsupportedOperation
from tfopt.trainers.batches import Batches
from tfopt.trainers.objectives import Objective
from tfopt.trainers.weights import WeightVector


class FullBatch:
    """Evaluates an objective at the weights that the model has; each function is traced once.

    Sums over batches are taken in float64, so that the number of batches does not change the result.
    """

    def __init__(self, objective: Objective, weights: WeightVector, data: Batches, jit_compile: bool) -> None:
        self._objective, self._weights, self._data = objective, weights, data
        batch = data.signature
        self._totals = None
        if not data.single:
            sizes = tf.function(objective.sizes, input_signature=[batch], autograph=False)
            self._totals = tf.add_n([sizes(each) for each in data])
        totals = [] if self._totals is None else [tf.TensorSpec(self._totals.shape, "float64")]
        entries = tf.TensorSpec((sum(int(np.prod(v.shape)) for v in weights.variables),), "float64")
        options = {"autograph": False, "jit_compile": jit_compile or None}
        self._loss = tf.function(self._batch_loss, input_signature=[batch, *totals], **options)
        self._gradient = tf.function(self._batch_gradient, input_signature=[batch, *totals], **options)
        self._product = tf.function(self._batch_product, input_signature=[entries, batch, *totals], **options)

    def loss(self) -> float:
        """Return the loss, which need not have a gradient."""
        return sum(float(self._loss(batch, *self._rest)) for batch in self._data)

    def gradient(self) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient."""
        loss, gradient = 0.0, np.zeros(())
        for batch in self._data:
            part, direction = self._gradient(batch, *self._rest)
            loss, gradient = loss + float(part), gradient + direction.numpy()
        return loss, self._weights.select(gradient)

    def product(self, vector: np.ndarray) -> np.ndarray:
        """Return the Hessian times a vector, never the Hessian.

        Raises:
            UnsupportedOperation: an operation of the model has no second derivative in TensorFlow.
        """
        entries = tf.constant(self._weights.spread(vector), "float64")
        try:
            parts = [self._product(entries, batch, *self._rest).numpy() for batch in self._data]
        except LookupError as error:
            raise UnsupportedOperation(
                f"The model has no second derivative in TensorFlow ({error}): train it with LBFGS."
            ) from error
        return self._weights.select(np.sum(parts, axis=0))

    @property
    def _rest(self) -> tuple[Any, ...]:
        return () if self._totals is None else (self._totals,)

    def _differentiate(self, batch: Any, totals: Any) -> tuple[Any, list[Any]]:
        variables = self._weights.variables
        with tf.GradientTape() as tape:
            loss = self._objective.value(batch, totals)
        gradients = tape.gradient(loss, variables)
        if all(gradient is None for gradient in gradients):
            raise InvalidArgumentError(
                "The loss does not depend on the trainable weights: compute it from the model's outputs, "
                "with TensorFlow or keras.ops throughout."
            )
        return loss, gradients

    def _batch_loss(self, batch: Any, totals: Any = None) -> Any:
        return self._objective.value(batch, totals)

    def _batch_gradient(self, batch: Any, totals: Any = None) -> tuple[Any, Any]:
        loss, gradients = self._differentiate(batch, totals)
        return loss, self._weights.join(gradients)

    def _batch_product(self, entries: Any, batch: Any, totals: Any = None) -> Any:
        # The gradient of <gradient, vector>. Forward over reverse costs less, but fails in TensorFlow where
        # the model has loops.
        variables = self._weights.variables
        with tf.GradientTape() as tape:
            _, gradients = self._differentiate(batch, totals)
            slopes = [
                tf.reduce_sum(tf.cast(tf.convert_to_tensor(g) * v, "float64"))
                for g, v in zip(gradients, self._weights.split(entries), strict=True)
                if g is not None
            ]
            slope = tf.add_n(slopes)
        return self._weights.join(tape.gradient(slope, variables))
