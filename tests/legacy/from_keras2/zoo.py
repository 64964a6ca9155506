"""Layers and operations of Keras 2, and how the outputs of two models are compared."""

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras import layers

IMAGE, SEQUENCE, VOLUME = (8, 8, 3), (6, 4), (4, 6, 4, 2)

LAYERS = {
    IMAGE: [
        ("Conv2D", {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}),
        ("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 3, "strides": 2}),
        ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}),
        ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "output_padding": 1}),
        ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same"}),
        ("DepthwiseConv2D", {"kernel_size": 3, "activation": "relu6"}),
        ("SeparableConv2D", {"filters": 4, "kernel_size": 3}),
        ("LocallyConnected2D", {"filters": 2, "kernel_size": 3, "strides": 2}),
        ("BatchNormalization", {}),
        ("BatchNormalization", {"axis": 1, "scale": False}),
        ("LayerNormalization", {"axis": [1, 2, 3]}),
        ("GroupNormalization", {"groups": 3}),
        ("ReLU", {"max_value": 6.0}),
        ("ReLU", {"negative_slope": 0.1, "threshold": 0.2}),
        ("LeakyReLU", {"alpha": 0.1}),
        ("PReLU", {"shared_axes": [1, 2]}),
        ("ELU", {"alpha": 0.5}),
        ("ThresholdedReLU", {"theta": 0.4}),
        ("Activation", {"activation": "hard_sigmoid"}),
        ("Activation", {"activation": "swish"}),
        ("Activation", {"activation": "gelu"}),
        ("MaxPooling2D", {"padding": "same", "pool_size": 3, "strides": 2}),
        ("AveragePooling2D", {"padding": "same", "pool_size": 3, "strides": 2}),
        ("GlobalAveragePooling2D", {"keepdims": True}),
        ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}),
        ("ZeroPadding2D", {"padding": ((1, 2), (0, 1))}),
        ("Cropping2D", {"cropping": ((1, 2), (0, 1))}),
        ("Reshape", {"target_shape": (-1, 3)}),
        ("Permute", {"dims": (3, 1, 2)}),
        ("SpatialDropout2D", {"rate": 0.5}),
        ("Dense", {"units": 3, "kernel_regularizer": "l2", "activity_regularizer": "l1"}),
        ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}),
        ("Resizing", {"height": 5, "width": 7, "crop_to_aspect_ratio": True}),
        ("CenterCrop", {"height": 5, "width": 5}),
        ("RandomFlip", {}),
        ("RandomRotation", {"factor": 0.1}),
    ],
    SEQUENCE: [
        ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}),
        ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}),
        ("DepthwiseConv1D", {"kernel_size": 3}),
        ("LocallyConnected1D", {"filters": 2, "kernel_size": 3}),
        ("LSTM", {"units": 3, "recurrent_activation": "hard_sigmoid", "implementation": 1}),
        ("LSTM", {"units": 3, "return_sequences": True, "go_backwards": True}),
        ("GRU", {"units": 3}),
        ("GRU", {"units": 3, "reset_after": False}),
        ("SimpleRNN", {"units": 3}),
        ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 5), "bias_axes": "d"}),
        ("Normalization", {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [1.0, 2.0, 3.0, 4.0]}),
    ],
    VOLUME: [("Conv3D", {"filters": 2, "kernel_size": 2}), ("MaxPooling3D", {})],
}
"""Input shape -> layers by class and settings."""

OPERATIONS = [
    lambda x: x + 1.0,
    lambda x: 1 - x,
    lambda x: 2 / (abs(x) + 10),
    lambda x: x + tf.constant([1.0, 2.0, 3.0]),
    lambda x: abs(x) ** 2 % 2,
    lambda x: -x[:, 1:-1:2, ..., 0],
    lambda x: x[..., tf.newaxis],
    lambda x: x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0),
    lambda x: tf.reduce_mean(x, [1, 2], keepdims=True),
    lambda x: tf.reduce_max(x),
    lambda x: tf.math.reduce_std(x, 1),
    lambda x: tf.nn.swish(x) + tf.sigmoid(x) + tf.nn.gelu(x) + tf.nn.leaky_relu(x, 0.3),
    lambda x: tf.nn.softmax(x, axis=1),
    lambda x: tf.concat([x, x * 2], -1),
    lambda x: tf.stack(tf.unstack(x, axis=-1), 1),
    lambda x: tf.split(x, [1, -1], -1)[1],
    lambda x: tf.reshape(x, (tf.shape(x)[0], tf.shape(x)[1] * tf.shape(x)[2], 3)),
    lambda x: tf.transpose(x, [0, 2, 1, 3]),
    lambda x: tf.squeeze(x[:, :1, :1], [1, 2]),
    lambda x: tf.tile(tf.repeat(x, 2, 1), [1, 2, 1, 1]),
    lambda x: tf.pad(x, [[0, 0], [1, 1], [2, 1], [0, 0]], constant_values=3.0),
    lambda x: tf.pad(x, [[0, 0], [1, 1], [2, 1], [0, 0]], "REFLECT"),
    lambda x: tf.image.resize(x, (5, 7)),
    lambda x: tf.image.resize(x, (5, 7), method="nearest"),
    lambda x: tf.matmul(x, x, transpose_b=True),
    lambda x: tf.einsum("bijc,bijd->bcd", x, x),
    lambda x: tf.where(x > 0, x, 0.0),
    lambda x: tf.gather(x, [0, 1], axis=-1),
    lambda x: tf.clip_by_value(x, -0.5, 0.5),
    lambda x: tf.slice(x, [0, 1, 0, 0], [-1, 2, 2, 3]),
    lambda x: tf.nn.l2_normalize(x, -1),
    lambda x: tf.one_hot(tf.argmax(x, -1), 3),
    lambda x: tf.cast((x > 0) & (x < 1), "float32"),
    lambda x: tf.nn.avg_pool2d(x, 2, 2, "SAME"),
    lambda x: tf.nn.space_to_depth(x, 2),
    lambda x: tf.math.squared_difference(tf.maximum(x, 0.0), 1.0),
    lambda x: tf_keras.backend.l2_normalize(x, -1),
    lambda x: tf_keras.activations.hard_sigmoid(x),
]
"""Functions of an image that Keras 3 has operations for."""

TENSORFLOW_ONLY = [
    lambda x: x[:, : tf.shape(x)[1] // 2, ..., :2],
    lambda x: tf.image.resize(x[:, ::2], tf.shape(x)[1:3]),
    lambda x: tf.nn.embedding_lookup(tf.ones((4, 3)), tf.cast(x[..., 0] > 0, "int64")),
    lambda x: tf.clip_by_norm(x, 1.0),
    lambda x: tf.math.cumsum(x, 1, exclusive=True),
    lambda x: tf.image.per_image_standardization(x),
    lambda x: tf.image.resize(x, (16, 16), method="area"),
    lambda x: tf.nn.local_response_normalization(x),
]
"""Functions of an image that it has none for."""


def of_layers():
    """Return a model that calls every layer on one of three inputs; the outputs stand side by side."""
    inputs = [tf_keras.Input(shape) for shape in LAYERS]
    outputs = [
        getattr(layers, name)(**settings)(tensor)
        for tensor, kinds in zip(inputs, LAYERS.values(), strict=True)
        for name, settings in kinds
    ]
    return with_random_weights(tf_keras.Model(inputs, outputs))


def of_functions(functions):
    """Return a model that calls every function on its input."""
    inputs = tf_keras.Input(IMAGE)
    return tf_keras.Model(inputs, [function(inputs) for function in functions])


def with_random_weights(model, kernels=True):
    """Return the model, with weights none of which is 0 or 1 any more.

    Deep models keep their kernels as they were made: with noise on them their outputs vanish or explode.
    """
    random = np.random.default_rng(0)
    for variable in (each for each in model.variables if kernels or len(each.shape) == 1):
        noise = random.normal(0, 0.3, variable.shape)
        noise = abs(noise) if "variance" in variable.name else noise
        variable.assign_add(noise.astype(variable.dtype.as_numpy_dtype))
    return model


def random_inputs(model, high=4):
    """Return random inputs in the structure that the tf_keras model takes; integers are below `high`."""
    random = np.random.default_rng(1)

    def one(tensor):
        shape = [size or 2 for size in tensor.shape]
        if tensor.dtype.is_integer:
            return tf.constant(random.integers(0, high, shape), tensor.dtype)
        return tf.constant(random.normal(size=shape), tensor.dtype)

    return tf.nest.map_structure(one, model.input)


def assert_same_outputs(old, new, inputs=None, tolerance=1e-5):
    """Fail unless two models, the first of tf_keras, give the same outputs in the same structure."""
    inputs = random_inputs(old) if inputs is None else inputs
    expected, got = old(inputs, training=False), new(inputs, training=False)
    tf.nest.assert_same_structure(expected, got)
    for number, (one, other) in enumerate(zip(tf.nest.flatten(expected), tf.nest.flatten(got), strict=True)):
        scale = max(1, float(tf.reduce_max(tf.abs(one)))) if one.dtype.is_floating else 1
        np.testing.assert_allclose(other, one, atol=tolerance * scale, err_msg=f"output {number}")
