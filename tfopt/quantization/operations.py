"""What quantization knows about each operation, as a table.

The rules follow the operators of the TFLite int8 specification: which of them multiply by a kernel, which
the converter fuses into the operator before, which must return the scale that they were given, and which
have their scale fixed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import keras


class Kind(enum.Enum):
    """How an operation takes part in quantization."""

    LINEAR = "multiplies by a kernel; a BatchNormalization and a ReLU behind it are fused into it"
    NORMALIZATION = "fused into the LINEAR before it, else exported as a depthwise convolution"
    RELU = "fused into the operator before it"
    SUM = "adds two tensors; a ReLU behind it is fused into it"
    OWN_RANGE = "returns values in a range of their own"
    SAME_SCALE = "returns some of the values it is given"
    AVERAGE = "returns averages of the values it is given, in their scale"
    SIGMOID = "returns values from 0 to 1 in a scale of 1/256"
    TANH = "returns values from -1 to 1 in a scale of 1/128"
    FLOAT = "is left in float by a rule"


FIXED_RANGES = {Kind.SIGMOID: (0.0, 255 / 256), Kind.TANH: (-1.0, 127 / 128)}
"""The ranges that TFLite prescribes for the outputs of SOFTMAX and LOGISTIC, and of TANH."""

_FLOW = Kind.SAME_SCALE

_KINDS: dict[str, Kind] = {
    "Conv2D": Kind.LINEAR,
    "DepthwiseConv2D": Kind.LINEAR,
    "Dense": Kind.LINEAR,
    "BatchNormalization": Kind.NORMALIZATION,
    "Add": Kind.SUM,
    "GlobalAveragePooling2D": Kind.OWN_RANGE,
    "AveragePooling2D": Kind.AVERAGE,
    "Softmax": Kind.SIGMOID,
    **dict.fromkeys(("MaxPooling2D", "GlobalMaxPooling2D", "Concatenate"), _FLOW),
    **dict.fromkeys(("Flatten", "Reshape", "Permute", "ZeroPadding2D", "Cropping2D", "Identity"), _FLOW),
    **dict.fromkeys(("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout"), _FLOW),
}
"""The name of a Keras class -> its kind. Layers and operations share names: `layers.Add`, `ops.add`."""

_ACTIVATIONS: dict[str, Kind] = {
    "linear": _FLOW,
    "relu": Kind.RELU,
    "relu6": Kind.RELU,
    "softmax": Kind.SIGMOID,
    "sigmoid": Kind.SIGMOID,
    "tanh": Kind.TANH,
}


def _relu(layer: keras.layers.ReLU) -> Kind | None:
    plain = layer.negative_slope == 0 and layer.threshold == 0 and layer.max_value in (None, 6)
    return Kind.RELU if plain else None


def _activation(layer: keras.layers.Activation) -> Kind | None:
    return _ACTIVATIONS.get(activation_name(layer))


_BY_CONFIG: dict[str, Callable[[keras.Operation], Kind | None]] = {
    "ReLU": _relu,
    "Activation": _activation,
}


def kind(operation: keras.Operation) -> Kind | None:
    """Return the kind of an operation, or None where quantization has no rule for it."""
    if not type(operation).__module__.startswith("keras."):
        return None  # a user's subclass may do anything
    if getattr(operation, "data_format", None) == "channels_first":
        return None  # the converter turns it into transpositions
    name = type(operation).__name__
    return _BY_CONFIG[name](operation) if name in _BY_CONFIG else _KINDS.get(name)


def activation_name(layer: keras.Layer) -> str:
    """Return the name of a layer's `activation`, such as `"relu"`."""
    return getattr(layer.activation, "__name__", type(layer.activation).__name__)


_CHANNEL_AXES: dict[type[keras.Layer], tuple[int, ...]] = {
    keras.layers.Conv2D: (-1,),
    keras.layers.DepthwiseConv2D: (-2, -1),
    keras.layers.Dense: (-1,),
}


def kernel_axes(layer: keras.Layer) -> tuple[keras.Variable, tuple[int, ...]]:
    """Return the kernel of a LINEAR layer and the trailing axes that number its output channels."""
    return layer.kernel, _CHANNEL_AXES[type(layer)]
