"""Finding the loss again inside a compiled training step.

An optimizer sees gradients and variables. One that needs the gradient at another point has to know the model
and the batch, and Keras hands it neither: they are read from the frame of the `train_step` that called it,
when the step is traced. This module alone does so.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt import _replica_share
from tfopt.clipping.gradients import map_values
from tfopt.errors import UnsupportedModel
from tfopt.optimizers._core import keras_private


@dataclasses.dataclass(frozen=True)
class TrainingStep:
    """The model and the batch of the step that is being traced."""

    model: keras.Model
    x: Any
    y: Any
    sample_weight: Any

    def gradients(self, variables: Sequence[keras.Variable], at: Sequence[tf.Tensor]) -> list:
        """Return the gradients of the batch's loss with `variables` at other values.

        The weights themselves are not touched. What the forward pass would change, such as statistics of
        BatchNormalization and metrics, does not change a second time.
        """
        model = self.model
        with tf.GradientTape() as tape:
            tape.watch(at)
            with keras.StatelessScope(state_mapping=list(zip(variables, at, strict=True))):
                mode = {"training": True} if keras_private.takes_training(model) else {}
                prediction = model(self.x, **mode)
                loss = keras_private.loss_of(model, self.x, self.y, prediction, self.sample_weight)
            # float16 gradients need the loss scale here as in the first pass.
            with _replica_share.alike():
                scaled = model.optimizer.scale_loss(loss)
                scale = model.optimizer.scale_loss(tf.ones([]))
        gradients = tape.gradient(scaled, list(at))

        def unscaled(values: tf.Tensor) -> tf.Tensor:
            return _replica_share.weighed(values / tf.cast(scale, values.dtype))

        return [None if g is None else map_values(unscaled, g) for g in gradients]


def current(optimizer: str) -> TrainingStep:
    """Return the training step that is being traced.

    Raises:
        UnsupportedModel: this is not inside the `train_step` of a Keras model, or inside one that its class
            overrides.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is keras.Model.train_step.__code__:
            names = frame.f_locals
            return TrainingStep(names["self"], names["x"], names["y"], names["sample_weight"])
        frame = frame.f_back
    raise UnsupportedModel(
        f"{optimizer} takes the gradient twice, and found no training step of keras.Model around it to take "
        f"it again: use fit() or train_on_batch() of a model that does not override train_step, or "
        f"minimize(loss, variables) in your own loop."
    )
