"""Freezing, before training ends, what disturbs it: moving ranges and the statistics of batches."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfopt.graph import layers, unwrapped
from tfopt.graph.rewriting.fused_batch_norm import FusedBatchNormalization
from tfopt.quantization.quantizers.activation import ActivationQuantizer


def freeze_ranges(model: keras.Model, frozen: bool = True) -> None:
    """Keep the ranges of a model's activations as they are now, or let them move again.

    Takes effect at once, in a training step that is already traced too, and is saved with the model.

    Args:
        model: as `tfopt.quantize_aware` returns it.
        frozen: whether to keep them. With False, the ranges of observers such as `"mse"`, which keep theirs
            by themselves, move too.

    Reference:
        Krishnamoorthi, 2018, Quantizing deep convolutional networks for efficient inference (arXiv
        1806.08342), section 3.2.3.
    """
    for _, layer in layers(model):
        if isinstance(layer, ActivationQuantizer):
            layer.freeze(frozen)


def freeze_batch_norm(model: keras.Model, frozen: bool = True) -> bool:
    """Let batch normalizations train with their moving statistics, or with those of the batch again.

    The moving statistics then stay as they are; scale and offset are still trained. A file has these
    statistics, and their difference from those of a batch is too much noise for few bits. It is not saved
    with the model. A training step that is traced already must be traced again;
    `tfopt.callbacks.QuantizationSchedule` sees to it in `fit`.

    Args:
        model: built, functional. Subclasses of `keras.layers.BatchNormalization` are left as they are.
        frozen: whether to use the moving statistics.

    Returns:
        Whether a layer changed.

    Reference:
        Krishnamoorthi, 2018, Quantizing deep convolutional networks for efficient inference (arXiv
        1806.08342), section 3.2.2.
    """
    changed = False
    for _, layer in layers(model):
        inner = unwrapped(layer)
        to = _FROZEN.get(type(inner)) if frozen else _TRAINED.get(type(inner))
        if to is not None:
            inner.__class__ = to
            changed = True
    return changed


class _FrozenBatchNormalization(keras.layers.BatchNormalization):
    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalize with the moving statistics, whatever `training` says."""
        del training
        return super().call(inputs, training=False, mask=mask)


class _FrozenFusedBatchNormalization(_FrozenBatchNormalization, FusedBatchNormalization):
    """What was fused before, and will be again."""


_FROZEN = {
    keras.layers.BatchNormalization: _FrozenBatchNormalization,
    FusedBatchNormalization: _FrozenFusedBatchNormalization,
}
_TRAINED = {frozen: trained for trained, frozen in _FROZEN.items()}

for _class in _TRAINED:
    # Keras writes a layer's class into files by module and name: both are saved as the plain layer.
    _class.__module__ = "keras.layers"
    _class.__name__ = _class.__qualname__ = "BatchNormalization"
