"""An embedding whose table is also the kernel of a projection back to its tokens: tied weights."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import tensorflow as tf
from keras import ops

from tfopt.errors import UnsupportedOperation
from tfopt.graph import Parts
from tfopt.quantization.operators.traits import Kind

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

    tfopt_kind = Kind.LINEAR_ALONE

    def tfopt_weights(self) -> tuple[keras.Variable, tuple[int, ...]]:
        """Return the table and the axis that numbers the outputs of a product."""
        return self.embeddings, (-2,)

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


def reversible_embedding(parts: Parts, layer: Any, x: Tensor, reverse: bool = False) -> Tensor:
    """Open ReversibleEmbedding: a `TiedEmbedding`, or an Embedding and a Dense where it has two tables."""
    if not reverse and layer.mask_zero and layer.compute_mask(x) is None:
        raise UnsupportedOperation(
            f"The mask of {layer.name!r} (ReversibleEmbedding with mask_zero=True) is not in the graph of "
            "the model: Keras makes it only while the model runs. Build the layer with mask_zero=False and "
            "give the layers that read the mask `keras.ops.not_equal(tokens, 0)`."
        )
    if not reverse and not keras.backend.is_int_dtype(x.dtype):
        x = ops.cast(x, "int32")
    if reverse and not layer.tie_weights:
        kernel = layer.reverse_embeddings
        y = parts(
            "reverse",
            keras.layers.Dense,
            layer.input_dim,
            use_bias=False,
            trainable=layer.trainable,
            dtype=layer.dtype_policy,
            weights=[kernel],
        )(x)
    else:
        y = parts(
            "table",
            TiedEmbedding if layer.tie_weights else keras.layers.Embedding,
            layer.input_dim,
            layer.output_dim,
            embeddings_regularizer=layer.embeddings_regularizer,
            embeddings_constraint=layer.embeddings_constraint,
            trainable=layer.trainable,
            dtype=layer.dtype_policy,
            weights=[layer.embeddings],
        )(x)
    cap = layer.logit_soft_cap if reverse else None
    return y if cap is None else ops.multiply(ops.tanh(ops.divide(y, cap)), cap)
