"""The statistics of batch normalizations, taken anew where weights were changed without training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfopt import _validation
from tfopt.data.sample_formats import Samples
from tfopt.errors import InvalidArgumentError
from tfopt.graph import inner_layers, require_functional
from tfopt.quantization.qat.calibration_data import calibration_batches


def reestimate_batch_norm(model: keras.Model, data: Samples, *, batch_size: int = 128) -> None:
    """Give batch normalizations the mean statistics of batches of data, in place of moving averages.

    Where channels were removed, or weights averaged or set, the moving means and variances of the layers
    after them are those of another model. Each becomes the mean of the statistics of all batches, all counted
    alike, with the weights as they are (Izmailov et al., Averaging Weights Leads to Wider Optima and Better
    Generalization, UAI 2018, arXiv 1803.05407, section 3.2). The model is called as in training, so dropout
    is on; nothing else of it is changed but the state of random generators. Layers that are not `trainable`
    keep their statistics, as they do in training.

        smaller = tfopt.prune_channels(model, macs=0.5)
        tfopt.channels.reestimate_batch_norm(smaller, x_train[:1024])

    Args:
        model: functional, in float. It is changed.
        data: samples as training sees them, a thousand or so, in one of the forms that
            `tfopt.quantization.calibrate` takes.
        batch_size: samples at a time, 2 or more: a variance of few is too small.

    Raises:
        InvalidArgumentError: no batch normalization of the model is trainable, or the data does not fit.
        DataError: no samples, or values that are not finite.
    """
    require_functional(model)
    _validation.whole("reestimate_batch_norm", "batch_size", batch_size, at_least=2)
    layers: list[Any] = [
        each
        for each in inner_layers(model)
        if isinstance(each, keras.layers.BatchNormalization) and each.trainable
    ]
    if not layers:
        raise InvalidArgumentError(
            f"reestimate_batch_norm: the model {model.name!r} has no batch normalization that is trainable, "
            "so there are no statistics to take: set trainable = True on those that are meant."
        )
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.call = _averaging(layer)
    try:
        for batch in calibration_batches(model, data, batch_size):
            model(batch, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            del layer.call
            layer.momentum = momentum


def _averaging(layer: Any) -> Callable[..., Any]:
    """Return the `call` of a layer whose moving average becomes the mean over all calls, the first too."""
    original, calls = layer.call, 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        layer.momentum = calls / (calls + 1)
        calls += 1
        return original(*args, **kwargs)

    return call
