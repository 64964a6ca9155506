"""Generators, discriminators and densities, in the style of keras.io's code examples."""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from zoo_models.table import Table, images, numbers, tokens

MODELS = Table("keras.io")


class Sampling(layers.Layer):
    """Uses (z_mean, z_log_var) to sample z."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        batch = ops.shape(z_mean)[0]
        dim = ops.shape(z_mean)[1]
        epsilon = keras.random.normal(shape=(batch, dim), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


@MODELS.add(classification=False)
def vae_encoder():
    """Mean, logarithm of the variance, and a sample: random at inference."""
    encoder_inputs = keras.Input(shape=(16, 16, 1))
    x = layers.Conv2D(8, 3, activation="relu", strides=2, padding="same")(encoder_inputs)
    x = layers.Conv2D(16, 3, activation="relu", strides=2, padding="same")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(16, activation="relu")(x)
    z_mean = layers.Dense(2, name="z_mean")(x)
    z_log_var = layers.Dense(2, name="z_log_var")(x)
    z = Sampling()([z_mean, z_log_var])
    return keras.Model(encoder_inputs, [z_mean, z_log_var, z], name="encoder"), images(16, 16, 1)


@MODELS.add(classification=False)
def vae_decoder():
    latent_inputs = keras.Input(shape=(2,))
    x = layers.Dense(4 * 4 * 16, activation="relu")(latent_inputs)
    x = layers.Reshape((4, 4, 16))(x)
    x = layers.Conv2DTranspose(16, 3, activation="relu", strides=2, padding="same")(x)
    x = layers.Conv2DTranspose(8, 3, activation="relu", strides=2, padding="same")(x)
    outputs = layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x)
    return keras.Model(latent_inputs, outputs, name="decoder"), numbers(2, low=-2, high=2)


class VectorQuantizer(layers.Layer):
    def __init__(self, num_embeddings, embedding_dim, beta=0.25, **kwargs):
        super().__init__(**kwargs)
        self.embedding_dim = embedding_dim
        self.num_embeddings = num_embeddings
        self.beta = beta
        self.embeddings = self.add_weight(
            shape=(self.embedding_dim, self.num_embeddings),
            initializer=keras.initializers.RandomUniform(),
            trainable=True,
            name="embeddings_vqvae",
        )

    def call(self, x):
        input_shape = ops.shape(x)
        flattened = ops.reshape(x, [-1, self.embedding_dim])
        encoding_indices = self.get_code_indices(flattened)
        encodings = ops.one_hot(encoding_indices, self.num_embeddings)
        quantized = ops.matmul(encodings, ops.transpose(self.embeddings))
        quantized = ops.reshape(quantized, input_shape)
        commitment_loss = ops.mean((ops.stop_gradient(quantized) - x) ** 2)
        codebook_loss = ops.mean((quantized - ops.stop_gradient(x)) ** 2)
        self.add_loss(self.beta * commitment_loss + codebook_loss)
        return x + ops.stop_gradient(quantized - x)

    def get_code_indices(self, flattened_inputs):
        similarity = ops.matmul(flattened_inputs, self.embeddings)
        distances = (
            ops.sum(flattened_inputs**2, axis=1, keepdims=True)
            + ops.sum(self.embeddings**2, axis=0)
            - 2 * similarity
        )
        return ops.argmin(distances, axis=1)


@MODELS.add(classification=False)
def vq_vae():
    inputs = keras.Input((16, 16, 1))
    x = layers.Conv2D(8, 3, activation="relu", strides=2, padding="same")(inputs)
    x = layers.Conv2D(16, 3, activation="relu", strides=2, padding="same")(x)
    x = layers.Conv2D(4, 1, padding="same")(x)
    x = VectorQuantizer(16, 4, name="vector_quantizer")(x)
    x = layers.Conv2DTranspose(16, 3, activation="relu", strides=2, padding="same")(x)
    x = layers.Conv2DTranspose(8, 3, activation="relu", strides=2, padding="same")(x)
    return keras.Model(inputs, layers.Conv2DTranspose(1, 3, padding="same")(x), name="vq_vae"), images(
        16, 16, 1
    )


@MODELS.add(classification=False)
def dcgan_generator():
    model = keras.Sequential(
        [
            keras.Input((24,)),
            layers.Dense(4 * 4 * 16),
            layers.Reshape((4, 4, 16)),
            layers.Conv2DTranspose(16, kernel_size=4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2DTranspose(24, kernel_size=4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(3, kernel_size=5, padding="same", activation="sigmoid"),
        ],
        name="generator",
    )
    return model, np.random.default_rng(0).normal(size=(40, 24)).astype("float32")


class GAN(keras.Model):
    """Two networks; the model itself is never called, so `call` shows what is exported."""

    def __init__(self, discriminator, generator, latent_dim):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.latent_dim = latent_dim

    def call(self, noise):
        return self.discriminator(self.generator(noise))

    def train_step(self, real_images):
        noise = keras.random.normal(shape=(ops.shape(real_images)[0], self.latent_dim))
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(self.discriminator(self.generator(noise)) - 1.0))
        grads = tape.gradient(loss, self.generator.trainable_weights)
        self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights, strict=True))
        return {"g_loss": loss}


@MODELS.add(classification=False)
def dcgan_whole():
    discriminator = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(8, 4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(16, 4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(1, activation="sigmoid"),
        ],
        name="discriminator",
    )
    generator = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(8 * 8 * 4),
            layers.Reshape((8, 8, 4)),
            layers.Conv2DTranspose(8, 4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(1, 5, padding="same", activation="sigmoid"),
        ],
        name="generator",
    )
    return GAN(discriminator, generator, 12), np.random.default_rng(0).normal(size=(40, 12)).astype("float32")


@MODELS.add(classification=False)
def wgan_gp_generator():
    def upsample_block(x, filters, activation, use_bn=False, use_dropout=False):
        x = layers.UpSampling2D((2, 2))(x)
        x = layers.Conv2D(filters, (3, 3), padding="same", use_bias=False)(x)
        if use_bn:
            x = layers.BatchNormalization()(x)
        if activation:
            x = activation(x)
        return layers.Dropout(0.3)(x) if use_dropout else x

    noise = layers.Input(shape=(16,))
    x = layers.Dense(4 * 4 * 16, use_bias=False)(noise)
    x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU(0.2)(x)
    x = layers.Reshape((4, 4, 16))(x)
    x = upsample_block(x, 12, layers.LeakyReLU(0.2), use_bn=True)
    x = upsample_block(x, 8, layers.LeakyReLU(0.2), use_bn=True)
    x = upsample_block(x, 1, layers.Activation("tanh"), use_bn=True)
    x = layers.Cropping2D((2, 2))(x)
    return keras.models.Model(noise, x, name="generator"), np.random.default_rng(0).normal(
        size=(40, 16)
    ).astype("f")


@MODELS.add(classification=False)
def conditional_gan_discriminator():
    """Images with their class as further channels, tiled over the pixels in the model."""
    image, label = keras.Input((16, 16, 1)), keras.Input((4,))
    planes = ops.repeat(label[:, None, None, :], repeats=16, axis=1)
    planes = ops.repeat(planes, repeats=16, axis=2)
    x = layers.Concatenate(axis=-1)([image, planes])
    x = layers.LeakyReLU(negative_slope=0.2)(layers.Conv2D(8, (3, 3), strides=(2, 2), padding="same")(x))
    x = layers.LeakyReLU(negative_slope=0.2)(layers.Conv2D(16, (3, 3), strides=(2, 2), padding="same")(x))
    x = layers.GlobalMaxPooling2D()(x)
    labels = np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, 40)]
    return keras.Model([image, label], layers.Dense(1)(x)), [images(16, 16, 1), labels]


class ReflectionPadding2D(layers.Layer):
    def __init__(self, padding=(1, 1), **kwargs):
        self.padding = tuple(padding)
        super().__init__(**kwargs)

    def call(self, input_tensor, mask=None):
        padding_width, padding_height = self.padding
        padding_tensor = [
            [0, 0],
            [padding_height, padding_height],
            [padding_width, padding_width],
            [0, 0],
        ]
        return ops.pad(input_tensor, padding_tensor, mode="reflect")


@MODELS.add(classification=False)
def cycle_gan_generator():
    gamma_init = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)

    def instance_norm(x):
        return layers.GroupNormalization(groups=-1, gamma_initializer=gamma_init)(x)

    def residual_block(x, activation):
        dim = x.shape[-1]
        y = ReflectionPadding2D()(x)
        y = activation(instance_norm(layers.Conv2D(dim, (3, 3), padding="valid", use_bias=False)(y)))
        y = ReflectionPadding2D()(y)
        y = instance_norm(layers.Conv2D(dim, (3, 3), padding="valid", use_bias=False)(y))
        return layers.add([x, y])

    img_input = layers.Input(shape=(16, 16, 3))
    x = ReflectionPadding2D(padding=(3, 3))(img_input)
    x = layers.Activation("relu")(instance_norm(layers.Conv2D(8, (7, 7), use_bias=False)(x)))
    x = layers.Conv2D(16, (3, 3), strides=(2, 2), padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(instance_norm(x))
    x = residual_block(x, layers.Activation("relu"))
    x = layers.Conv2DTranspose(8, (3, 3), strides=(2, 2), padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(instance_norm(x))
    x = ReflectionPadding2D(padding=(3, 3))(x)
    x = layers.Activation("tanh")(layers.Conv2D(3, (7, 7), padding="valid")(x))
    return keras.models.Model(img_input, x, name="generator_G"), images(16, 16, 3, low=-1.0)


def get_mean_std(x, epsilon=1e-5):
    axes = [1, 2]
    mean, variance = tf.nn.moments(x, axes=axes, keepdims=True)
    standard_deviation = tf.sqrt(variance + epsilon)
    return mean, standard_deviation


def ada_in(style, content):
    content_mean, content_std = get_mean_std(content)
    style_mean, style_std = get_mean_std(style)
    return style_std * (content - content_mean) / content_std + style_mean


class NeuralStyleTransfer(keras.Model):
    def __init__(self, encoder, decoder, style_weight=4.0, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.style_weight = style_weight

    def call(self, inputs):
        style, content = inputs
        style_encoded = self.encoder(style)
        content_encoded = self.encoder(content)
        t = ada_in(style=style_encoded, content=content_encoded)
        return self.decoder(t)


@MODELS.add(classification=False)
def adain_style_transfer():
    encoder = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(12, 3, padding="same", activation="relu"),
        ]
    )
    encoder.trainable = False
    settings = {"kernel_size": 3, "strides": 1, "padding": "same", "activation": "relu"}
    decoder = keras.Sequential(
        [
            layers.InputLayer((None, None, 12)),
            layers.Conv2D(filters=12, **settings),
            layers.UpSampling2D(),
            layers.Conv2D(filters=8, **settings),
            layers.Conv2D(filters=3, kernel_size=3, strides=1, padding="same", activation="sigmoid"),
        ]
    )
    data = images(16, 16, 3)
    return NeuralStyleTransfer(encoder, decoder), [data[::-1].copy(), data]


@keras.saving.register_keras_serializable(package="zoo")
def sinusoidal_embedding(x):
    frequencies = ops.exp(ops.linspace(ops.log(1.0), ops.log(100.0), 4))
    angular_speeds = ops.cast(2.0 * math.pi * frequencies, "float32")
    return ops.concatenate([ops.sin(angular_speeds * x), ops.cos(angular_speeds * x)], axis=3)


@MODELS.add(classification=False)
def ddim_unet():
    def residual_block(width):
        def apply(x):
            input_width = x.shape[3]
            residual = x if input_width == width else layers.Conv2D(width, kernel_size=1)(x)
            x = layers.BatchNormalization(center=False, scale=False)(x)
            x = layers.Conv2D(width, kernel_size=3, padding="same", activation="swish")(x)
            x = layers.Conv2D(width, kernel_size=3, padding="same")(x)
            return layers.Add()([x, residual])

        return apply

    noisy_images = keras.Input(shape=(16, 16, 3))
    noise_variances = keras.Input(shape=(1, 1, 1))
    e = layers.Lambda(sinusoidal_embedding, output_shape=(1, 1, 8))(noise_variances)
    e = layers.UpSampling2D(size=16, interpolation="nearest")(e)
    x = layers.Conv2D(8, kernel_size=1)(noisy_images)
    x = layers.Concatenate()([x, e])
    skips = []
    x = residual_block(8)(x)
    skips.append(x)
    x = layers.AveragePooling2D(pool_size=2)(x)
    x = residual_block(16)(x)
    x = layers.UpSampling2D(size=2, interpolation="bilinear")(x)
    x = layers.Concatenate()([x, skips.pop()])
    x = residual_block(8)(x)
    x = layers.Conv2D(3, kernel_size=1, kernel_initializer="glorot_uniform")(x)
    model = keras.Model([noisy_images, noise_variances], x, name="residual_unet")
    return model, [images(16, 16, 3, low=-1.0), numbers(1, 1, 1, low=0.0)]


def kernel_init(scale):
    scale = max(scale, 1e-10)
    return keras.initializers.VarianceScaling(scale, mode="fan_avg", distribution="uniform")


class AttentionBlock(layers.Layer):
    """Attention over pixels, as the denoising diffusion example writes it."""

    def __init__(self, units, groups=8, **kwargs):
        self.units = units
        self.groups = groups
        super().__init__(**kwargs)
        self.norm = layers.GroupNormalization(groups=groups)
        self.query = layers.Dense(units, kernel_initializer=kernel_init(1.0))
        self.key = layers.Dense(units, kernel_initializer=kernel_init(1.0))
        self.value = layers.Dense(units, kernel_initializer=kernel_init(1.0))
        self.proj = layers.Dense(units, kernel_initializer=kernel_init(1.0))

    def call(self, inputs):
        batch_size = tf.shape(inputs)[0]
        height = tf.shape(inputs)[1]
        width = tf.shape(inputs)[2]
        scale = tf.cast(self.units, tf.float32) ** (-0.5)
        inputs = self.norm(inputs)
        q, k, v = self.query(inputs), self.key(inputs), self.value(inputs)
        attn_score = tf.einsum("bhwc, bHWc->bhwHW", q, k) * scale
        attn_score = tf.reshape(attn_score, [batch_size, height, width, height * width])
        attn_score = tf.nn.softmax(attn_score, -1)
        attn_score = tf.reshape(attn_score, [batch_size, height, width, height, width])
        proj = tf.einsum("bhwHW,bHWc->bhwc", attn_score, v)
        proj = self.proj(proj)
        return inputs + proj


class TimeEmbedding(layers.Layer):
    def __init__(self, dim, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.half_dim = dim // 2
        self.emb = math.log(10000) / (self.half_dim - 1)
        self.emb = tf.exp(tf.range(self.half_dim, dtype=tf.float32) * -self.emb)

    def call(self, inputs):
        inputs = tf.cast(inputs, dtype=tf.float32)
        emb = inputs[:, None] * self.emb[None, :]
        return tf.concat([tf.sin(emb), tf.cos(emb)], axis=-1)


@MODELS.add(classification=False)
def denoising_diffusion_unet():
    image_input = layers.Input(shape=(8, 8, 3), name="image_input")
    time_input = keras.Input(shape=(), dtype=tf.int64, name="time_input")
    x = layers.Conv2D(16, kernel_size=(3, 3), padding="same", kernel_initializer=kernel_init(1.0))(
        image_input
    )
    temb = TimeEmbedding(dim=16)(time_input)
    temb = layers.Dense(16, activation=keras.activations.swish, kernel_initializer=kernel_init(1.0))(temb)
    temb = layers.Dense(16, kernel_initializer=kernel_init(1.0))(temb)
    residual = x
    y = keras.activations.swish(temb)
    y = layers.Dense(16)(y)[:, None, None, :]
    x = keras.activations.swish(layers.GroupNormalization(groups=8)(x))
    x = layers.Conv2D(16, 3, padding="same", kernel_initializer=kernel_init(1.0))(x)
    x = layers.Add()([x, y])
    x = keras.activations.swish(layers.GroupNormalization(groups=8)(x))
    x = layers.Conv2D(16, 3, padding="same", kernel_initializer=kernel_init(1.0))(x)
    x = layers.Add()([x, residual])
    x = AttentionBlock(16, groups=8)(x)
    x = keras.activations.swish(layers.GroupNormalization(groups=8)(x))
    x = layers.Conv2D(3, (3, 3), padding="same", kernel_initializer=kernel_init(1.0))(x)
    times = np.random.default_rng(0).integers(0, 1000, 40)
    return keras.Model([image_input, time_input], x, name="unet"), [images(8, 8, 3, low=-1.0), times]


class SPADE(layers.Layer):
    def __init__(self, filters, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.conv = layers.Conv2D(8, 3, padding="same", activation="relu")
        self.conv_gamma = layers.Conv2D(filters, 3, padding="same")
        self.conv_beta = layers.Conv2D(filters, 3, padding="same")

    def build(self, input_shape):
        self.resize_shape = input_shape[1:3]

    def call(self, input_tensor, raw_mask):
        mask = ops.image.resize(raw_mask, self.resize_shape, interpolation="nearest")
        x = self.conv(mask)
        gamma = self.conv_gamma(x)
        beta = self.conv_beta(x)
        mean, var = ops.moments(input_tensor, axes=(0, 1, 2), keepdims=True)
        std = ops.sqrt(var + self.epsilon)
        normalized = (input_tensor - mean) / std
        return gamma * normalized + beta


class PerImageSPADE(SPADE):
    """The same with moments of each image: the batch's own make an output depend on its neighbours."""

    def call(self, input_tensor, raw_mask):
        mask = ops.image.resize(raw_mask, self.resize_shape, interpolation="nearest")
        x = self.conv(mask)
        mean, var = ops.moments(input_tensor, axes=(1, 2), keepdims=True)
        normalized = (input_tensor - mean) / ops.sqrt(var + self.epsilon)
        return self.conv_gamma(x) * normalized + self.conv_beta(x)


class SpadeResBlock(layers.Layer):
    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        input_filter = input_shape[-1]
        self.spade_1 = PerImageSPADE(input_filter)
        self.spade_2 = PerImageSPADE(self.filters)
        self.conv_1 = layers.Conv2D(self.filters, 3, padding="same")
        self.conv_2 = layers.Conv2D(self.filters, 3, padding="same")
        self.learned_skip = False
        if self.filters != input_filter:
            self.learned_skip = True
            self.spade_3 = PerImageSPADE(input_filter)
            self.conv_3 = layers.Conv2D(self.filters, 3, padding="same")

    def call(self, input_tensor, mask):
        x = self.spade_1(input_tensor, mask)
        x = self.conv_1(keras.activations.leaky_relu(x, 0.2))
        x = self.spade_2(x, mask)
        x = self.conv_2(keras.activations.leaky_relu(x, 0.2))
        skip = (
            self.conv_3(keras.activations.leaky_relu(self.spade_3(input_tensor, mask), 0.2))
            if self.learned_skip
            else input_tensor
        )
        return skip + x


@MODELS.add(classification=False)
def gaugan_generator():
    latent = keras.Input(shape=(12,))
    mask = keras.Input(shape=(16, 16, 4))
    x = layers.Dense(4 * 4 * 16)(latent)
    x = layers.Reshape((4, 4, 16))(x)
    x = SpadeResBlock(filters=16)(x, mask)
    x = layers.UpSampling2D((2, 2))(x)
    x = SpadeResBlock(filters=8)(x, mask)
    x = layers.UpSampling2D((2, 2))(x)
    x = keras.activations.leaky_relu(x, 0.2)
    output_image = keras.activations.tanh(layers.Conv2D(3, 4, padding="same")(x))
    masks = np.eye(4, dtype="float32")[
        np.random.default_rng(0).integers(0, 4, (40, 4, 4)).repeat(4, 1).repeat(4, 2)
    ]
    noise = np.random.default_rng(1).normal(size=(40, 12)).astype("float32")
    return keras.Model([latent, mask], output_image, name="generator"), [noise, masks]


class PixelConvLayer(layers.Layer):
    """A convolution whose kernel is masked, built inside."""

    def __init__(self, mask_type, **kwargs):
        super().__init__()
        self.mask_type = mask_type
        self.conv = layers.Conv2D(**kwargs)

    def build(self, input_shape):
        self.conv.build(input_shape)
        kernel_shape = ops.shape(self.conv.kernel)
        self.mask = np.zeros(shape=kernel_shape)
        self.mask[: kernel_shape[0] // 2, ...] = 1.0
        self.mask[kernel_shape[0] // 2, : kernel_shape[1] // 2, ...] = 1.0
        if self.mask_type == "B":
            self.mask[kernel_shape[0] // 2, kernel_shape[1] // 2, ...] = 1.0

    def call(self, inputs):
        self.conv.kernel.assign(self.conv.kernel * self.mask)
        return self.conv(inputs)


class PixelResidualBlock(keras.layers.Layer):
    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = keras.layers.Conv2D(filters=filters, kernel_size=1, activation="relu")
        self.pixel_conv = PixelConvLayer(
            mask_type="B", filters=filters // 2, kernel_size=3, activation="relu", padding="same"
        )
        self.conv2 = keras.layers.Conv2D(filters=filters, kernel_size=1, activation="relu")

    def call(self, inputs):
        x = self.conv1(inputs)
        x = self.pixel_conv(x)
        x = self.conv2(x)
        return keras.layers.add([inputs, x])


@MODELS.add(classification=False)
def pixel_cnn():
    inputs = keras.Input(shape=(12, 12, 1), batch_size=None)
    x = PixelConvLayer(mask_type="A", filters=12, kernel_size=7, activation="relu", padding="same")(inputs)
    x = PixelResidualBlock(filters=12)(x)
    x = PixelConvLayer(
        mask_type="B", filters=12, kernel_size=1, strides=1, activation="relu", padding="valid"
    )(x)
    out = keras.layers.Conv2D(filters=1, kernel_size=1, strides=1, activation="sigmoid", padding="valid")(x)
    return keras.Model(inputs, out), (images(12, 12, 1) > 0.5).astype("float32")


def _coupling(input_shape):
    inputs = keras.layers.Input(shape=(input_shape,))
    reg = keras.regularizers.l2(0.01)

    def branch(last):
        x = inputs
        for _ in range(2):
            x = keras.layers.Dense(16, activation="relu", kernel_regularizer=reg)(x)
        return keras.layers.Dense(input_shape, activation=last, kernel_regularizer=reg)(x)

    return keras.Model(inputs=inputs, outputs=[branch("tanh"), branch("linear")])


class RealNVP(keras.Model):
    def __init__(self, num_coupling_layers):
        super().__init__()
        self.num_coupling_layers = num_coupling_layers
        self.masks = np.array([[0, 1], [1, 0]] * (num_coupling_layers // 2), dtype="float32")
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.layers_list = [_coupling(2) for _ in range(num_coupling_layers)]

    @property
    def metrics(self):
        return [self.loss_tracker]

    def call(self, x, training=True):
        log_det_inv = 0
        direction = -1 if training else 1
        for i in range(self.num_coupling_layers)[::direction]:
            x_masked = x * self.masks[i]
            reversed_mask = 1 - self.masks[i]
            s, t = self.layers_list[i](x_masked)
            s *= reversed_mask
            t *= reversed_mask
            gate = (direction - 1) / 2
            x = reversed_mask * (x * ops.exp(direction * s) + direction * t * ops.exp(gate * s)) + x_masked
            log_det_inv += gate * ops.sum(s, axis=1)
        return x, log_det_inv


@MODELS.add(classification=False)
def real_nvp():
    return RealNVP(4), numbers(2, low=-2, high=2)


@MODELS.add
def text_generation_character_lstm():
    model = keras.Sequential(
        [keras.Input(shape=(10, 16)), layers.LSTM(24), layers.Dense(16, activation="softmax")]
    )
    return model, np.eye(16, dtype="float32")[tokens(10, 16, low=0)]


class AdaptiveGroupNorm(layers.Layer):
    """A style vector scales and shifts, as in the style-based generators."""

    def build(self, input_shapes):
        x_shape = input_shapes[0]
        w_shape = input_shapes[1]
        self.w_channels = w_shape[-1]
        self.x_channels = x_shape[-1]
        self.dense_1 = EqualizedDense(self.x_channels, gain=1)
        self.dense_2 = EqualizedDense(self.x_channels, gain=1)
        self.dense_1.build(w_shape)
        self.dense_2.build(w_shape)

    def call(self, inputs):
        x, w = inputs
        ys = tf.reshape(self.dense_1(w), (-1, 1, 1, self.x_channels))
        yb = tf.reshape(self.dense_2(w), (-1, 1, 1, self.x_channels))
        mean = ops.mean(x, axis=(1, 2), keepdims=True)
        std = ops.std(x, axis=(1, 2), keepdims=True)
        return ys * ((x - mean) / (std + 1e-5)) + yb


class EqualizedDense(layers.Layer):
    def __init__(self, units, gain=2, learning_rate_multiplier=1, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.gain = gain
        self.learning_rate_multiplier = learning_rate_multiplier

    def build(self, input_shape):
        self.in_channels = input_shape[-1]
        initializer = keras.initializers.RandomNormal(mean=0.0, stddev=1.0 / self.learning_rate_multiplier)
        self.w = self.add_weight(
            shape=[self.in_channels, self.units], initializer=initializer, trainable=True, name="kernel"
        )
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True, name="bias")
        fan_in = self.in_channels
        self.scale = ops.sqrt(self.gain / fan_in)

    def call(self, inputs):
        output = ops.add(ops.matmul(inputs, self.scale * self.w), self.b)
        return output * self.learning_rate_multiplier


class EqualizedConv(layers.Layer):
    def __init__(self, out_channels, kernel=3, gain=2, **kwargs):
        super().__init__(**kwargs)
        self.kernel = kernel
        self.out_channels = out_channels
        self.gain = gain
        self.pad = kernel != 1

    def build(self, input_shape):
        self.in_channels = input_shape[-1]
        initializer = keras.initializers.RandomNormal(mean=0.0, stddev=1.0)
        self.w = self.add_weight(
            shape=[self.kernel, self.kernel, self.in_channels, self.out_channels],
            initializer=initializer,
            trainable=True,
            name="kernel",
        )
        self.b = self.add_weight(shape=(self.out_channels,), initializer="zeros", trainable=True, name="bias")
        self.scale = ops.sqrt(self.gain / (self.kernel * self.kernel * self.in_channels))

    def call(self, inputs):
        x = ops.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="constant") if self.pad else inputs
        return ops.conv(x, self.scale * self.w, strides=1, padding="valid") + self.b


@MODELS.add(classification=False)
def style_gan_synthesis():
    style = keras.Input((12,))
    w = style
    for _ in range(2):
        w = layers.LeakyReLU(0.2)(EqualizedDense(12)(w))
    x = layers.Reshape((4, 4, 12))(layers.Dense(4 * 4 * 12)(w))
    x = layers.LeakyReLU(0.2)(EqualizedConv(12)(x))
    x = AdaptiveGroupNorm()([x, w])
    x = layers.UpSampling2D((2, 2))(x)
    x = layers.LeakyReLU(0.2)(EqualizedConv(8)(x))
    x = AdaptiveGroupNorm()([x, w])
    model = keras.Model(style, EqualizedConv(3, kernel=1, gain=1)(x))
    return model, np.random.default_rng(0).normal(size=(40, 12)).astype("float32")
