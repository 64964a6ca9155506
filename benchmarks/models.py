"""Models that several benchmarks train, and how they are trained."""

import keras
import tensorflow as tf

import tfopt

LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def small_cnn(library, activation=None):
    """Return three blocks of convolution, batch normalization, ReLU and pooling on 32x32 pixels, and a head.

    Args:
        library: `keras` or `tf_keras`.
        activation: of the ten outputs.
    """
    layers = library.layers
    blocks = [
        layer
        for width in (16, 32, 64)
        for layer in (
            layers.Conv2D(width, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
        )
    ]
    head = [layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10, activation)]
    return library.Sequential([library.Input((32, 32, 3)), *blocks, *head], name="small_cnn")


def resnet_20(shape, classes, width):
    """Return ResNet-20: three stages of three blocks, `width`, twice and four times as wide."""
    L = keras.layers

    def conv(x, filters, kernel, strides=1):
        x = L.Conv2D(
            filters, kernel, strides, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(x)
        return L.BatchNormalization(momentum=0.9)(x)  # 0.99 needs more steps than a short training has

    inputs = keras.Input(shape)
    x = L.ReLU()(conv(inputs, width, 3))
    for stage in range(3):
        for block in range(3):
            strides = 2 if stage and not block else 1
            y = L.ReLU()(conv(x, width << stage, 3, strides))
            y = conv(y, width << stage, 3)
            x = conv(x, width << stage, 1, strides) if strides > 1 else x
            x = L.ReLU()(L.Add()([x, y]))
    return keras.Model(inputs, L.Dense(classes)(L.GlobalAveragePooling2D()(x)), name="resnet_20")


def kept(folder, name, make):
    """Return the model of that name in a folder; made, and saved there, where it is not yet."""
    if folder is None:
        return make()
    path = folder / f"{name}.keras"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        make().save(path)
    return keras.models.load_model(path, compile=False)


def moved(images, labels):
    """Return images flipped at random, and moved by at most two pixels with their labels."""
    pad = [[0, 0], [2, 2], [2, 2], [0, 0]]
    crop = tf.image.random_crop(tf.pad(images, pad, "REFLECT"), tf.shape(images))
    return tf.image.random_flip_left_right(crop), labels


def batches(x, y, seed, size, flips):
    """Return the batches of an epoch, in another order in each, their images moved if `flips`."""
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed).batch(size)
    return data.map(moved) if flips else data


def compiled(model, rate, steps):
    """Compile with fused batch normalization, as a stage does, for so many steps; the rate ends at 0."""
    tfopt.graph.fuse_in_place(model)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    model.compile(optimizer, LOGITS, jit_compile=False)  # XLA takes 1.6 times as long here
    return model
