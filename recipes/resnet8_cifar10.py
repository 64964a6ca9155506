"""MLPerf Tiny's image classification: ResNet-8 on CIFAR-10, quantized to int8.

Architecture: mlcommons/tiny, benchmark/training/image_classification (78,666 weights at width 16, as the
published `pretrainedResnet`; the script there has 26). Quality target there: 85 % top-1, on the whole of
CIFAR-10 after 500 epochs. Here: an int8 file within 0.3 points of the float model.

    tfopt run recipes/resnet8_cifar10.py [--data cifar10.npz] [--set epochs=100]

Without `--data`, Keras downloads CIFAR-10. A file of your own holds x_train, y_train, x_test, y_test: RGB
images of one size, such as 32x32, and labels. The images are flipped and shifted in training alone; the
file does not hold those layers.
"""

import keras

import tfopt


def images(source="cifar10"):
    """Images of three channels, in classes."""
    data = tfopt.data.load(source)
    return data.require(input_shape=(None, None, 3), classes=True, why="The recipe is for RGB images.")


def resnet8(input_shape, num_classes, width):
    """A convolution and three residual stacks of two; the second and third halve the size."""
    layers = keras.layers
    decay = keras.regularizers.L2(1e-4)

    def conv(x, filters, size, strides, name):
        return layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            kernel_initializer="he_normal",
            kernel_regularizer=decay,
            name=name,
        )(x)

    def normalized(x, name, relu=True):
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x

    inputs = keras.Input(input_shape, name="image")
    x = layers.RandomFlip("horizontal", name="flip")(inputs)
    x = layers.RandomTranslation(0.1, 0.1, name="shift")(x)
    x = normalized(conv(x, width, 3, 1, "stem"), "stem")
    for stack, filters in enumerate((width, 2 * width, 4 * width), start=1):
        strides = 1 if stack == 1 else 2
        y = normalized(conv(x, filters, 3, strides, f"stack{stack}_a"), f"stack{stack}_a")
        y = normalized(conv(y, filters, 3, 1, f"stack{stack}_b"), f"stack{stack}_b", relu=False)
        if stack > 1:
            x = conv(x, filters, 1, strides, f"stack{stack}_shortcut")
        x = layers.Add(name=f"stack{stack}_add")([x, y])
        x = layers.ReLU(name=f"stack{stack}_relu")(x)
    x = layers.AveragePooling2D(min(x.shape[1:3]), name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(num_classes, "softmax", kernel_initializer="he_normal", name="head")(x)
    return keras.Model(inputs, outputs, name="resnet8")


def build(hp):
    epochs = hp.Int("epochs", 5, 500, default=40)
    return tfopt.Recipe(
        data=images,
        model=lambda data: resnet8(
            data.input_shape, data.num_classes, width=hp.Choice("width", [8, 16, 26], default=16)
        ),
        optimizer=lambda steps: keras.optimizers.Adam(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 1e-2, sampling="log", default=2e-3),
                warmup_steps=steps // 20,
                total_steps=steps,
            )
        ),
        stages=[
            tfopt.Train(epochs=epochs),
            tfopt.QuantizeAware("int8", epochs=max(1, epochs // 5)),
            tfopt.ExportTFLite(max_drop=0.003),
        ],
        batch_size=64,
    )
