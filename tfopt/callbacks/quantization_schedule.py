"""Begins quantization late and ends what disturbs it early, during `fit`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import keras

from tfopt import _validation
from tfopt.callbacks._core.next_training import before_next_training
from tfopt.callbacks._core.variables import replicated
from tfopt.errors import InvalidArgumentError
from tfopt.graph import is_quantized, layers
from tfopt.quantization.qat.freeze import freeze_batch_norm, freeze_ranges
from tfopt.quantization.quantizers.delayed_start import QuantizationDelay

Moment = int | float | None

logger = logging.getLogger(__name__)


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizationSchedule(keras.callbacks.Callback):
    """Schedules the training of a model from `tfopt.quantize_aware`.

    Each moment is a number of steps (an int) or a share of all steps of the `fit` (a float in [0, 1]).
    Steps are counted from epoch 0, so that a `fit` that is resumed with `initial_epoch`, on weights from
    then, continues as if it had not been interrupted.

    Args:
        start_at: when quantization begins. Before it, weights and activations pass in float while the ranges
            of activations are observed; validation computes as the file would all the time.
        freeze_ranges_at: when the ranges of activations stop moving, trained ones too; None for never.
        freeze_batch_norm_at: when batch normalizations start to train with their moving statistics, which
            then stay as they are; None for never. The step is traced anew then.

    Ranges and batch normalizations stay frozen after `fit`: see `tfopt.quantization.freeze_ranges` and
    `freeze_batch_norm`.

    Raises:
        InvalidArgumentError: a moment out of its range; and when `fit` begins: the model is not
            quantization-aware, or a share is given and `fit` does not know the number of steps.

    Example:
        ```python
        schedule = tfopt.callbacks.QuantizationSchedule(freeze_ranges_at=0.8, freeze_batch_norm_at=0.5)
        quantized.fit(x_train, y_train, epochs=5, callbacks=[schedule])
        ```

    Reference:
        Jacob et al., 2018, Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference (arXiv 1712.05877), section 3.1; Krishnamoorthi, 2018, Quantizing
        deep convolutional networks for efficient inference (arXiv 1806.08342), section 3.2.
    """

    def __init__(
        self,
        start_at: int | float = 0,
        freeze_ranges_at: Moment = None,
        freeze_batch_norm_at: Moment = None,
    ) -> None:
        super().__init__()
        check_moments(type(self).__name__, start_at, freeze_ranges_at, freeze_batch_norm_at)
        self.start_at = start_at
        self.freeze_ranges_at = freeze_ranges_at
        self.freeze_batch_norm_at = freeze_batch_norm_at
        self._steps_per_epoch: int | None = None
        self._first_of_epoch = 0
        self._done: int | None = None
        self._agenda = _Agenda()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Check that the model and `fit` have what the schedule needs, and wait with quantizing."""
        if not is_quantized(self.model):
            raise InvalidArgumentError(
                f"QuantizationSchedule found no quantizers in {self.model.name!r}: make the model with "
                "model = tfopt.quantize_aware(model) and compile that."
            )
        self._steps_per_epoch = self.params.get("steps")
        self._first_of_epoch, self._done = 0, None
        actions: dict[str, Callable[[], Any]] = {
            "freeze_ranges_at": lambda: freeze_ranges(self.model),
            "freeze_batch_norm_at": self._freeze_batch_norm,
        }
        if self._step("start_at") > 0:
            delay = QuantizationDelay(replicated(self.model, "quantizing", 0.0))
            _set_delay(self.model, delay)
            before_next_training(self.model, partial(_set_delay, self.model, None))
            actions["start_at"] = delay.end
        self._agenda = _Agenda(
            (self._step(name), name, action)
            for name, action in actions.items()
            if getattr(self, name) is not None
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Find the step that the epoch starts from."""
        if self._steps_per_epoch is not None:
            self._first_of_epoch = epoch * self._steps_per_epoch
        elif self._done is None and epoch > 0:
            raise InvalidArgumentError(
                f"QuantizationSchedule cannot tell at which step epoch {epoch} starts, for fit does not know "
                "the steps of an epoch: pass steps_per_epoch."
            )
        else:
            self._first_of_epoch = self._done or 0
        self._agenda.advance(self._first_of_epoch)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Do what it is time for."""
        self._agenda.advance(self._first_of_epoch + batch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Count the step."""
        self._done = self._first_of_epoch + batch + 1

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Let a later `fit` quantize from its first step on."""
        self._agenda = _Agenda()
        _set_delay(self.model, None)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        names = ("start_at", "freeze_ranges_at", "freeze_batch_norm_at")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QuantizationSchedule:
        """Return the schedule that `get_config` described."""
        return cls(**config)

    def _step(self, name: str) -> int:
        value = getattr(self, name)
        if isinstance(value, int) or value == 0:
            return int(value)
        if self._steps_per_epoch is None:
            raise InvalidArgumentError(
                f"{name}={value} is a share of the training, and fit does not know the number of its steps: "
                "pass steps_per_epoch, or give a whole number of steps."
            )
        return round(value * self._steps_per_epoch * self.params["epochs"])

    def _freeze_batch_norm(self) -> None:
        if freeze_batch_norm(self.model):
            self.model.make_train_function(force=True)


def _set_delay(model: keras.Model, delay: QuantizationDelay | None) -> None:
    """Give all quantizers a delay, which a step that is traced already does not have, or take it away."""
    quantizers: list[Any] = [layer for _, layer in layers(model) if getattr(layer, "tfopt_quantizer", False)]
    if all(getattr(layer, "delay", None) is delay for layer in quantizers):
        return
    for layer in quantizers:
        layer.delay = delay
    model.make_train_function(force=True)


class _Agenda:
    """What is still to be done, and at which step.

    An object of its own, which a pipeline's checkpoint leaves out: a resumed `fit` has to do again, on a new
    model, what was done before.
    """

    def __init__(self, items: Iterable[tuple[int, str, Callable[[], Any]]] = ()) -> None:
        self._items = list(items)

    def advance(self, step: int) -> None:
        due = [item for item in self._items if item[0] <= step]
        self._items = [item for item in self._items if item[0] > step]
        for _, name, action in due:
            logger.info("Step %d: %s", step, name)
            action()


def check_moments(
    owner: str,
    start_at: int | float,
    freeze_ranges_at: Moment,
    freeze_batch_norm_at: Moment,
) -> None:
    """Raise `InvalidArgumentError` unless each is a step or a share of all steps; the last two may be None.

    Args:
        owner: what the arguments belong to, for the message.
        start_at, freeze_ranges_at, freeze_batch_norm_at: see `QuantizationSchedule`.
    """
    moments = {
        "start_at": start_at,
        "freeze_ranges_at": freeze_ranges_at,
        "freeze_batch_norm_at": freeze_batch_norm_at,
    }
    for name, value in moments.items():
        step = _validation.is_whole(value) and value is not None and value >= 0
        share = isinstance(value, float) and 0 <= value <= 1
        never = value is None and name != "start_at"
        if not (step or share or never):
            raise InvalidArgumentError(
                f"{owner}: expected {name} to be a step (an int from 0 on) or a share of all steps (a float "
                f"in [0, 1]), got {value!r}."
            )
