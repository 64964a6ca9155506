"""Updates skipped because a gradient was not finite: counted, warned about, and at last an error."""

from __future__ import annotations

import logging
import warnings

import keras
import tensorflow as tf

from tfopt.callbacks._core import optimizer_hook
from tfopt.callbacks._core.variables import replicated
from tfopt.errors import TrainingError

logger = logging.getLogger(__name__)


class SkippedUpdates:
    """Counts the skipped updates of one training.

    Args:
        model: the compiled model that trains.
        optimizers: how many optimizers it has.
        limit: how many in a row are too many, or `None`.
    """

    def __init__(self, model: keras.Model, optimizers: int, limit: int | None) -> None:
        self._limit = limit
        self._scaler = optimizer_hook.scaler_of(model)
        self._scale = self._scale_now()
        self._at_lowest_scale = 0
        self._warned = False
        self._logged = 0
        # Those of the epoch, then those in a row of each optimizer.
        zeros = [0.0] * (1 + optimizers)
        self._counts = replicated(model, "skipped_updates", zeros, per_replica=True)

    def count(self, update: optimizer_hook.Update) -> None:
        """Count `update`, in the traced step."""
        skipped = tf.cast(~update.finite, tf.float32)
        counts = self._counts.value
        of_epoch, in_a_row = counts[0] + skipped, counts[1:]
        mine = tf.range(in_a_row.shape[0]) == update.index
        in_a_row = tf.where(mine, (in_a_row + 1.0) * skipped, in_a_row)
        self._counts.assign(tf.concat([[of_epoch], in_a_row], axis=0))

    def begin_epoch(self) -> None:
        """Count those of the epoch from zero."""
        self._logged = 0
        counts = self._counts.numpy()
        counts[0] = 0.0
        self._counts.assign(counts)

    @property
    def of_epoch(self) -> float:
        """How many were skipped in this epoch."""
        return float(self._counts.numpy()[0])

    def check(self) -> None:
        """Warn of the first, and stop at too many in a row; call it after each batch.

        Raises:
            TrainingError: the limit is reached.
        """
        counts = self._counts.numpy()
        if counts[0] and not self._warned:
            self._warned = True
            warnings.warn(
                "Gradients hold inf or NaN: the update is skipped, and later ones like it. The logs "
                "count them as nonfinite_steps.",
                stacklevel=2,
            )
        if counts[0] > self._logged:
            self._logged = int(counts[0])
            logger.info("Skipped an update with inf or NaN in the gradients, %d in this epoch", self._logged)
        in_a_row = int(counts[1:].max())
        if self._scaler is not None:
            in_a_row = self._by_scale(in_a_row)
        if self._limit is not None and in_a_row >= self._limit:
            raise TrainingError(
                f"{in_a_row} updates in a row had inf or NaN in the gradients, so training was stopped; the "
                "weights are those before them. Look for inf or NaN in the data and the loss, or lower the "
                "learning rate; max_nonfinite_steps sets how many are tolerated."
            )

    def _by_scale(self, in_a_row: int) -> int:
        """Return how many in a row the loss scale does not explain.

        An overflow at a large scale is how `LossScaleOptimizer` finds the scale: it skips the update itself
        and halves the scale.
        """
        scale, before = self._scale_now(), self._scale
        self._scale = scale
        if scale >= before and not in_a_row:
            self._at_lowest_scale = 0
        elif before <= 1.0:
            self._at_lowest_scale += 1
        return self._at_lowest_scale

    def _scale_now(self) -> float:
        if self._scaler is None or not self._scaler.built:
            return float("inf")
        return float(keras.ops.convert_to_numpy(self._scaler.dynamic_scale))
