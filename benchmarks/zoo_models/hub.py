"""Backbones and tasks in the style of KerasHub: functional models with classes and configs of their own.

Inputs come by name, token ids and a padding mask; layers take activations and initializers as callables and
build their children in `build`; language models share their embedding with the output.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from zoo_models.table import Table, images, series, tokens

MODELS = Table("KerasHub")

VOCABULARY, WIDTH, LENGTH = 40, 16, 12


def _text(segments=False):
    lengths = np.random.default_rng(0).integers(7, LENGTH + 1, (40, 1))
    data = {
        "token_ids": tokens(LENGTH, VOCABULARY),
        "padding_mask": (np.arange(LENGTH) < lengths).astype("int32"),
    }
    if segments:
        data["segment_ids"] = (np.arange(LENGTH) >= lengths // 2).astype("int32")
    return data


def _named_inputs(*names, length=LENGTH):
    return {name: keras.Input(shape=(length,), dtype="int32", name=name) for name in names}


def bert_kernel_initializer(stddev=0.02):
    return keras.initializers.TruncatedNormal(stddev=stddev)


def gelu_approximate(x):
    return keras.activations.gelu(x, approximate=True)


class Backbone(keras.Model):
    """A functional model with a class and a config of its own."""

    def __init__(self, *args, dtype=None, **kwargs):
        super().__init__(*args, **kwargs)

    def get_config(self):
        return {"name": self.name, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class PositionEmbedding(layers.Layer):
    def __init__(self, sequence_length, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.sequence_length = int(sequence_length)
        self.initializer = keras.initializers.get(initializer)

    def build(self, inputs_shape):
        self.position_embeddings = self.add_weight(
            name="embeddings", shape=[self.sequence_length, inputs_shape[-1]], initializer=self.initializer
        )
        self.built = True

    def call(self, inputs, start_index=0, positions=None):
        shape = ops.shape(inputs)
        sequence_length = shape[-2]
        position_embeddings = ops.convert_to_tensor(self.position_embeddings)
        if positions is None:
            positions = ops.arange(start_index, start_index + sequence_length)
        position_embeddings = ops.take(position_embeddings, positions, axis=0)
        return ops.broadcast_to(position_embeddings, shape)

    def compute_output_shape(self, input_shape):
        return input_shape


class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, vocabulary_size, sequence_length, embedding_dim, tie_weights=True, **kwargs):
        super().__init__(**kwargs)
        self.token_embedding = layers.ReversibleEmbedding(
            vocabulary_size,
            embedding_dim,
            tie_weights=tie_weights,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.5),
            dtype=self.dtype_policy,
            name="token_embedding",
        )
        self.position_embedding = PositionEmbedding(
            sequence_length=sequence_length, dtype=self.dtype_policy, name="position_embedding"
        )
        self.supports_masking = self.token_embedding.supports_masking

    def build(self, input_shape):
        input_shape = tuple(input_shape)
        self.token_embedding.build(input_shape)
        self.position_embedding.build((*input_shape, self.token_embedding.output_dim))
        self.built = True

    def call(self, inputs, start_index=0, positions=None):
        embedded_tokens = self.token_embedding(inputs)
        embedded_positions = self.position_embedding(
            embedded_tokens, start_index=start_index, positions=positions
        )
        return embedded_tokens + embedded_positions

    def compute_output_shape(self, input_shape):
        return (*tuple(input_shape), self.token_embedding.output_dim)


def compute_causal_mask(batch_size, input_length, output_length, cache_index=0):
    i = ops.arange(output_length, dtype="float32")
    i = i + ops.cast(cache_index, "float32")
    i = ops.expand_dims(i, axis=1)
    j = ops.arange(input_length, dtype="float32")
    mask = ops.expand_dims(i >= j, axis=0)
    return ops.broadcast_to(mask, (batch_size, output_length, input_length))


def merge_padding_and_attention_mask(inputs, padding_mask, attention_mask):
    mask = padding_mask
    if mask is not None:
        mask = ops.cast(ops.expand_dims(mask, axis=1), "int32")
    if attention_mask is not None:
        attention_mask = ops.cast(attention_mask, "int32")
        return attention_mask if mask is None else ops.minimum(mask, attention_mask)
    return mask


class TransformerEncoder(layers.Layer):
    """Encoder block, its layers made in `build` from the width that comes in."""

    def __init__(
        self,
        intermediate_dim,
        num_heads,
        dropout=0,
        activation="relu",
        layer_norm_epsilon=1e-05,
        normalize_first=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.intermediate_dim = intermediate_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.activation = keras.activations.get(activation)
        self.layer_norm_epsilon = layer_norm_epsilon
        self.normalize_first = normalize_first
        self.supports_masking = True

    def build(self, inputs_shape):
        hidden_dim = inputs_shape[-1]
        key_dim = int(hidden_dim // self.num_heads)
        self._self_attention_layer = layers.MultiHeadAttention(
            num_heads=self.num_heads,
            key_dim=key_dim,
            dropout=self.dropout,
            dtype=self.dtype_policy,
            name="self_attention_layer",
        )
        self._self_attention_layer.build(query_shape=inputs_shape, value_shape=inputs_shape)
        self._self_attention_layer_norm = layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon, dtype=self.dtype_policy, name="self_attention_layer_norm"
        )
        self._self_attention_layer_norm.build(inputs_shape)
        self._self_attention_dropout = layers.Dropout(rate=self.dropout, dtype=self.dtype_policy)
        self._feedforward_layer_norm = layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon, dtype=self.dtype_policy, name="feedforward_layer_norm"
        )
        self._feedforward_layer_norm.build(inputs_shape)
        self._feedforward_intermediate_dense = layers.Dense(
            self.intermediate_dim, activation=self.activation, dtype=self.dtype_policy, name="intermediate"
        )
        self._feedforward_intermediate_dense.build(inputs_shape)
        self._feedforward_output_dense = layers.Dense(
            hidden_dim, dtype=self.dtype_policy, name="output_dense"
        )
        intermediate_shape = list(inputs_shape)
        intermediate_shape[-1] = self.intermediate_dim
        self._feedforward_output_dense.build(tuple(intermediate_shape))
        self._feedforward_dropout = layers.Dropout(rate=self.dropout, dtype=self.dtype_policy)
        self.built = True

    def call(
        self, inputs, padding_mask=None, attention_mask=None, training=None, return_attention_scores=False
    ):
        x = inputs
        self_attention_mask = merge_padding_and_attention_mask(inputs, padding_mask, attention_mask)
        residual = x
        if self.normalize_first:
            x = self._self_attention_layer_norm(x)
        x = self._self_attention_layer(
            query=x, value=x, attention_mask=self_attention_mask, training=training
        )
        x = self._self_attention_dropout(x, training=training)
        x = x + residual
        if not self.normalize_first:
            x = self._self_attention_layer_norm(x)
        residual = x
        if self.normalize_first:
            x = self._feedforward_layer_norm(x)
        x = self._feedforward_intermediate_dense(x)
        x = self._feedforward_output_dense(x)
        x = self._feedforward_dropout(x, training=training)
        x = x + residual
        if not self.normalize_first:
            x = self._feedforward_layer_norm(x)
        return x

    def compute_output_shape(self, inputs_shape):
        return inputs_shape


class TransformerDecoder(TransformerEncoder):
    """The same with a causal mask; its caller gives the padding."""

    def call(self, inputs, decoder_padding_mask=None, training=None):
        shape = ops.shape(inputs)
        causal = compute_causal_mask(shape[0], shape[1], shape[1])
        return super().call(
            inputs, padding_mask=decoder_padding_mask, attention_mask=causal, training=training
        )


def _encoder_backbone(name, *, segments, activation=gelu_approximate, share=False, narrow=False, blocks=2):
    names = ("token_ids", "segment_ids", "padding_mask") if segments else ("token_ids", "padding_mask")
    inputs = _named_inputs(*names)
    width = 8 if narrow else WIDTH
    if segments:
        token_embedding = layers.ReversibleEmbedding(
            input_dim=VOCABULARY,
            output_dim=width,
            embeddings_initializer=bert_kernel_initializer(0.5),
            name="token_embedding",
        )
        embedded = token_embedding(inputs["token_ids"])
        position = PositionEmbedding(
            sequence_length=LENGTH, initializer=bert_kernel_initializer(0.5), name="position_embedding"
        )(embedded)
        segment = layers.Embedding(
            input_dim=2, output_dim=width, embeddings_initializer=bert_kernel_initializer(0.5)
        )(inputs["segment_ids"])
        x = layers.Add(name="embeddings_add")((embedded, position, segment))
    else:
        x = TokenAndPositionEmbedding(VOCABULARY, LENGTH, width, name="embeddings")(inputs["token_ids"])
    x = layers.LayerNormalization(name="embeddings_layer_norm", axis=-1, epsilon=1e-12, dtype="float32")(x)
    x = layers.Dropout(0.1, name="embeddings_dropout")(x)
    if narrow:
        x = layers.Dense(WIDTH, name="embedding_projection")(x)
    shared = TransformerEncoder(32, 2, 0.1, activation, 1e-12, name="shared")
    for i in range(blocks):
        layer = (
            shared
            if share
            else TransformerEncoder(32, 2, 0.1, activation, 1e-12, name=f"transformer_layer_{i}")
        )
        x = layer(x, padding_mask=inputs["padding_mask"])
    pooled = layers.Dense(WIDTH, activation="tanh", name="pooled_dense")(x[:, 0, :])
    return Backbone(inputs, {"sequence_output": x, "pooled_output": pooled}, name=name), _text(segments)


@MODELS.add(classification=False)
def hub_bert_backbone():
    return _encoder_backbone("bert_backbone", segments=True)


@MODELS.add(classification=False)
def hub_albert_backbone():
    return _encoder_backbone("albert_backbone", segments=True, share=True, narrow=True)


@MODELS.add
def hub_roberta_classifier():
    backbone, data = _encoder_backbone("roberta_backbone", segments=False, activation="gelu")
    x = backbone(backbone.input)["sequence_output"][:, 0, :]
    x = layers.Dropout(0.1, name="pooled_dropout")(x)
    x = layers.Dense(WIDTH, activation=lambda x: keras.activations.tanh(x), name="pooled_dense")(x)
    return keras.Model(backbone.input, layers.Dense(3, name="logits")(layers.Dropout(0.1)(x))), data


@MODELS.add
def hub_distil_bert_classifier():
    backbone, data = _encoder_backbone("distil_bert_backbone", segments=False, blocks=1)
    x = backbone(backbone.input)["sequence_output"][:, 0, :]
    x = layers.Dense(WIDTH, activation="relu", name="pooled_dense")(x)
    return keras.Model(backbone.input, layers.Dense(3, name="logits")(layers.Dropout(0.2)(x))), data


class MaskedLMHead(layers.Layer):
    """Gathers the masked positions and predicts their tokens with the embedding's own matrix."""

    def __init__(self, token_embedding, intermediate_activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.token_embedding = token_embedding
        self.intermediate_activation = keras.activations.get(intermediate_activation)
        self.vocabulary_size = token_embedding.input_dim

    def build(self, inputs_shape, mask_positions_shape=None):
        self._intermediate_dense = layers.Dense(inputs_shape[-1], activation=self.intermediate_activation)
        self._intermediate_dense.build(inputs_shape)
        self._intermediate_layer_norm = layers.LayerNormalization()
        self._intermediate_layer_norm.build(inputs_shape)
        self._output_bias = self.add_weight(
            name="output_bias", shape=(self.vocabulary_size,), initializer="zeros"
        )
        self.built = True

    def call(self, inputs, mask_positions):
        mask_positions = ops.expand_dims(mask_positions, axis=-1)
        x = ops.take_along_axis(inputs, mask_positions, axis=1)
        x = self._intermediate_layer_norm(self._intermediate_dense(x))
        outputs = self.token_embedding(x, reverse=True)
        return ops.add(outputs, self._output_bias)


@MODELS.add
def hub_bert_masked_lm():
    token_ids, positions = keras.Input((LENGTH,), dtype="int32"), keras.Input((3,), dtype="int32")
    embedding = layers.ReversibleEmbedding(VOCABULARY, WIDTH)
    x = embedding(token_ids)
    x = x + PositionEmbedding(LENGTH)(x)
    x = TransformerEncoder(32, 2, activation=gelu_approximate)(x)
    outputs = MaskedLMHead(embedding, gelu_approximate)(x, mask_positions=positions)
    where = np.sort(np.random.default_rng(0).permuted(np.tile(np.arange(LENGTH), (40, 1)), axis=1)[:, :3])
    return keras.Model({"token_ids": token_ids, "mask_positions": positions}, outputs), {
        "token_ids": tokens(LENGTH, VOCABULARY),
        "mask_positions": where.astype("int32"),
    }


def _causal_lm(decoder, token_embedding, name, positions=True, norm=None, scale=None, length=LENGTH):
    inputs = _named_inputs("token_ids", "padding_mask", length=length)
    x = token_embedding(inputs["token_ids"])
    if scale:
        x = x * ops.cast(scale, x.dtype)
    if positions:
        x = x + PositionEmbedding(sequence_length=LENGTH, name="position_embedding")(x)
    for i in range(2):
        x = decoder(i)(x, decoder_padding_mask=inputs["padding_mask"])
    x = (norm or layers.LayerNormalization(name="layer_norm", epsilon=1e-5))(x)
    backbone = Backbone(inputs, x, name=name)
    hidden = backbone(backbone.input)
    outputs = token_embedding(hidden, reverse=True)
    return keras.Model(backbone.input, outputs, name=f"{name}_causal_lm"), _text()


def _tied(tie_weights=True):
    return layers.ReversibleEmbedding(
        VOCABULARY,
        WIDTH,
        tie_weights=tie_weights,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=0.5),
        name="token_embedding",
    )


@MODELS.add
def hub_gpt2_causal_lm():
    def decoder(i):
        return TransformerDecoder(
            32, 2, 0.1, gelu_approximate, normalize_first=True, name=f"transformer_layer_{i}"
        )

    return _causal_lm(decoder, _tied(), "gpt2_backbone")


@MODELS.add
def hub_opt_causal_lm():
    def decoder(i):
        return TransformerDecoder(32, 2, 0.1, "relu", normalize_first=True, name=f"transformer_layer_{i}")

    return _causal_lm(decoder, _tied(), "opt_backbone", length=None)


class RotaryEmbedding(layers.Layer):
    def __init__(self, max_wavelength=10000, scaling_factor=1.0, sequence_axis=1, feature_axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.max_wavelength = max_wavelength
        self.sequence_axis = sequence_axis
        self.feature_axis = feature_axis
        self.scaling_factor = scaling_factor
        self.built = True

    def call(self, inputs, start_index=0, positions=None):
        inputs = ops.moveaxis(inputs, (self.feature_axis, self.sequence_axis), (-1, 1))
        cos_emb, sin_emb = self._compute_cos_sin_embedding(inputs, start_index, positions)
        output = self._apply_rotary_pos_emb(inputs, cos_emb, sin_emb)
        return ops.moveaxis(output, (-1, 1), (self.feature_axis, self.sequence_axis))

    def _apply_rotary_pos_emb(self, tensor, cos_emb, sin_emb):
        x1, x2 = ops.split(tensor, 2, axis=-1)
        half_rot_tensor = ops.stack((-x2, x1), axis=-2)
        half_rot_tensor = ops.reshape(half_rot_tensor, ops.shape(tensor))
        return (tensor * cos_emb) + (half_rot_tensor * sin_emb)

    def _compute_positions(self, inputs, start_index=0):
        seq_len = ops.shape(inputs)[1]
        positions = ops.arange(seq_len, dtype="float32")
        return positions + ops.cast(start_index, dtype="float32")

    def _compute_cos_sin_embedding(self, inputs, start_index=0, positions=None):
        feature_axis = len(inputs.shape) - 1
        rotary_dim = ops.shape(inputs)[feature_axis]
        inverse_freq = self._get_inverse_freq(rotary_dim)
        if positions is None:
            positions = self._compute_positions(inputs, start_index)
        positions = ops.cast(positions, "float32")
        freq = ops.einsum("i,j->ij", positions, inverse_freq)
        embedding = ops.stack((freq, freq), axis=-2)
        embedding = ops.reshape(embedding, (*ops.shape(freq)[:-1], ops.shape(freq)[-1] * 2))
        for axis in range(2, len(inputs.shape) - 1):
            embedding = ops.expand_dims(embedding, axis=axis - 1)
        cos_emb = ops.cast(ops.cos(embedding), self.compute_dtype)
        sin_emb = ops.cast(ops.sin(embedding), self.compute_dtype)
        return cos_emb, sin_emb

    def _get_inverse_freq(self, rotary_dim):
        freq_range = ops.divide(
            ops.arange(0, rotary_dim, 2, dtype="float32"), ops.cast(rotary_dim, "float32")
        )
        return 1.0 / (self.max_wavelength**freq_range)


class LlamaLayerNorm(layers.Layer):
    def __init__(self, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        self.scale = self.add_weight(
            name="scale", trainable=True, shape=(input_shape[-1],), initializer="ones"
        )
        self.built = True

    def call(self, x):
        x = ops.cast(x, "float32")
        var = ops.mean(ops.power(x, 2), axis=-1, keepdims=True)
        x = x * ops.rsqrt(var + self.epsilon)
        return ops.cast(x * self.scale, self.compute_dtype)


class GroupedQueryAttention(layers.Layer):
    """Rotary positions on queries and keys, fewer heads of keys than of queries."""

    def __init__(self, num_query_heads, num_key_value_heads, rope_max_wavelength=10000, **kwargs):
        super().__init__(**kwargs)
        self.num_query_heads = num_query_heads
        self.num_key_value_heads = num_key_value_heads
        self.num_key_value_groups = num_query_heads // num_key_value_heads
        self.rope_max_wavelength = rope_max_wavelength

    def build(self, inputs_shape):
        hidden_dim = inputs_shape[-1]
        head_dim = hidden_dim // self.num_query_heads
        self._inv_norm_factor = 1.0 / math.sqrt(head_dim)

        def dense(equation, shape, name, build_shape=inputs_shape):
            layer = layers.EinsumDense(
                equation=equation, output_shape=shape, dtype=self.dtype_policy, name=name
            )
            layer.build(build_shape)
            return layer

        self._query_dense = dense("bqm,muh->bquh", (None, self.num_query_heads, head_dim), "query")
        self._key_dense = dense("bkm,mvh->bkvh", (None, self.num_key_value_heads, head_dim), "key")
        self._value_dense = dense("bkm,mvh->bkvh", (None, self.num_key_value_heads, head_dim), "value")
        self._softmax = layers.Softmax(axis=-1, dtype="float32", name="attention_softmax")
        self._output_dense = dense(
            "bquh,uhm->bqm",
            (None, hidden_dim),
            "attention_output",
            (None, None, self.num_query_heads, head_dim),
        )
        self.rotary_embedding_layer = RotaryEmbedding(self.rope_max_wavelength, dtype=self.dtype_policy)
        self._dot_product_equation = "bquh,bkuh->buqk"
        self._combine_equation = "buqk,bkuh->bquh"
        self.built = True

    def call(self, hidden_states, attention_mask=None, training=None):
        query = self.rotary_embedding_layer(self._query_dense(hidden_states))
        key = self.rotary_embedding_layer(self._key_dense(hidden_states))
        value = self._value_dense(hidden_states)
        key = ops.repeat(key, repeats=self.num_key_value_groups, axis=2)
        value = ops.repeat(value, repeats=self.num_key_value_groups, axis=2)
        attention_scores = ops.einsum(self._dot_product_equation, query, key)
        attention_scores = ops.multiply(attention_scores, ops.cast(self._inv_norm_factor, self.compute_dtype))
        if attention_mask is not None:
            attention_scores = self._softmax(attention_scores, attention_mask[:, None, :, :])
        else:
            attention_scores = self._softmax(attention_scores)
        attention_output = ops.einsum(
            self._combine_equation, ops.cast(attention_scores, self.compute_dtype), value
        )
        return self._output_dense(attention_output)


class GatedDecoder(layers.Layer):
    """RMS norms, grouped queries, and a gated feed-forward."""

    def __init__(self, intermediate_dim, heads, key_value_heads, activation, norm=LlamaLayerNorm, **kwargs):
        super().__init__(**kwargs)
        self.intermediate_dim = intermediate_dim
        self.heads, self.key_value_heads = heads, key_value_heads
        self.activation = keras.activations.get(activation)
        self.norm = norm
        self.supports_masking = True

    def build(self, decoder_sequence_shape):
        self._decoder_sequence_shape = decoder_sequence_shape
        self.hidden_dim = decoder_sequence_shape[-1]
        self._self_attention_layer = GroupedQueryAttention(
            self.heads, self.key_value_heads, name="self_attention"
        )
        self._self_attention_layer.build(decoder_sequence_shape)
        self._self_attention_layernorm = self.norm(name="self_attention_layernorm")
        self._self_attention_layernorm.build(decoder_sequence_shape)
        self._feedforward_intermediate_dense = layers.Dense(self.intermediate_dim, use_bias=False, name="up")
        self._feedforward_intermediate_dense.build(decoder_sequence_shape)
        self._feedforward_gate_dense = layers.Dense(self.intermediate_dim, use_bias=False, name="gate")
        self._feedforward_gate_dense.build(decoder_sequence_shape)
        self._feedforward_output_dense = layers.Dense(self.hidden_dim, use_bias=False, name="down")
        self._feedforward_output_dense.build((*decoder_sequence_shape[:-1], self.intermediate_dim))
        self._feedforward_layernorm = self.norm(name="feedforward_layernorm")
        self._feedforward_layernorm.build(decoder_sequence_shape)
        self.built = True

    def call(self, decoder_sequence, decoder_padding_mask=None, training=None):
        batch_size = ops.shape(decoder_sequence)[0]
        length = ops.shape(decoder_sequence)[1]
        causal_mask = compute_causal_mask(batch_size, length, length)
        mask = merge_padding_and_attention_mask(decoder_sequence, decoder_padding_mask, causal_mask)
        residual = decoder_sequence
        x = self._self_attention_layernorm(decoder_sequence)
        x = self._self_attention_layer(hidden_states=x, attention_mask=mask)
        x = x + residual
        residual = x
        x = self._feedforward_layernorm(x)
        gate_output = self._feedforward_gate_dense(x)
        gate_output = ops.cast(gate_output, "float32")
        gate_output = self.activation(gate_output)
        gate_output = ops.cast(gate_output, self.compute_dtype)
        x = self._feedforward_intermediate_dense(x)
        x = self._feedforward_output_dense(ops.multiply(x, gate_output))
        return x + residual

    def compute_output_shape(self, decoder_sequence_shape):
        return decoder_sequence_shape


@MODELS.add
def hub_llama_causal_lm():
    def decoder(i):
        return GatedDecoder(32, 4, 2, "silu", name=f"transformer_layer_{i}")

    norm = LlamaLayerNorm(name="sequence_output_layernorm")
    return _causal_lm(decoder, _tied(False), "llama_backbone", positions=False, norm=norm)


class RMSNormalization(layers.Layer):
    """Gemma's: one plus the scale."""

    def __init__(self, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="zeros")
        self.built = True

    def call(self, x):
        scale = ops.cast(self.scale, "float32")
        x = ops.cast(x, "float32")
        var = ops.mean(ops.square(x), axis=-1, keepdims=True)
        normed_inputs = x * ops.reciprocal(ops.sqrt(var + self.epsilon))
        normed_inputs = normed_inputs * (1 + scale)
        return ops.cast(normed_inputs, self.compute_dtype)


@MODELS.add
def hub_gemma_causal_lm():
    def decoder(i):
        return GatedDecoder(32, 4, 1, gelu_approximate, RMSNormalization, name=f"decoder_block_{i}")

    norm = RMSNormalization(name="final_normalization")
    return _causal_lm(decoder, _tied(), "gemma_backbone", positions=False, norm=norm, scale=math.sqrt(WIDTH))


@MODELS.add
def hub_mistral_causal_lm():
    def decoder(i):
        return GatedDecoder(24, 2, 1, ops.silu, LlamaLayerNorm, name=f"transformer_layer_{i}")

    return _causal_lm(
        decoder, _tied(False), "mistral_backbone", positions=False, norm=layers.RMSNormalization()
    )


@MODELS.add(classification=False)
def hub_phi_hidden_states():
    """One projection makes queries, keys and values; the attention is Keras's own grouped one."""

    class PhiDecoder(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.attention = layers.GroupQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)
            self.norms = [layers.RMSNormalization() for _ in range(2)]
            self.gate_up = layers.Dense(48, use_bias=False)
            self.down = layers.Dense(WIDTH, use_bias=False)

        def call(self, x):
            y = self.norms[0](x)
            x = x + self.attention(y, y, use_causal_mask=True)
            gate, up = ops.split(self.gate_up(self.norms[1](x)), 2, axis=-1)
            return x + self.down(ops.silu(gate) * up)

    inputs = keras.Input((LENGTH,), dtype="int32", name="token_ids")
    x = _tied()(inputs)
    for _ in range(2):
        x = PhiDecoder()(x)
    return Backbone(inputs, layers.RMSNormalization()(x)), tokens(LENGTH, VOCABULARY)


class T5MultiHeadAttention(layers.Layer):
    """Relative positions in buckets, a bias a head; no scaling of the scores."""

    def __init__(self, hidden_dim, num_heads, use_relative_attention_bias=False, **kwargs):
        super().__init__(**kwargs)
        self.hidden_dim, self.num_heads = hidden_dim, num_heads
        self.key_value_dim = hidden_dim // num_heads
        self.use_relative_attention_bias = use_relative_attention_bias
        self.relative_attention_buckets, self.relative_attention_max_distance = 8, 16
        self.query_projector = layers.Dense(hidden_dim, use_bias=False, name="query_projector")
        self.key_projector = layers.Dense(hidden_dim, use_bias=False, name="key_projector")
        self.value_projector = layers.Dense(hidden_dim, use_bias=False, name="value_projector")
        self.output_projector = layers.Dense(hidden_dim, use_bias=False, name="output_projector")

    def build(self, input_shape):
        if self.use_relative_attention_bias:
            self.relative_attention_bias = self.add_weight(
                name="embeddings",
                shape=[self.relative_attention_buckets, self.num_heads],
                initializer=keras.initializers.RandomNormal(stddev=1.0),
            )

    def _relative_position_bucket(self, relative_position, num_buckets, max_distance):
        relative_buckets = 0
        num_buckets //= 2
        relative_buckets += (
            ops.cast(ops.greater(relative_position, 0), dtype=relative_position.dtype) * num_buckets
        )
        relative_position = ops.abs(relative_position)
        max_exact = num_buckets // 2
        is_small = ops.less(relative_position, max_exact)
        relative_position_if_large = max_exact + ops.cast(
            ops.log(ops.cast(relative_position, "float32") / ops.cast(max_exact, "float32"))
            / ops.cast(ops.log(max_distance / max_exact), "float32")
            * (num_buckets - max_exact),
            dtype=relative_position.dtype,
        )
        relative_position_if_large = ops.minimum(relative_position_if_large, num_buckets - 1)
        return relative_buckets + ops.where(is_small, relative_position, relative_position_if_large)

    def compute_bias(self, query_length, key_length):
        context_position = ops.arange(query_length)[:, None]
        memory_position = ops.arange(key_length)[None, :]
        relative_position = memory_position - context_position
        bucket = self._relative_position_bucket(
            relative_position, self.relative_attention_buckets, self.relative_attention_max_distance
        )
        values = ops.take(self.relative_attention_bias, bucket, axis=0)
        return ops.expand_dims(ops.transpose(values, axes=(2, 0, 1)), axis=0)

    def call(self, hidden_states, mask=None, position_bias=None):
        batch_size, length = ops.shape(hidden_states)[:2]

        def shape(x):
            return ops.transpose(
                ops.reshape(x, (batch_size, -1, self.num_heads, self.key_value_dim)), axes=(0, 2, 1, 3)
            )

        query = shape(self.query_projector(hidden_states))
        key = shape(self.key_projector(hidden_states))
        value = shape(self.value_projector(hidden_states))
        scores = ops.einsum("bnqd,bnkd->bnqk", query, key)
        if position_bias is None:
            position_bias = self.compute_bias(length, length)
            if mask is not None:
                mask = (1.0 - ops.cast(mask[:, None, None, :], position_bias.dtype)) * -1e9
                position_bias = position_bias + mask
        scores += ops.cast(position_bias, scores.dtype)
        weights = ops.nn.softmax(scores, axis=-1)
        attended = ops.matmul(weights, value)
        attended = ops.reshape(ops.transpose(attended, axes=(0, 2, 1, 3)), (batch_size, -1, self.hidden_dim))
        return self.output_projector(attended), position_bias


@MODELS.add(classification=False)
def hub_t5_encoder():
    inputs = _named_inputs("token_ids", "padding_mask")
    x = _tied(False)(inputs["token_ids"])
    bias = None
    for i in range(2):
        y = layers.RMSNormalization(epsilon=1e-6)(x)
        attention = T5MultiHeadAttention(WIDTH, 2, use_relative_attention_bias=i == 0)
        y, bias = attention(y, mask=inputs["padding_mask"], position_bias=bias)
        x = x + layers.Dropout(0.1)(y)
        y = layers.RMSNormalization(epsilon=1e-6)(x)
        gate = keras.activations.gelu(layers.Dense(32, use_bias=False)(y), approximate=True)
        y = layers.Dense(WIDTH, use_bias=False)(gate * layers.Dense(32, use_bias=False)(y))
        x = x + y
    return Backbone(inputs, layers.RMSNormalization()(x), name="t5_backbone"), _text()


class Padder(layers.Layer):
    def call(self, x):
        return ops.pad(x, [[0, 0], [1, 1], [0, 0]])


@MODELS.add(classification=False)
def hub_whisper_encoder():
    features = keras.Input((24, 10), name="encoder_features")
    x = layers.Conv1D(WIDTH, 3, strides=1, padding="same", name="conv_1")(features)
    x = keras.activations.gelu(x, approximate=False)
    x = Padder(name="encoder_padder")(x)
    x = layers.Conv1D(WIDTH, 3, strides=2, padding="valid", name="conv_2")(x)
    x = keras.activations.gelu(x, approximate=False)
    position = PositionEmbedding(initializer="random_normal", sequence_length=12, name="position_embedding")(
        x
    )
    x = layers.Add()((x, position))
    for i in range(2):
        x = TransformerEncoder(
            32,
            2,
            0.0,
            lambda x: keras.activations.gelu(x, approximate=False),
            normalize_first=True,
            name=f"encoder_{i}",
        )(x)
    x = layers.LayerNormalization(name="encoder_layer_norm", axis=-1, epsilon=1e-5)(x)
    return Backbone({"encoder_features": features}, x), {"encoder_features": series(24, 10)}


@MODELS.add(classification=False)
def hub_whisper_decoder():
    """Tokens with cross-attention to an encoder's output."""
    encoded, token_ids = (
        keras.Input((12, WIDTH), name="encoded"),
        keras.Input((8,), dtype="int32", name="tokens"),
    )
    embedding = TokenAndPositionEmbedding(VOCABULARY, 8, WIDTH)
    x = embedding(token_ids)
    y = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(2, 8)(y, y, use_causal_mask=True)
    y = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(2, 8)(y, encoded)
    y = layers.LayerNormalization()(x)
    x = x + layers.Dense(WIDTH)(layers.Dense(32, activation=gelu_approximate)(y))
    x = layers.LayerNormalization()(x)
    logits = embedding.token_embedding(x, reverse=True)
    return keras.Model([encoded, token_ids], logits), [series(12, WIDTH), tokens(8, VOCABULARY)]


class ViTPatchingAndEmbedding(layers.Layer):
    def __init__(self, image_size, patch_size, hidden_dim, distilled=False, **kwargs):
        super().__init__(**kwargs)
        self.num_patches = (image_size // patch_size) ** 2
        self.num_extra = 2 if distilled else 1
        self.hidden_dim, self.patch_size = hidden_dim, patch_size

    def build(self, input_shape):
        self.class_token = self.add_weight(
            shape=(1, self.num_extra, self.hidden_dim), initializer="random_normal", name="class_token"
        )
        self.patch_embedding = layers.Conv2D(
            filters=self.hidden_dim,
            kernel_size=self.patch_size,
            strides=self.patch_size,
            padding="valid",
            activation=None,
            name="patch_embedding",
        )
        self.patch_embedding.build(input_shape)
        count = self.num_patches + self.num_extra
        self.position_embedding = layers.Embedding(
            count, self.hidden_dim, embeddings_initializer=keras.initializers.RandomNormal(stddev=0.3)
        )
        self.position_embedding.build((1, count))
        self.position_ids = self.add_weight(
            shape=(1, count), initializer="zeros", dtype="int32", trainable=False, name="position_ids"
        )
        self.position_ids.assign(ops.expand_dims(ops.arange(count), axis=0))
        self.built = True

    def call(self, inputs):
        patch_embeddings = self.patch_embedding(inputs)
        shape = ops.shape(patch_embeddings)
        patch_embeddings = ops.reshape(patch_embeddings, [shape[0], -1, shape[-1]])
        position_embeddings = self.position_embedding(self.position_ids)
        class_token = ops.tile(self.class_token, (shape[0], 1, 1))
        return ops.add(ops.concatenate([class_token, patch_embeddings], axis=1), position_embeddings)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_patches + self.num_extra, self.hidden_dim)


def _vit_backbone(distilled):
    inputs = layers.Input(shape=(16, 16, 3))
    x = ViTPatchingAndEmbedding(16, 4, WIDTH, distilled, name="vit_patching_and_embedding")(inputs)
    x = layers.Dropout(0.1)(x)
    for i in range(2):
        x = TransformerEncoder(
            32, 2, 0.1, keras.activations.gelu, 1e-6, normalize_first=True, name=f"block_{i}"
        )(x)
    x = layers.LayerNormalization(epsilon=1e-6, name="output")(x)
    return Backbone(inputs=inputs, outputs=x, name="vit_backbone")


@MODELS.add
def hub_vit_classifier():
    backbone = _vit_backbone(distilled=False)
    inputs = backbone.input
    x = backbone(inputs)
    x = layers.Lambda(lambda x: x[:, 0])(x)
    return keras.Model(inputs, layers.Dense(5)(layers.Dropout(0.1)(x))), images(16, 16, 3, low=-1.0)


@MODELS.add(classification=False)
def hub_deit_backbone():
    return _vit_backbone(distilled=True), images(16, 16, 3, low=-1.0)


@MODELS.add
def hub_clip_dual():
    """Images and words into one space; the logits of pairs with a learned temperature."""

    class CLIPHead(layers.Layer):
        def build(self, input_shape):
            self.logit_scale = self.add_weight(
                shape=(), initializer=keras.initializers.Constant(math.log(1 / 0.07)), name="logit_scale"
            )

        def call(self, vision_embedding, text_embedding):
            vision = ops.divide(vision_embedding, ops.norm(vision_embedding, ord=2, axis=-1, keepdims=True))
            text = ops.divide(text_embedding, ops.norm(text_embedding, ord=2, axis=-1, keepdims=True))
            return ops.sum(vision[:, None] * text, axis=-1) * ops.exp(self.logit_scale)

    def quick_gelu(x):
        return x * ops.sigmoid(1.702 * x)

    image = keras.Input((16, 16, 3), name="images")
    words = keras.Input((3, 8), dtype="int32", name="token_ids")
    x = ViTPatchingAndEmbedding(16, 4, WIDTH)(image)
    x = TransformerEncoder(32, 2, 0.0, quick_gelu, normalize_first=True)(x)
    vision = layers.Dense(12, use_bias=False)(layers.LayerNormalization()(x)[:, 0])
    y = ops.reshape(words, (-1, 8))
    y = TokenAndPositionEmbedding(VOCABULARY, 8, WIDTH)(y)
    y = TransformerDecoder(32, 2, 0.0, quick_gelu, normalize_first=True)(y)
    text = layers.Dense(12, use_bias=False)(layers.LayerNormalization()(y)[:, -1])
    text = ops.reshape(text, (-1, 3, 12))
    model = keras.Model({"images": image, "token_ids": words}, CLIPHead()(vision, text))
    return model, {
        "images": images(16, 16, 3, low=-1.0),
        "token_ids": tokens(24, VOCABULARY).reshape(-1, 3, 8),
    }


def _conv_bn(x, filters, kernel=3, strides=1, activation="relu", groups=1, name=None):
    if strides > 1:
        pad = (kernel - 1) // 2
        x = layers.ZeroPadding2D(((pad, pad), (pad, pad)))(x)
    x = layers.Conv2D(
        filters,
        kernel,
        strides,
        padding="valid" if strides > 1 else "same",
        groups=groups,
        use_bias=False,
        name=name and f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=name and f"{name}_bn")(x)
    return layers.Activation(activation)(x) if activation else x


@MODELS.add
def hub_resnet_classifier():
    inputs = layers.Input((32, 32, 3))
    x = layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.05, 0.05, 0.05])(inputs)
    x = _conv_bn(x, 8, 7, 2, name="conv1")
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for i, filters in enumerate((8, 16)):
        shortcut = _conv_bn(x, 2 * filters, 1, 1 + i, None)
        y = _conv_bn(x, filters, 1)
        y = _conv_bn(y, filters, 3, 1 + i)
        y = _conv_bn(y, 2 * filters, 1, activation=None)
        x = layers.Activation("relu")(layers.Add()((shortcut, y)))
    backbone = Backbone(inputs, x, name="resnet_backbone")
    y = layers.GlobalAveragePooling2D()(backbone(inputs))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(y)), images(32, 32, 3)


@MODELS.add
def hub_densenet_classifier():
    inputs = layers.Input((16, 16, 3))
    x = _conv_bn(inputs, 8, 3, 2)
    for _ in range(2):
        for _ in range(2):
            y = layers.Activation("relu")(layers.BatchNormalization(axis=-1, epsilon=1.001e-5)(x))
            y = _conv_bn(y, 12, 1)
            y = layers.Conv2D(6, 3, padding="same", use_bias=False)(y)
            x = layers.Concatenate(axis=-1)([x, y])
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False)(x)
        x = layers.AveragePooling2D(2, 2)(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x))), images(16, 16, 3)


class MBConvBlock(layers.Layer):
    """Inverted residual with squeeze and excitation, as one layer."""

    def __init__(self, input_filters, output_filters, expand_ratio=4, strides=1, se_ratio=0.25, **kwargs):
        super().__init__(**kwargs)
        self.input_filters, self.output_filters, self.strides = input_filters, output_filters, strides
        self.filters = input_filters * expand_ratio
        self.activation = keras.activations.get("swish")
        self.conv1 = layers.Conv2D(self.filters, 1, padding="same", use_bias=False, name="expand_conv")
        self.bn1 = layers.BatchNormalization(momentum=0.9, name="expand_bn")
        self.act = layers.Activation(self.activation, name="expand_activation")
        self.depthwise = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False, name="dwconv2")
        self.bn2 = layers.BatchNormalization(momentum=0.9, name="bn")
        self.filters_se = max(1, int(input_filters * se_ratio))
        self.se_conv1 = layers.Conv2D(self.filters_se, 1, activation=self.activation, name="se_reduce")
        self.se_conv2 = layers.Conv2D(self.filters, 1, activation="sigmoid", name="se_expand")
        self.output_conv = layers.Conv2D(
            output_filters, 1, padding="same", use_bias=False, name="project_conv"
        )
        self.bn3 = layers.BatchNormalization(momentum=0.9, name="project_bn")
        self.dropout = layers.Dropout(0.2, noise_shape=(None, 1, 1, 1), name="drop")

    def call(self, inputs):
        x = self.act(self.bn1(self.conv1(inputs)))
        x = self.act(self.bn2(self.depthwise(x)))
        se = layers.GlobalAveragePooling2D(name="se_squeeze")(x)
        se = layers.Reshape((1, 1, self.filters), name="se_reshape")(se)
        se = self.se_conv2(self.se_conv1(se))
        x = layers.multiply([x, se])
        x = self.bn3(self.output_conv(x))
        if self.strides == 1 and self.input_filters == self.output_filters:
            x = layers.Add()([self.dropout(x), inputs])
        return x


@MODELS.add
def hub_efficientnet_classifier():
    inputs = layers.Input((16, 16, 3))
    x = _conv_bn(inputs, 8, 3, 2, activation="swish")
    x = MBConvBlock(8, 8)(x)
    x = MBConvBlock(8, 12, strides=2)(x)
    x = _conv_bn(x, 24, 1, activation="swish")
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x))), images(16, 16, 3)


@MODELS.add(classification=False)
def hub_csp_darknet_pyramid():
    inputs = layers.Input((32, 32, 3))
    x = layers.Concatenate()(
        [inputs[:, 0::2, 0::2], inputs[:, 1::2, 0::2], inputs[:, 0::2, 1::2], inputs[:, 1::2, 1::2]]
    )
    x = _conv_bn(x, 8, activation="silu")
    pyramid = {}
    for level, filters in (("P2", 8), ("P3", 16)):
        x = _conv_bn(x, filters, 3, 2, activation="silu")
        one = _conv_bn(x, filters // 2, 1, activation="silu")
        two = _conv_bn(x, filters // 2, 1, activation="silu")
        y = _conv_bn(_conv_bn(one, filters // 2, 1, activation="silu"), filters // 2, activation="silu")
        x = _conv_bn(layers.Concatenate()([layers.Add()([one, y]), two]), filters, 1, activation="silu")
        pyramid[level] = x
    pools = [layers.MaxPooling2D(size, 1, padding="same")(x) for size in (3, 5)]
    pyramid["P3"] = _conv_bn(layers.Concatenate()([x, *pools]), 16, 1, activation="silu")
    return Backbone(inputs, pyramid, name="csp_darknet_backbone"), images(32, 32, 3)


@MODELS.add
def hub_mobilenet_v3_classifier():
    inputs = layers.Input((32, 32, 3))
    x = _conv_bn(layers.Rescaling(1 / 127.5, -1)(inputs), 8, 3, 2, activation="hard_swish")
    for filters, strides, activation in ((8, 1, "relu"), (12, 2, "hard_swish")):
        y = _conv_bn(x, 3 * x.shape[-1], 1, activation=activation)
        y = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(y)
        y = layers.Activation(activation)(layers.BatchNormalization()(y))
        se = layers.GlobalAveragePooling2D(keepdims=True)(y)
        se = layers.Conv2D(4, 1, activation="relu")(se)
        se = layers.Conv2D(y.shape[-1], 1, activation=keras.activations.hard_sigmoid)(se)
        y = _conv_bn(layers.Multiply()([y, se]), filters, 1, activation=None)
        x = layers.Add()([x, y]) if x.shape == y.shape else y
    x = layers.Conv2D(24, 1, activation="hard_swish")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x))), images(32, 32, 3, high=255.0)


@MODELS.add
def hub_vgg_classifier():
    inputs = layers.Input((16, 16, 3))
    x = inputs
    for filters in (8, 16):
        for _ in range(2):
            x = layers.Conv2D(filters, (3, 3), activation="relu", padding="same")(x)
        x = layers.MaxPooling2D((2, 2), strides=(2, 2))(x)
    backbone = Backbone(inputs, x, name="vgg_backbone")
    y = layers.Conv2D(24, 4, activation="relu", padding="valid", name="fc1")(backbone(inputs))
    y = layers.Conv2D(24, 1, activation="relu", padding="valid", name="fc2")(layers.Dropout(0.5)(y))
    y = layers.GlobalAveragePooling2D()(y)
    return keras.Model(inputs, layers.Dense(5)(layers.Dropout(0.5)(y))), images(16, 16, 3)


class SegFormerEncoder(layers.Layer):
    """Attention over a reduced map, the height and width from the root of the length."""

    def __init__(self, project_dim, num_heads, sr_ratio=1, **kwargs):
        super().__init__(**kwargs)
        self.project_dim, self.num_heads, self.sr_ratio = project_dim, num_heads, sr_ratio
        self.scale = (project_dim // num_heads) ** -0.5
        self.q = layers.Dense(project_dim, name="q")
        self.k = layers.Dense(project_dim, name="k")
        self.v = layers.Dense(project_dim, name="v")
        self.proj = layers.Dense(project_dim, name="proj")
        self.sr = layers.Conv2D(project_dim, sr_ratio, strides=sr_ratio, name="sr")
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(3)]
        self.dwconv = layers.DepthwiseConv2D(3, padding="same")
        self.fc1, self.fc2 = layers.Dense(2 * project_dim), layers.Dense(project_dim)

    def heads(self, x):
        x = ops.reshape(x, (ops.shape(x)[0], -1, self.num_heads, self.project_dim // self.num_heads))
        return ops.transpose(x, [0, 2, 1, 3])

    def attend(self, x):
        size = int(math.sqrt(x.shape[1]))
        q = self.heads(self.q(x))
        small = self.sr(ops.reshape(x, (-1, size, size, self.project_dim)))
        small = self.norms[2](ops.reshape(small, (-1, (size // self.sr_ratio) ** 2, self.project_dim)))
        k, v = self.heads(self.k(small)), self.heads(self.v(small))
        weights = ops.softmax(ops.matmul(q, ops.transpose(k, [0, 1, 3, 2])) * self.scale)
        out = ops.transpose(ops.matmul(weights, v), [0, 2, 1, 3])
        return self.proj(ops.reshape(out, (-1, x.shape[1], self.project_dim)))

    def call(self, x):
        x = x + self.attend(self.norms[0](x))
        size = int(math.sqrt(x.shape[1]))
        y = self.fc1(self.norms[1](x))
        y = self.dwconv(ops.reshape(y, (-1, size, size, 2 * self.project_dim)))
        y = ops.gelu(ops.reshape(y, (-1, size * size, 2 * self.project_dim)))
        return x + self.fc2(y)


@MODELS.add(classification=False)
def hub_mix_transformer():
    inputs = layers.Input((32, 32, 3))
    x, pyramid = inputs, {}
    for i, (dim, stride, reduction) in enumerate(((8, 4, 4), (16, 2, 2))):
        x = layers.Conv2D(dim, 3, strides=stride, padding="same", name=f"patch_embed_{i}")(x)
        size = x.shape[1]
        x = layers.LayerNormalization()(layers.Reshape((-1, dim))(x))
        x = SegFormerEncoder(dim, 2, reduction, name=f"hierarchical_encoder_{i}")(x)
        x = layers.Reshape((size, size, dim), name=f"output_level_{i}")(layers.LayerNormalization()(x))
        pyramid[f"P{i + 1}"] = x
    return Backbone(inputs=inputs, outputs=pyramid, name="mit_backbone"), images(32, 32, 3)
