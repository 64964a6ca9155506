"""Integers after training: the quantization-aware graph of a float model, calibrated and not trained."""

from __future__ import annotations

import dataclasses
import logging
import warnings

import keras

from tfopt.data.representative import Representative
from tfopt.errors import InvalidArgumentError
from tfopt.export.keras_graph.check_finite import require_finite
from tfopt.export.keras_graph.inputs_outputs import packed
from tfopt.export.options import Options
from tfopt.graph import layers
from tfopt.post_training.norms_in_kernels import with_norms_in_kernels
from tfopt.post_training.samples import samples_of
from tfopt.quantization import calibrate, quantize_aware, round_biases
from tfopt.quantization.quantizers.activation import ActivationQuantizer
from tfopt.quantization.scheme import SCHEMES, Scheme

logger = logging.getLogger(__name__)


def calibrated(model: keras.Model, options: Options, data: Representative | None) -> keras.Model:
    """Return a float model made quantization-aware, with the ranges that `data` shows.

    Args:
        model: any built Keras model in float.
        options: whose scheme and rules are among those of quantization-aware training.
        data: representative samples; None does where all activations stay in float.

    Raises:
        InvalidArgumentError: the data does not fit the inputs, or the weights are not finite.
        DataError: it is empty, or holds NaN.
        UnsupportedModel, UnsupportedOperation: as `tfopt.quantize_aware`.
    """
    rules = {
        pattern: None if name == "float32" else _scheme(options, name)
        for pattern, name in options.named_rules.items()
    }
    default = _scheme(options, options.scheme)
    if not options.weights.per_channel:
        model = with_norms_in_kernels(model)
    with warnings.catch_warnings():
        # How a model trains has no part in a file.
        warnings.filterwarnings("ignore", message="The class of .* cannot be kept", category=UserWarning)
        warnings.filterwarnings("ignore", message="In training, code that adds losses", category=UserWarning)
        quantized = quantize_aware(model, default, rules=rules)
    require_finite(quantized)
    if data is not None and _has_ranges(quantized):
        arrays = samples_of(quantized, data)
        logger.info("%r is calibrated on %d samples", model.name, len(arrays[0]))
        calibrate(quantized, packed(quantized, arrays))
        round_biases(quantized)
    return quantized


def require_data(data: Representative | None, reason: str) -> None:
    """Raise where there is no representative data.

    Args:
        data: what was given.
        reason: what it is that has to see data, the subject of a sentence.
    """
    if data is None:
        raise InvalidArgumentError(
            f"{reason} must know what passes through the layers: give representative_dataset (100 samples or "
            "more of the training data), or a model from tfopt.quantize_aware."
        )


def _scheme(options: Options, name: str) -> Scheme:
    scheme = SCHEMES[name]
    if not options.weights.per_channel:
        scheme = dataclasses.replace(scheme, per_channel=False, block_size=None)
    elif scheme.block_size is not None:
        scheme = dataclasses.replace(scheme, block_size=options.weights.block_size)
    return scheme


def _has_ranges(model: keras.Model) -> bool:
    return any(isinstance(layer, ActivationQuantizer) for _, layer in layers(model))
