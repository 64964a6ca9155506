"""The ranges of a quantization-aware model of tensorflow-model-optimization, for calibration.

They start at +-6, that of the input at 0, and move by a thousandth a step, so that a short training does
worse than quantizing after training. Eight forward passes that set them did better than a thousand steps.
"""

from __future__ import annotations

from typing import Any

import keras

from tfopt.quantization.observers import Observer
from tfopt.tfmot.library import quantizers, tfmot, weight_quantizers
from tfopt.tfmot.module import own_name


class Range:
    """One range, with the methods of `tfopt.quantization.quantizers.activation.ActivationQuantizer`.

    Args:
        tap: the quantizer that works in it.
        variables: its limits, `min_var` and `max_var`.
    """

    observer = "moving_average"
    momentum = 0.99

    def __init__(self, tap: _Tap, variables: dict[str, Any]) -> None:
        self.symmetric = bool(tap.quantizer.symmetric)
        self._tap = tap
        self._variables = variables

    def observe(self, observer: Observer | None) -> None:
        """Show the unquantized values to `observer` until called with None. For eager calls."""
        self._tap.observers[id(self._variables["min_var"])] = observer

    def set_range(self, minimum: float, maximum: float, batches: int = 1, *, held: bool = False) -> None:  # noqa: ARG002
        """Set the range; zero is always in it, as TFLite demands. Training moves it on, slowly."""
        low, high = min(minimum, 0.0), max(maximum, 0.0)
        if self.symmetric:
            high = max(high, -low)
            low = -high
        self._variables["min_var"].assign(low)
        self._variables["max_var"].assign(high)


class _Tap:
    """Takes the place of a quantizer, and shows its inputs to an observer."""

    def __init__(self, quantizer: Any) -> None:
        self.quantizer = quantizer
        self.observers: dict[int, Observer | None] = {}

    def __call__(self, inputs: Any, training: bool, weights: dict[str, Any], **kwargs: Any) -> Any:
        observer = self.observers.get(id(weights["min_var"]))
        if observer is None:
            return self.quantizer(inputs, training, weights=weights, **kwargs)
        observer.update(keras.ops.convert_to_numpy(inputs))
        return inputs


def tapped(module: Any) -> list[tuple[str, Range]]:
    """Return (name, range) of every range that data moves, made open to calibration."""
    library = tfmot().quantization.keras.quantizers
    moving = (library.MovingAverageQuantizer, library.AllValuesQuantizer)
    found = []
    held = (each for layer in module.layers for each in quantizers(layer))
    for holder, index, quantizer, ranges in held:
        if isinstance(quantizer, moving):
            tap = _Tap(quantizer)
            if index is None:
                holder.quantizer = tap
            else:
                holder[index] = tap
            found += [(own_name(each["min_var"]), Range(tap, each)) for each in ranges]
    return found


def fit_to_weights(module: Any) -> None:
    """Set the ranges of weights to what the weights are."""
    for layer in module.layers:
        for weight, quantizer, variables in weight_quantizers(layer):
            quantizer(weight, training=True, weights=variables)
