"""How the gradients of a group of layers are clipped: a method and its threshold, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfopt import _validation
from tfopt.clipping import METHODS, StatefulClip
from tfopt.errors import InvalidArgumentError

Threshold: TypeAlias = float | Callable[[Any], Any]
"""A number, or a function of the number of updates made."""
Rule: TypeAlias = Threshold | str | tuple[str, Threshold | None] | None


# Each is a group of its own, also where two have the same numbers.
@dataclasses.dataclass(frozen=True, eq=False)
class Setting:
    """A method of `tfopt.clipping` with its threshold; `stateful` is the one with a memory, if it has one."""

    method: str
    threshold: Threshold
    stateful: StatefulClip | None

    @property
    def state_size(self) -> int:
        """How many float32 the memory holds."""
        return 0 if self.stateful is None else int(self.stateful.initial_state().shape[0])


def make(method: Any, threshold: Threshold | None, options: Mapping[str, Any], *, where: str = "") -> Setting:
    """Return the setting.

    Args:
        method: a name in `tfopt.clipping.METHODS`.
        threshold: by default the method's.
        options: of the method, by name.
        where: said in errors.

    Raises:
        InvalidArgumentError: the method is unknown, does not take an option, or a value is out of its range.
    """
    if not isinstance(method, str) or method not in METHODS:
        raise InvalidArgumentError(
            f"GradientClipping: unknown method {method!r}{where}; choose one of {', '.join(METHODS)}."
        )
    known = METHODS[method]
    unknown = [name for name in options if name not in known.options]
    if unknown:
        raise InvalidArgumentError(
            f"GradientClipping: {method!r} has no option {', '.join(map(repr, unknown))}; it takes "
            f"{', '.join(known.options) or 'none'}."
        )
    checked = known.threshold if threshold is None else check_threshold(method, threshold, where)
    return Setting(method, checked, known.stateful(**options) if known.stateful else None)


def of_rule(rule: Rule, method: str, options: Mapping[str, Any], *, where: str) -> Setting | None:
    """Return the setting that a rule gives a layer, or `None`: not clipped.

    Args:
        rule: `None`, a threshold of `method`, the name of another method, or a pair of both.
        method: that of layers without a rule, with its `options`.
        options: see `method`.
        where: said in errors.

    Raises:
        InvalidArgumentError: see `make`.
    """
    if rule is None:
        return None
    if isinstance(rule, str):
        rule = (rule, None)
    if not isinstance(rule, tuple | list):
        rule = (method, rule)
    if len(rule) != 2:
        raise InvalidArgumentError(
            f"GradientClipping: expected None, a threshold, a method or (method, threshold){where}, "
            f"got {rule!r}."
        )
    own = options if rule[0] == method else {}
    return make(rule[0], rule[1], own, where=where)


def check_threshold(method: str, threshold: Any, where: str = "") -> Threshold:
    """Return a threshold that is right for `method`.

    Raises:
        InvalidArgumentError: it is no number in the method's range, nor a function of the step to such ones.
    """
    if callable(threshold):
        _value(threshold, 0, where)
        return threshold
    largest = METHODS[method].largest
    if not _validation.is_number(threshold) or not 0 < threshold <= largest:
        upper = "" if largest == float("inf") else f" and <= {largest:g} for {method!r}"
        raise InvalidArgumentError(
            f"GradientClipping: expected a threshold > 0{upper}{where}, or a schedule; got {threshold!r}."
        )
    return float(threshold)


def traceable(threshold: Threshold) -> bool:
    """Return whether a threshold is computed in the training step; others are handed to it at each batch."""
    return isinstance(threshold, keras.optimizers.schedules.LearningRateSchedule)


def in_step(schedule: Any, number: Any) -> tf.Tensor:
    """Return the value of a traceable schedule after `number` updates, while the step is traced."""
    return tf.maximum(tf.cast(schedule(tf.convert_to_tensor(number)), tf.float32), 0.0)


def at_batch(threshold: Threshold, number: int) -> float:
    """Return the value of a threshold after `number` updates; that of a traceable one is not used.

    Raises:
        InvalidArgumentError: a function gives what is no threshold.
    """
    if traceable(threshold):
        return 0.0
    return _value(threshold, number, "") if callable(threshold) else float(threshold)


def describe(threshold: Threshold) -> Any:
    """Return a threshold as what JSON can hold."""
    if traceable(threshold):
        return keras.saving.serialize_keras_object(threshold)
    return getattr(threshold, "__qualname__", repr(threshold)) if callable(threshold) else threshold


def _value(schedule: Callable[[Any], Any], number: int, where: str) -> float:
    try:
        value = float(np.asarray(schedule(number)))
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"GradientClipping: expected a schedule{where} that gives one number for the number of updates "
            f"made; at {number} it failed: {error}."
        ) from error
    if not 0 <= value < float("inf"):
        raise InvalidArgumentError(
            f"GradientClipping: expected a schedule{where} of thresholds >= 0, got {value} at {number}."
        )
    return value
