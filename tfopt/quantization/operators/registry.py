"""The registry of operator traits: the name of a class of Keras -> what quantization knows of it.

To add an operator, add its name to the row that describes it, or add a row. `OpTraits` says what each fact
means. A row names its decomposition and its rewrite as `module.function` of `canonicalize.decompose` and
`canonicalize.rewrite`. Layers and operations of one name share a row: `layers.Add` and `ops.add`. The classes
of `tfopt.graph` are here; other layers of tfopt hold their record themselves, as `tfopt_traits`.

Not here, for they are other questions: what the cells of recurrent layers compute
(`decompose/recurrent_cells.py`), the factors of a standalone normalization
(`layers/standalone_batch_norm.py`), how a batch passes an operation while code is traced
(`graph/tracing/batch.py`), and what pruning and the count of multiplications take for a kernel
(`measure/kernels.py`, which stands below quantization).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import keras

from tfopt.graph import Node
from tfopt.quantization.operators.activations import activation_traits
from tfopt.quantization.operators.op_traits import (
    Extreme,
    FewestBits,
    KernelTraits,
    Kind,
    OpTraits,
    Sign,
    table_of,
)

# --- Families ------------------------------------------------------------------------------------------

_linear = partial(OpTraits, kind=Kind.LINEAR, rewrite="linear_layers.split_activation")
_linear_alone = partial(OpTraits, kind=Kind.LINEAR_ALONE, rewrite="linear_layers.split_activation")
_sum = partial(OpTraits, kind=Kind.SUM, arithmetic=True, quantizes_constants=True)
_product = partial(_sum, extreme=Extreme.REPLACED)
_matmul = partial(OpTraits, kind=Kind.OWN_RANGE, quantizes_constants=True)
_sigmoid = partial(OpTraits, kind=Kind.SIGMOID, sign=Sign.NON_NEGATIVE)
_own_range = partial(OpTraits, kind=Kind.OWN_RANGE)
_same_scale = partial(OpTraits, kind=Kind.SAME_SCALE)
_largest = partial(_same_scale, sign=Sign.KEPT, quantizes_constants=True, extreme=Extreme.REPLACED)
_average = partial(OpTraits, kind=Kind.AVERAGE, sign=Sign.KEPT)
_in_float = partial(OpTraits, kind=Kind.FLOAT)


def _decomposed(decomposition: str, **others: Any) -> OpTraits:
    return OpTraits(decomposition=decomposition, **others)


def _rewritten(rewrite: str, **others: Any) -> OpTraits:
    return OpTraits(rewrite=rewrite, **others)


def _einsum_outputs(layer: Any) -> tuple[int, ...]:
    """Return the axes of a kernel whose labels are in the output."""
    operands, output = "".join(layer.equation.split()).split("->")
    kernel = operands.split(",")[1]
    return tuple(position - len(kernel) for position, label in enumerate(kernel) if label in output)


_DENSE = (KernelTraits(inputs=-2, fewest_bits=FewestBits(trained=2, dynamic=2)),)
_CONVOLUTION = (KernelTraits(inputs=-2, fewest_bits=FewestBits(dynamic=4)),)
_DEPTHWISE = (KernelTraits(inputs=-2, outputs=(-2, -1), fewest_bits=FewestBits(post_training=8)),)
_TRANSPOSED = (KernelTraits(inputs=-1, outputs=(-2,), fewest_bits=FewestBits(trained=8, post_training=8)),)
_SEPARABLE = (
    replace(_DEPTHWISE[0], attribute="depthwise_kernel"),
    replace(_CONVOLUTION[0], attribute="pointwise_kernel"),
)
_VOLUME = (KernelTraits(),)
_EINSUM = (KernelTraits(outputs=_einsum_outputs),)
_TABLE = (KernelTraits(attribute="embeddings", outputs=(-2,)),)


# --- What depends on the config ------------------------------------------------------------------------


def _relu_kind(layer: Any) -> Kind:
    plain = layer.negative_slope == 0 and layer.threshold == 0 and layer.max_value in (None, 6)
    return Kind.RELU if plain else Kind.FLOAT


def _relu_sign(layer: Any) -> Sign:
    return Sign.NON_NEGATIVE if layer.negative_slope == 0 and layer.threshold >= 0 else Sign.ANY


def _activation_kind(layer: Any) -> Kind | None:
    return activation_traits(layer).kind_of(layer)


def _activation_sign(layer: Any) -> Sign:
    return activation_traits(layer).sign_of(layer)


def _resize_kind(operation: Any) -> Kind:
    """A nearest neighbour is one of the values; between neighbours LiteRT rounds a mean to their scale."""
    known = {"nearest": Kind.SAME_SCALE, "bilinear": Kind.AVERAGE}
    return known.get(operation.interpolation, Kind.FLOAT)


def _pad_kind(operation: Any) -> Kind | None:
    return Kind.SAME_SCALE if operation.mode == "constant" else None


def _all(node: Node) -> Sequence[Any]:
    return node.inputs


def _but_first(node: Node) -> Sequence[Any]:
    return node.inputs[1:]


def _of_integer_cast(node: Node) -> Sequence[Any]:
    return [] if keras.backend.is_float_dtype(node.outputs[0].dtype) else node.inputs


# --- What to do where no file can hold an operator -----------------------------------------------------

_OUTSIDE = (
    "A TFLite file has no operator for it, not even in float: preprocess outside the model, for example in "
    "tf.data, and start the model after it"
)
_OTHERWISE = (
    "A TFLite file has no operator for it, not even in float: compute it outside the model, or of other "
    "operations"
)

# --- The table -----------------------------------------------------------------------------------------

_ROWS: tuple[tuple[str, OpTraits], ...] = (
    # Layers with a kernel.
    ("Dense", _linear(kernels=_DENSE)),
    ("Conv2D", _linear(kernels=_CONVOLUTION)),
    ("DepthwiseConv2D", _linear(kernels=_DEPTHWISE)),
    ("Conv1D", _linear_alone(kernels=_CONVOLUTION)),
    ("DepthwiseConv1D", _linear_alone(kernels=_DEPTHWISE)),
    ("Conv1DTranspose Conv2DTranspose", _linear_alone(kernels=_TRANSPOSED)),
    ("SeparableConv1D SeparableConv2D", _rewritten("linear_layers.split_separable", kernels=_SEPARABLE)),
    ("Conv3D", _in_float(kernels=_VOLUME, rewrite="linear_layers.split_activation")),
    ("EinsumDense", _decomposed("einsum.einsum_dense", kernels=_EINSUM)),
    ("Embedding", _own_range(kernels=_TABLE, exact_inputs=_all)),
    ("ReversibleEmbedding", _decomposed("embedding.reversible", in_keras_hub=True)),
    # The operations of these, which layers of users call.
    ("Conv DepthwiseConv", _in_float(rewrite="functional_convolution.layer_of")),
    ("Matmul", _matmul(decomposition="einsum.matmul", rewrite="functional_dense.matmul")),
    ("Dot", _decomposed("einsum.dot")),
    ("Einsum", _decomposed("einsum.einsum")),
    ("Tensordot", _decomposed("einsum.tensordot")),
    ("Conv3DTranspose ConvTranspose SeparableConv", _in_float()),
    # Affine in each channel.
    ("BatchNormalization LayerScale", OpTraits(kind=Kind.NORMALIZATION)),
    ("Normalization", _rewritten("arithmetic.normalization")),
    ("Rescaling", _rewritten("arithmetic.rescaling")),
    # Sums, products and quotients.
    ("Add", _sum(rewrite="attention_masks.add", sign=Sign.KEPT, neutral=0.0)),
    ("Subtract", _sum(rewrite="attention_masks.subtract", neutral=0.0)),
    ("Multiply", _product(rewrite="attention_masks.multiply", sign=Sign.KEPT, neutral=1.0)),
    ("Divide TrueDivide", _rewritten("attention_masks.divide", arithmetic=True)),
    ("Average", _decomposed("operations.average", rewrite="arithmetic.average")),
    ("CustomScaleLayer", _rewritten("arithmetic.scaled_sum")),
    ("Negative", _rewritten("arithmetic.negative", extreme=Extreme.KEPT)),
    ("Reciprocal", _rewritten("arithmetic.reciprocal")),
    ("Square", _rewritten("arithmetic.square", sign=Sign.NON_NEGATIVE)),
    ("Power", _in_float(rewrite="arithmetic.power")),
    ("Cross", _decomposed("axes.cross")),
    ("Diff", _decomposed("axes.difference")),
    # Activations.
    ("Activation", _rewritten("activations.activation", kind=_activation_kind, sign=_activation_sign)),
    ("ReLU", _rewritten("activations.relu", kind=_relu_kind, sign=_relu_sign)),
    ("Relu Relu6", OpTraits(kind=Kind.RELU, sign=Sign.NON_NEGATIVE)),
    ("Sigmoid", _sigmoid(extreme=Extreme.REPLACED)),
    ("Softmax", _sigmoid(decomposition="axes.softmax", rewrite="softmax.softmax")),
    ("Tanh", OpTraits(kind=Kind.TANH, extreme=Extreme.REPLACED)),
    ("LeakyReLU LeakyRelu PReLU Gelu", _own_range()),
    ("Exp", _own_range(sign=Sign.NON_NEGATIVE)),
    ("Absolute", _own_range(sign=Sign.NON_NEGATIVE, extreme=Extreme.KEPT)),
    ("Silu", _rewritten("activations.silu")),
    ("HardSigmoid", _rewritten("activations.hard_sigmoid")),
    ("HardSilu", _rewritten("activations.hard_silu")),
    ("HardTanh", _decomposed("operations.hard_tanh")),
    ("Clip", _rewritten("activations.clip")),
    ("Glu", _decomposed("operations.glu")),
    ("Erf", _rewritten("error_function.erf")),
    ("Logaddexp", _decomposed("axes.log_add_exp")),
    ("ELU Elu Selu Celu Softplus Softsign LogSigmoid LogSoftmax Squareplus Sparsemax", _in_float()),
    ("SparsePlus SparseSigmoid HardShrink SoftShrink TanhShrink Threshold", _in_float()),
    # The largest and the smallest.
    ("Maximum", _largest(rewrite="arithmetic.maximum")),
    ("Minimum", _largest(rewrite="arithmetic.minimum")),
    ("Max Min", _same_scale(sign=Sign.KEPT)),
    ("Amax Amin", _same_scale()),
    ("Fmax", _decomposed("operations.fmax")),
    ("Fmin", _decomposed("operations.fmin")),
    ("Argmax Argmin", _in_float(rewrite="arg_max.arg_max")),
    ("Where", _same_scale(rewrite="attention_masks.where", extreme=Extreme.REPLACED)),
    ("Select", _decomposed("operations.select")),
    # Pooling.
    (
        "MaxPooling1D MaxPooling2D MaxPool GlobalMaxPooling1D GlobalMaxPooling2D",
        _same_scale(sign=Sign.KEPT),
    ),
    ("GlobalMaxPooling3D", _same_scale()),
    ("AveragePooling1D AveragePooling2D AveragePool", _average()),
    ("GlobalAveragePooling1D GlobalAveragePooling2D", _own_range(sign=Sign.KEPT)),
    ("GlobalAveragePooling3D", _own_range()),
    ("MaxPooling3D AveragePooling3D", _decomposed("patches_and_volumes.pooling_3d")),
    ("AdaptiveAveragePooling1D AdaptiveAveragePooling2D", _decomposed("operations.adaptive_pooling")),
    ("AdaptiveMaxPooling1D AdaptiveMaxPooling2D", _decomposed("operations.adaptive_pooling")),
    # Sums and means along axes.
    ("Mean Sum", _own_range(sign=Sign.KEPT)),
    ("Moments", _decomposed("operations.moments")),
    ("CountNonzero", _decomposed("axes.count_nonzero")),
    ("Trace", _decomposed("axes.trace")),
    ("Diagonal", _decomposed("axes.diagonal", unsupported=_OTHERWISE)),
    ("Var Logsumexp Cumsum SegmentSum SegmentProd All Any", _in_float()),
    ("SegmentMax SegmentMin", _in_float(extreme=Extreme.CREATED)),
    ("Std Norm", _in_float(rewrite="finite_gradients.function")),
    # Normalizations of each sample.
    ("LayerNormalization", _in_float(rewrite="normalization.layer")),
    ("RMSNormalization", _in_float(rewrite="normalization.rms")),
    ("GroupNormalization", _in_float(rewrite="normalization.group")),
    ("UnitNormalization", _in_float(rewrite="normalization.unit")),
    ("LayerNorm", _in_float(rewrite="normalization.layer_operation")),
    ("RMSNorm", _in_float(rewrite="normalization.rms_operation")),
    ("Normalize", _in_float(rewrite="normalization.normalize")),
    ("BatchNorm", _in_float()),
    # Attention.
    ("MultiHeadAttention GroupedQueryAttention", _decomposed("attention.multi_head")),
    ("Attention AdditiveAttention", _decomposed("attention.single_head")),
    ("DotProductAttention", _decomposed("attention.operation")),
    # Recurrent layers, and cells that are called as layers.
    ("LSTM GRU SimpleRNN RNN ConvLSTM1D ConvLSTM2D", _in_float(decomposition="recurrent.recurrent")),
    ("Bidirectional", _in_float(decomposition="recurrent.bidirectional")),
    ("ConvLSTM3D", _in_float()),
    ("LSTMCell GRUCell SimpleRNNCell Lambda", _decomposed("code.run")),
    # Layers around a layer, and masks.
    ("TimeDistributed", _decomposed("wrappers.time_distributed")),
    ("SpectralNormalization", _decomposed("wrappers.wrapped")),
    ("Masking", _decomposed("masking.masking")),
    ("ActivityRegularization", _same_scale(rewrite="linear_layers.activity_regularization")),
    # Values in another arrangement.
    ("Concatenate", _same_scale(sign=Sign.KEPT, quantizes_constants=True)),
    ("Reshape", _same_scale(sign=Sign.KEPT, rewrite="shapes.reshape")),
    ("Squeeze", _same_scale(sign=Sign.KEPT, rewrite="shapes.squeeze")),
    ("Identity", _same_scale(sign=Sign.KEPT, passes_indices=True)),
    (
        "Flatten Permute Transpose ExpandDims RepeatVector Stack Split GetItem StopGradient",
        _same_scale(sign=Sign.KEPT),
    ),
    ("ZeroPadding1D ZeroPadding2D Cropping1D Cropping2D UpSampling1D", _same_scale(sign=Sign.KEPT)),
    ("ZeroPadding3D Cropping3D CenterCrop CropImages PadImages DepthToSpace SpaceToDepth", _same_scale()),
    ("Unstack Swapaxes Moveaxis Ravel Repeat Slice ArraySplit Hstack Vstack Dstack", _same_scale()),
    ("BroadcastTo", _same_scale(rewrite="shapes.broadcast_to")),
    ("Tile", _same_scale(rewrite="shapes.tile")),
    ("Take", _same_scale(rewrite="shapes.take", exact_inputs=_but_first)),
    ("TakeAlongAxis", _same_scale(exact_inputs=_but_first)),
    ("UpSampling2D Resizing Resize", OpTraits(kind=_resize_kind)),
    ("Pad", _decomposed("operations.pad", kind=_pad_kind)),
    ("UpSampling3D", _decomposed("patches_and_volumes.up_sampling_3d")),
    ("ExtractPatches", _decomposed("patches_and_volumes.extract_patches")),
    ("ExtractSequences", _decomposed("fourier.frames")),
    ("Flip", _decomposed("operations.flip")),
    ("Roll", _decomposed("operations.roll")),
    ("Rot90", _decomposed("axes.quarter_turns")),
    ("Sort TopK Tril Triu", _in_float()),
    ("RGBToGrayscale", _decomposed("operations.rgb_to_grayscale")),
    # What is the identity where a model infers.
    ("Dropout SpatialDropout1D SpatialDropout2D", _same_scale(sign=Sign.KEPT)),
    ("SpatialDropout3D AlphaDropout GaussianDropout GaussianNoise", _same_scale()),
    ("RandomFlip RandomRotation RandomTranslation RandomZoom RandomCrop RandomShear", _same_scale()),
    ("RandomPerspective RandomElasticTransform RandomErasing RandomGaussianBlur", _same_scale()),
    ("RandomContrast RandomBrightness RandomHue RandomSaturation RandomColorJitter", _same_scale()),
    ("RandomSharpness RandomGrayscale RandomInvert RandomPosterization", _same_scale()),
    ("ConvertToTensor Copy Real Conjugate NanToNum", _rewritten("shapes.same")),
    ("ZerosLike", _rewritten("shapes.zeros_like")),
    ("OnesLike", _rewritten("shapes.ones_like")),
    # Functions of each element in float.
    ("Sqrt Rsqrt Log Log2 Log10 Cbrt", _in_float(rewrite="finite_gradients.function")),
    ("Log1p Exp2 Expm1 Sign Sinc Hypot Arctan2", _in_float()),
    ("Sin Cos", _in_float(exact_inputs=_all)),
    ("Floor Ceil Round Trunc Mod FloorDivide", _in_float(passes_indices=True)),
    # Comparisons, indices and categories.
    ("Equal NotEqual Greater GreaterEqual Less LessEqual", _in_float()),
    ("LogicalAnd LogicalOr LogicalXor LogicalNot", _in_float()),
    ("Isfinite Isinf Isnan Isneginf Isposinf Argsort", _in_float()),
    ("Cast", _in_float(rewrite="shapes.cast", casts=True, exact_inputs=_of_integer_cast)),
    ("OneHot", _in_float(decomposition="operations.one_hot", exact_inputs=_all)),
    ("MultiHot", _decomposed("operations.multi_hot", exact_inputs=_all)),
    ("CategoryEncoding", _in_float(decomposition="operations.category_encoding", exact_inputs=_all)),
    ("Discretization Digitize", _in_float(exact_inputs=_all)),
    ("Bincount SearchSorted", OpTraits(exact_inputs=_all)),
    # Spectra.
    ("RFFT", _in_float(decomposition="fourier.of_real", exact_inputs=_all, transforms_waveforms=True)),
    ("STFT", _in_float(decomposition="fourier.short_time", exact_inputs=_all, transforms_waveforms=True)),
    ("ISTFT", _decomposed("fourier.inverse_short_time")),
    ("MelSpectrogram STFTSpectrogram", _in_float(exact_inputs=_all, transforms_waveforms=True)),
    ("FFT FFT2 IFFT2", _decomposed("fourier.complex_transform", unsupported=_OTHERWISE)),
    ("IRFFT", _decomposed("fourier.inverse_of_real", unsupported=_OTHERWISE)),
    # No operator of a file.
    (
        "Hashing HashedCrossing IntegerLookup StringLookup TextVectorization",
        OpTraits(unsupported=_OUTSIDE),
    ),
    ("Arccos Arccosh Arcsin Arcsinh Arctan Arctanh Cosh Sinh Tan", OpTraits(unsupported=_OTHERWISE)),
    ("Erfinv I0 Signbit Nextafter Cumprod", OpTraits(unsupported=_OTHERWISE)),
    ("Cholesky Det Eig Eigh Inv Logdet Pinv Qr SVD Slogdet Solve", OpTraits(unsupported=_OTHERWISE)),
    # Layers of tfopt.graph.
    ("Constant OverBatch", _own_range()),
    ("AddedLosses", _same_scale()),
    ("BatchSize", _in_float()),
    ("CosineTransform", _in_float(transforms_waveforms=True)),
)


OPERATORS: Mapping[str, OpTraits] = table_of(_ROWS)
"""The name of a class of Keras or `tfopt.graph` -> what quantization knows of it."""
