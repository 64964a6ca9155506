"""What fewer bits cost and save: bytes, accuracy and latency of the schemes on the digits.

Trains a small CNN on scikit-learn's digits, then for each scheme: quantizes, calibrates, trains the same
epochs more, exports, and runs the file. Prints a table: bytes of the file and their ratio to the float
file's, accuracy of the float model, of the file before training on (post-training) and after, the largest
difference of file and model where its output is of integers, in how many of the test samples the two choose
the same class, and the file's latency by that of the float file, measured by turns in this process. Then the
latencies of one Dense layer of 1024 inputs and 512 outputs, with activations in float.

    python benchmarks/schemes.py [--seeds 3] [--rows int4 "int4, stochastic rounding" binary]
"""

import argparse
import statistics

import keras
import numpy as np

import tfopt
from tfopt.measure import latency
from tfopt.quantization import SCHEMES, Scheme, calibrate, freeze_batch_norm

EPOCHS, MORE = 15, 8

ROWS = {
    **SCHEMES,
    "int4, LSQ": Scheme(weight_bits=4, weight_range="lsq"),
    "int4, stochastic rounding": Scheme(weight_bits=4, rounding="stochastic"),
    "int8, percentile": Scheme(observer="percentile"),
    "int8, mse": Scheme(observer="mse"),
    "int8, entropy": Scheme(observer="entropy"),
    "int4, entropy": Scheme(weight_bits=4, observer="entropy"),
    "ternary, weights only": Scheme(weight_bits=2, weight_range="mean", activation_bits=None),
    "int4_weights, no blocks": Scheme(weight_bits=4, activation_bits=None),
    "int4_weights, blocks of 128": Scheme(weight_bits=4, activation_bits=None, block_size=128),
    "int4_weights, LSQ": Scheme(weight_bits=4, activation_bits=None, block_size=32, weight_range="lsq"),
    "int4_weights, dynamic": Scheme(weight_bits=4, activation_bits=None, block_size=32, dynamic=True),
    "dynamic, 4 bits": Scheme(weight_bits=4, activation_bits=None, dynamic=True),
}


def cnn():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(64, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(80, activation="relu"),
            layers.Dense(10),
        ]
    )


def train(model, data, epochs, rate):
    steps = epochs * (len(data.x_train) // 64)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(data.x_train, data.y_train, batch_size=64, epochs=epochs, verbose=0)


def accuracy(predict, data):
    return float(np.mean(np.argmax(predict(data.x_test), axis=-1) == data.y_test))


def measured(seed, data, names):
    """Return name -> (file, accuracy before, after, LSB or None, agreement); float accuracy and file."""
    keras.utils.set_random_seed(seed)
    model = cnn()
    train(model, data, EPOCHS, 3e-3)
    rows = {}
    for name in names:
        quantized = tfopt.quantize_aware(model, ROWS[name])
        calibrate(quantized, data.x_train[:512])
        before = accuracy(tfopt.to_tflite(quantized).predict, data)
        freeze_batch_norm(quantized)
        train(quantized, data, MORE, 1e-3)
        file = tfopt.to_tflite(quantized)
        difference = file.verify(quantized, data.x_test).outputs[0]
        after = accuracy(file.predict, data)
        rows[name] = file, before, after, difference.max_lsb, difference.top1_agreement
    return rows, accuracy(lambda x: model.predict(x, verbose=0), data), tfopt.to_tflite(model)


def dense_alone():
    """Print the latency of one layer in each scheme of float activations, by that of the float file."""
    model = keras.Sequential([keras.Input((1024,)), keras.layers.Dense(512)])
    files = {"float": bytes(tfopt.to_tflite(model))}
    for name, scheme in ROWS.items():
        if tfopt.quantization.scheme.scheme_of(scheme).activation_bits is None:
            files[name] = bytes(tfopt.to_tflite(tfopt.quantize_aware(model, scheme)))
    print("\nOne Dense of 1024 x 512\n| scheme | bytes | latency, of float |\n|---|---|---|")
    for name, time in latency(files, turns=100).items():
        print(f"| {name} | {len(files[name])} | {time.ratio:.2f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", default=[*ROWS], choices=[*ROWS], metavar="NAME")
    asked = parser.parse_args()
    data = tfopt.data.load("digits")
    runs = [measured(seed, data, asked.rows) for seed in range(asked.seeds)]
    rows, _, plain = runs[0]
    times = latency({"float": bytes(plain)} | {name: bytes(row[0]) for name, row in rows.items()}, turns=100)
    weights = cnn().count_params()
    print(
        f"CNN of {weights} weights, digits, {len(runs)} seeds; float file: {len(plain)} bytes, accuracy ",
        end="",
    )
    print(f"{statistics.mean(run[1] for run in runs):.3f}")
    print("| scheme | bytes | of float | before training | after | max LSB | agreement | latency, of float |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (file, *_) in rows.items():
        before, after, agreement = (statistics.mean(run[0][name][i] for run in runs) for i in (1, 2, 4))
        lsb = [run[0][name][3] for run in runs]
        print(
            f"| {name} | {len(file)} | {len(file) / len(plain):.2f} | {before:.3f} | {after:.3f} "
            f"| {'-' if lsb[0] is None else max(lsb)} | {agreement:.1%} | {times[name].ratio:.2f} |"
        )
    if asked.rows == [*ROWS]:
        dense_alone()


if __name__ == "__main__":
    main()
