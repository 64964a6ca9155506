"""Filling the ranges of a quantization-aware model before its first training step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from tfopt.errors import DataError, InvalidArgumentError
from tfopt.graph import layers
from tfopt.quantization.activation_quantizer import ActivationQuantizer


def calibrate(
    model: keras.Model,
    data: np.ndarray | list | dict | Callable[[], Iterable[list[np.ndarray]]],
    *,
    batch_size: int = 64,
) -> None:
    """Run `model` on `data` without quantizing, so that its quantizers see what passes.

    A short training from calibrated ranges beats a long one from a guess: training moves ranges slowly.

    Args:
        model: as `quantize_aware` returns it. Only its ranges change.
        data: samples as `model.predict` takes them (a few hundred are enough), or a representative
            dataset as the TFLite converter takes it: a callable that yields lists of arrays.
        batch_size: samples a step; the range is the average over steps of what each has seen.

    Raises:
        InvalidArgumentError: the model has no quantizers.
        DataError: no samples, or values that are not finite.
    """
    quantizers = [layer for _, layer in layers(model) if isinstance(layer, ActivationQuantizer)]
    if not quantizers:
        raise InvalidArgumentError(
            f"The model {model.name!r} has no activation quantizers: call tfopt.quantize_aware first."
        )
    samples = _stacked(data) if callable(data) else data
    arrays = keras.tree.flatten(samples)
    if not arrays or len(arrays[0]) == 0:
        raise DataError("Calibration needs at least one sample, got none.")
    if not all(np.isfinite(array).all() for array in arrays):
        raise DataError("The calibration data holds NaN or infinite values: clean it, or ranges have no end.")
    for quantizer in quantizers:
        quantizer.observing = True
    try:
        for start in range(0, len(arrays[0]), batch_size):
            batch = keras.tree.map_structure(lambda x, at=start: x[at : at + batch_size], samples)
            model(batch, training=False)
    finally:
        for quantizer in quantizers:
            quantizer.observing = False


def _stacked(representative_dataset: Callable[[], Iterable[list[np.ndarray]]]) -> Any:
    """Return the batches of a representative dataset as one array per input."""
    batches = [list(batch) for batch in representative_dataset()]
    inputs = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
    return inputs[0] if len(inputs) == 1 else inputs
