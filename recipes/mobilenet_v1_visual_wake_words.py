"""MLPerf Tiny's visual wake words (is a person in the picture?): MobileNetV1 at a quarter of its width, int8.

Architecture: mlcommons/tiny, benchmark/training/visual_wake_words: 96x96 RGB, 8 to 256 channels, plain
ReLU.
Quality target there: 80 % top-1 on a set made of COCO 2014, 50 epochs.

    tfopt run recipes/mobilenet_v1_visual_wake_words.py --data vw_coco2014_96/

The folder holds two folders of images, such as `person/` and `non_person/`, or `train/` and `test/` with
these. The images are made 96x96, whatever their size. They are flipped and shifted in training alone.
"""

from pathlib import Path

import keras

import tfopt

BLOCKS = [(1, 2), (2, 4), (1, 4), (2, 8), (1, 8), (2, 16), *[(1, 16)] * 5, (2, 32), (1, 32)]
"""Strides of each depthwise separable block, and its channels by those of the first convolution."""


def images(source=None):
    """Two classes of images of a folder or a file."""
    if source is None:
        raise tfopt.errors.DataError(
            "This recipe has no data of its own: give a folder with two folders of images, such as the "
            "Visual Wake Words: --data vw_coco2014_96/."
        )
    size = {"image_size": 96} if Path(source).is_dir() else {}
    data = tfopt.data.load(source, class_weight="balanced", **size)
    return data.require(
        input_shape=(96, 96, 3), classes=2, why="The recipe tells two classes of images apart."
    )


def mobilenet_v1(input_shape, num_classes, filters):
    """A convolution and 13 depthwise separable blocks."""
    layers = keras.layers
    options = {"padding": "same", "kernel_initializer": "he_normal"}
    decay = keras.regularizers.L2(1e-4)

    def normalized(x, name):
        return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))

    inputs = keras.Input(input_shape, name="image")
    x = layers.RandomFlip("horizontal", name="flip")(inputs)
    x = layers.RandomTranslation(0.05, 0.05, name="shift")(x)
    x = normalized(layers.Conv2D(filters, 3, 2, kernel_regularizer=decay, name="stem", **options)(x), "stem")
    for block, (strides, multiple) in enumerate(BLOCKS, start=1):
        depthwise, pointwise = f"depthwise{block}", f"pointwise{block}"
        x = layers.DepthwiseConv2D(
            3,
            strides,
            padding="same",
            depthwise_initializer="he_normal",
            depthwise_regularizer=decay,
            name=depthwise,
        )(x)
        x = normalized(x, depthwise)
        x = layers.Conv2D(filters * multiple, 1, kernel_regularizer=decay, name=pointwise, **options)(x)
        x = normalized(x, pointwise)
    x = layers.AveragePooling2D(x.shape[1:3], name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(num_classes, "softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="mobilenet_v1")


def build(hp):
    return tfopt.Recipe(
        data=images,
        model=lambda data: mobilenet_v1(
            data.input_shape, data.num_classes, filters=hp.Choice("filters", [4, 8, 16], default=8)
        ),
        optimizer=lambda steps: keras.optimizers.Adam(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 1e-2, sampling="log", default=1e-3),
                warmup_steps=steps // 20,
                total_steps=steps,
            )
        ),
        stages=[
            tfopt.Train(epochs=50),
            tfopt.QuantizeAware("int8", epochs=8),
            tfopt.ExportTFLite(max_drop=0.01),
        ],
        batch_size=32,
    )
