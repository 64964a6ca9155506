"""What quantizing and converting costs in time and memory, and how both grow with the number of layers.

Each model has a process of its own: chains of convolution, batch normalization and ReLU of 16 channels at
32x32, and ResNet152V2 at 64x64 (weights are random, which changes neither). Prints the seconds of
`quantize_aware`, of calibration on 32 samples and of `to_tflite`, and the peak resident memory of this
process and of the converter's. The first row, of one block, is what TensorFlow itself takes.

    python benchmarks/conversion.py [--blocks 1 10 20 40 80] [--without-resnet]
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

HEAD = (
    f"{'model':<14}{'layers':>8}{'operators':>11}{'quantize':>10}{'calibrate':>11}{'convert':>9}"
    f"{'memory':>14}{'converter':>12}"
)


def chain(blocks):
    """Return a chain of convolutions."""
    import keras

    layers = keras.layers
    parts = [
        layer
        for _ in range(blocks)
        for layer in (layers.Conv2D(16, 3, padding="same"), layers.BatchNormalization(), layers.ReLU())
    ]
    ends = [layers.GlobalAveragePooling2D(), layers.Dense(10)]
    return keras.Sequential([keras.Input((32, 32, 3)), *parts, *ends])


def resnet():
    import keras

    return keras.applications.ResNet152V2(weights=None, input_shape=(64, 64, 3), classes=10)


def peak_bytes(process="self"):
    """Return the most memory that a process has had resident."""
    status = Path("/proc", str(process), "status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def measured(model):
    """Return the figures of one model."""
    import numpy as np

    import tfopt

    x = np.random.default_rng(0).normal(size=(32, *model.input_shape[1:])).astype("float32")
    times = [time.perf_counter()]
    quantized = tfopt.quantize_aware(model)
    times.append(time.perf_counter())
    tfopt.quantization.calibrate(quantized, x, batch_size=8)
    times.append(time.perf_counter())
    file = tfopt.to_tflite(quantized)
    times.append(time.perf_counter())
    children = Path("/proc/self/task").glob("*/children")
    converters = [int(pid) for child in children for pid in child.read_text().split()]
    return {
        "layers": len(model.layers),
        "operators": sum(operator.count for operator in file.summary().operators),
        "seconds": [after - before for before, after in itertools.pairwise(times)],
        "bytes": peak_bytes(),
        "converter_bytes": max((peak_bytes(pid) for pid in converters), default=0),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 10, 20, 40, 80])
    parser.add_argument("--without-resnet", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        model = resnet() if arguments.one == "ResNet152V2" else chain(int(arguments.one))
        print(json.dumps(measured(model)))
        return
    print(HEAD)
    names = [*map(str, arguments.blocks), *([] if arguments.without_resnet else ["ResNet152V2"])]
    for name in names:
        command = [sys.executable, __file__, "--one", name]
        printed = subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True)
        row = json.loads(printed.splitlines()[-1])
        quantize, calibrate, convert = row["seconds"]
        title = name if name.startswith("R") else f"{name} blocks"
        print(
            f"{title:<14}{row['layers']:>8}{row['operators']:>11}"
            f"{quantize:>8.1f} s{calibrate:>9.1f} s{convert:>7.1f} s{row['bytes'] / 1e9:>11.2f} GB"
            f"{row['converter_bytes'] / 1e9:>9.2f} GB"
        )


if __name__ == "__main__":
    main()
