"""Batch normalization that trains in one TensorFlow operation instead of a dozen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from tfopt.graph import _keras
from tfopt.graph.rewriting.rebuild import copy
from tfopt.graph.walk import require_built

_DTYPES = {tf.float32, tf.float16, tf.bfloat16}


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """A `BatchNormalization` whose training step is TensorFlow's `FusedBatchNormV3`.

    Statistics and gradients are computed in float32 and agree with Keras's to its rounding. Fused are
    calls with `training=True` of a trainable layer over the last axis of a float32, float16 or bfloat16
    input of rank 3 or more; all others, inference among them, are Keras's: a mask, `synchronized=True`,
    `renorm=True`, another axis, float64, and rank 2, where there is too little to gain.

    Reference:
        Ioffe and Szegedy, 2015, Batch Normalization: Accelerating Deep Network Training by Reducing
        Internal Covariate Shift (arXiv 1502.03167), algorithm 1.
    """

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalize, and in training move the averages."""
        if not (training and self.trainable and mask is None and self._can_fuse(inputs)):
            return super().call(inputs, training=training, mask=mask)
        channels = self.moving_mean.shape[0]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=_of_rank_4(inputs, channels),
            **self._scale_and_offset(),
            mean=tf.zeros(0),
            variance=tf.zeros(0),
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.size(inputs, tf.int64) // channels, tf.float32)
        # The operation returns the unbiased variance, Keras averages the biased one. Of a single value
        # the unbiased one does not exist, and what the operation returns depends on the device.
        variance = tf.math.multiply_no_nan(variance, (count - 1) / count)
        # An empty batch, such as a replica may get at the end of an epoch, has no statistics (NaN).
        rate = tf.where(count > 0, 1 - self.momentum, 0.0)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            before = keras.ops.cast(average, "float32")
            average.assign(before * (1 - rate) + tf.math.multiply_no_nan(value, rate))
        if inputs.shape.rank != 4:
            outputs = tf.ensure_shape(tf.reshape(outputs, tf.shape(inputs)), inputs.shape)
        return keras.ops.cast(outputs, self.compute_dtype)

    def _can_fuse(self, inputs: tf.Tensor) -> bool:
        return (
            isinstance(inputs, tf.Tensor)
            and inputs.dtype in _DTYPES
            and inputs.shape.rank >= 3
            and self.axis in (-1, inputs.shape.rank - 1)
            and not self.synchronized
            and not self.renorm
        )

    def _scale_and_offset(self) -> dict[str, tf.Tensor]:
        channels = self.moving_mean.shape[0]
        return {
            "scale": keras.ops.cast(self.gamma, "float32") if self.scale else tf.ones(channels),
            "offset": keras.ops.cast(self.beta, "float32") if self.center else tf.zeros(channels),
        }


class _FusedInference(FusedBatchNormalization):
    """One whose inference is TensorFlow's `FusedBatchNormV3`, too."""

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalize, and in training move the averages."""
        if (training and self.trainable) or not (self._can_fuse(inputs) and inputs.shape.rank == 4):
            return super().call(inputs, training=training, mask=mask)
        outputs, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            **self._scale_and_offset(),
            mean=keras.ops.cast(self.moving_mean, "float32"),
            variance=keras.ops.cast(self.moving_variance, "float32"),
            epsilon=self.epsilon,
            is_training=False,
        )
        return keras.ops.cast(outputs, self.compute_dtype)


# Keras writes a layer's class into files by module and name. Under its parent's the layer is saved as the
# plain layer that it replaces, which loads without tfopt, and what knows layers by name knows it too.
for _kind in (FusedBatchNormalization, _FusedInference):
    _kind.__module__ = "keras.layers"
    _kind.__name__ = _kind.__qualname__ = "BatchNormalization"


def fuse_batch_norm(model: keras.Model) -> keras.Model:
    """Return a copy of `model` that trains faster: its batch normalizations are fused.

    Keras 3 computes batch normalization on TensorFlow in many operations, each of which reads or writes
    the whole tensor; here it is one, forward and backward. Outputs, gradients and moving statistics are
    the same up to float32 rounding. The copy keeps names, weights, constraints, regularizers and
    trainable flags. It is saved as a plain Keras model: what is loaded from the file, with or without
    tfopt, is unfused. `tfopt.prune` and `tfopt.quantize_aware` keep the fusion.

    Args:
        model: any built Keras model, in float or quantization-aware; models and layers in it are fused too.
            Subclasses of `keras.layers.BatchNormalization` are left as they are.

    Raises:
        InvalidArgumentError: it is no Keras 3 model, or one that does not know its input shape.

    Example:
        ```python
        fused = tfopt.fuse_batch_norm(model)
        fused.compile("adam", "sparse_categorical_crossentropy")
        fused.fit(x_train, y_train, epochs=3)
        ```
    """
    require_built(model)
    with model.distribute_strategy.scope():
        fused = copy(model)
    fuse_in_place(fused)
    return fused


def fuse_in_place(model: keras.Model) -> None:
    """Fuse the batch normalizations of a model that has not been compiled yet."""
    for layer in _keras.sublayers(model):
        if type(layer) is keras.layers.BatchNormalization:
            # Layers that hold others make them by themselves: only the class can be replaced everywhere.
            layer.__class__ = FusedBatchNormalization


@contextlib.contextmanager
def fused_inference(model: keras.Model) -> Iterator[None]:
    """Let inferences that are traced in the context normalize in one operation; Keras takes two passes.

    TensorFlow makes one operation of a convolution, that one and a ReLU. Outputs are the same up to float32
    rounding. Nothing of the model is changed for good.

    Args:
        model: any built Keras model; models and layers in it count. Subclasses of
            `keras.layers.BatchNormalization` are left as they are.
    """
    kinds = (keras.layers.BatchNormalization, FusedBatchNormalization)
    found = [(layer, type(layer)) for layer in _keras.sublayers(model) if type(layer) in kinds]
    for layer, _ in found:
        layer.__class__ = _FusedInference
    try:
        yield
    finally:
        for layer, kind in found:
            layer.__class__ = kind


def is_fused(model: keras.Model) -> bool:
    """Return whether some batch normalization of `model` is fused."""
    return any(isinstance(layer, FusedBatchNormalization) for layer in _keras.sublayers(model))


def _of_rank_4(tensor: tf.Tensor, channels: int) -> tf.Tensor:
    """Return `tensor` with the axes between the first and the last as two."""
    if tensor.shape.rank == 4:
        return tensor
    shape = tf.shape(tensor)
    return tf.reshape(tensor, [shape[0], 1, tf.reduce_prod(shape[1:-1]), channels])
