"""Pruning schedules as tensorflow-model-optimization calls them, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfopt.errors import InvalidArgumentError
from tfopt.pruning.schedules import Cubic
from tfopt.tfmot.library import tfmot

_UPDATES = 50
_CUBIC = "Cubic"


class CubicSchedule:
    """A `tfopt.pruning.Cubic` in place of a `PruningSchedule` of tensorflow-model-optimization.

    Those need whole steps when the model is wrapped. Shares of a training become steps here when it begins.

    Args:
        schedule: with `begin` and `end` as shares or steps.
        sparsity: the final one.
    """

    def __init__(self, schedule: Cubic, sparsity: float) -> None:
        self.schedule = schedule
        self.sparsity = sparsity
        # Variables, because a train step that is already traced must see them change.
        self._begin, self._end, self._frequency = (tf.Variable(0, dtype="int64") for _ in range(3))
        if isinstance(schedule.begin, int) and isinstance(schedule.end, int):
            self.set_total(None)

    def set_total(self, steps: int | None) -> None:
        """Tell how many steps the training has; None where that is unknown."""
        # sparsity_at and finished raise where shares meet an unknown number.
        self.schedule.finished(0, steps)
        begin, end = (
            value if isinstance(value, int) else round(value * (steps or 0))
            for value in (self.schedule.begin, self.schedule.end)
        )
        self._begin.assign(begin)
        self._end.assign(end)
        self._frequency.assign(self.schedule.frequency or max(1, (end - begin) // _UPDATES))

    def __call__(self, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return whether the masks change at a step, and the sparsity then.

        tensorflow-model-optimization counts from 1, tfopt the steps that are done.
        """
        done = tf.cast(step, tf.int64) - 1
        since = (done - self._begin) // self._frequency * self._frequency
        share = tf.cast(since, tf.float32) / tf.cast(tf.maximum(self._end - self._begin, 1), tf.float32)
        start = min(self.schedule.initial_sparsity, self.sparsity)
        rising = self.sparsity + (start - self.sparsity) * (1.0 - tf.clip_by_value(share, 0.0, 1.0)) ** 3
        sparsity = tf.where(done >= self._end, self.sparsity, rising)
        on_time = tf.equal((done - self._begin) % self._frequency, 0) | tf.equal(done, self._end)
        return (done >= self._begin) & (done <= self._end) & on_time, sparsity

    def ended(self, step: tf.Variable) -> bool:
        """Return whether the final sparsity is reached after `step` steps."""
        return int(tf.convert_to_tensor(step)) >= int(tf.convert_to_tensor(self._end))

    def get_config(self) -> dict[str, Any]:
        """Return class name and arguments, as schedules of tensorflow-model-optimization do."""
        return {"class_name": _CUBIC, "config": {**self.schedule.get_config(), "sparsity": self.sparsity}}


def to_json(schedule: Any) -> dict[str, Any]:
    """Return a schedule's class name and config.

    Args:
        schedule: a `ConstantSparsity` or `PolynomialDecay` of tensorflow-model-optimization, or what their
            `get_config` returns.

    Raises:
        InvalidArgumentError: it is something else.
    """
    config = schedule.get_config() if hasattr(schedule, "get_config") else schedule
    known = {*_classes(), _CUBIC}
    if not isinstance(config, Mapping) or config.get("class_name") not in known:
        raise InvalidArgumentError(
            "pruning_schedule must be a tfmot.sparsity.keras.ConstantSparsity or PolynomialDecay, or their "
            f"get_config(), got {schedule!r}. Other schedules cannot be saved; a tfopt.pruning.Cubic is "
            "given as schedule=."
        )
    return {"class_name": config["class_name"], "config": dict(config["config"])}


def from_json(config: Mapping[str, Any]) -> Any:
    """Return the schedule that `to_json` described."""
    settings = dict(config["config"])
    if config["class_name"] == _CUBIC:
        sparsity = settings.pop("sparsity")
        return CubicSchedule(Cubic(**settings), sparsity)
    return _classes()[config["class_name"]](**settings)


def _classes() -> dict[str, Any]:
    library = tfmot().sparsity.keras
    return {kind.__name__: kind for kind in (library.ConstantSparsity, library.PolynomialDecay)}
