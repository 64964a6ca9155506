"""What each post-training scheme costs in accuracy, and what it gains in bytes and time.

Trains a small network in float, writes it in every scheme and with every correction, and prints the accuracy
of each file in LiteRT on the test split, its bytes, and its latency as a ratio to the float32 file's, the
files taking turns in one process.

    python benchmarks/post_training.py                     handwritten digits
    python benchmarks/post_training.py mnist.npz 3         another data set, epochs
"""

import sys

import keras
import numpy as np

import tfopt
from tfopt.measure import latency

layers = keras.layers

EQUALIZE, ROUND, BIAS = "cross_layer_equalization", "adaround", "bias_correction"
ROWS = {
    "float32": {},
    "float16": {},
    "dynamic": {},
    "int8_weights": {},
    "int8": {},
    "int8, litert-quantizer": {"scheme": "int8", "engine": "litert-quantizer"},
    "int8, one scale a kernel": {"scheme": "int8", "per_channel": False},
    "+ equalization": {"scheme": "int8", "per_channel": False, "corrections": [EQUALIZE]},
    "+ bias correction": {"scheme": "int8", "per_channel": False, "corrections": [EQUALIZE, BIAS]},
    "int16x8": {},
    "int4_weights": {},
    "int4_weights, octav": {"scheme": "int4_weights", "algorithm": "octav"},
    "int4_weights, gptq": {"scheme": "int4_weights", "algorithm": "gptq"},
    "int4": {},
    "int4, octav": {"scheme": "int4", "algorithm": "octav"},
    "int4 + equalization": {"scheme": "int4", "corrections": [EQUALIZE]},
    "int4 + bias correction": {"scheme": "int4", "corrections": [BIAS]},
    "int4 + adaround": {"scheme": "int4", "corrections": [ROUND]},
    "int4 + all three": {"scheme": "int4", "corrections": [EQUALIZE, ROUND, BIAS]},
    "int4, first and last int8": {"scheme": "int4", "rules": {"first": "int8", "last": "int8"}},
}


def network(shape, classes):
    """A network of separable blocks: depthwise kernels are what quantization hurts most."""
    inputs = keras.Input(shape)
    x = layers.Conv2D(24, 3, padding="same", use_bias=False, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for width in (32, 64, 64):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(width, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(padding="same")(x)
    x = layers.Dense(128, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(classes, name="last")(x))


def main():
    source = sys.argv[1] if len(sys.argv) > 1 else "digits"
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    data = tfopt.data.load(source)
    keras.utils.set_random_seed(0)
    model = network(data.x_train.shape[1:], data.num_classes)
    steps = epochs * -(-len(data.x_train) // 64)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)), loss)
    model.fit(data.x_train, data.y_train, batch_size=64, epochs=epochs, verbose=0)
    files = {
        name: tfopt.to_tflite(model, representative_dataset=data.x_train, **{"scheme": name, **options})
        for name, options in ROWS.items()
    }
    times = latency({name: bytes(file) for name, file in files.items()})
    x, y = data.x_test[:5000], data.y_test[:5000]
    print(f"{source}: accuracy on {len(x)} test samples, bytes and latency by float32's")
    print(f"| {'file':<26} | accuracy | bytes  | ratio | latency |")
    print("|---|---|---|---|---|")
    whole = len(files["float32"])
    for name, file in files.items():
        accuracy = np.mean(np.argmax(file.predict(x), axis=-1) == y)
        print(
            f"| {name:<26} | {accuracy:8.2%} | {len(file):6} | {len(file) / whole:5.2f} | "
            f"{times[name].median_seconds / times['float32'].median_seconds:7.2f} |"
        )


if __name__ == "__main__":
    main()
