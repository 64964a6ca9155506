"""Handwritten digits, 8x8: a small residual CNN, pruned and quantized to an int8 file.

The model takes its input shape and number of classes from the data, so that
`tfopt run recipes/digits.py --data mnist.npz` works as it is.
"""

import keras

import tfopt


def small_cnn(input_shape, num_classes, width):
    """Two convolutions, a separable one in a residual branch, and two dense layers."""
    layers = keras.layers
    inputs = keras.Input(input_shape, name="image")
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, name="conv1")(inputs)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Conv2D(2 * width, 3, strides=2, padding="same", use_bias=False, name="conv2")(x)
    x = layers.BatchNormalization(name="bn2")(x)
    x = shortcut = layers.ReLU(name="relu2")(x)
    x = layers.SeparableConv2D(2 * width, 3, padding="same", use_bias=False, name="separable")(x)
    x = layers.BatchNormalization(name="bn3")(x)
    x = layers.Add(name="add")([x, shortcut])
    x = layers.ReLU(name="relu3")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Dense(4 * width, activation="relu", name="hidden")(x)
    # Logits: a softmax can turn an error of one LSB into one of ten, and int8 files are slow at it. The order
    # of the classes is the same.
    outputs = layers.Dense(num_classes, name="head")(x)
    return keras.Model(inputs, outputs, name="small_cnn")


def build(hp):
    return tfopt.Recipe(
        data=tfopt.data.load("digits"),
        model=lambda data: small_cnn(
            data.input_shape, data.num_classes, width=hp.Int("width", 8, 32, step=8, default=16)
        ),
        optimizer=lambda steps: tfopt.optimizers.Adan(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 1e-1, sampling="log", default=1e-2),
                warmup_steps=steps // 20,
                total_steps=steps,
            )
        ),
        callbacks=[tfopt.callbacks.GradientClipping("adaptive", 0.05, rules={"head": None})],
        stages=[
            tfopt.Train(epochs=20),
            # The first layer sees all there is with 144 weights: zeros there cost accuracy and save nothing.
            tfopt.Prune(
                sparsity=hp.Float("sparsity", 0.5, 0.95, default=0.8), epochs=30, rules={"conv1": None}
            ),
            tfopt.QuantizeAware("int8", epochs=15),
            tfopt.ExportTFLite(),
        ],
        batch_size=32,
    )
