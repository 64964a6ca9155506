"""What the learning rate of a fine-tuning stage does to accuracy: pruning and quantization-aware training.

Two small models of the digits, trained for 25 epochs with Adam at two rates and two seeds; then one stage at
a share of that rate. Prints the mean accuracy on the test split, in percent.
"""

import tempfile

import keras
import numpy as np

import tfopt

SHARES = (1.0, 0.5, 0.3, 0.1)
STAGES = {
    "Prune(0.8, epochs=3)": lambda rate: tfopt.Prune(0.8, epochs=3, learning_rate=rate),
    "Prune(0.8, epochs=6)": lambda rate: tfopt.Prune(0.8, epochs=6, learning_rate=rate),
    "QuantizeAware(epochs=3)": lambda rate: tfopt.QuantizeAware(epochs=3, learning_rate=rate),
}


def cnn(x):
    for width in (12, 24):
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        x = keras.layers.MaxPooling2D()(x) if width == 12 else x
    return keras.layers.Flatten()(x)


def mlp(x):
    x = keras.layers.Flatten()(x)
    for _ in range(2):
        x = keras.layers.Dense(64, activation="relu")(x)
    return x


def trained(body, rate, seed, data):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(data.input_shape)
    outputs = keras.layers.Dense(data.num_classes, activation="softmax")(body(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*data.split("train"), epochs=25, batch_size=64, verbose=0)
    return model


def main():
    data = tfopt.data.load("digits")
    found = {(stage, share): [] for stage in STAGES for share in SHARES}
    before = []
    for body in (cnn, mlp):
        for rate in (1e-3, 3e-3):
            for seed in (0, 1):
                model = trained(body, rate, seed, data)
                before.append(model.evaluate(*data.split("test"), verbose=0)[1])
                for stage, share in found:
                    with tempfile.TemporaryDirectory() as out:
                        pipeline = tfopt.Pipeline([STAGES[stage](rate * share)])
                        run = pipeline.run(model, data, out=out, quiet=True)
                    found[stage, share].append(run.metrics["accuracy"])
    print(f"trained: {100 * np.mean(before):.1f}")
    print("share of the compiled rate", *SHARES, sep="\t")
    for stage in STAGES:
        print(stage, *(f"{100 * np.mean(found[stage, share]):.1f}" for share in SHARES), sep="\t")


if __name__ == "__main__":
    main()
