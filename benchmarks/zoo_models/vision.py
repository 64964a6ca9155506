"""Images with convolutions and pixels, in the style of keras.io's code examples."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from zoo_models.table import Table, images, numbers

MODELS = Table("keras.io")


@MODELS.add
def convnet_from_scratch():
    model = keras.Sequential(
        [
            keras.Input((20, 20, 1)),
            layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(16, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return model, images(20, 20, 1)


@MODELS.add
def small_xception_with_augmentation():
    inputs = keras.Input((32, 32, 3))
    x = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])(inputs)
    x = layers.Rescaling(1.0 / 255)(x)
    x = layers.Conv2D(16, 3, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    previous = x
    for size in (24, 32):
        for _ in range(2):
            x = layers.Activation("relu")(x)
            x = layers.SeparableConv2D(size, 3, padding="same")(x)
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = layers.Conv2D(size, 1, strides=2, padding="same")(previous)
        x = layers.add([x, residual])
        previous = x
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.25)(x)
    return keras.Model(inputs, layers.Dense(1, activation=None)(x)), images(32, 32, 3, high=255.0)


@MODELS.add
def conv_mixer():
    def activation_block(x):
        x = layers.Activation("gelu")(x)
        return layers.BatchNormalization()(x)

    inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(scale=1.0 / 255)(inputs)
    x = activation_block(layers.Conv2D(16, kernel_size=2, strides=2)(x))
    for _ in range(2):
        skip = x
        x = layers.DepthwiseConv2D(kernel_size=5, padding="same")(x)
        x = layers.Add()([activation_block(x), skip])
        x = activation_block(layers.Conv2D(16, kernel_size=1)(x))
    x = layers.GlobalAvgPool2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x)), images(16, 16, 3, high=255.0)


class Involution(layers.Layer):
    """A kernel that the pixel itself makes."""

    def __init__(self, channel, group_number, kernel_size, stride, reduction_ratio, name):
        super().__init__(name=name)
        self.channel = channel
        self.group_number = group_number
        self.kernel_size = kernel_size
        self.stride = stride
        self.reduction_ratio = reduction_ratio

    def build(self, input_shape):
        (_, height, width, num_channels) = input_shape
        height = height // self.stride
        width = width // self.stride
        self.stride_layer = (
            layers.AveragePooling2D(pool_size=self.stride, strides=self.stride, padding="same")
            if self.stride > 1
            else tf.identity
        )
        self.kernel_gen = keras.Sequential(
            [
                layers.Conv2D(filters=self.channel // self.reduction_ratio, kernel_size=1),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.Conv2D(filters=self.kernel_size * self.kernel_size * self.group_number, kernel_size=1),
            ]
        )
        self.kernel_reshape = layers.Reshape(
            target_shape=(height, width, self.kernel_size * self.kernel_size, 1, self.group_number)
        )
        self.input_patches_reshape = layers.Reshape(
            target_shape=(
                height,
                width,
                self.kernel_size * self.kernel_size,
                num_channels // self.group_number,
                self.group_number,
            )
        )
        self.output_reshape = layers.Reshape(target_shape=(height, width, num_channels))

    def call(self, x):
        kernel_input = self.stride_layer(x)
        kernel = self.kernel_reshape(self.kernel_gen(kernel_input))
        input_patches = tf.image.extract_patches(
            images=x,
            sizes=[1, self.kernel_size, self.kernel_size, 1],
            strides=[1, self.stride, self.stride, 1],
            rates=[1, 1, 1, 1],
            padding="SAME",
        )
        input_patches = self.input_patches_reshape(input_patches)
        output = tf.multiply(kernel, input_patches)
        output = tf.reduce_sum(output, axis=3)
        return self.output_reshape(output), kernel


@MODELS.add
def involution():
    inputs = keras.Input((12, 12, 3))
    x, _ = Involution(3, 1, 3, 1, 2, name="inv_1")(inputs)
    x = layers.ReLU()(x)
    x = layers.MaxPooling2D((2, 2))(x)
    x, _ = Involution(3, 1, 3, 1, 2, name="inv_2")(x)
    x = layers.ReLU()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(16, activation="relu")(x)
    return keras.Model([inputs], [layers.Dense(10)(x)], name="inv_model"), images(12, 12, 3)


@MODELS.add(classification=False)
def deeplab_v3_plus():
    def convolution_block(x, num_filters=16, kernel_size=3, dilation_rate=1, use_bias=False):
        x = layers.Conv2D(
            num_filters,
            kernel_size=kernel_size,
            dilation_rate=dilation_rate,
            padding="same",
            use_bias=use_bias,
            kernel_initializer=keras.initializers.HeNormal(),
        )(x)
        x = layers.BatchNormalization()(x)
        return ops.nn.relu(x)

    def pyramid_pooling(dspp_input):
        dims = dspp_input.shape
        x = layers.AveragePooling2D(pool_size=(dims[-3], dims[-2]))(dspp_input)
        x = convolution_block(x, kernel_size=1, use_bias=True)
        out_pool = layers.UpSampling2D(
            size=(dims[-3] // x.shape[1], dims[-2] // x.shape[2]), interpolation="bilinear"
        )(x)
        parts = [convolution_block(dspp_input, kernel_size=1)]
        parts += [convolution_block(dspp_input, kernel_size=3, dilation_rate=rate) for rate in (2, 4)]
        return convolution_block(layers.Concatenate(axis=-1)([out_pool, *parts]), kernel_size=1)

    inputs = keras.Input((32, 32, 3))
    low = convolution_block(layers.Conv2D(8, 3, strides=2, padding="same")(inputs))
    high = convolution_block(layers.Conv2D(16, 3, strides=2, padding="same")(low))
    input_a = layers.UpSampling2D(size=(2, 2), interpolation="bilinear")(pyramid_pooling(high))
    input_b = convolution_block(low, num_filters=8, kernel_size=1)
    x = layers.Concatenate(axis=-1)([input_a, input_b])
    x = convolution_block(convolution_block(x))
    x = layers.UpSampling2D(size=(2, 2), interpolation="bilinear")(x)
    return keras.Model(inputs, layers.Conv2D(5, (1, 1), padding="same")(x)), images(32, 32, 3, low=-1.0)


@MODELS.add
def unet_xception_style():
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    previous = x
    for filters in (12, 16):
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = layers.add([x, layers.Conv2D(filters, 1, strides=2, padding="same")(previous)])
        previous = x
    for filters in (16, 12, 8):
        x = layers.Activation("relu")(x)
        x = layers.Conv2DTranspose(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.UpSampling2D(2)(x)
        residual = layers.UpSampling2D(2)(previous)
        residual = layers.Conv2D(filters, 1, padding="same")(residual)
        x = layers.add([x, residual])
        previous = x
    outputs = layers.Conv2D(3, 3, activation="softmax", padding="same")(x)
    return keras.Model(inputs, outputs), images(32, 32, 3)


@MODELS.add
def captcha_ocr():
    image = keras.Input((24, 12, 1), name="image", dtype="float32")
    x = layers.Conv2D(
        8, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same", name="Conv1"
    )(image)
    x = layers.MaxPooling2D((2, 2), name="pool1")(x)
    x = layers.Conv2D(
        16, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same", name="Conv2"
    )(x)
    x = layers.MaxPooling2D((2, 2), name="pool2")(x)
    x = layers.Reshape(target_shape=(24 // 4, (12 // 4) * 16), name="reshape")(x)
    x = layers.Dense(16, activation="relu", name="dense1")(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Bidirectional(layers.LSTM(16, return_sequences=True, dropout=0.25))(x)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True, dropout=0.25))(x)
    x = layers.Dense(20, activation="softmax", name="dense2")(x)
    return keras.Model(image, x, name="ocr_model_v1"), images(24, 12, 1)


@MODELS.add(classification=False)
def convolutional_autoencoder():
    inputs = keras.Input((16, 16, 1))
    x = layers.Conv2D(16, (3, 3), activation="relu", padding="same")(inputs)
    x = layers.MaxPooling2D((2, 2), padding="same")(x)
    x = layers.Conv2D(16, (3, 3), activation="relu", padding="same")(x)
    x = layers.MaxPooling2D((2, 2), padding="same")(x)
    x = layers.Conv2DTranspose(16, (3, 3), strides=2, activation="relu", padding="same")(x)
    x = layers.Conv2DTranspose(16, (3, 3), strides=2, activation="relu", padding="same")(x)
    x = layers.Conv2D(1, (3, 3), activation="sigmoid", padding="same")(x)
    return keras.Model(inputs, x), images(16, 16, 1)


@MODELS.add(classification=False)
def super_resolution_subpixel():
    def depth_to_space(x, block=3):
        return tf.nn.depth_to_space(x, block)

    settings = {"activation": "relu", "kernel_initializer": "orthogonal", "padding": "same"}
    inputs = keras.Input((16, 16, 1))
    x = layers.Conv2D(16, 5, **settings)(inputs)
    x = layers.Conv2D(16, 3, **settings)(x)
    x = layers.Conv2D(8, 3, **settings)(x)
    x = layers.Conv2D(9, 3, **settings)(x)
    return keras.Model(inputs, layers.Lambda(depth_to_space)(x)), images(16, 16, 1)


class DepthToSpace(layers.Layer):
    """Pixels from channels by a reshape over the batch's own shape."""

    def __init__(self, block_size):
        super().__init__()
        self.block_size = block_size

    def call(self, input):
        batch, height, width, depth = ops.shape(input)
        depth = depth // (self.block_size**2)
        x = ops.reshape(input, [batch, height, width, self.block_size, self.block_size, depth])
        x = ops.transpose(x, [0, 1, 3, 2, 4, 5])
        return ops.reshape(x, [batch, height * self.block_size, width * self.block_size, depth])


@MODELS.add(classification=False)
def super_resolution_layer():
    inputs = keras.Input((12, 12, 1))
    x = layers.Conv2D(12, 5, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(9, 3, padding="same")(x)
    return keras.Model(inputs, DepthToSpace(3)(x)), images(12, 12, 1)


class EDSR(keras.Model):
    """A model whose class has its own steps."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}

    def predict_step(self, x):
        return ops.round(ops.clip(self(x, training=False), 0, 255))


@MODELS.add(classification=False)
def enhanced_super_resolution():
    def res_block(inputs):
        x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
        x = layers.Conv2D(16, 3, padding="same")(x)
        return layers.Add()([inputs, x])

    def upsampling(inputs, factor=2):
        x = layers.Conv2D(16 * factor**2, 3, padding="same")(inputs)
        return layers.Lambda(lambda each: tf.nn.depth_to_space(each, block_size=factor))(x)

    inputs = keras.Input((12, 12, 3))
    x = layers.Rescaling(scale=1.0 / 255)(inputs)
    x = new = layers.Conv2D(16, 3, padding="same")(x)
    for _ in range(2):
        new = res_block(new)
    x = layers.Add()([x, layers.Conv2D(16, 3, padding="same")(new)])
    x = layers.Conv2D(3, 3, padding="same")(upsampling(x))
    return EDSR(inputs, layers.Rescaling(scale=255)(x)), images(12, 12, 3, high=255.0)


class ZeroDCE(keras.Model):
    """Light curves, estimated by a network inside; the losses live in the class."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        image = keras.Input((16, 16, 3))
        settings = {"strides": (1, 1), "activation": "relu", "padding": "same"}
        conv1 = layers.Conv2D(8, (3, 3), **settings)(image)
        conv2 = layers.Conv2D(8, (3, 3), **settings)(conv1)
        conv3 = layers.Conv2D(8, (3, 3), **settings)(conv2)
        joined = layers.Concatenate(axis=-1)([conv3, conv2])
        conv4 = layers.Conv2D(8, (3, 3), **settings)(joined)
        joined = layers.Concatenate(axis=-1)([conv4, conv1])
        curves = layers.Conv2D(24, (3, 3), activation="tanh", padding="same")(joined)
        self.dce_model = keras.Model(inputs=image, outputs=curves)

    def get_enhanced_image(self, data, output):
        x = data
        for i in range(0, 3 * 8, 3):
            r = output[:, :, :, i : i + 3]
            x = x + r * (ops.square(x) - x)
        return x

    def call(self, data):
        return self.get_enhanced_image(data, self.dce_model(data))

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(ops.mean(self(data), axis=(1, 2)) - 0.6))
        gradients = tape.gradient(loss, self.dce_model.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.dce_model.trainable_weights, strict=True))
        return {"total_loss": loss}


@MODELS.add(classification=False)
def zero_dce():
    return ZeroDCE(), images(16, 16, 3)


@MODELS.add(classification=False)
def mirnet_selective_kernel():
    def selective_kernel_feature_fusion(one, two):
        channels = one.shape[-1]
        combined = layers.Add()([one, two])
        gap = layers.GlobalAveragePooling2D()(combined)
        wise = ops.reshape(gap, (-1, 1, 1, channels))
        compact = layers.Conv2D(channels // 4, kernel_size=(1, 1), activation="relu")(wise)
        first = layers.Conv2D(channels, kernel_size=(1, 1), activation="softmax")(compact)
        second = layers.Conv2D(channels, kernel_size=(1, 1), activation="softmax")(compact)
        return layers.Add()([one * first, two * second])

    class ChannelPooling(layers.Layer):
        def __init__(self, axis=-1, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.axis = axis
            self.concat = layers.Concatenate(axis=self.axis)

        def call(self, inputs):
            average = ops.expand_dims(ops.mean(inputs, axis=-1), axis=-1)
            maximum = ops.expand_dims(ops.max(inputs, axis=-1), axis=-1)
            return self.concat([average, maximum])

    def spatial_attention(inputs):
        mask = layers.Conv2D(1, kernel_size=(1, 1))(ChannelPooling()(inputs))
        return inputs * ops.sigmoid(mask)

    def channel_attention(inputs):
        channels = inputs.shape[-1]
        x = ops.reshape(layers.GlobalAveragePooling2D()(inputs), (-1, 1, 1, channels))
        x = layers.Conv2D(channels // 4, kernel_size=(1, 1), activation="relu")(x)
        return inputs * layers.Conv2D(channels, kernel_size=(1, 1), activation="sigmoid")(x)

    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, kernel_size=(3, 3), padding="same")(inputs)
    half = layers.Conv2D(16, 1, padding="same")(layers.MaxPool2D()(x))
    x = selective_kernel_feature_fusion(spatial_attention(x), layers.UpSampling2D()(channel_attention(half)))
    x = layers.Conv2D(3, kernel_size=(3, 3), padding="same")(x)
    return keras.Model(inputs, layers.Add()([inputs, x])), images(16, 16, 3)


@MODELS.add(classification=False)
def nerf_mlp():
    inputs = keras.Input((24, 2 * 3 * 4 + 3))
    x = inputs
    for i in range(4):
        x = layers.Dense(units=32, activation="relu")(x)
        if i % 4 == 0 and i > 0:
            x = layers.concatenate([x, inputs], axis=-1)
    x = layers.concatenate([x, inputs], axis=-1)
    predictions = layers.Dense(units=4)(x)
    rgb = ops.sigmoid(predictions[..., :-1])
    sigma_a = ops.relu(predictions[..., -1])
    return keras.Model(inputs, [rgb, sigma_a]), numbers(24, 27)


@keras.saving.register_keras_serializable(package="zoo")
class OrthogonalRegularizer(keras.regularizers.Regularizer):
    def __init__(self, num_features, l2reg=0.001):
        self.num_features = num_features
        self.l2reg = l2reg
        self.identity = ops.eye(num_features)

    def __call__(self, x):
        x = ops.reshape(x, (-1, self.num_features, self.num_features))
        xxt = ops.tensordot(x, x, axes=(2, 2))
        xxt = ops.reshape(xxt, (-1, self.num_features, self.num_features))
        return ops.sum(self.l2reg * ops.square(xxt - self.identity))

    def get_config(self):
        return {"num_features": self.num_features, "l2reg": self.l2reg}


def _tnet(inputs, num_features):
    bias = keras.initializers.Constant(np.eye(num_features).flatten())
    x = inputs
    for filters in (8, 16):
        x = layers.Conv1D(filters, kernel_size=1, padding="valid")(x)
        x = layers.BatchNormalization(momentum=0.0)(x)
        x = layers.Activation("relu")(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dense(
        num_features * num_features,
        kernel_initializer="zeros",
        bias_initializer=bias,
        activity_regularizer=OrthogonalRegularizer(num_features),
    )(x)
    features = layers.Reshape((num_features, num_features))(x)
    return layers.Dot(axes=(2, 1))([inputs, features])


@MODELS.add
def point_net():
    inputs = keras.Input((32, 3))
    x = _tnet(inputs, 3)
    x = layers.Conv1D(8, kernel_size=1)(x)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.0)(x))
    x = _tnet(x, 8)
    x = layers.Conv1D(16, kernel_size=1)(x)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.0)(x))
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dropout(0.3)(layers.Dense(16, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x)), numbers(32, 3)


@MODELS.add
def point_net_segmentation():
    points = keras.Input((24, 3))
    local = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv1D(8, 1)(_tnet(points, 3))))
    wide = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv1D(16, 1)(local)))
    features = layers.MaxPool1D(pool_size=24, name="global_features")(wide)
    features = ops.tile(features, [1, 24, 1])
    x = layers.Concatenate(name="segmentation_input")([local, wide, features])
    x = layers.Conv1D(12, kernel_size=1, activation="relu")(x)
    return keras.Model(points, layers.Conv1D(4, kernel_size=1, activation="softmax")(x)), numbers(24, 3)


@MODELS.add(classification=False)
def keypoints():
    inputs = keras.Input((32, 32, 3))
    x = layers.Rescaling(1.0 / 127.5, offset=-1)(inputs)
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Dropout(0.3)(x)
    x = layers.SeparableConv2D(24, kernel_size=5, strides=1, activation="relu")(x)
    outputs = layers.SeparableConv2D(8, kernel_size=4, strides=1, activation="sigmoid")(x)
    return keras.Model(inputs, outputs, name="keypoint_detector"), images(32, 32, 3, high=255.0)


@MODELS.add(classification=False)
def siamese_contrastive():
    def euclidean_distance(vects):
        x, y = vects
        sum_square = ops.sum(ops.square(x - y), axis=1, keepdims=True)
        return ops.sqrt(ops.maximum(sum_square, keras.backend.epsilon()))

    inputs = keras.Input((16, 16, 1))
    x = layers.BatchNormalization()(inputs)
    x = layers.Conv2D(4, (5, 5), activation="tanh")(x)
    x = layers.AveragePooling2D(pool_size=(2, 2))(x)
    x = layers.Flatten()(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dense(10, activation="tanh")(x)
    embedding = keras.Model(inputs, x)
    one, two = keras.Input((16, 16, 1)), keras.Input((16, 16, 1))
    merged = layers.Lambda(euclidean_distance, output_shape=(1,))([embedding(one), embedding(two)])
    merged = layers.BatchNormalization()(merged)
    outputs = layers.Dense(1, activation="sigmoid")(merged)
    data = images(16, 16, 1)
    return keras.Model(inputs=[one, two], outputs=outputs), [data, data[::-1].copy()]


class DistanceLayer(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def call(self, anchor, positive, negative):
        near = ops.sum(tf.square(anchor - positive), -1)
        far = ops.sum(tf.square(anchor - negative), -1)
        return (near, far)


class SiameseModel(keras.Model):
    def __init__(self, siamese_network, margin=0.5):
        super().__init__()
        self.siamese_network = siamese_network
        self.margin = margin
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def call(self, inputs):
        return self.siamese_network(inputs)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            near, far = self.siamese_network(data)
            loss = tf.maximum(near - far + self.margin, 0.0)
        gradients = tape.gradient(loss, self.siamese_network.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.siamese_network.trainable_weights, strict=True))
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}

    @property
    def metrics(self):
        return [self.loss_tracker]


@MODELS.add(classification=False)
def siamese_triplet():
    embedding = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(16),
        ],
        name="Embedding",
    )
    names = ("anchor", "positive", "negative")
    inputs = [keras.Input((16, 16, 3), name=name) for name in names]
    distances = DistanceLayer()(*[embedding(each) for each in inputs])
    data = images(16, 16, 3)
    return SiameseModel(keras.Model(inputs, distances)), [data, data[::-1].copy(), np.roll(data, 3, axis=0)]


class MILAttentionLayer(layers.Layer):
    """Attention over the instances of a bag, with raw weights."""

    def __init__(self, weight_params_dim, kernel_initializer="glorot_uniform", use_gated=False, **kwargs):
        super().__init__(**kwargs)
        self.weight_params_dim = weight_params_dim
        self.use_gated = use_gated
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        input_dim = input_shape[0][1]

        def weight(shape, name):
            return self.add_weight(shape=shape, initializer=self.kernel_initializer, name=name)

        self.v_weight_params = weight((input_dim, self.weight_params_dim), "v")
        self.w_weight_params = weight((self.weight_params_dim, 1), "w")
        if self.use_gated:
            self.u_weight_params = weight((input_dim, self.weight_params_dim), "u")

    def call(self, inputs):
        instances = [self.compute_attention_scores(instance) for instance in inputs]
        instances = ops.stack(instances)
        alpha = ops.softmax(instances, axis=0)
        return [alpha[i] for i in range(alpha.shape[0])]

    def compute_attention_scores(self, instance):
        original_instance = instance
        instance = ops.tanh(ops.tensordot(instance, self.v_weight_params, axes=1))
        if self.use_gated:
            gate = ops.sigmoid(ops.tensordot(original_instance, self.u_weight_params, axes=1))
            instance = instance * gate
        return ops.tensordot(instance, self.w_weight_params, axes=1)


@MODELS.add
def attention_multiple_instances():
    inputs, embeddings = [], []
    shared_dense_layer_1 = layers.Dense(32, activation="relu")
    shared_dense_layer_2 = layers.Dense(16, activation="relu")
    for _ in range(3):
        inp = keras.Input((8, 8))
        inputs.append(inp)
        embeddings.append(shared_dense_layer_2(shared_dense_layer_1(layers.Flatten()(inp))))
    alpha = MILAttentionLayer(weight_params_dim=24, use_gated=True, name="alpha")(embeddings)
    multiplied = [layers.multiply([alpha[i], embeddings[i]]) for i in range(len(alpha))]
    concat = layers.concatenate(multiplied, axis=1)
    output = layers.Dense(2, activation="softmax")(concat)
    return keras.Model(inputs, output), [
        numbers(8, 8),
        numbers(8, 8)[::-1].copy(),
        np.roll(numbers(8, 8), 5, 0),
    ]


class FeaturePyramid(keras.layers.Layer):
    def __init__(self, backbone=None, **kwargs):
        super().__init__(name="FeaturePyramid", **kwargs)
        self.backbone = backbone
        self.conv_c3_1x1 = layers.Conv2D(16, 1, 1, "same")
        self.conv_c4_1x1 = layers.Conv2D(16, 1, 1, "same")
        self.conv_c3_3x3 = layers.Conv2D(16, 3, 1, "same")
        self.conv_c4_3x3 = layers.Conv2D(16, 3, 1, "same")
        self.conv_c6_3x3 = layers.Conv2D(16, 3, 2, "same")
        self.upsample_2x = layers.UpSampling2D(2)

    def call(self, images, training=False):
        c3_output, c4_output = self.backbone(images, training=training)
        p3_output = self.conv_c3_1x1(c3_output)
        p4_output = self.conv_c4_1x1(c4_output)
        p3_output = p3_output + self.upsample_2x(p4_output)
        p3_output = self.conv_c3_3x3(p3_output)
        p4_output = self.conv_c4_3x3(p4_output)
        return p3_output, p4_output, self.conv_c6_3x3(p4_output)


def _detection_head(output_filters, bias_init):
    head = keras.Sequential([keras.Input(shape=[None, None, 16])])
    kernel_init = keras.initializers.RandomNormal(0.0, 0.05)
    for _ in range(2):
        head.add(layers.Conv2D(16, 3, padding="same", kernel_initializer=kernel_init))
        head.add(layers.ReLU())
    head.add(
        layers.Conv2D(
            output_filters, 3, 1, padding="same", kernel_initializer=kernel_init, bias_initializer=bias_init
        )
    )
    return head


class RetinaNet(keras.Model):
    """Boxes and classes of a pyramid, in one long tensor."""

    def __init__(self, num_classes, backbone=None, **kwargs):
        super().__init__(name="RetinaNet", **kwargs)
        self.fpn = FeaturePyramid(backbone)
        self.num_classes = num_classes
        prior_probability = keras.initializers.Constant(-np.log((1 - 0.01) / 0.01))
        self.cls_head = _detection_head(3 * num_classes, prior_probability)
        self.box_head = _detection_head(3 * 4, "zeros")

    def call(self, image, training=False):
        features = self.fpn(image, training=training)
        n = ops.shape(image)[0]
        cls_outputs, box_outputs = [], []
        for feature in features:
            box_outputs.append(ops.reshape(self.box_head(feature), [n, -1, 4]))
            cls_outputs.append(ops.reshape(self.cls_head(feature), [n, -1, self.num_classes]))
        cls_outputs = ops.concatenate(cls_outputs, axis=1)
        box_outputs = ops.concatenate(box_outputs, axis=1)
        return ops.concatenate([box_outputs, cls_outputs], axis=-1)


@MODELS.add(classification=False)
def retina_net():
    inputs = keras.Input((32, 32, 3))
    c2 = layers.Conv2D(8, 3, strides=4, padding="same", activation="relu")(inputs)
    c3 = layers.Conv2D(12, 3, strides=1, padding="same", activation="relu")(c2)
    c4 = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(c3)
    return RetinaNet(5, keras.Model(inputs, [c3, c4])), images(32, 32, 3)


class DownscaleBlock(layers.Layer):
    def __init__(self, filters, kernel_size=(3, 3), padding="same", strides=1, **kwargs):
        super().__init__(**kwargs)
        self.convA = layers.Conv2D(filters, kernel_size, strides, padding)
        self.convB = layers.Conv2D(filters, kernel_size, strides, padding)
        self.reluA = layers.LeakyReLU(negative_slope=0.2)
        self.reluB = layers.LeakyReLU(negative_slope=0.2)
        self.bn2a = keras.layers.BatchNormalization()
        self.bn2b = keras.layers.BatchNormalization()
        self.pool = layers.MaxPool2D((2, 2), (2, 2))

    def call(self, input_tensor):
        d = self.convA(input_tensor)
        x = self.bn2a(d)
        x = self.reluA(x)
        x = self.convB(x)
        x = self.bn2b(x)
        x = self.reluB(x)
        x += d
        return x, self.pool(x)


class UpscaleBlock(layers.Layer):
    def __init__(self, filters, kernel_size=(3, 3), padding="same", strides=1, **kwargs):
        super().__init__(**kwargs)
        self.us = layers.UpSampling2D((2, 2))
        self.convA = layers.Conv2D(filters, kernel_size, strides, padding)
        self.bn2a = keras.layers.BatchNormalization()
        self.reluA = layers.LeakyReLU(negative_slope=0.2)
        self.conc = layers.Concatenate()

    def call(self, x, skip):
        x = self.us(x)
        concat = self.conc([x, skip])
        x = self.convA(concat)
        return self.reluA(self.bn2a(x))


class DepthEstimationModel(keras.Model):
    def __init__(self):
        super().__init__()
        f = [6, 8, 12]
        self.downscale_blocks = [DownscaleBlock(f[0]), DownscaleBlock(f[1])]
        self.bottle_neck_block = DownscaleBlock(f[2])
        self.upscale_blocks = [UpscaleBlock(f[1]), UpscaleBlock(f[0])]
        self.conv_layer = layers.Conv2D(1, (1, 1), padding="same", activation="tanh")

    def call(self, x):
        c1, p1 = self.downscale_blocks[0](x)
        c2, p2 = self.downscale_blocks[1](p1)
        bn, _ = self.bottle_neck_block(p2)
        u1 = self.upscale_blocks[0](bn, c2)
        u2 = self.upscale_blocks[1](u1, c1)
        return self.conv_layer(u2)


@MODELS.add(classification=False)
def depth_estimation():
    return DepthEstimationModel(), images(16, 16, 3)


@MODELS.add
def learnable_resizer():
    def conv_block(x, filters, kernel_size, strides, activation=layers.LeakyReLU(0.2)):  # noqa: B008
        x = layers.Conv2D(filters, kernel_size, strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        return activation(x) if activation else x

    def res_block(x):
        y = conv_block(x, 8, 3, 1)
        y = conv_block(y, 8, 3, 1, activation=None)
        return layers.Add()([x, y])

    inputs = keras.Input((24, 24, 3))
    naive = layers.Resizing(12, 12, interpolation="bilinear")(inputs)
    x = layers.Conv2D(8, kernel_size=7, strides=1, padding="same")(inputs)
    x = layers.LeakyReLU(0.2)(x)
    x = layers.BatchNormalization()(layers.LeakyReLU(0.2)(layers.Conv2D(8, 1, padding="same")(x)))
    bottleneck = layers.Resizing(12, 12, interpolation="bilinear")(x)
    x = res_block(bottleneck)
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(x))
    x = layers.Add()([bottleneck, x])
    x = layers.Conv2D(3, kernel_size=7, strides=1, padding="same")(x)
    resizer = keras.Model(inputs, layers.Add()([naive, x]), name="learnable_resizer")
    image = keras.Input((24, 24, 3))
    y = resizer(image)
    y = layers.Conv2D(8, 3, strides=2, activation="relu")(y)
    return keras.Model(image, layers.Dense(4, activation="softmax")(layers.Flatten()(y))), images(24, 24, 3)


@MODELS.add(classification=False)
def image_similarity_metric_learning():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(filters=8, kernel_size=3, strides=2, activation="relu")(inputs)
    x = layers.Conv2D(filters=16, kernel_size=3, strides=2, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    embeddings = layers.Dense(units=8, activation=None)(x)
    embeddings = layers.UnitNormalization()(embeddings)
    return keras.Model(inputs, embeddings), images(16, 16, 3)


@MODELS.add
def three_d_scans():
    inputs = keras.Input((16, 16, 8, 1))
    x = layers.Conv3D(filters=8, kernel_size=3, activation="relu")(inputs)
    x = layers.MaxPool3D(pool_size=2)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv3D(filters=8, kernel_size=2, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling3D()(x)
    x = layers.Dense(units=16, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    return keras.Model(inputs, layers.Dense(units=1, activation="sigmoid")(x)), numbers(16, 16, 8, 1, low=0.0)


class RandomResizedCropLike(layers.Layer):
    """An augmentation that does nothing at inference."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, images, training=True):
        if training:
            images = images * tf.random.uniform((tf.shape(images)[0], 1, 1, 1), *self.scale)
        return images


@MODELS.add
def semi_supervised_contrastive_probe():
    augmenter = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), RandomResizedCropLike((0.8, 1.2))],
        name="augmenter",
    )
    encoder = keras.Sequential(
        [
            layers.Conv2D(8, kernel_size=3, strides=2, activation="relu"),
            layers.Conv2D(8, kernel_size=3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
        ],
        name="encoder",
    )
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), augmenter, encoder, layers.Dense(10)], name="finetuning"
    )
    return model, images(16, 16, 3, high=255.0)


@MODELS.add(classification=False)
def grad_cam_two_outputs():
    inputs = keras.Input((16, 16, 3), name="img")
    x = layers.Conv2D(8, 3, activation="relu", name="block1_conv")(inputs)
    x = layers.Conv2D(12, 3, activation="relu", name="last_conv")(x)
    y = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    model = keras.Model(inputs, layers.Dense(5, name="predictions")(y))
    return keras.Model(model.inputs, [model.get_layer("last_conv").output, model.output]), images(16, 16, 3)


@MODELS.add
def visual_attention_captioner():
    """Images and the words so far -> the next word."""

    class PositionalEmbedding(layers.Layer):
        def __init__(self, sequence_length, vocab_size, embed_dim, **kwargs):
            super().__init__(**kwargs)
            self.token_embeddings = layers.Embedding(input_dim=vocab_size, output_dim=embed_dim)
            self.position_embeddings = layers.Embedding(input_dim=sequence_length, output_dim=embed_dim)
            self.embed_scale = tf.math.sqrt(tf.cast(embed_dim, tf.float32))

        def call(self, inputs):
            length = tf.shape(inputs)[-1]
            positions = tf.range(start=0, limit=length, delta=1)
            embedded_tokens = self.token_embeddings(inputs) * self.embed_scale
            return embedded_tokens + self.position_embeddings(positions)

        def compute_mask(self, inputs, mask=None):
            return tf.math.not_equal(inputs, 0)

    class DecoderBlock(layers.Layer):
        def __init__(self, embed_dim, ff_dim, num_heads, **kwargs):
            super().__init__(**kwargs)
            self.attention_1 = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim, dropout=0.1)
            self.attention_2 = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim, dropout=0.1)
            self.ffn_layer_1 = layers.Dense(ff_dim, activation="relu")
            self.ffn_layer_2 = layers.Dense(embed_dim)
            self.layernorm_1 = layers.LayerNormalization()
            self.layernorm_2 = layers.LayerNormalization()
            self.embedding = PositionalEmbedding(6, 30, embed_dim)
            self.out = layers.Dense(30, activation="softmax")

        def call(self, inputs, encoder_outputs, training=None):
            inputs = self.embedding(inputs)
            causal_mask = self.get_causal_attention_mask(inputs)
            attended = self.attention_1(
                query=inputs, value=inputs, key=inputs, attention_mask=causal_mask, training=training
            )
            out_1 = self.layernorm_1(inputs + attended)
            attended = self.attention_2(
                query=out_1, value=encoder_outputs, key=encoder_outputs, training=training
            )
            out_2 = self.layernorm_2(out_1 + attended)
            return self.out(self.ffn_layer_2(self.ffn_layer_1(out_2)))

        def get_causal_attention_mask(self, inputs):
            input_shape = tf.shape(inputs)
            batch_size, sequence_length = input_shape[0], input_shape[1]
            i = tf.range(sequence_length)[:, tf.newaxis]
            j = tf.range(sequence_length)
            mask = tf.cast(i >= j, dtype="int32")
            mask = tf.reshape(mask, (1, input_shape[1], input_shape[1]))
            mult = tf.concat([tf.expand_dims(batch_size, -1), tf.constant([1, 1], dtype=tf.int32)], axis=0)
            return tf.tile(mask, mult)

    class ImageCaptioningModel(keras.Model):
        def __init__(self, cnn_model, encoder, decoder):
            super().__init__()
            self.cnn_model = cnn_model
            self.encoder = encoder
            self.decoder = decoder

        def call(self, inputs):
            image, words = inputs
            encoded = self.encoder(self.cnn_model(image))
            return self.decoder(words, encoded)

    cnn = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(12, 4, strides=4, activation="relu"),
            layers.Reshape((-1, 12)),
        ]
    )
    encoder = keras.Sequential([layers.LayerNormalization(), layers.Dense(16, activation="relu")])
    words = np.random.default_rng(4).integers(1, 30, (40, 6)).astype("int32")
    return ImageCaptioningModel(cnn, encoder, DecoderBlock(16, 24, 2)), (images(16, 16, 3), words)
