"""The statistics of BatchNormalization, measured anew over data."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt import _validation, graph
from tfopt.errors import InvalidArgumentError
from tfopt.quantization.qat.calibration_data import calibration_batches

logger = logging.getLogger(__name__)


def estimate_batch_norm(model: keras.Model, data: Any, *, batch_size: int = 64) -> int:
    """Set the statistics of all BatchNormalization layers to those of data; return how many layers there are.

    In place. For weights that changed while the running averages did not follow: an average of weights,
    pruned channels, layers that were put in, a model moved to other data. Each batch is normalized by its own
    statistics, as in training, and the layers get the mean and variance of all samples. Nothing else of the
    model is in its training mode: no dropout, no augmentation. Layers that are not trainable are left alone.

    Args:
        model: functional or a built Sequential, in float.
        data: samples of the inputs, as `tfopt.quantization.calibrate` takes them: `x_train[:2048]`, a
            `tfopt.data.Dataset`, a `tf.data.Dataset`. 1,000 or more.
        batch_size: of arrays, 2 or more; as in training, for small batches have noisy statistics.

    Raises:
        InvalidArgumentError: the model has no such layer, or is quantization-aware, the data does not fit, or
            statistics are not finite.
        UnsupportedModel: the model is subclassed.
        DataError: the data is empty.

    Reference:
        Izmailov et al., 2018, Averaging Weights Leads to Wider Optima and Better Generalization (arXiv
        1803.05407), section 3.2. Wu and Johnson, 2021, Rethinking "Batch" in BatchNorm (arXiv 2105.07576),
        section 3: PreciseBN.
    """
    _validation.whole("estimate_batch_norm", "batch_size", batch_size, at_least=2)
    layers = _estimable(model)
    before = [(each.moving_mean.numpy(), each.moving_variance.numpy()) for each in layers]
    sums = {id(each): _Sums() for each in layers}
    whole = _whole(model)
    try:
        with contextlib.ExitStack() as stack:
            for layer in layers:
                stack.enter_context(_recorded(layer, sums[id(layer)]))
            for batch in calibration_batches(whole, data, batch_size):
                whole(batch, training=False)
    except BaseException:
        _set(layers, before)
        raise
    after = [sums[id(each)].result() or old for each, old in zip(layers, before, strict=True)]
    if not all(np.isfinite(values).all() for pair in after for values in pair):
        _set(layers, before)
        raise InvalidArgumentError(
            f"estimate_batch_norm: the statistics of {model.name!r} are not finite: its weights or the data "
            "hold NaN or infinity. Train at a lower learning rate, or clean the data."
        )
    _set(layers, after)
    logger.info("%s: the statistics of %d BatchNormalization layers are new", model.name, len(layers))
    return len(layers)


def require_estimable(model: keras.Model, data: Any) -> None:
    """Raise what `estimate_batch_norm` would of this model and the first batch of data, before other work.

    Raises:
        InvalidArgumentError, UnsupportedModel, DataError: as `estimate_batch_norm`.
    """
    _estimable(model)
    if not isinstance(data, Iterator):  # of which a batch would be lost
        next(calibration_batches(_whole(model), data, 1), None)


def _estimable(model: keras.Model) -> list[Any]:
    """Return the layers whose statistics can be measured anew."""
    graph.require_functional(model)
    if graph.is_quantized(model):
        raise InvalidArgumentError(
            f"The model {model.name!r} is quantization-aware: its ranges belong to the statistics that it "
            "has. Estimate those of the float model, then call quantize_aware."
        )
    found = normalizations(model)
    layers = [each for each in found if each.trainable]
    if not layers:
        what = "no BatchNormalization" if not found else "no BatchNormalization that is trainable"
        raise InvalidArgumentError(
            f"estimate_batch_norm: the model {model.name!r} has {what}, so that there is nothing to "
            "estimate. Leave the call out" + (", or set their trainable = True." if found else ".")
        )
    return layers


def _whole(model: keras.Model) -> keras.Model:
    """Return a model whose input has the structure that `calibration_batches` reads."""
    return keras.Model(model.inputs, model.outputs) if isinstance(model, keras.Sequential) else model


def normalizations(model: keras.Model) -> list[Any]:
    """Return the BatchNormalization layers of a model, those of nested models too."""
    return [each for each in graph.inner_layers(model) if isinstance(each, keras.layers.BatchNormalization)]


Pair = tuple[np.ndarray, np.ndarray]


def _set(layers: list[Any], pairs: list[Pair]) -> None:
    for layer, (mean, variance) in zip(layers, pairs, strict=True):
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)


class _Sums:
    """The mean and variance of batches of different sizes, put together."""

    def __init__(self) -> None:
        self.count, self.mean, self.square = 0.0, np.zeros(()), np.zeros(())

    def add(self, count: int, mean: np.ndarray, variance: np.ndarray) -> None:
        """Add the statistics of one batch of `count` samples."""
        self.count += count
        self.mean = self.mean + count * mean.astype(np.float64)
        self.square = self.square + count * (variance.astype(np.float64) + mean.astype(np.float64) ** 2)

    def result(self) -> Pair | None:
        """Return the mean and variance of all; None where there was no batch."""
        if not self.count:
            return None
        mean = self.mean / self.count
        return mean, np.maximum(self.square / self.count - mean**2, 0)


@contextlib.contextmanager
def _recorded(layer: Any, sums: _Sums) -> Iterator[None]:
    """Let a layer normalize by the statistics of each batch and note them, while everything else infers."""
    own, momentum = layer.call, layer.momentum

    def call(inputs: Any, training: bool | None = None, mask: Any = None) -> Any:  # noqa: ARG001
        outputs = own(inputs, training=True, mask=mask)
        sums.add(int(ops.shape(inputs)[0]), layer.moving_mean.numpy(), layer.moving_variance.numpy())
        return outputs

    layer.momentum, layer.call = 0.0, call
    try:
        yield
    finally:
        layer.momentum = momentum
        del layer.call
