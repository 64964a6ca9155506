"""What quantization knows about each operation, as a table.

The rules follow the operators of the TFLite int8 specification: which of them multiply by a kernel, which
the converter fuses into the operator before, which must return the scale that they were given, and which
have their scale fixed.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Any

import keras


class Kind(enum.Enum):
    """How an operation takes part in quantization."""

    LINEAR = "multiplies by a kernel; what is affine and a ReLU behind it are fused into it"
    LINEAR_ALONE = "multiplies by a kernel; nothing is fused into it"
    NORMALIZATION = "affine in each channel: fused into the LINEAR before it, else a depthwise convolution"
    SCALING = "multiplies by a number or adds one: fused into the LINEAR before it, else an operator"
    RELU = "fused into the operator before it"
    SUM = "adds, subtracts or multiplies two tensors; a ReLU behind it is fused into it"
    OWN_RANGE = "returns values in a range of their own"
    SAME_SCALE = "returns some of the values it is given"
    AVERAGE = "returns averages of the values it is given, in their scale"
    SIGMOID = "returns values from 0 to 1 in a scale of 1/256"
    TANH = "returns values from -1 to 1 in a scale of 1/128"
    FLOAT = "is left in float: LiteRT has no int8 kernel for it, or a rule says so"


FIXED_RANGES = {Kind.SIGMOID: (0.0, 255 / 256), Kind.TANH: (-1.0, 127 / 128)}
"""The ranges that TFLite prescribes for the outputs of SOFTMAX and LOGISTIC, and of TANH."""

WIDE_RANGE = (-1.0, 32767 / 32768)
"""The range that it prescribes for all of these in 16 bits."""


def _all(kind: Kind, names: str) -> dict[str, Kind]:
    return dict.fromkeys(names.split(), kind)


KINDS: dict[str, Kind] = {
    **_all(Kind.LINEAR, "Conv2D DepthwiseConv2D Dense"),
    **_all(Kind.LINEAR_ALONE, "Conv1D DepthwiseConv1D Conv1DTranspose Conv2DTranspose"),
    **_all(Kind.NORMALIZATION, "BatchNormalization LayerScale"),
    **_all(Kind.SUM, "Add Subtract Multiply"),
    **_all(Kind.OWN_RANGE, "GlobalAveragePooling1D GlobalAveragePooling2D Mean Sum Embedding"),
    **_all(Kind.OWN_RANGE, "Matmul Constant OverBatch GlobalAveragePooling3D"),
    **_all(Kind.OWN_RANGE, "LeakyReLU LeakyRelu PReLU Gelu Absolute Exp"),
    **_all(Kind.AVERAGE, "AveragePooling1D AveragePooling2D AveragePool"),
    **_all(Kind.SIGMOID, "Softmax Sigmoid"),
    **_all(Kind.TANH, "Tanh"),
    **_all(Kind.RELU, "Relu Relu6"),
    **_all(Kind.SAME_SCALE, "MaxPooling1D MaxPooling2D MaxPool GlobalMaxPooling1D GlobalMaxPooling2D"),
    **_all(Kind.SAME_SCALE, "Max Min Concatenate Maximum Minimum Stack Split GetItem"),
    **_all(Kind.SAME_SCALE, "Flatten Reshape Permute Transpose ExpandDims Squeeze RepeatVector Identity"),
    **_all(Kind.SAME_SCALE, "Unstack Swapaxes Moveaxis Ravel Repeat Tile BroadcastTo Take Where"),
    **_all(Kind.SAME_SCALE, "DepthToSpace SpaceToDepth GlobalMaxPooling3D ZeroPadding3D Cropping3D"),
    **_all(Kind.SAME_SCALE, "RandomFlip RandomRotation RandomTranslation RandomZoom"),
    **_all(Kind.SAME_SCALE, "ZeroPadding1D ZeroPadding2D Cropping1D Cropping2D UpSampling1D"),
    **_all(Kind.SAME_SCALE, "Dropout SpatialDropout1D SpatialDropout2D GaussianNoise GaussianDropout"),
    **_all(Kind.SAME_SCALE, "AlphaDropout ActivityRegularization StopGradient Slice Amax Amin Hstack Vstack"),
    **_all(Kind.SAME_SCALE, "SpatialDropout3D TakeAlongAxis CenterCrop CropImages PadImages Dstack"),
    **_all(Kind.SAME_SCALE, "ArraySplit AddedLosses"),
    **_all(Kind.SAME_SCALE, "RandomContrast RandomBrightness RandomShear RandomCrop RandomErasing RandomHue"),
    **_all(Kind.SAME_SCALE, "RandomSaturation RandomColorJitter RandomSharpness RandomGrayscale"),
    **_all(Kind.SAME_SCALE, "RandomInvert RandomPosterization RandomPerspective RandomGaussianBlur"),
    **_all(Kind.SAME_SCALE, "RandomElasticTransform"),
    **_all(Kind.FLOAT, "ELU Elu Selu Celu Softplus Softsign LogSigmoid Expm1 Log Log1p Sin Cos"),
    **_all(Kind.FLOAT, "Exp2 Log2 Log10 Cbrt Hypot Sinc Trunc Arctan2 Sort Argsort Tril Triu Digitize"),
    **_all(Kind.FLOAT, "Isfinite Isinf Isnan Isneginf Isposinf BatchNorm LayerNorm RMSNorm SeparableConv"),
    **_all(
        Kind.FLOAT, "Sparsemax SparseSigmoid MelSpectrogram STFTSpectrogram RFFT STFT SegmentSum SegmentMax"
    ),
    **_all(Kind.FLOAT, "Sqrt Rsqrt Power Floor Ceil Round Sign Cumsum Var Std Normalize Norm Logsumexp"),
    **_all(Kind.FLOAT, "LogSoftmax Squareplus HardShrink SoftShrink TanhShrink Threshold SparsePlus"),
    **_all(Kind.FLOAT, "LayerNormalization GroupNormalization RMSNormalization UnitNormalization"),
    **_all(Kind.FLOAT, "LSTM GRU SimpleRNN Bidirectional RNN ConvLSTM1D ConvLSTM2D ConvLSTM3D"),
    **_all(Kind.FLOAT, "Cast LogicalAnd LogicalOr LogicalXor LogicalNot Equal NotEqual Any All"),
    **_all(Kind.FLOAT, "Argmax Argmin OneHot TopK Mod FloorDivide"),
    **_all(Kind.FLOAT, "CategoryEncoding Discretization BatchSize CosineTransform"),
    **_all(Kind.FLOAT, "Greater GreaterEqual Less LessEqual"),
    **_all(Kind.FLOAT, "Conv3D Conv3DTranspose Conv DepthwiseConv ConvTranspose SegmentMin SegmentProd"),
}
"""The name of a Keras class -> its kind. Layers and operations share names: `layers.Add`, `ops.add`."""

_ACTIVATIONS: dict[str, Kind] = {
    **_all(Kind.SAME_SCALE, "linear"),
    **_all(Kind.RELU, "relu relu6"),
    **_all(Kind.SIGMOID, "softmax sigmoid"),
    **_all(Kind.TANH, "tanh"),
    **_all(Kind.OWN_RANGE, "leaky_relu gelu exponential"),
    **_all(Kind.FLOAT, "elu selu celu softplus softsign log_softmax log_sigmoid squareplus"),
    **_all(Kind.FLOAT, "soft_shrink hard_shrink tanh_shrink hard_tanh threshold sparse_plus sparse_sigmoid"),
}
"""The name of an activation -> its kind. Others are rewritten to these, see `rewrites`."""


def _relu(layer: keras.layers.ReLU) -> Kind | None:
    plain = layer.negative_slope == 0 and layer.threshold == 0 and layer.max_value in (None, 6)
    return Kind.RELU if plain else Kind.FLOAT


def _activation(layer: keras.layers.Activation) -> Kind | None:
    return _ACTIVATIONS.get(activation_name(layer))


def _resize(operation: Any) -> Kind:
    """A nearest neighbour is one of the values; between neighbours LiteRT rounds a mean to their scale."""
    known = {"nearest": Kind.SAME_SCALE, "bilinear": Kind.AVERAGE}
    return known.get(operation.interpolation, Kind.FLOAT)


def _pad(operation: Any) -> Kind | None:
    return Kind.SAME_SCALE if operation.mode == "constant" else None


_BY_CONFIG: dict[str, Callable[[Any], Kind | None]] = {
    "ReLU": _relu,
    "Activation": _activation,
    "UpSampling2D": _resize,
    "Resizing": _resize,
    "Resize": _resize,
    "Pad": _pad,
}


def kind(operation: keras.Operation) -> Kind | None:
    """Return the kind of an operation, or None where quantization has no rule for it."""
    own = getattr(operation, "tfopt_kind", None)
    if own is not None:
        return own
    if not type(operation).__module__.startswith(("keras.", "tfopt.graph.")):
        return None  # a user's subclass may do anything
    if getattr(operation, "data_format", None) == "channels_first":
        return None  # the converter turns it into transpositions
    name = type(operation).__name__
    return _BY_CONFIG[name](operation) if name in _BY_CONFIG else KINDS.get(name)


def ceiling(operation: keras.Operation) -> float | None:
    """Return the largest value that an operation returns, if it is a plain ReLU, else None."""
    if kind(operation) is not Kind.RELU:
        return None
    name = getattr(operation, "activation", None) and activation_name(operation)
    six = getattr(operation, "max_value", None) == 6 or "relu6" in (name, type(operation).__name__.lower())
    return 6.0 if six else math.inf


def activation_name(layer: keras.Layer) -> str:
    """Return the name of a layer's `activation`, such as `"relu"`."""
    return getattr(layer.activation, "__name__", type(layer.activation).__name__)


CHANNEL_AXES: dict[str, tuple[int, ...]] = {
    "Conv1D": (-1,),
    "Conv2D": (-1,),
    "Conv1DTranspose": (-2,),
    "Conv2DTranspose": (-2,),
    "DepthwiseConv1D": (-2, -1),
    "DepthwiseConv2D": (-2, -1),
    "Dense": (-1,),
}
"""The name of a Keras class -> the axes of its kernel that number output channels, counted from the end."""


def kernel_axes(layer: keras.Layer) -> tuple[keras.Variable, tuple[int, ...]]:
    """Return the kernel of a layer that multiplies by one and the axes that number its output channels."""
    return layer.kernel, CHANNEL_AXES[type(layer).__name__]
