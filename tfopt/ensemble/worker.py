"""Trains one learner after another through one traced training step."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from tfopt.errors import InvalidArgumentError


class Worker:
    """A model of the learners' structure that is trained again and again, from new weights each time.

    Every `compile` traces anew, which takes longer than to train a small learner.

    Args:
        learner: makes a new learner at each call.
        optimizer: trains them; its state is reset before each.
        x: inputs that it must take.
        epochs, batch_size: of each training.

    Raises:
        InvalidArgumentError: what `learner` returns is no functional model of one input and one output of
            columns, does not take `x`, or is the same model twice.
    """

    def __init__(
        self,
        learner: Callable[[], keras.Model],
        optimizer: keras.optimizers.Optimizer,
        x: np.ndarray,
        epochs: int,
        batch_size: int,
    ) -> None:
        self._learner, self._epochs, self._batch_size = learner, epochs, batch_size
        self.prototype = self._new()
        self._check_takes(x)
        self.columns = int(self.prototype.outputs[0].shape[-1])
        self._model = self._new()
        if self._model is self.prototype:
            raise InvalidArgumentError(
                "learner returns the same model at every call: expected a new one, made inside the function."
            )
        self._model.compile(optimizer, loss="mse", weighted_metrics=[])
        optimizer.build(self._model.trainable_variables)
        self._fresh = [np.array(variable) for variable in optimizer.variables]

    def trained(self, x: np.ndarray, target: np.ndarray, weights: np.ndarray | None) -> keras.Model:
        """Return a new learner that was trained on these samples."""
        learner = self._new()
        self._model.set_weights(learner.get_weights())
        for variable, value in zip(self._model.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        self._model.fit(
            x, target, sample_weight=weights, epochs=self._epochs, batch_size=self._batch_size, verbose=0
        )
        learner.set_weights(self._model.get_weights())
        return learner

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs of the learner that was trained last."""
        outputs: np.ndarray = self._model.predict(x, batch_size=1024, verbose=0)
        return outputs

    def _new(self) -> keras.Model:
        made = self._learner()
        if not isinstance(made, keras.Model):
            raise InvalidArgumentError(f"Expected learner() to return a keras.Model, got {made!r}.")
        inputs, outputs = (getattr(made, name, None) or [] for name in ("inputs", "outputs"))
        if (
            len(inputs) != 1
            or len(outputs) != 1
            or len(outputs[0].shape) != 2
            or outputs[0].shape[-1] is None
        ):
            raise InvalidArgumentError(
                "Expected learner() to return a functional or Sequential model with one input, declared by "
                "keras.Input, and one output of shape (samples, columns)."
            )
        return made

    def _check_takes(self, x: np.ndarray) -> None:
        wanted = self.prototype.inputs[0].shape[1:]
        fits = len(wanted) == x.ndim - 1 and all(
            size in (None, have) for size, have in zip(wanted, x.shape[1:], strict=True)
        )
        if not fits:
            raise InvalidArgumentError(
                f"x has samples of shape {x.shape[1:]}, and the learner takes {tuple(wanted)}."
            )
