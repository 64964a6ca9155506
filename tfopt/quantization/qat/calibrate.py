"""Filling the ranges of a quantization-aware model before its first training step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import keras

from tfopt import _validation
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.graph import is_quantized, layers, running
from tfopt.quantization.observers import MovingAverage, Observer, new_observer
from tfopt.quantization.qat.calibration_data import CalibrationData, calibration_batches
from tfopt.quantization.quantizers.activation import ActivationQuantizer
from tfopt.quantization.quantizers.fake_quantize import NUM_BITS

logger = logging.getLogger(__name__)


def calibrate(
    model: keras.Model,
    data: CalibrationData,
    *,
    batch_size: int = 64,
    observer: str | Observer | None = None,
) -> None:
    """Run `model` on `data` without quantizing, so that its quantizers find their ranges.

    A short training from calibrated ranges beats a long one from a guess: training moves ranges slowly.
    Calibrating again replaces the ranges.

    Args:
        model: as `quantize_aware` returns it. Only its ranges change.
        data: samples as `model.predict` takes them, a few hundred: an array, or a list, tuple or dict of
            arrays for several inputs. Or a `tfopt.data.Dataset`; a `tf.data.Dataset`, `keras.utils.PyDataset`
            or generator of batches, where a tuple is `(inputs, labels)` as `fit` has it and a list one array
            an input; or a function that returns a generator, such as a representative dataset of TFLite's.
        batch_size: samples a step; a moving average is taken over steps. A model of a smaller fixed batch
            takes several of its batches for one.
        observer: what finds the ranges: a name in `tfopt.quantization.observers.OBSERVERS`, or an observer
            such as `Percentile(99.9)`. None takes the one of the scheme.

    Raises:
        InvalidArgumentError: the model is not quantization-aware, or the data does not fit its inputs.
        DataError: no samples, or values that are not finite. The ranges are then what they were.

    Example:
        ```python
        tfopt.quantization.calibrate(quantized, x_train[:512], observer="mse")
        ```
    """
    _validation.whole("calibrate", "batch_size", batch_size, at_least=1)
    found = _quantizers_of(model)
    if not found:
        return  # of weights alone
    observers = [_observer_of(quantizer, observer) for _, quantizer in found]
    batches = _observe(model, data, batch_size, found, observers)
    ranges = []
    for (path, quantizer), own in zip(found, observers, strict=True):
        limits = own.range(getattr(quantizer, "num_bits", NUM_BITS), quantizer.symmetric)
        if limits is None:
            raise DataError(
                f"All values that reached {path!r} are NaN or infinite: the model overflows on this data."
            )
        ranges.append(limits)
    for (path, quantizer), own, limits in zip(found, observers, ranges, strict=True):
        logger.debug("%s: range %g to %g", path, *limits)
        quantizer.set_range(*limits, batches, held=own.held)


def _quantizers_of(model: keras.Model) -> list[tuple[str, Any]]:
    """Return the path and the layer of each quantizer that finds its range from data.

    Raises:
        InvalidArgumentError: the model is not quantization-aware.
    """
    found: list[tuple[str, Any]] = []
    for path, layer in layers(model):
        if isinstance(layer, ActivationQuantizer):
            found.append((path, layer))
        elif getattr(layer, "tfopt_bridge", False):
            found += layer.quantizers()
    if not found and not is_quantized(model):
        raise InvalidArgumentError(
            f"The model {model.name!r} has no activation quantizers: call tfopt.quantize_aware first, with "
            "rules that do not leave every layer in float."
        )
    return found


def _observe(
    model: keras.Model,
    data: CalibrationData,
    batch_size: int,
    found: Sequence[tuple[str, Any]],
    observers: Sequence[Observer],
) -> int:
    """Run a model on data with an observer at each quantizer, and return in how many steps.

    Args:
        model: quantization-aware.
        data, batch_size: as `calibrate` takes them.
        found: path and layer of each quantizer.
        observers: one for each.
    """
    steps = samples = 0
    for (_, quantizer), own in zip(found, observers, strict=True):
        quantizer.observe(own)
    try:
        for batch in calibration_batches(model, data, batch_size):
            with running(model):
                model(batch, training=False)
            samples += len(keras.tree.flatten(batch)[0])
            if samples >= batch_size:
                steps, samples = steps + 1, 0
                _end_step(observers)
        if samples:
            steps += 1
            _end_step(observers)
    finally:
        for _, quantizer in found:
            quantizer.observe(None)
    return steps


def _end_step(observers: Sequence[Observer]) -> None:
    for each in observers:
        each.end_batch()


def _observer_of(quantizer: ActivationQuantizer, given: str | Observer | None) -> Observer:
    if given is None and quantizer.observer == "moving_average":
        return MovingAverage(quantizer.momentum)
    return new_observer(quantizer.observer if given is None else given)
