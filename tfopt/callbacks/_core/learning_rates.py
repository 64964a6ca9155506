"""The learning rates and update counts of a model's optimizer, through loss scalers and other wrappers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.callbacks._core.optimizer_hook import optimizers_of
from tfopt.errors import InvalidArgumentError


def adjustable(callback: keras.callbacks.Callback) -> list[keras.optimizers.Optimizer]:
    """Return `optimizers_of(callback)`, each of which has a learning rate that can be set while training.

    Raises:
        InvalidArgumentError: as `optimizers_of`, or an optimizer was built with a schedule.
    """
    found = optimizers_of(callback)
    check_adjustable(callback, found)
    return found


def check_adjustable(
    callback: keras.callbacks.Callback, optimizers: Sequence[keras.optimizers.Optimizer]
) -> None:
    """Raise for an optimizer whose learning rate is no variable."""
    for optimizer in optimizers:
        if not isinstance(optimizer.learning_rate, keras.Variable):
            raise InvalidArgumentError(
                f"{type(callback).__name__}: the optimizer {optimizer.name!r} was built with a schedule, so "
                "its learning rate cannot be set; build it with a number, as learning_rate=1e-3, or leave "
                "the callback out."
            )


def check_one_step_per_execution(callback: keras.callbacks.Callback) -> None:
    """Raise where several updates are made between two calls of a callback."""
    steps = callback.model.steps_per_execution
    if steps != 1:
        raise InvalidArgumentError(
            f"{type(callback).__name__} acts at each update, and with steps_per_execution={steps} Keras "
            "calls it once for several: compile the model with steps_per_execution=1."
        )


def learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """Return the rate of the next update."""
    return float(optimizer.learning_rate.numpy())


def updates(optimizer: keras.optimizers.Optimizer) -> int:
    """Return how many updates the optimizer has made; accumulated batches are one."""
    return int(optimizer.iterations.numpy())


def log(logs: dict | None, optimizers: Sequence[keras.optimizers.Optimizer]) -> None:
    """Put the rates into `logs`, under the names that Keras's callbacks use."""
    if logs is None:
        return
    for optimizer in optimizers:
        name = "learning_rate" if len(optimizers) == 1 else f"learning_rate_{optimizer.name}"
        logs[name] = learning_rate(optimizer)


def evaluate(
    callback: keras.callbacks.Callback, schedule: Callable[[int], Any], step: int, below: float = math.inf
) -> float:
    """Return `schedule(step)` as a float.

    Raises:
        InvalidArgumentError: it is not one number in [0, `below`).
    """
    # A few scalar operations, which a GPU would only delay.
    with tf.device("CPU:0"):
        value = schedule(step)
    value = np.asarray(value.numpy() if tf.is_tensor(value) else value)
    if value.size != 1 or value.dtype.kind not in "fiu" or not 0 <= value.item() < below:
        bounds = "a finite number >= 0" if below == math.inf else f"a number in [0, {below:g})"
        raise InvalidArgumentError(
            f"{type(callback).__name__}: expected the schedule to return {bounds}, got {value} at {step}."
        )
    return float(value.item())
