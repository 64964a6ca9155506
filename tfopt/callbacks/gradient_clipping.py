"""Gradient clipping inside a compiled training step."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt import rules as layer_rules
from tfopt.callbacks import _optimizer_hook
from tfopt.callbacks._variables import layer_paths, replicated
from tfopt.clipping import METHODS
from tfopt.clipping.slices import Gradient
from tfopt.errors import InvalidArgumentError

_COMMON = "threshold"


class GradientClipping(keras.callbacks.Callback):
    """Clips the gradients of any Keras optimizer while `fit` runs, and skips updates that are not finite.

    Clips what is about to be applied: summed over replicas, averaged over accumulated batches, without the
    loss scale. (The `clipnorm` of a Keras optimizer clips each replica's own gradient, and poisons the
    weights when a gradient is infinite.) An update whose gradients hold inf or NaN changes no weight and no
    state of the optimizer, does not count in `optimizer.iterations`, and adds to `nonfinite_steps` in the
    logs of the epoch; only the `weight_decay` of a Keras optimizer still acts in it.

    With `keras.optimizers.MultiOptimizer`, each optimizer's variables are clipped as a group of their own.

    Args:
        method: `"value"`: each entry to +-threshold; `"norm"`: each variable's gradient to that norm;
            `"global_norm"`: all together to that norm; `"adaptive"` (AGC, arXiv 2102.06171): the gradient of
            each unit to threshold times the norm of its weights.
        threshold: > 0; by default 0.01 for `"adaptive"`, else 1.0. Set `callback.threshold` to change it
            while training.
        rules: layer-path pattern -> that layer's own threshold, or `None` to leave it unclipped; the first
            match wins. AGC's authors leave the last linear layer out: `rules={"head": None}`. `"global_norm"`
            takes the norm over all layers of one threshold.

    Raises:
        InvalidArgumentError: at once, for an unknown method or a threshold that is not positive; when
            training begins, for a rule that matches no layer or a model that is not compiled.

    Example:
        >>> clipping = GradientClipping("adaptive", 0.02, rules={"head": None})
        >>> history = model.fit(x, y, verbose=0, callbacks=[clipping])
    """

    def __init__(
        self,
        method: str,
        threshold: float | None = None,
        *,
        rules: Mapping[str, float | None] | None = None,
    ) -> None:
        super().__init__()
        if method not in METHODS:
            raise InvalidArgumentError(
                f"GradientClipping: unknown method {method!r}; choose one of {', '.join(METHODS)}."
            )
        self.method = method
        self.rules = dict(rules or {})
        self._threshold = METHODS[method].threshold if threshold is None else _positive(threshold)
        for pattern, own in self.rules.items():
            if own is not None:
                _positive(own, f" in the rule {pattern!r}")
        # Variables belong to one training: a callback is copied before, and used again for other models.
        self._variable: Any = None
        self._nonfinite: Any = None

    @property
    def threshold(self) -> float:
        """The threshold of layers without a rule; setting it takes effect at the next batch."""
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._threshold = _positive(value)
        if self._variable is not None:
            self._variable.assign(self._threshold)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Take hold of the optimizer."""
        if self.model.built:
            self._settings()
        self._variable = replicated(self.model, "clipping_threshold", self._threshold)
        self._nonfinite = replicated(self.model, "nonfinite_steps", 0.0, per_replica=True)
        _optimizer_hook.attach(_optimizer_hook.Link(owner=self, transform=self._clip, observe=self._count))

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Count from zero."""
        self._nonfinite.assign(0.0)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Put `nonfinite_steps` into `logs`."""
        if logs is not None:
            logs["nonfinite_steps"] = float(self._nonfinite.numpy())

    def on_train_end(self, logs: dict | None = None) -> None:
        """Let go of the optimizer."""
        _optimizer_hook.detach(self)
        self._variable = self._nonfinite = None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the threshold as it is now."""
        return {"method": self.method, "threshold": self.threshold, "rules": dict(self.rules)}

    def _settings(self) -> dict[int, float | str | None]:
        """Return `id(variable)` -> the threshold of its rule, or `_COMMON`."""
        paths = layer_paths(self.model)
        of_layer = layer_rules.resolve(self.rules, dict.fromkeys(paths.values()), default=_COMMON)
        return {variable: of_layer[path] for variable, path in paths.items()}

    def _clip(self, gradients: list[Gradient], variables: Sequence) -> list[Gradient]:
        # A subclassed model has its variables only now that the step is traced.
        settings = self._settings()
        groups: dict[Any, list[int]] = {}
        for index, variable in enumerate(variables):
            groups.setdefault(settings.get(id(variable), _COMMON), []).append(index)
        clipped = list(gradients)
        for setting, indices in groups.items():
            if setting is None:
                continue
            threshold = self._variable.value if setting == _COMMON else setting
            group = METHODS[self.method].clip(
                [gradients[i] for i in indices], [variables[i] for i in indices], threshold
            )
            for index, gradient in zip(indices, group, strict=True):
                clipped[index] = gradient
        return clipped

    def _count(self, before: list[Gradient], after: list[Gradient], norm: tf.Tensor) -> None:
        self._nonfinite.assign_add(tf.cast(~tf.math.is_finite(norm), tf.float32))


def _positive(threshold: float, where: str = "") -> float:
    if not isinstance(threshold, numbers.Real) or not 0 < threshold < float("inf"):
        raise InvalidArgumentError(f"GradientClipping: expected a threshold > 0{where}, got {threshold!r}.")
    return float(threshold)
