"""An embedding whose table is also the kernel of a projection back to its tokens: tied weights."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import tensorflow as tf
from keras import ops

from tfopt.quantization.operators.op_traits import KernelTraits, Kind, OpTraits

Tensor: TypeAlias = keras.KerasTensor


@keras.saving.register_keras_serializable(package="tfopt")
class TiedEmbedding(keras.layers.Embedding):
    """Looks up integers in its table, and multiplies floats by the table turned round.

    Both are calls of one layer, so that the table stays one variable in training. In integer schemes its
    weights are quantized as those of a Dense for the products, with a scale for each token; what is looked
    up has one scale, that of the tensor.

    Args:
        input_dim, output_dim, embeddings_initializer, embeddings_regularizer, embeddings_constraint: as of
            Embedding.

    Reference:
        Press and Wolf, 2016, Using the Output Embedding to Improve Language Models (arXiv 1608.05859).
    """

    tfopt_traits = OpTraits(
        kind=Kind.LINEAR_ALONE, kernels=(KernelTraits(attribute="embeddings", outputs=(-2,)),)
    )

    @staticmethod
    def tfopt_looks_up(inputs: Any) -> bool:
        """Return whether a call is a look-up, not a product."""
        return keras.backend.is_int_dtype(keras.backend.standardize_dtype(inputs.dtype))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return embeddings of integers `(...)`, or for floats `(..., output_dim)` a score for each token."""
        if self.tfopt_looks_up(inputs):
            return super().call(inputs)
        return ops.matmul(inputs, ops.transpose(ops.cast(self.embeddings, self.compute_dtype)))

    def compute_output_spec(self, inputs: Tensor) -> Tensor:
        """Return the shape of the embeddings or of the scores."""
        shape = tuple(inputs.shape)
        shape = (*shape, self.output_dim) if self.tfopt_looks_up(inputs) else (*shape[:-1], self.input_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)
