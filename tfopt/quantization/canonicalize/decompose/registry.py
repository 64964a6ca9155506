"""The table of openings: the name of a Keras class -> the layers and operations that it is made of."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.graph import Decomposer, Decomposition, decompose_call
from tfopt.quantization.canonicalize.decompose import (
    activations,
    attention,
    axes,
    einsum,
    fourier,
    masking,
    operations,
    patches_and_volumes,
    recurrent,
    wrappers,
)
from tfopt.quantization.layers import tied_embedding

OPENINGS: dict[str, Decomposition] = {
    "Lambda": decompose_call,
    "TimeDistributed": wrappers.time_distributed,
    "MultiHeadAttention": attention.multi_head,
    "GroupedQueryAttention": attention.multi_head,
    "Attention": attention.single_head,
    "AdditiveAttention": attention.single_head,
    "DotProductAttention": attention.operation,
    "Masking": masking.masking,
    "ReversibleEmbedding": tied_embedding.reversible_embedding,
    "EinsumDense": einsum.einsum_dense,
    "Einsum": einsum.einsum,
    "Matmul": einsum.matmul,
    "Dot": einsum.dot,
    "Tensordot": einsum.tensordot,
    "ExtractPatches": patches_and_volumes.extract_patches,
    "MaxPooling3D": patches_and_volumes.pooling_3d(keras.layers.MaxPooling2D),
    "AveragePooling3D": patches_and_volumes.pooling_3d(keras.layers.AveragePooling2D),
    "UpSampling3D": patches_and_volumes.up_sampling_3d,
    "Pad": operations.pad,
    "OneHot": operations.one_hot,
    "CategoryEncoding": operations.category_encoding,
    "Logaddexp": axes.log_add_exp,
    "Diff": axes.difference,
    "Cross": axes.cross,
    "Diagonal": axes.diagonal,
    "Softmax": axes.softmax,
    "Trace": axes.trace,
    "Rot90": axes.quarter_turns,
    "CountNonzero": axes.count_nonzero,
    "Flip": operations.flip,
    "Roll": operations.roll,
    "Glu": operations.glu,
    "HardTanh": operations.hard_tanh,
    "Select": operations.select,
    "Fmax": operations.fmax,
    "Fmin": operations.fmin,
    "MultiHot": operations.multi_hot,
    "AdaptiveAveragePooling1D": operations.adaptive_pooling(keras.layers.AveragePooling1D),
    "AdaptiveAveragePooling2D": operations.adaptive_pooling(keras.layers.AveragePooling2D),
    "AdaptiveMaxPooling1D": operations.adaptive_pooling(keras.layers.MaxPooling1D),
    "AdaptiveMaxPooling2D": operations.adaptive_pooling(keras.layers.MaxPooling2D),
    "Average": operations.average,
    "Moments": operations.moments,
    "RGBToGrayscale": operations.rgb_to_grayscale,
    "SpectralNormalization": wrappers.wrapped,
    "FFT": fourier.transform(inverse=False, axes=(-1,)),
    "FFT2": fourier.transform(inverse=False, axes=(-1, -2)),
    "IFFT2": fourier.transform(inverse=True, axes=(-1, -2)),
    "IRFFT": fourier.inverse_of_real,
    "RFFT": fourier.of_real,
    "STFT": fourier.short_time,
    "ISTFT": fourier.inverse_short_time,
    "ExtractSequences": fourier.frames,
    "LSTM": recurrent.recurrent,
    "GRU": recurrent.recurrent,
    "SimpleRNN": recurrent.recurrent,
    "RNN": recurrent.recurrent,
    "ConvLSTM1D": recurrent.recurrent,
    "ConvLSTM2D": recurrent.recurrent,
    "LSTMCell": decompose_call,
    "GRUCell": decompose_call,
    "SimpleRNNCell": decompose_call,
    "Bidirectional": recurrent.bidirectional,
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


def opener() -> Decomposer:
    """Return what opens the layers of a model on its way to the canonical form."""
    return Decomposer(_opening)


def _opening(operation: Any) -> Decomposition | None:
    """Return the opening of an operation: the table's, or its own `call` where users wrote it."""
    module = type(operation).__module__
    if module.startswith("keras."):
        if activations.is_code(operation):
            return activations.opened
        return OPENINGS.get(type(operation).__name__)
    if isinstance(operation, _LOOPING) and not _computes_otherwise(operation):
        return OPENINGS.get(next(each.__name__ for each in type(operation).__mro__ if _of_keras(each)))
    if module.startswith("keras_hub.") and type(operation).__name__ in _KERAS_HUB:
        return OPENINGS[type(operation).__name__]
    return decompose_call if isinstance(operation, keras.Layer) and not module.startswith("tfopt.") else None
