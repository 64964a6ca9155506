"""Rows of features and recommendations, in the style of keras.io's code examples."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from zoo_models.table import SAMPLES, Table, numbers, tokens

MODELS = Table("keras.io")


def _rng():
    return np.random.default_rng(11)


@MODELS.add
def structured_data_from_scratch():
    """Heart disease: numbers are normalized, categories become vectors of zeros and one."""
    rng = _rng()
    data = {
        "sex": rng.integers(0, 2, (SAMPLES, 1)).astype("int32"),
        "cp": rng.integers(0, 5, (SAMPLES, 1)).astype("int32"),
        "age": rng.normal(55, 9, (SAMPLES, 1)).astype("float32"),
        "chol": rng.normal(240, 50, (SAMPLES, 1)).astype("float32"),
        "oldpeak": rng.exponential(1.0, (SAMPLES, 1)).astype("float32"),
    }
    inputs, encoded = {}, []
    for name, values in data.items():
        inputs[name] = keras.Input(shape=(1,), name=name, dtype=values.dtype.name)
        if values.dtype.kind == "i":
            encoded.append(layers.CategoryEncoding(num_tokens=5, output_mode="one_hot")(inputs[name]))
        else:
            normalizer = layers.Normalization()
            normalizer.adapt(values)
            encoded.append(normalizer(inputs[name]))
    x = layers.concatenate(encoded)
    x = layers.Dense(32, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x)), data


def _census():
    rng = _rng()
    numeric = {
        name: rng.normal(mean, deviation, (SAMPLES, 1)).astype("float32")
        for name, mean, deviation in (("age", 40, 12), ("hours", 40, 8), ("gain", 0.5, 0.2))
    }
    categories = {
        name: rng.integers(0, size, (SAMPLES, 1)).astype("int32")
        for name, size in (("work", 6), ("education", 9), ("sex", 2))
    }
    return numeric, categories, {"work": 6, "education": 9, "sex": 2}


def _named_inputs(*groups):
    return {
        name: layers.Input(name=name, shape=(1,), dtype=values.dtype.name)
        for group in groups
        for name, values in group.items()
    }


@MODELS.add
def wide_deep_and_cross():
    numeric, categories, sizes = _census()
    inputs = _named_inputs(numeric, categories)

    def encode(use_embedding):
        parts = []
        for name, tensor in inputs.items():
            if name in numeric:
                parts.append((tensor - float(numeric[name].mean())) / float(numeric[name].std()))
            elif use_embedding:
                parts.append(ops.squeeze(layers.Embedding(sizes[name], 3)(tensor), axis=1))
            else:
                parts.append(layers.CategoryEncoding(num_tokens=sizes[name], output_mode="one_hot")(tensor))
        return layers.concatenate(parts)

    x0 = encode(use_embedding=True)
    cross = x0
    for _ in range(2):
        units = cross.shape[-1]
        x = layers.Dense(units)(cross)
        cross = x0 * x + cross
    cross = layers.BatchNormalization()(cross)
    deep = x0
    for units in (16, 8):
        deep = layers.Dense(units)(deep)
        deep = layers.BatchNormalization()(deep)
        deep = layers.ReLU()(deep)
        deep = layers.Dropout(0.1)(deep)
    wide = layers.BatchNormalization()(encode(use_embedding=False))
    merged = layers.concatenate([cross, deep, wide])
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(merged)), numeric | categories


class GatedLinearUnit(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.linear = layers.Dense(units)
        self.sigmoid = layers.Dense(units, activation="sigmoid")

    def call(self, inputs):
        return self.linear(inputs) * self.sigmoid(inputs)


class GatedResidualNetwork(layers.Layer):
    def __init__(self, units, dropout_rate):
        super().__init__()
        self.units = units
        self.elu_dense = layers.Dense(units, activation="elu")
        self.linear_dense = layers.Dense(units)
        self.dropout = layers.Dropout(dropout_rate)
        self.gated_linear_unit = GatedLinearUnit(units)
        self.layer_norm = layers.LayerNormalization()
        self.project = layers.Dense(units)

    def call(self, inputs):
        x = self.elu_dense(inputs)
        x = self.linear_dense(x)
        x = self.dropout(x)
        if inputs.shape[-1] != self.units:
            inputs = self.project(inputs)
        x = inputs + self.gated_linear_unit(x)
        return self.layer_norm(x)


class VariableSelection(layers.Layer):
    def __init__(self, num_features, units, dropout_rate):
        super().__init__()
        self.grns = [GatedResidualNetwork(units, dropout_rate) for _ in range(num_features)]
        self.grn_concat = GatedResidualNetwork(units, dropout_rate)
        self.softmax = layers.Dense(units=num_features, activation="softmax")

    def call(self, inputs):
        v = layers.concatenate(inputs)
        v = self.grn_concat(v)
        v = ops.expand_dims(self.softmax(v), axis=-1)
        x = []
        for idx, inp in enumerate(inputs):
            x.append(self.grns[idx](inp))
        x = ops.stack(x, axis=1)
        return ops.squeeze(tf.matmul(v, x, transpose_a=True), axis=1)


@MODELS.add
def gated_variable_selection():
    numeric, categories, sizes = _census()
    numeric = {name: (values - values.mean()) / values.std() for name, values in numeric.items()}
    inputs = _named_inputs(numeric, categories)
    encoded = []
    for name, tensor in inputs.items():
        if name in numeric:
            encoded.append(layers.Dense(8)(tensor))
        else:
            encoded.append(layers.Flatten()(layers.Embedding(sizes[name], 8)(tensor)))
    features = VariableSelection(len(encoded), 8, 0.15)(encoded)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(features)), numeric | categories


class NeuralDecisionTree(keras.Model):
    def __init__(self, depth, num_features, used_features_rate, num_classes):
        super().__init__()
        self.depth = depth
        self.num_leaves = 2**depth
        self.num_classes = num_classes
        num_used = int(num_features * used_features_rate)
        one_hot = np.eye(num_features)
        sampled = _rng().choice(np.arange(num_features), num_used, replace=False)
        self.used_features_mask = ops.convert_to_tensor(one_hot[sampled], dtype="float32")
        self.pi = self.add_weight(
            initializer="random_normal",
            shape=[self.num_leaves, num_classes],
            dtype="float32",
            trainable=True,
            name="leaf_table",
        )
        self.decision_fn = layers.Dense(units=self.num_leaves, activation="sigmoid", name="decision")

    def call(self, features):
        batch_size = ops.shape(features)[0]
        features = ops.matmul(features, ops.transpose(self.used_features_mask))
        decisions = ops.expand_dims(self.decision_fn(features), axis=2)
        decisions = layers.concatenate([decisions, 1 - decisions], axis=2)
        mu = ops.ones([batch_size, 1, 1])
        begin_idx, end_idx = 1, 2
        for level in range(self.depth):
            mu = ops.reshape(mu, [batch_size, -1, 1])
            mu = ops.tile(mu, (1, 1, 2))
            level_decisions = decisions[:, begin_idx:end_idx, :]
            mu = mu * level_decisions
            begin_idx = end_idx
            end_idx = begin_idx + 2 ** (level + 1)
        mu = ops.reshape(mu, [batch_size, self.num_leaves])
        probabilities = keras.activations.softmax(self.pi)
        return ops.matmul(mu, probabilities)


class NeuralDecisionForest(keras.Model):
    def __init__(self, num_trees, depth, num_features, used_features_rate, num_classes):
        super().__init__()
        self.ensemble = [
            NeuralDecisionTree(depth, num_features, used_features_rate, num_classes) for _ in range(num_trees)
        ]
        self.num_classes = num_classes

    def call(self, inputs):
        batch_size = ops.shape(inputs)[0]
        outputs = ops.zeros([batch_size, self.num_classes])
        for tree in self.ensemble:
            outputs += tree(inputs)
        return outputs / len(self.ensemble)


@MODELS.add
def neural_decision_tree():
    inputs = keras.Input((10,))
    features = layers.BatchNormalization()(inputs)
    return keras.Model(inputs, NeuralDecisionTree(3, 10, 1.0, 2)(features)), numbers(10, low=-3, high=3)


@MODELS.add
def neural_decision_forest():
    inputs = keras.Input((10,))
    features = layers.BatchNormalization()(inputs)
    return keras.Model(inputs, NeuralDecisionForest(3, 3, 10, 0.5, 2)(features)), numbers(10, low=-3, high=3)


@MODELS.add
def tab_transformer():
    numeric, categories, sizes = _census()
    numeric = {name: (values - values.mean()) / values.std() for name, values in numeric.items()}
    inputs = _named_inputs(numeric, categories)
    encoded = [layers.Embedding(sizes[name], 8)(inputs[name]) for name in categories]
    encoded_categories = ops.concatenate(encoded, axis=1)
    column_embedding = layers.Embedding(input_dim=len(categories), output_dim=8)
    encoded_categories = encoded_categories + column_embedding(
        ops.arange(start=0, stop=len(categories), step=1)
    )
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 8, dropout=0.2)(encoded_categories, encoded_categories)
        x = layers.Add()([attended, encoded_categories])
        x = layers.LayerNormalization(epsilon=1e-6)(x)
        feedforward = keras.Sequential(
            [layers.Dense(8, activation=keras.activations.gelu), layers.Dropout(0.2)]
        )(x)
        x = layers.Add()([feedforward, x])
        encoded_categories = layers.LayerNormalization(epsilon=1e-6)(x)
    categorical_features = layers.Flatten()(encoded_categories)
    numerical = layers.LayerNormalization(epsilon=1e-6)(
        layers.concatenate([inputs[name] for name in numeric])
    )
    features = layers.concatenate([categorical_features, numerical])
    for units in (24, 12):
        features = layers.BatchNormalization()(features)
        features = layers.Dropout(0.2)(layers.Dense(units, activation=keras.activations.selu)(features))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(features)), numeric | categories


@MODELS.add
def bank_marketing_with_feature_lookup():
    """Buckets and hashes of numbers, as `FeatureSpace` makes them."""
    rng = _rng()
    data = {
        "age": rng.integers(18, 80, (SAMPLES, 1)).astype("float32"),
        "balance": rng.normal(1000, 800, (SAMPLES, 1)).astype("float32"),
        "month": rng.integers(0, 12, (SAMPLES, 1)).astype("int32"),
    }
    inputs = _named_inputs(data)
    buckets = layers.Discretization(bin_boundaries=[25.0, 35.0, 45.0, 60.0], output_mode="one_hot")(
        inputs["age"]
    )
    normalizer = layers.Normalization()
    normalizer.adapt(data["balance"])
    month = layers.CategoryEncoding(12, "one_hot")(inputs["month"])
    x = layers.Concatenate()([buckets, normalizer(inputs["balance"]), month])
    x = layers.Dropout(0.2)(layers.Dense(16, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x)), data


@MODELS.add
def imbalanced_fraud_detection():
    model = keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(32, activation="relu"),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return model, numbers(20, low=-2, high=2)


@MODELS.add(classification=False)
def house_prices_regression():
    rng = _rng()
    x = rng.normal(size=(SAMPLES, 9)) * [1, 10, 100, 1000, 1, 5, 0.1, 0.01, 3] + [
        0,
        5,
        300,
        4000,
        0,
        0,
        1,
        0,
        9,
    ]
    x = x.astype("float32")
    normalizer = layers.Normalization(axis=-1)
    normalizer.adapt(x)
    model = keras.Sequential(
        [
            normalizer,
            layers.Dense(32, activation="relu"),
            layers.Dense(32, activation="relu"),
            layers.Dense(1),
        ]
    )
    model.build((None, 9))
    return model, x


class RecommenderNet(keras.Model):
    def __init__(self, num_users, num_movies, embedding_size, **kwargs):
        super().__init__(**kwargs)
        settings = {
            "embeddings_initializer": "he_normal",
            "embeddings_regularizer": keras.regularizers.l2(1e-6),
        }
        self.user_embedding = layers.Embedding(num_users, embedding_size, **settings)
        self.user_bias = layers.Embedding(num_users, 1)
        self.movie_embedding = layers.Embedding(num_movies, embedding_size, **settings)
        self.movie_bias = layers.Embedding(num_movies, 1)

    def call(self, inputs):
        user_vector = self.user_embedding(inputs[:, 0])
        user_bias = self.user_bias(inputs[:, 0])
        movie_vector = self.movie_embedding(inputs[:, 1])
        movie_bias = self.movie_bias(inputs[:, 1])
        dot_user_movie = ops.tensordot(user_vector, movie_vector, 2)
        x = dot_user_movie + user_bias + movie_bias
        return ops.nn.sigmoid(x)


class TwoTower(RecommenderNet):
    """The same, with the product of each pair."""

    def call(self, inputs):
        user, movie = self.user_embedding(inputs[:, 0]), self.movie_embedding(inputs[:, 1])
        x = ops.sum(user * movie, axis=-1, keepdims=True)
        return ops.sigmoid(x + self.user_bias(inputs[:, 0]) + self.movie_bias(inputs[:, 1]))


@MODELS.add(classification=False)
def collaborative_filtering():
    return TwoTower(30, 30, 8), tokens(2, 30)


@MODELS.add(classification=False)
def two_tower_dot():
    user, item = (
        keras.Input((1,), name="user_id", dtype="int32"),
        keras.Input((1,), name="item_id", dtype="int32"),
    )
    towers = []
    for tensor in (user, item):
        x = layers.Flatten()(layers.Embedding(40, 12)(tensor))
        x = layers.Dense(16, activation="relu")(x)
        towers.append(layers.Dense(8)(x))
    dot = layers.Dot(axes=-1, normalize=True)(towers)
    data = tokens(2, 40)
    return keras.Model({"user_id": user, "item_id": item}, dot), {
        "user_id": data[:, :1],
        "item_id": data[:, 1:],
    }


@MODELS.add(classification=False)
def behavior_sequence_transformer():
    """Watched movies with their ratings, the target, and the user: one rating comes out."""
    rng = _rng()
    data = {
        "sequence_movie_ids": tokens(5, 30),
        "sequence_ratings": rng.uniform(0.2, 1, (SAMPLES, 5)).astype("float32"),
        "target_movie_id": tokens(1, 30)[:, 0],
        "sex": rng.integers(0, 2, (SAMPLES, 1)).astype("int32"),
    }
    inputs = {
        "sequence_movie_ids": layers.Input((5,), dtype="int32"),
        "sequence_ratings": layers.Input((5,), dtype="float32"),
        "target_movie_id": layers.Input((), dtype="int32"),
        "sex": layers.Input((1,), dtype="int32"),
    }
    movie_encoder = layers.Embedding(30, 8)
    position_encoder = layers.Embedding(5, 8)
    encoded_target = ops.expand_dims(movie_encoder(inputs["target_movie_id"]), 1)
    encoded_sequence = movie_encoder(inputs["sequence_movie_ids"])
    encoded_positions = position_encoder(ops.arange(5))
    ratings = ops.expand_dims(inputs["sequence_ratings"], -1)
    encoded_sequence = layers.Multiply()([encoded_sequence + encoded_positions, ratings])
    x = ops.concatenate([encoded_sequence, encoded_target], axis=1)
    attention_output = layers.MultiHeadAttention(2, 8, dropout=0.1)(x, x)
    x1 = layers.LayerNormalization()(layers.Add()([x, layers.Dropout(0.1)(attention_output)]))
    x2 = layers.Dropout(0.1)(layers.Dense(8)(layers.LeakyReLU()(x1)))
    features = layers.Flatten()(layers.LayerNormalization()(layers.Add()([x1, x2])))
    other = layers.CategoryEncoding(num_tokens=2, output_mode="one_hot")(inputs["sex"])
    features = layers.concatenate([features, other])
    for units in (24, 12):
        features = layers.Dense(units)(features)
        features = layers.LeakyReLU()(layers.BatchNormalization()(features))
    return keras.Model(inputs, layers.Dense(1)(features)), data


class QREmbedding(layers.Layer):
    """Quotient and remainder: two small tables stand for a large one."""

    def __init__(self, vocabulary_size, embedding_dim, num_buckets, name=None):
        super().__init__(name=name)
        self.num_buckets = num_buckets
        self.q_embeddings = layers.Embedding(num_buckets, embedding_dim)
        self.r_embeddings = layers.Embedding(num_buckets, embedding_dim)

    def call(self, inputs):
        quotient_index = tf.math.floordiv(inputs, self.num_buckets)
        remainder_index = tf.math.floormod(inputs, self.num_buckets)
        return self.q_embeddings(quotient_index) * self.r_embeddings(remainder_index)


class MDEmbedding(layers.Layer):
    """Blocks of a vocabulary with vectors of their own width."""

    def __init__(self, blocks_vocabulary, base_embedding_dim, name=None):
        super().__init__(name=name)
        self.num_blocks = len(blocks_vocabulary)
        self.base_embedding_dim = base_embedding_dim
        sizes = np.cumsum([0, *blocks_vocabulary])
        block = np.concatenate([[i] * size for i, size in enumerate(blocks_vocabulary)])
        self.block_of = keras.ops.convert_to_tensor(block, dtype="int32")
        self.index_in_block = keras.ops.convert_to_tensor(np.arange(sizes[-1]) - sizes[block], dtype="int32")
        self.embedding_tables = [
            layers.Embedding(size, base_embedding_dim // 2**i) for i, size in enumerate(blocks_vocabulary)
        ]
        self.projections = [layers.Dense(base_embedding_dim) for _ in blocks_vocabulary[1:]]

    def call(self, inputs):
        block_idx = ops.expand_dims(ops.take(self.block_of, inputs), -1)
        index = ops.take(self.index_in_block, inputs)
        outputs = 0.0
        for i, table in enumerate(self.embedding_tables):
            mask = ops.equal(block_idx, i)
            vectors = table(ops.where(ops.squeeze(mask, -1), index, 0))
            if i:
                vectors = self.projections[i - 1](vectors)
            outputs = outputs + vectors * ops.cast(mask, "float32")
        return outputs


@MODELS.add(classification=False)
def memory_efficient_embeddings():
    user, movie = (
        keras.Input((), name="user_id", dtype="int32"),
        keras.Input((), name="movie_id", dtype="int32"),
    )
    one = QREmbedding(36, 8, 6)(user)
    two = MDEmbedding([6, 12, 18], 8)(movie)
    logits = layers.Dot(axes=1, name="dot_similarity")([one, two])
    prediction = keras.activations.sigmoid(logits) * 5
    data = tokens(2, 36)
    return keras.Model({"user_id": user, "movie_id": movie}, prediction), {
        "user_id": data[:, 0].copy(),
        "movie_id": data[:, 1].copy(),
    }


class GraphConvLayer(layers.Layer):
    """Messages of neighbours, gathered over an edge list, as the node classification example has it."""

    def __init__(self, hidden_units, edges, num_nodes, dropout_rate=0.2, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.edges = edges
        self.num_nodes = num_nodes
        self.ffn_prepare = keras.Sequential(
            [
                layers.BatchNormalization(),
                layers.Dropout(dropout_rate),
                layers.Dense(hidden_units, tf.nn.gelu),
            ]
        )
        self.update_fn = keras.Sequential(
            [layers.BatchNormalization(), layers.Dense(hidden_units, tf.nn.gelu)]
        )

    def call(self, node_representations):
        node_indices, neighbour_indices = self.edges[0], self.edges[1]
        neighbours = ops.take(node_representations, neighbour_indices, axis=1)
        messages = self.ffn_prepare(neighbours)
        incidence = ops.one_hot(node_indices, self.num_nodes, axis=0)
        aggregated = ops.einsum("ne,bed->bnd", incidence, messages)
        h = ops.concatenate([node_representations, aggregated], axis=2)
        return tf.nn.l2_normalize(self.update_fn(h), axis=-1)


@MODELS.add
def graph_node_classifier():
    edges = np.array([[0, 1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 0, 3]])
    inputs = keras.Input((6, 10))
    x = layers.Dense(12, activation="gelu")(inputs)
    x1 = GraphConvLayer(12, edges, 6)(x)
    x = x1 + x
    x2 = GraphConvLayer(12, edges, 6)(x)
    x = layers.Dense(12, activation="gelu")(x2 + x)
    return keras.Model(inputs, layers.Dense(4)(x)), numbers(6, 10, low=0)


class MultiHeadGraphAttention(layers.Layer):
    def __init__(self, units, num_heads=2, **kwargs):
        super().__init__(**kwargs)
        self.units, self.num_heads = units, num_heads

    def build(self, input_shape):
        shape = (self.num_heads, input_shape[0][-1], self.units)
        self.kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="kernel")
        self.kernel_attention = self.add_weight(
            shape=(self.num_heads, self.units * 2, 1), initializer="glorot_uniform", name="kernel_attention"
        )

    def call(self, inputs):
        nodes, adjacency = inputs
        transformed = ops.einsum("b n f, h f u -> b h n u", nodes, self.kernel)
        size = nodes.shape[1]
        one = ops.repeat(ops.expand_dims(transformed, 3), size, axis=3)
        two = ops.repeat(ops.expand_dims(transformed, 2), size, axis=2)
        pairs = ops.concatenate([one, two], axis=-1)
        scores = ops.leaky_relu(ops.einsum("bhnmk,hko->bhnmo", pairs, self.kernel_attention)[..., 0])
        scores = ops.where(adjacency[:, None] > 0, scores, -1e9)
        attention = ops.softmax(scores, axis=-1)
        out = ops.einsum("bhnm,bhmu->bnhu", attention, transformed)
        return ops.reshape(out, (ops.shape(nodes)[0], size, self.num_heads * self.units))


@MODELS.add
def graph_attention_network():
    nodes, adjacency = keras.Input((6, 10)), keras.Input((6, 6))
    x = layers.Dense(16, activation="relu")(nodes)
    x = x + layers.ELU()(MultiHeadGraphAttention(8)([x, adjacency]))
    links = (np.random.default_rng(9).uniform(size=(40, 6, 6)) < 0.4) | np.eye(6, dtype=bool)
    return keras.Model([nodes, adjacency], layers.Dense(3)(x)), [
        numbers(6, 10, low=0),
        links.astype("float32"),
    ]
