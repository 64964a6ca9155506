"""Detection of one object: two heads on one backbone, what it is and where, quantized to int8.

Data: made here, one disc, square or bar an image (48x48), since none ships. Of your own: `--data boxes.npz`
with x_train, y_train/label, y_train/box and the same of test: x RGB images, labels from 0, boxes as (top,
left, bottom, right) in shares of the image, from 0 to 1. numpy.savez(path, **{"x_train": ...,
"y_train/label": ..., "y_train/box": ...}).
Quality targets: an int8 file within one point of the float model's accuracy and 0.02 of its box IoU.

    tfopt run recipes/detection_head.py [--data boxes.npz]
"""

import keras
import numpy as np

import tfopt


def made(count=1500, size=48, seed=0):
    """Images with one object each; its label and its box."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size]
    images = rng.normal(110, 15, (count, size, size, 3))
    labels = np.arange(count) % 3
    boxes = np.zeros((count, 4), np.float32)
    for image, label, box in zip(images, labels, boxes, strict=True):
        height = rng.integers(size // 6, size // 3)
        width = height if label < 2 else max(height // 3, 2)
        y, x = rng.integers(height, size - height), rng.integers(width, size - width)
        down, right = (row - y) / height, (column - x) / width
        inside = np.hypot(down, right) <= 1 if label == 0 else np.maximum(abs(down), abs(right)) <= 1
        image[inside] += rng.choice([-1, 1]) * rng.uniform(40, 90, 3)
        box[:] = (y - height) / size, (x - width) / size, (y + height) / size, (x + width) / size
    return images.clip(0, 255).astype(np.uint8), {"label": labels, "box": boxes}


def images(source=None):
    """Images with the label and the box of their object, of a file or made here."""
    if source is None:
        x, y = made()
        return tfopt.data.from_arrays(x, y, name="objects")
    data = tfopt.data.load(source, num_classes=None)
    data.require(
        input_shape=(None, None, 3),
        target_shape={"label": (), "box": (4,)},
        labels_below={"label": 1000},
        why="An image has one label and one box.",
    )
    boxes = data.y_train["box"]
    if boxes.min() < 0 or boxes.max() > 1:
        raise tfopt.errors.DataError(
            f"The boxes hold {boxes.min():g} to {boxes.max():g}, which does not fit: expected are shares of "
            "the image from 0 to 1. Divide pixels by the height or width."
        )
    return data


def classes(data):
    """How many classes the objects have."""
    return int(max(data.y_train["label"].max(), data.y_val["label"].max(), data.y_test["label"].max())) + 1


@keras.saving.register_keras_serializable("recipes")
def iou(y_true, y_pred):
    """The area that two boxes share by the area that they cover."""
    ops = keras.ops
    low = ops.maximum(y_true[:, :2], y_pred[:, :2])
    high = ops.minimum(y_true[:, 2:], y_pred[:, 2:])
    shared = ops.prod(ops.maximum(high - low, 0.0), axis=1)
    areas = [ops.prod(ops.maximum(box[:, 2:] - box[:, :2], 0.0), axis=1) for box in (y_true, y_pred)]
    return shared / (areas[0] + areas[1] - shared + 1e-7)


def detector(input_shape, num_classes, width):
    """Four convolutions, and a head each for label and box."""
    layers = keras.layers
    inputs = keras.Input(input_shape, name="image")
    x = inputs
    for number, filters in enumerate((width, 2 * width, 4 * width, 4 * width), start=1):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"bn{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(8 * width, activation="relu", name="hidden")(x)
    outputs = {
        "label": layers.Dense(num_classes, name="label")(x),
        "box": layers.Dense(4, activation="sigmoid", name="box")(x),
    }
    return keras.Model(inputs, outputs, name="detector")


def build(hp):
    return tfopt.Recipe(
        data=images,
        model=lambda data: detector(
            data.input_shape, classes(data), width=hp.Int("width", 4, 32, step=4, default=12)
        ),
        optimizer=lambda steps: keras.optimizers.Adam(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 1e-2, sampling="log", default=3e-3),
                warmup_steps=steps // 20,
                total_steps=steps,
            )
        ),
        loss={
            "label": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "box": "mean_absolute_error",
        },
        loss_weights={"label": 1.0, "box": hp.Float("box_weight", 1.0, 30.0, sampling="log", default=10.0)},
        metrics={"label": ["accuracy"], "box": [iou]},
        stages=[
            tfopt.Train(epochs=30),
            tfopt.Prune(
                sparsity=hp.Float("sparsity", 0.5, 0.9, default=0.7), epochs=20, rules={"conv1": None}
            ),
            tfopt.QuantizeAware("int8", epochs=8),
            tfopt.ExportTFLite(max_drop=0.01),
        ],
        batch_size=32,
    )
