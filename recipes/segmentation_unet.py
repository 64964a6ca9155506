"""Segmentation: a small U-Net whose output is the class of each pixel, judged by mean IoU, quantized to int8.

Data: made here, discs and squares on textured ground (64x64, 3 classes), since none ships. Of your own:
`--data masks.npz` with x_train, y_train, x_test, y_test: x RGB images, y the class of each pixel, whole
numbers from 0, shape (images, height, width). Height and width must be multiples of 8.
Quality target: an int8 file within 0.02 mean IoU of the float model.

    tfopt run recipes/segmentation_unet.py [--data masks.npz]
"""

import keras
import numpy as np

import tfopt

CLASSES = ["ground", "disc", "square"]
LEVELS = 3


def made(count=600, size=64, seed=0):
    """Images with one disc and one square each, and the class of each pixel; discs cover squares."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size]
    images = rng.integers(60, 140, (count, size // 8, size // 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    masks = np.zeros((count, size, size), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        for label in (2, 1):
            radius = rng.integers(size // 10, size // 5)
            y, x = rng.integers(radius, size - radius, 2)
            distance = np.stack([abs(row - y), abs(column - x)])
            inside = distance.max(axis=0) <= radius if label == 2 else np.hypot(*distance) <= radius
            mask[inside] = label
            image[inside] = rng.integers(0, 256, 3)
    noisy = images + rng.normal(scale=12, size=images.shape)
    return noisy.clip(0, 255).astype(np.uint8), masks


def images(source=None):
    """Images and the class of each pixel, of a file or made here."""
    if source is None:
        x, y = made()
        return tfopt.data.from_arrays(x, y, num_classes=None, name="shapes")
    data = tfopt.data.load(source, num_classes=None)
    why = (
        f"A target is the class of each pixel, (height, width), of an RGB image in multiples of {2**LEVELS}."
    )
    data.require(input_shape=(None, None, 3), why=why)
    height, width = data.input_shape[:2]
    if height % 2**LEVELS or width % 2**LEVELS:
        raise tfopt.errors.DataError(f"The images are {height}x{width}, which does not fit. {why}")
    return data.require(target_shape=(height, width), labels_below=256, why=why)


def classes(data):
    """How many classes the pixels have."""
    return int(max(data.y_train.max(), data.y_val.max(), data.y_test.max())) + 1


def unet(input_shape, num_classes, width):
    """Three levels down, three up, with a connection across at each."""
    layers = keras.layers

    def block(x, filters, name):
        for part in "ab":
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_{part}")(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_{part}_bn")(x)
            x = layers.ReLU(name=f"{name}_{part}_relu")(x)
        return x

    inputs = keras.Input(input_shape, name="image")
    x, across = inputs, []
    for level in range(LEVELS):
        x = block(x, width << level, f"down{level + 1}")
        across.append(x)
        x = layers.MaxPooling2D(name=f"pool{level + 1}")(x)
    x = block(x, width << LEVELS, "bottom")
    for level in reversed(range(LEVELS)):
        x = layers.Conv2DTranspose(width << level, 2, strides=2, name=f"up{level + 1}")(x)
        x = layers.Concatenate(name=f"across{level + 1}")([x, across[level]])
        x = block(x, width << level, f"up{level + 1}_conv")
    outputs = layers.Conv2D(num_classes, 1, name="head")(x)
    return keras.Model(inputs, outputs, name="unet")


def build(hp):
    return tfopt.Recipe(
        data=images,
        model=lambda data: unet(
            data.input_shape, classes(data), width=hp.Int("width", 4, 32, step=4, default=8)
        ),
        optimizer=lambda steps: keras.optimizers.Adam(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 1e-2, sampling="log", default=5e-3),
                warmup_steps=steps // 20,
                total_steps=steps,
            )
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=lambda data: [keras.metrics.MeanIoU(classes(data), sparse_y_pred=False, name="mean_iou")],
        stages=[
            tfopt.Train(epochs=15),
            tfopt.QuantizeAware("int8", epochs=3),
            tfopt.ExportTFLite(max_drop=0.02),
        ],
        batch_size=16,
    )
