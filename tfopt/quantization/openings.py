"""The table of openings: the name of a Keras class -> the layers and operations that it is made of."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.graph import Opener, Opening, open_call
from tfopt.quantization import (
    activation_openings,
    attention_openings,
    axis_openings,
    contraction,
    fourier,
    mask_openings,
    operation_openings,
    patch_openings,
    recurrent_openings,
    tied_embedding,
    time_openings,
)

OPENINGS: dict[str, Opening] = {
    "Lambda": open_call,
    "TimeDistributed": time_openings.time_distributed,
    "MultiHeadAttention": attention_openings.multi_head,
    "GroupedQueryAttention": attention_openings.multi_head,
    "Attention": attention_openings.single_head,
    "AdditiveAttention": attention_openings.single_head,
    "DotProductAttention": attention_openings.operation,
    "Masking": mask_openings.masking,
    "ReversibleEmbedding": tied_embedding.reversible_embedding,
    "EinsumDense": contraction.einsum_dense,
    "Einsum": contraction.einsum,
    "Matmul": contraction.matmul,
    "Dot": contraction.dot,
    "Tensordot": contraction.tensordot,
    "ExtractPatches": patch_openings.extract_patches,
    "MaxPooling3D": patch_openings.pooling_3d(keras.layers.MaxPooling2D),
    "AveragePooling3D": patch_openings.pooling_3d(keras.layers.AveragePooling2D),
    "UpSampling3D": patch_openings.up_sampling_3d,
    "Pad": operation_openings.pad,
    "OneHot": operation_openings.one_hot,
    "CategoryEncoding": operation_openings.category_encoding,
    "Logaddexp": axis_openings.log_add_exp,
    "Diff": axis_openings.difference,
    "Cross": axis_openings.cross,
    "Diagonal": axis_openings.diagonal,
    "Softmax": axis_openings.softmax,
    "Trace": axis_openings.trace,
    "Rot90": axis_openings.quarter_turns,
    "CountNonzero": axis_openings.count_nonzero,
    "Flip": operation_openings.flip,
    "Roll": operation_openings.roll,
    "Glu": operation_openings.glu,
    "HardTanh": operation_openings.hard_tanh,
    "Select": operation_openings.select,
    "Fmax": operation_openings.fmax,
    "Fmin": operation_openings.fmin,
    "MultiHot": operation_openings.multi_hot,
    "AdaptiveAveragePooling1D": operation_openings.adaptive_pooling(keras.layers.AveragePooling1D),
    "AdaptiveAveragePooling2D": operation_openings.adaptive_pooling(keras.layers.AveragePooling2D),
    "AdaptiveMaxPooling1D": operation_openings.adaptive_pooling(keras.layers.MaxPooling1D),
    "AdaptiveMaxPooling2D": operation_openings.adaptive_pooling(keras.layers.MaxPooling2D),
    "Average": operation_openings.average,
    "Moments": operation_openings.moments,
    "RGBToGrayscale": operation_openings.rgb_to_grayscale,
    "SpectralNormalization": time_openings.wrapped,
    "FFT": fourier.transform(inverse=False, axes=(-1,)),
    "FFT2": fourier.transform(inverse=False, axes=(-1, -2)),
    "IFFT2": fourier.transform(inverse=True, axes=(-1, -2)),
    "IRFFT": fourier.inverse_of_real,
    "RFFT": fourier.of_real,
    "STFT": fourier.short_time,
    "ISTFT": fourier.inverse_short_time,
    "ExtractSequences": fourier.frames,
    "LSTM": recurrent_openings.recurrent,
    "GRU": recurrent_openings.recurrent,
    "SimpleRNN": recurrent_openings.recurrent,
    "RNN": recurrent_openings.recurrent,
    "ConvLSTM1D": recurrent_openings.recurrent,
    "ConvLSTM2D": recurrent_openings.recurrent,
    "LSTMCell": open_call,
    "GRUCell": open_call,
    "SimpleRNNCell": open_call,
    "Bidirectional": recurrent_openings.bidirectional,
}

_KERAS_HUB = frozenset({"ReversibleEmbedding"})
"""Layers of KerasHub that do the same as Keras's of that name; its others are opened like a user's."""


_LOOPING = (keras.layers.RNN, keras.layers.Bidirectional)
"""Layers whose `call` is a loop of the backend, which shows no operations."""


def _computes_otherwise(layer: keras.Layer) -> bool:
    """Return whether a subclass of a layer of Keras changes more than how it is made and described."""
    own = [each for each in type(layer).__mro__ if not _of_keras(each)]
    return any(name in vars(each) for each in own for name in _COMPUTE)


_COMPUTE = ("__call__", "call", "inner_loop", "get_initial_state", "compute_mask")


def _of_keras(kind: type) -> bool:
    return kind.__module__.startswith("keras.") or kind is object


def opener() -> Opener:
    """Return what opens the layers of a model on its way to the canonical form."""
    return Opener(_opening)


def _opening(operation: Any) -> Opening | None:
    """Return the opening of an operation: the table's, or its own `call` where users wrote it."""
    module = type(operation).__module__
    if module.startswith("keras."):
        if activation_openings.is_code(operation):
            return activation_openings.opened
        return OPENINGS.get(type(operation).__name__)
    if isinstance(operation, _LOOPING) and not _computes_otherwise(operation):
        return OPENINGS.get(next(each.__name__ for each in type(operation).__mro__ if _of_keras(each)))
    if module.startswith("keras_hub.") and type(operation).__name__ in _KERAS_HUB:
        return OPENINGS[type(operation).__name__]
    return open_call if isinstance(operation, keras.Layer) and not module.startswith("tfopt.") else None
