"""Words, in the style of keras.io's code examples."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from zoo_models.table import Table, numbers, tokens

MODELS = Table("keras.io")


@MODELS.add
def text_classification_from_scratch():
    inputs = keras.Input(shape=(32,), dtype="int64")
    x = layers.Embedding(100, 16)(inputs)
    x = layers.Dropout(0.5)(x)
    x = layers.Conv1D(16, 7, padding="valid", activation="relu", strides=3)(x)
    x = layers.Conv1D(16, 7, padding="valid", activation="relu", strides=3)(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dense(16, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    predictions = layers.Dense(1, activation="sigmoid", name="predictions")(x)
    return keras.Model(inputs, predictions), tokens(32, 100, dtype="int64")


@MODELS.add
def bidirectional_lstm_imdb():
    inputs = keras.Input(shape=(None,), dtype="int32")
    x = layers.Embedding(50, 16)(inputs)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(8))(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x)), tokens(12, 50)


class TransformerBlock(layers.Layer):
    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.1):
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.ffn = keras.Sequential([layers.Dense(ff_dim, activation="relu"), layers.Dense(embed_dim)])
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)

    def call(self, inputs):
        attn_output = self.att(inputs, inputs)
        attn_output = self.dropout1(attn_output)
        out1 = self.layernorm1(inputs + attn_output)
        ffn_output = self.ffn(out1)
        ffn_output = self.dropout2(ffn_output)
        return self.layernorm2(out1 + ffn_output)


class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim):
        super().__init__()
        self.token_emb = layers.Embedding(input_dim=vocab_size, output_dim=embed_dim)
        self.pos_emb = layers.Embedding(input_dim=maxlen, output_dim=embed_dim)

    def call(self, x):
        maxlen = ops.shape(x)[-1]
        positions = ops.arange(start=0, stop=maxlen, step=1)
        positions = self.pos_emb(positions)
        x = self.token_emb(x)
        return x + positions


@MODELS.add
def text_transformer():
    inputs = layers.Input(shape=(16,))
    x = TokenAndPositionEmbedding(16, 60, 16)(inputs)
    x = TransformerBlock(16, 2, 24)(x)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dropout(0.1)(x)
    x = layers.Dense(20, activation="relu")(x)
    x = layers.Dropout(0.1)(x)
    return keras.Model(inputs=inputs, outputs=layers.Dense(2, activation="softmax")(x)), tokens(16, 60)


class Switch(layers.Layer):
    """A router that sends every token to one expert, with a capacity."""

    def __init__(self, num_experts, embed_dim, ff_dim, num_tokens_per_batch, capacity_factor=1):
        self.num_experts = num_experts
        self.embed_dim = embed_dim
        self.experts = [
            keras.Sequential([layers.Dense(ff_dim, activation="relu"), layers.Dense(embed_dim)])
            for _ in range(num_experts)
        ]
        self.expert_capacity = num_tokens_per_batch // self.num_experts
        super().__init__()
        self.route = layers.Dense(units=num_experts)

    def call(self, inputs):
        batch_size = ops.shape(inputs)[0]
        num_tokens_per_example = ops.shape(inputs)[1]
        inputs = ops.reshape(inputs, [-1, self.embed_dim])
        router_probs = keras.activations.softmax(self.route(inputs), axis=-1)
        expert_gate, expert_index = ops.top_k(router_probs, k=1)
        expert_mask = ops.one_hot(expert_index, self.num_experts)
        expert_mask = ops.squeeze(expert_mask, 1)
        gates = expert_mask * expert_gate
        outputs = [expert(inputs) * gates[:, i : i + 1] for i, expert in enumerate(self.experts)]
        expert_outputs = ops.sum(ops.stack(outputs, axis=0), axis=0)
        return ops.reshape(expert_outputs, [batch_size, num_tokens_per_example, self.embed_dim])


class SwitchBlock(layers.Layer):
    def __init__(self, embed_dim, num_heads, ffn, dropout_rate=0.1):
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.ffn = ffn
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(dropout_rate)

    def call(self, inputs, training=False):
        attn_output = self.dropout1(self.att(inputs, inputs), training=training)
        out1 = self.layernorm1(inputs + attn_output)
        return self.layernorm2(out1 + self.ffn(out1))


@MODELS.add
def switch_transformer():
    switch = Switch(3, 12, 16, 12 * 8)
    inputs = layers.Input(shape=(12,))
    x = TokenAndPositionEmbedding(12, 60, 12)(inputs)
    x = SwitchBlock(12, 2, switch)(x)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dropout(0.1)(layers.Dense(16, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x)), tokens(12, 60)


class FNetEncoder(layers.Layer):
    def __init__(self, embed_dim, dense_dim, **kwargs):
        super().__init__(**kwargs)
        self.embed_dim = embed_dim
        self.dense_dim = dense_dim
        self.dense_proj = keras.Sequential(
            [layers.Dense(dense_dim, activation="relu"), layers.Dense(embed_dim)]
        )
        self.layernorm_1 = layers.LayerNormalization()
        self.layernorm_2 = layers.LayerNormalization()

    def call(self, inputs):
        inp_complex = tf.cast(inputs, tf.complex64)
        fft = tf.math.real(tf.signal.fft2d(inp_complex))
        proj_input = self.layernorm_1(inputs + fft)
        proj_output = self.dense_proj(proj_input)
        return self.layernorm_2(proj_input + proj_output)


@MODELS.add
def fnet_text():
    inputs = keras.Input((16,), dtype="int64")
    x = TokenAndPositionEmbedding(16, 50, 16)(inputs)
    x = FNetEncoder(16, 24)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(3)(x)), tokens(16, 50, dtype="int64")


@MODELS.add
def sequence_to_sequence_lstm():
    """Teacher forcing: both sequences of one-hot characters come in."""
    encoder_inputs = keras.Input(shape=(8, 12))
    _, state_h, state_c = layers.LSTM(16, return_state=True)(encoder_inputs)
    decoder_inputs = keras.Input(shape=(6, 10))
    decoder_lstm = layers.LSTM(16, return_sequences=True, return_state=True)
    decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=[state_h, state_c])
    outputs = layers.Dense(10, activation="softmax")(decoder_outputs)
    model = keras.Model([encoder_inputs, decoder_inputs], outputs)
    eye = np.eye(12, dtype="float32")
    return model, [eye[tokens(8, 12, low=0)], eye[:10, :10][tokens(6, 10, low=0)]]


@MODELS.add
def addition_rnn():
    model = keras.Sequential()
    model.add(layers.Input((7, 12)))
    model.add(layers.LSTM(16))
    model.add(layers.RepeatVector(4))
    model.add(layers.LSTM(16, return_sequences=True))
    model.add(layers.Dense(12, activation="softmax"))
    return model, np.eye(12, dtype="float32")[tokens(7, 12, low=0)]


class PositionalEmbedding(layers.Layer):
    def __init__(self, sequence_length, vocab_size, embed_dim, **kwargs):
        super().__init__(**kwargs)
        self.token_embeddings = layers.Embedding(input_dim=vocab_size, output_dim=embed_dim)
        self.position_embeddings = layers.Embedding(input_dim=sequence_length, output_dim=embed_dim)
        self.sequence_length = sequence_length
        self.vocab_size = vocab_size
        self.embed_dim = embed_dim

    def call(self, inputs):
        length = ops.shape(inputs)[-1]
        positions = ops.arange(0, length, 1)
        return self.token_embeddings(inputs) + self.position_embeddings(positions)

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "sequence_length": self.sequence_length,
                "vocab_size": self.vocab_size,
                "embed_dim": self.embed_dim,
            }
        )
        return config


class TransformerEncoder(layers.Layer):
    def __init__(self, embed_dim, dense_dim, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.embed_dim = embed_dim
        self.dense_dim = dense_dim
        self.num_heads = num_heads
        self.attention = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.dense_proj = keras.Sequential(
            [layers.Dense(dense_dim, activation="relu"), layers.Dense(embed_dim)]
        )
        self.layernorm_1 = layers.LayerNormalization()
        self.layernorm_2 = layers.LayerNormalization()
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is not None:
            padding_mask = ops.cast(mask[:, None, :], dtype="int32")
        else:
            padding_mask = None
        attention_output = self.attention(query=inputs, value=inputs, key=inputs, attention_mask=padding_mask)
        proj_input = self.layernorm_1(inputs + attention_output)
        proj_output = self.dense_proj(proj_input)
        return self.layernorm_2(proj_input + proj_output)

    def get_config(self):
        config = super().get_config()
        config.update({"embed_dim": self.embed_dim, "dense_dim": self.dense_dim, "num_heads": self.num_heads})
        return config


class TransformerDecoder(layers.Layer):
    def __init__(self, embed_dim, latent_dim, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.embed_dim = embed_dim
        self.latent_dim = latent_dim
        self.num_heads = num_heads
        self.attention_1 = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.attention_2 = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.dense_proj = keras.Sequential(
            [layers.Dense(latent_dim, activation="relu"), layers.Dense(embed_dim)]
        )
        self.layernorm_1 = layers.LayerNormalization()
        self.layernorm_2 = layers.LayerNormalization()
        self.layernorm_3 = layers.LayerNormalization()
        self.supports_masking = True

    def call(self, inputs, mask=None):
        inputs, encoder_outputs = inputs
        causal_mask = self.get_causal_attention_mask(inputs)
        if mask is None:
            inputs_padding_mask, encoder_outputs_padding_mask = None, None
        else:
            inputs_padding_mask, encoder_outputs_padding_mask = mask
        attention_output_1 = self.attention_1(
            query=inputs,
            value=inputs,
            key=inputs,
            attention_mask=causal_mask,
            query_mask=inputs_padding_mask,
        )
        out_1 = self.layernorm_1(inputs + attention_output_1)
        attention_output_2 = self.attention_2(
            query=out_1,
            value=encoder_outputs,
            key=encoder_outputs,
            query_mask=inputs_padding_mask,
            key_mask=encoder_outputs_padding_mask,
        )
        out_2 = self.layernorm_2(out_1 + attention_output_2)
        proj_output = self.dense_proj(out_2)
        return self.layernorm_3(out_2 + proj_output)

    def get_causal_attention_mask(self, inputs):
        input_shape = tf.shape(inputs)
        batch_size, sequence_length = input_shape[0], input_shape[1]
        i = ops.arange(sequence_length)[:, None]
        j = ops.arange(sequence_length)
        mask = ops.cast(i >= j, dtype="int32")
        mask = ops.reshape(mask, (1, input_shape[1], input_shape[1]))
        mult = tf.concat([tf.expand_dims(batch_size, -1), tf.constant([1, 1], dtype=tf.int32)], axis=0)
        return tf.tile(mask, mult)


@MODELS.add
def translation_transformer():
    encoder_inputs = keras.Input(shape=(10,), dtype="int64", name="encoder_inputs")
    x = PositionalEmbedding(10, 50, 16)(encoder_inputs)
    encoder_outputs = TransformerEncoder(16, 24, 2)(x)
    decoder_inputs = keras.Input(shape=(8,), dtype="int64", name="decoder_inputs")
    encoded_seq_inputs = keras.Input(shape=(10, 16), name="decoder_state_inputs")
    x = PositionalEmbedding(8, 50, 16)(decoder_inputs)
    x = TransformerDecoder(16, 24, 2)([x, encoded_seq_inputs])
    x = layers.Dropout(0.5)(x)
    decoder = keras.Model([decoder_inputs, encoded_seq_inputs], layers.Dense(50, activation="softmax")(x))
    model = keras.Model(
        {"encoder_inputs": encoder_inputs, "decoder_inputs": decoder_inputs},
        decoder([decoder_inputs, encoder_outputs]),
        name="transformer",
    )
    encoder = tokens(10, 50, dtype="int64")
    encoder[:, 7:] *= np.random.default_rng(5).integers(0, 2, (len(encoder), 1))
    return model, {"encoder_inputs": encoder, "decoder_inputs": tokens(8, 50, dtype="int64")}


class NERModel(keras.Model):
    def __init__(self, num_tags, vocab_size, maxlen=12, embed_dim=16, num_heads=2, ff_dim=24):
        super().__init__()
        self.embedding_layer = TokenAndPositionEmbedding(maxlen, vocab_size, embed_dim)
        self.transformer_block = TransformerBlock(embed_dim, num_heads, ff_dim)
        self.dropout1 = layers.Dropout(0.1)
        self.ff = layers.Dense(ff_dim, activation="relu")
        self.dropout2 = layers.Dropout(0.1)
        self.ff_final = layers.Dense(num_tags, activation="softmax")

    def call(self, inputs, training=False):
        x = self.embedding_layer(inputs)
        x = self.transformer_block(x)
        x = self.dropout1(x, training=training)
        x = self.ff(x)
        x = self.dropout2(x, training=training)
        return self.ff_final(x)


@MODELS.add
def named_entities_transformer():
    return NERModel(5, 40), tokens(12, 40)


def causal_attention_mask(batch_size, n_dest, n_src, dtype):
    i = ops.arange(n_dest)[:, None]
    j = ops.arange(n_src)
    m = i >= j - n_src + n_dest
    mask = ops.cast(m, dtype)
    mask = ops.reshape(mask, [1, n_dest, n_src])
    return ops.tile(mask, (batch_size, 1, 1))


class CausalBlock(layers.Layer):
    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.1):
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads, embed_dim)
        self.ffn = keras.Sequential([layers.Dense(ff_dim, activation="relu"), layers.Dense(embed_dim)])
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)

    def call(self, inputs):
        input_shape = ops.shape(inputs)
        batch_size = input_shape[0]
        seq_len = input_shape[1]
        causal_mask = causal_attention_mask(batch_size, seq_len, seq_len, "bool")
        attention_output = self.att(inputs, inputs, attention_mask=causal_mask)
        attention_output = self.dropout1(attention_output)
        out1 = self.layernorm1(inputs + attention_output)
        ffn_output = self.dropout2(self.ffn(out1))
        return self.layernorm2(out1 + ffn_output)


@MODELS.add(classification=False)
def miniature_gpt():
    """Logits of the next token, and the hidden states, as the example returns both."""
    inputs = layers.Input(shape=(12,), dtype="int32")
    x = TokenAndPositionEmbedding(12, 40, 16)(inputs)
    x = CausalBlock(16, 2, 16)(x)
    outputs = layers.Dense(40)(x)
    return keras.Model(inputs=inputs, outputs=[outputs, x]), tokens(12, 40)


class MaskedLanguageModel(keras.Model):
    """Its steps are its own; the graph is functional."""

    def train_step(self, inputs):
        features, labels = inputs[0], inputs[1]
        with tf.GradientTape() as tape:
            loss = ops.mean(keras.losses.mean_squared_error(labels, self(features, training=True)))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


@MODELS.add
def masked_language_model():
    def bert_module(query, key, value, i):
        attention_output = layers.MultiHeadAttention(
            num_heads=2, key_dim=8, name=f"encoder_{i}_multiheadattention"
        )(query, key, value)
        attention_output = layers.Dropout(0.1, name=f"encoder_{i}_att_dropout")(attention_output)
        attention_output = layers.LayerNormalization(
            epsilon=1e-6, name=f"encoder_{i}_att_layernormalization"
        )(query + attention_output)
        ffn = keras.Sequential(
            [layers.Dense(16, activation="relu"), layers.Dense(16)], name=f"encoder_{i}_ffn"
        )
        ffn_output = layers.Dropout(0.1, name=f"encoder_{i}_ffn_dropout")(ffn(attention_output))
        return layers.LayerNormalization(epsilon=1e-6, name=f"encoder_{i}_ffn_layernormalization")(
            attention_output + ffn_output
        )

    def get_pos_encoding_matrix(max_len, d_emb):
        table = np.array(
            [[pos / np.power(10000, 2 * (j // 2) / d_emb) for j in range(d_emb)] for pos in range(max_len)]
        )
        table[:, 0::2] = np.sin(table[:, 0::2])
        table[:, 1::2] = np.cos(table[:, 1::2])
        return table.astype("float32")

    inputs = layers.Input((12,), dtype="int64")
    word_embeddings = layers.Embedding(40, 16, name="word_embedding")(inputs)
    position_embeddings = layers.Embedding(
        input_dim=12,
        output_dim=16,
        embeddings_initializer=keras.initializers.Constant(get_pos_encoding_matrix(12, 16)),
        name="position_embedding",
    )(ops.arange(start=0, stop=12, step=1))
    x = word_embeddings + position_embeddings
    for i in range(2):
        x = bert_module(x, x, x, i)
    outputs = layers.Dense(40, name="mlm_cls", activation="softmax")(x)
    return MaskedLanguageModel(inputs, outputs, name="masked_bert_model"), tokens(12, 40, dtype="int64")


@MODELS.add
def pretrained_word_embeddings():
    matrix = np.random.default_rng(0).normal(size=(62, 16))
    embedding_layer = layers.Embedding(62, 16, trainable=False)
    embedding_layer.build((1,))
    embedding_layer.set_weights([matrix])
    int_sequences_input = keras.Input(shape=(40,), dtype="int32")
    x = embedding_layer(int_sequences_input)
    x = layers.Conv1D(16, 5, activation="relu")(x)
    x = layers.MaxPooling1D(5)(x)
    x = layers.Conv1D(16, 5, activation="relu")(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dropout(0.5)(layers.Dense(16, activation="relu")(x))
    return keras.Model(int_sequences_input, layers.Dense(20, activation="softmax")(x)), tokens(40, 62)


@MODELS.add
def semantic_similarity_bilstm():
    """Sentence pairs: ids, attention masks and token types, by name."""
    names = ("input_ids", "attention_masks", "token_type_ids")
    inputs = {name: keras.Input((12,), dtype="int32", name=name) for name in names}
    words = layers.Embedding(50, 16)(inputs["input_ids"])
    types = layers.Embedding(2, 16)(inputs["token_type_ids"])
    x = layers.LayerNormalization()(words + types)
    mask = ops.cast(inputs["attention_masks"], "float32")[:, :, None]
    sequence_output = x * mask
    lstm = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(sequence_output)
    avg_pool = layers.GlobalAveragePooling1D()(lstm)
    max_pool = layers.GlobalMaxPooling1D()(lstm)
    concat = layers.Dropout(0.3)(layers.concatenate([avg_pool, max_pool]))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(concat))
    rng = np.random.default_rng(6)
    lengths = rng.integers(6, 13, (40, 1))
    return model, {
        "input_ids": tokens(12, 50),
        "attention_masks": (np.arange(12) < lengths).astype("int32"),
        "token_type_ids": (np.arange(12) >= lengths // 2).astype("int32"),
    }


@MODELS.add
def multiple_choice_time_distributed():
    """Four answers a question, scored by one shared encoder."""
    encoder_inputs = keras.Input((8,), dtype="int32")
    x = layers.Embedding(40, 12)(encoder_inputs)
    x = TransformerBlock(12, 2, 16)(x)
    encoder = keras.Model(encoder_inputs, layers.Dense(1)(x[:, 0]))
    inputs = keras.Input((4, 8), dtype="int32")
    choices = ops.reshape(inputs, (-1, 8))
    scores = ops.reshape(encoder(choices), (-1, 4))
    return keras.Model(inputs, layers.Softmax()(scores)), tokens(32, 40).reshape(-1, 4, 8)


@MODELS.add(classification=False)
def question_answering_spans():
    """Start and end logits over the context, padding included."""
    inputs = keras.Input((16,), dtype="int32", name="input_word_ids")
    mask = keras.Input((16,), dtype="int32", name="input_mask")
    x = TokenAndPositionEmbedding(16, 60, 16)(inputs)
    attended = layers.MultiHeadAttention(2, 8)(x, x, attention_mask=mask[:, None, :])
    x = layers.LayerNormalization()(x + attended)
    start_logits = layers.Flatten()(layers.Dense(1, name="start_logit", use_bias=False)(x))
    end_logits = layers.Flatten()(layers.Dense(1, name="end_logit", use_bias=False)(x))
    outputs = [layers.Activation(keras.activations.softmax)(each) for each in (start_logits, end_logits)]
    lengths = np.random.default_rng(7).integers(8, 17, (40, 1))
    return keras.Model([inputs, mask], outputs), [tokens(16, 60), (np.arange(16) < lengths).astype("int32")]


@MODELS.add
def multi_label_bag_of_words():
    model = keras.Sequential(
        [
            keras.Input((60,)),
            layers.Dense(32, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(12, activation="sigmoid"),
        ]
    )
    counts = np.random.default_rng(0).poisson(0.3, (40, 60)).astype("float32")
    return model, counts * np.linspace(0.5, 3, 60, dtype="float32")  # TF-IDF


@MODELS.add
def active_learning_bigru():
    model = keras.models.Sequential(
        [
            layers.Input(shape=(14,)),
            layers.Embedding(input_dim=50, output_dim=16),
            layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
            layers.GlobalMaxPool1D(),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return model, tokens(14, 50)


@MODELS.add
def reading_memory_network():
    """Stories, a query and their match, in the style of the bAbI examples."""
    story, question = keras.Input((10,), dtype="int32"), keras.Input((4,), dtype="int32")
    input_encoder_m = keras.Sequential([layers.Embedding(20, 12), layers.Dropout(0.3)])
    input_encoder_c = keras.Sequential([layers.Embedding(20, 4), layers.Dropout(0.3)])
    question_encoder = keras.Sequential([layers.Embedding(20, 12), layers.Dropout(0.3)])
    encoded_m, encoded_c = input_encoder_m(story), input_encoder_c(story)
    encoded_q = question_encoder(question)
    match = layers.Activation("softmax")(layers.Dot(axes=(2, 2))([encoded_m, encoded_q]))
    response = layers.Permute((2, 1))(layers.Add()([match, encoded_c]))
    answer = layers.Concatenate()([response, encoded_q])
    answer = layers.Dropout(0.3)(layers.LSTM(16)(answer))
    model = keras.Model([story, question], layers.Activation("softmax")(layers.Dense(20)(answer)))
    return model, [tokens(10, 20), tokens(4, 20)]


class MeanPool(layers.Layer):
    def call(self, inputs, mask=None):
        broadcast_mask = ops.expand_dims(ops.cast(mask, "float32"), -1)
        embedding_sum = ops.sum(inputs * broadcast_mask, axis=1)
        mask_sum = ops.maximum(ops.sum(broadcast_mask, axis=1), 1.0)
        return embedding_sum / mask_sum


@MODELS.add(classification=False)
def bidirectional_text_image_cosine():
    """A masked mean of words beside an image vector, and the cosine of both."""
    words, image = keras.Input((10,), dtype="int32", name="text"), keras.Input((24,), name="image")
    x = layers.Embedding(40, 16, mask_zero=True)(words)
    x = MeanPool()(x)

    def project_embeddings(embeddings):
        projected = layers.Dense(units=12)(embeddings)
        x = ops.nn.gelu(projected)
        x = layers.Dropout(0.1)(layers.Dense(12)(x))
        return layers.LayerNormalization()(layers.Add()([projected, x]))

    one, two = project_embeddings(x), project_embeddings(image)
    one, two = ops.normalize(one, axis=-1), ops.normalize(two, axis=-1)
    data = tokens(10, 40)
    data[:, 6:] *= np.random.default_rng(8).integers(0, 2, (len(data), 1)).astype("int32")
    return keras.Model([words, image], ops.sum(one * two, axis=-1, keepdims=True)), [data, numbers(24)]
