"""Agents, and the quick recipes, in the style of keras.io's code examples and guides."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from zoo_models.table import Table, images, numbers, tokens

MODELS = Table("keras.io")


@MODELS.add(classification=False)
def actor_critic_cartpole():
    inputs = layers.Input(shape=(4,))
    common = layers.Dense(32, activation="relu")(inputs)
    action = layers.Dense(2, activation="softmax")(common)
    critic = layers.Dense(1)(common)
    return keras.Model(inputs=inputs, outputs=[action, critic]), numbers(4, low=-2, high=2)


@MODELS.add
def deep_q_network_atari():
    model = keras.Sequential(
        [
            layers.Lambda(
                lambda tensor: keras.ops.transpose(tensor, [0, 2, 3, 1]),
                output_shape=(24, 24, 4),
                input_shape=(4, 24, 24),
            ),
            layers.Conv2D(8, 8, strides=4, activation="relu"),
            layers.Conv2D(16, 4, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(4, activation="linear"),
        ]
    )
    return model, np.ascontiguousarray(images(24, 24, 4).transpose(0, 3, 1, 2))


@MODELS.add(classification=False)
def deterministic_policy_critic():
    state_input, action_input = layers.Input(shape=(3,)), layers.Input(shape=(1,))
    state_out = layers.Dense(16, activation="relu")(state_input)
    state_out = layers.Dense(32, activation="relu")(state_out)
    action_out = layers.Dense(32, activation="relu")(action_input)
    concat = layers.Concatenate()([state_out, action_out])
    out = layers.Dense(64, activation="relu")(concat)
    outputs = layers.Dense(1)(out)
    return keras.Model([state_input, action_input], outputs), [numbers(3), numbers(1, low=-2, high=2)]


@MODELS.add(classification=False)
def deterministic_policy_actor():
    last_init = keras.initializers.RandomUniform(minval=-0.3, maxval=0.3)
    inputs = layers.Input(shape=(3,))
    out = layers.Dense(32, activation="relu")(inputs)
    out = layers.Dense(32, activation="relu")(out)
    outputs = layers.Dense(1, activation="tanh", kernel_initializer=last_init)(out)
    outputs = outputs * 2.0
    return keras.Model(inputs, outputs), numbers(3)


@MODELS.add(classification=False)
def proximal_policy_logits():
    def mlp(x, sizes, activation=keras.activations.tanh, output_activation=None):
        for size in sizes[:-1]:
            x = layers.Dense(units=size, activation=activation)(x)
        return layers.Dense(units=sizes[-1], activation=output_activation)(x)

    observation_input = keras.Input(shape=(4,), dtype="float32")
    logits = mlp(observation_input, [32, 32, 2])
    value = keras.ops.squeeze(mlp(observation_input, [32, 32, 1]), axis=1)
    return keras.Model(observation_input, [logits, value]), numbers(4)


class Antirectifier(layers.Layer):
    def __init__(self, initializer="he_normal", **kwargs):
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        output_dim = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(output_dim * 2, output_dim), initializer=self.initializer, name="kernel", trainable=True
        )

    def call(self, inputs):
        inputs -= ops.mean(inputs, axis=-1, keepdims=True)
        pos = ops.relu(inputs)
        neg = ops.relu(-inputs)
        concatenated = ops.concatenate([pos, neg], axis=-1)
        return ops.matmul(concatenated, self.kernel)

    def get_config(self):
        base_config = super().get_config()
        config = {"initializer": keras.initializers.serialize(self.initializer)}
        return dict(list(base_config.items()) + list(config.items()))


@MODELS.add
def antirectifier():
    model = keras.Sequential(
        [
            keras.Input(shape=(64,)),
            layers.Dense(24),
            Antirectifier(),
            layers.Dense(24),
            Antirectifier(),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )
    return model, numbers(64, low=0.0)


class SpatialFiLM(layers.Layer):
    """Feature-wise modulation: another input scales and shifts the channels."""

    def __init__(self, channels):
        super().__init__()
        self.gamma, self.beta = layers.Dense(channels), layers.Dense(channels)

    def call(self, inputs):
        x, condition = inputs
        gamma, beta = self.gamma(condition)[:, None, None], self.beta(condition)[:, None, None]
        return (1 + gamma) * x + beta


@MODELS.add
def film_conditioned_cnn():
    image, condition = keras.Input((16, 16, 3), name="image"), keras.Input((5,), name="condition")
    x = layers.Conv2D(8, 3, padding="same")(image)
    x = layers.ReLU()(SpatialFiLM(8)([x, condition]))
    x = layers.Conv2D(12, 3, strides=2, padding="same")(x)
    x = layers.ReLU()(SpatialFiLM(12)([x, condition]))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model([image, condition], layers.Dense(4)(x))
    return model, {"image": images(16, 16, 3), "condition": numbers(5)}


class CustomModel(keras.Model):
    """A functional model whose class has its own step, as the guides show."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


@MODELS.add(classification=False)
def custom_train_step():
    inputs = keras.Input(shape=(32,))
    x = layers.Dense(16, activation="relu")(inputs)
    return CustomModel(inputs, layers.Dense(1)(x)), numbers(32)


class LogisticEndpoint(layers.Layer):
    """Adds its loss where it is given targets; at inference it is a softmax."""

    def __init__(self, name=None):
        super().__init__(name=name)
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(self, logits, targets=None, sample_weight=None):
        if targets is not None:
            self.add_loss(self.loss_fn(targets, logits, sample_weight))
        return ops.softmax(logits)


@MODELS.add
def endpoint_layer():
    inputs = keras.Input(shape=(3,), name="inputs")
    logits = layers.Dense(10)(inputs)
    return keras.Model(inputs, LogisticEndpoint(name="predictions")(logits)), numbers(3, low=-3, high=3)


class Linear(layers.Layer):
    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True
        )
        self.b = self.add_weight(shape=(self.units,), initializer="random_normal", trainable=True)

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b


class MLPBlock(layers.Layer):
    def __init__(self):
        super().__init__()
        self.linear_1 = Linear(32)
        self.linear_2 = Linear(32)
        self.linear_3 = Linear(3)

    def call(self, inputs):
        x = self.linear_1(inputs)
        x = keras.activations.relu(x)
        x = self.linear_2(x)
        x = keras.activations.relu(x)
        return self.linear_3(x)


@MODELS.add
def linear_layers_of_ones_own():
    inputs = keras.Input((16,))
    return keras.Model(inputs, MLPBlock()(inputs)), numbers(16, low=-3, high=3)


class ResNetBlock(layers.Layer):
    def __init__(self, filters):
        super().__init__()
        self.convs = [layers.Conv2D(filters, 3, padding="same", use_bias=False) for _ in range(2)]
        self.norms = [layers.BatchNormalization() for _ in range(2)]

    def call(self, x, training=False):
        y = ops.relu(self.norms[0](self.convs[0](x), training=training))
        y = self.norms[1](self.convs[1](y), training=training)
        return ops.relu(x + y)


class NestedResNet(keras.Model):
    """Blocks as layers, a nested functional stem, a nested Sequential head."""

    def __init__(self, num_classes=5):
        super().__init__()
        stem_in = keras.Input((16, 16, 3))
        self.stem = keras.Model(stem_in, layers.Conv2D(8, 3, padding="same", activation="relu")(stem_in))
        self.block_1 = ResNetBlock(8)
        self.block_2 = ResNetBlock(8)
        self.global_pool = layers.GlobalAveragePooling2D()
        self.classifier = keras.Sequential([layers.Dense(12, activation="relu"), layers.Dense(num_classes)])

    def call(self, inputs, training=False):
        x = self.stem(inputs)
        x = self.block_1(x, training=training)
        x = self.block_2(x, training=training)
        return self.classifier(self.global_pool(x))


@MODELS.add
def nested_subclassed_resnet():
    return NestedResNet(), images(16, 16, 3)


@MODELS.add(classification=False)
def functional_guide_many_ends():
    """Three inputs by name, one of them words; two outputs by name."""
    title = keras.Input(shape=(8,), name="title", dtype="int32")
    body = keras.Input(shape=(12,), name="body", dtype="int32")
    tags = keras.Input(shape=(6,), name="tags")
    title_features = layers.LSTM(12)(layers.Embedding(40, 12)(title))
    body_features = layers.LSTM(8)(layers.Embedding(40, 12)(body))
    x = layers.concatenate([title_features, body_features, tags])
    priority_pred = layers.Dense(1, name="priority")(x)
    department_pred = layers.Dense(4, name="department")(x)
    model = keras.Model(
        inputs=[title, body, tags], outputs={"priority": priority_pred, "department": department_pred}
    )
    tag = np.random.default_rng(0).integers(0, 2, (40, 6)).astype("float32")
    return model, {"title": tokens(8, 40), "body": tokens(12, 40), "tags": tag}


@MODELS.add
def mixup_classifier_with_jit_helpers():
    """Squeeze-and-excitation with activations given as functions, and a hard label smoothing head."""

    def se(x, ratio=4):
        y = layers.GlobalAveragePooling2D(keepdims=True)(x)
        y = layers.Conv2D(x.shape[-1] // ratio, 1, activation=tf.nn.relu)(y)
        y = layers.Conv2D(x.shape[-1], 1, activation=tf.nn.sigmoid)(y)
        return x * y

    inputs = keras.Input((16, 16, 1))
    x = layers.Conv2D(16, 3, activation=tf.nn.swish)(inputs)
    x = se(x)
    x = layers.Conv2D(16, 3, activation=keras.ops.silu)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(32, activation=tf.nn.leaky_relu)(x)
    return keras.Model(inputs, layers.Dense(10, activation=tf.nn.softmax)(x)), images(16, 16, 1)


@MODELS.add
def knowledge_distillation_student():
    class Distiller(keras.Model):
        """The student is what is kept; the teacher rides along."""

        def __init__(self, student, teacher):
            super().__init__()
            self.teacher = teacher
            self.student = student

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, allow_empty=False):
            teacher_pred = self.teacher(x, training=False)
            return ops.mean(keras.losses.kl_divergence(ops.softmax(teacher_pred), ops.softmax(y_pred)))

        def call(self, x):
            return self.student(x)

    def net(width):
        return keras.Sequential(
            [
                keras.Input((16, 16, 1)),
                layers.Conv2D(width, 3, strides=2, padding="same"),
                layers.LeakyReLU(negative_slope=0.2),
                layers.MaxPooling2D(pool_size=(2, 2), strides=(1, 1), padding="same"),
                layers.Conv2D(2 * width, 3, strides=2, padding="same"),
                layers.Flatten(),
                layers.Dense(10),
            ]
        )

    student = net(4)
    return Distiller(student, net(8)), images(16, 16, 1)


@MODELS.add(classification=False)
def recurrent_cell_of_ones_own():
    class MinimalRNNCell(layers.Layer):
        def __init__(self, units, **kwargs):
            self.units = units
            self.state_size = units
            super().__init__(**kwargs)

        def build(self, input_shape):
            self.kernel = self.add_weight(
                shape=(input_shape[-1], self.units), initializer="uniform", name="kernel"
            )
            self.recurrent_kernel = self.add_weight(
                shape=(self.units, self.units), initializer="uniform", name="recurrent_kernel"
            )

        def call(self, inputs, states):
            prev_output = states[0]
            h = ops.matmul(inputs, self.kernel)
            output = h + ops.matmul(prev_output, self.recurrent_kernel)
            return output, [output]

    inputs = keras.Input((6, 5))
    x = layers.RNN(MinimalRNNCell(8))(inputs)
    return keras.Model(inputs, layers.Dense(2)(x)), numbers(6, 5)
