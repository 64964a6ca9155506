"""Time series, in the style of keras.io's code examples."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from zoo_models.table import Table, series

MODELS = Table("keras.io")


@MODELS.add
def timeseries_fcn():
    inputs = layers.Input((40, 1))
    x = inputs
    for _ in range(3):
        x = layers.Conv1D(filters=16, kernel_size=3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    gap = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(gap)), series(40, 1)


@MODELS.add
def timeseries_transformer():
    def transformer_encoder(inputs, head_size, num_heads, ff_dim, dropout=0.0):
        x = layers.MultiHeadAttention(key_dim=head_size, num_heads=num_heads, dropout=dropout)(inputs, inputs)
        x = layers.Dropout(dropout)(x)
        x = layers.LayerNormalization(epsilon=1e-6)(x)
        res = x + inputs
        x = layers.Conv1D(filters=ff_dim, kernel_size=1, activation="relu")(res)
        x = layers.Dropout(dropout)(x)
        x = layers.Conv1D(filters=inputs.shape[-1], kernel_size=1)(x)
        x = layers.LayerNormalization(epsilon=1e-6)(x)
        return x + res

    inputs = keras.Input((40, 1))
    x = inputs
    for _ in range(2):
        x = transformer_encoder(x, 8, 2, 4, 0.25)
    x = layers.GlobalAveragePooling1D(data_format="channels_last")(x)
    x = layers.Dropout(0.4)(layers.Dense(16, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x)), series(40, 1)


@MODELS.add(classification=False)
def weather_lstm():
    inputs = layers.Input(shape=(20, 7))
    lstm_out = layers.LSTM(16)(inputs)
    return keras.Model(inputs=inputs, outputs=layers.Dense(1)(lstm_out)), series(20, 7)


@MODELS.add(classification=False)
def anomaly_autoencoder():
    model = keras.Sequential(
        [
            layers.Input(shape=(48, 1)),
            layers.Conv1D(filters=16, kernel_size=7, padding="same", strides=2, activation="relu"),
            layers.Dropout(rate=0.2),
            layers.Conv1D(filters=8, kernel_size=7, padding="same", strides=2, activation="relu"),
            layers.Conv1DTranspose(filters=8, kernel_size=7, padding="same", strides=2, activation="relu"),
            layers.Dropout(rate=0.2),
            layers.Conv1DTranspose(filters=16, kernel_size=7, padding="same", strides=2, activation="relu"),
            layers.Conv1DTranspose(filters=1, kernel_size=7, padding="same"),
        ]
    )
    return model, series(48, 1)


class GraphInfo:
    def __init__(self, edges, num_nodes):
        self.edges = edges
        self.num_nodes = num_nodes


class GraphConv(layers.Layer):
    def __init__(self, in_feat, out_feat, graph_info, combination_type="concat", activation=None, **kwargs):
        super().__init__(**kwargs)
        self.in_feat = in_feat
        self.out_feat = out_feat
        self.graph_info = graph_info
        self.combination_type = combination_type
        self.weight = self.add_weight(
            initializer=keras.initializers.GlorotUniform(),
            shape=(in_feat, out_feat),
            dtype="float32",
            trainable=True,
        )
        self.activation = layers.Activation(activation)

    def aggregate(self, neighbour_representations):
        return tf.math.unsorted_segment_mean(
            neighbour_representations, self.graph_info.edges[0], num_segments=self.graph_info.num_nodes
        )

    def compute_nodes_representation(self, features):
        return ops.matmul(features, self.weight)

    def compute_aggregated_messages(self, features):
        neighbour_representations = tf.gather(features, self.graph_info.edges[1])
        aggregated_messages = self.aggregate(neighbour_representations)
        return ops.matmul(aggregated_messages, self.weight)

    def call(self, features):
        nodes_representation = self.compute_nodes_representation(features)
        aggregated_messages = self.compute_aggregated_messages(features)
        if self.combination_type == "concat":
            h = ops.concatenate([nodes_representation, aggregated_messages], axis=-1)
        else:
            h = nodes_representation + aggregated_messages
        return self.activation(h)


class LSTMGC(layers.Layer):
    """A graph convolution, and an LSTM over each node's sequence."""

    def __init__(
        self, in_feat, out_feat, lstm_units, input_seq_len, output_seq_len, graph_info, params=None, **kw
    ):
        super().__init__(**kw)
        self.graph_conv = GraphConv(in_feat, out_feat, graph_info, **(params or {}))
        self.lstm = layers.LSTM(lstm_units, activation="relu")
        self.dense = layers.Dense(output_seq_len)
        self.input_seq_len, self.output_seq_len = input_seq_len, output_seq_len

    def call(self, inputs):
        inputs = ops.transpose(inputs, [2, 0, 1, 3])
        gcn_out = self.graph_conv(inputs)
        shape = ops.shape(gcn_out)
        num_nodes, batch_size, input_seq_len, out_feat = shape[0], shape[1], shape[2], shape[3]
        gcn_out = ops.reshape(gcn_out, (batch_size * num_nodes, input_seq_len, out_feat))
        lstm_out = self.lstm(gcn_out)
        dense_output = self.dense(lstm_out)
        output = ops.reshape(dense_output, (num_nodes, batch_size, self.output_seq_len))
        return ops.transpose(output, [1, 2, 0])


@MODELS.add(classification=False)
def traffic_graph_lstm():
    edges = np.array([[0, 0, 1, 2, 2, 3, 4], [0, 1, 1, 2, 3, 3, 4]]).tolist()
    st_gcn = LSTMGC(1, 6, 8, 6, 3, GraphInfo(edges, 5), {"activation": None})
    inputs = layers.Input((6, 5, 1))
    return keras.models.Model(inputs, st_gcn(inputs)), series(6, 5, 1)


@MODELS.add
def eeg_signals():
    inputs = layers.Input(shape=(64, 1))
    x = layers.Conv1D(filters=8, kernel_size=3, strides=2, activation="relu", padding="same")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Conv1D(filters=12, kernel_size=3, strides=2, activation="relu", padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(32, activation="relu")(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Dense(16, activation="relu", kernel_regularizer=keras.regularizers.L2())(x)
    return keras.Model(inputs, layers.Dense(8, activation="softmax")(x)), series(64, 1)


@MODELS.add(classification=False)
def electricity_gru_with_adapted_norm():
    data = series(16, 5) * np.float32([1, 30, 500, 0.01, 7]) + np.float32([0, 100, -2000, 0.05, 50])
    normalization = layers.Normalization(axis=-1)
    normalization.adapt(data)
    inputs = layers.Input((16, 5))
    x = normalization(inputs)
    x = layers.GRU(12, return_sequences=True, dropout=0.1, recurrent_dropout=0.1)(x)
    x = layers.GRU(12)(x)
    return keras.Model(inputs, layers.Dense(4)(x)), data


@MODELS.add(classification=False)
def temporal_convolution_residual():
    inputs = layers.Input((32, 3))
    x = layers.Conv1D(12, 1)(inputs)
    skips = []
    for dilation in (1, 2, 4, 8):
        y = layers.Conv1D(12, 2, dilation_rate=dilation, padding="causal", activation="tanh")(x)
        gate = layers.Conv1D(12, 2, dilation_rate=dilation, padding="causal", activation="sigmoid")(x)
        y = layers.SpatialDropout1D(0.1)(layers.Multiply()([y, gate]))
        y = layers.Conv1D(12, 1)(y)
        skips.append(y)
        x = layers.Add()([x, y])
    x = layers.Activation(ops.relu)(layers.Add()(skips))
    x = layers.Conv1D(12, 1, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(1)(x[:, -1, :])), series(32, 3)


@MODELS.add(classification=False)
def repeated_decoder_lstm():
    """An encoder's state repeated for each step to come, and a TimeDistributed head."""
    model = keras.Sequential(
        [
            layers.Input((14, 3)),
            layers.LSTM(12, activation="relu"),
            layers.RepeatVector(7),
            layers.LSTM(12, activation="relu", return_sequences=True),
            layers.TimeDistributed(layers.Dense(8, activation="relu")),
            layers.TimeDistributed(layers.Dense(1)),
        ]
    )
    return model, series(14, 3, scale=0.5)
