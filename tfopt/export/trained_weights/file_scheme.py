"""How a quantization-aware model becomes a file: in which of the converter's schemes, with which integers."""

from __future__ import annotations

import keras

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.quantization.quantizers.weight import QuantizedWeights, WeightQuantizer
from tfopt.quantization.scheme import SCHEMES, Scheme

WITHOUT_ROUNDING = ("float32", "float16", "dynamic")
"""The schemes in which the rounding that a model was trained with is left away."""


def schemes_in(model: keras.Model) -> dict[str, Scheme]:
    """Return the scheme of the weights of each layer that has one, by path."""
    return {path: layer.scheme for path, layer in _quantizers(model).items()}


def file_scheme(model: keras.Model, scheme: str | None) -> tuple[str, bool]:
    """Return the scheme that the converter writes, and whether the file rounds as the model does.

    Args:
        model: a float model is written in `scheme`, `"float32"` by default.
        scheme: the requested one. Of a quantization-aware model: `None`, or the name of the scheme of some
            of its layers, for its own; or a scheme without rounding.

    Raises:
        InvalidArgumentError: the model was trained for another scheme, or for one that no file has.
    """
    if not graph.is_quantized(model):
        return scheme or "float32", False
    schemes = schemes_in(model)
    own = sorted(name for name, known in SCHEMES.items() if known in schemes.values())
    if scheme in WITHOUT_ROUNDING and scheme not in own:
        return scheme, False
    activations = [
        layer
        for _, layer in graph.layers(model)
        if getattr(layer, "tfopt_quantizer", False) and not isinstance(layer, WeightQuantizer)
    ]
    all_int16 = {getattr(layer, "num_bits", None) for layer in activations} - {None} == {16}
    written = ("int16x8" if all_int16 else "int8") if activations else "float32"
    if scheme is not None and scheme not in own and not (scheme == written and not own):
        trained = f"for {', '.join(map(repr, own))}" if own else "for a scheme without a name"
        raise InvalidArgumentError(
            f"The model {model.name!r} was trained {trained}, and cannot be written as {scheme!r}: leave "
            f"scheme out, or take one of {', '.join(map(repr, WITHOUT_ROUNDING))}."
        )
    floats = [path for path, each in schemes.items() if each.weight_bits is None]
    if floats:
        raise InvalidArgumentError(
            f"The weights of {floats[0]!r} were trained in float, which LiteRT cannot multiply with integer "
            "activations: train with weight_bits=8, or leave the rounding away with scheme='float32'."
        )
    return written, True


def quantized_weights(model: keras.Model) -> dict[str, QuantizedWeights]:
    """Return layer path -> quantized weights of the layers whose grid the converter does not find itself."""
    return {
        path: layer.quantized_weights()
        for path, layer in _quantizers(model).items()
        if not layer.leaves_the_grid_to_the_converter
    }


def _quantizers(model: keras.Model) -> dict[str, WeightQuantizer]:
    return {path: layer for path, layer in graph.layers(model) if isinstance(layer, WeightQuantizer)}
