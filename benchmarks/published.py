"""Our int8 files of published models beside the int8 files that their authors published.

For the image classifier, the anomaly detector and the keyword spotter of MLPerf Tiny (`pretrainedResnet.h5`,
`ad01.h5`, the SavedModel `kws_ref_model`, and their `.tflite` files, from the project mlcommons/tiny): bytes,
compressed bytes, latency in LiteRT measured in turn in one process, and, with images, the accuracy of each
classifier of images. Our files are the converter's after training (`to_tflite(model, "int8")`, and with one
scale for each kernel in place of each channel) and, with images, those of a short quantization-aware
training.

    python benchmarks/published.py FOLDER_WITH_THE_MODELS [--images cifar10.npz] [--epochs 3]
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import tfopt

MODELS = {
    "ResNet-8": ("pretrainedResnet.h5", "pretrainedResnet_quant.tflite"),
    "autoencoder": ("ad01.h5", "ad01_int8.tflite"),
    "DS-CNN": ("kws_ref_model", "kws_ref_model.tflite"),
}

HEAD = f"{'model':<13}{'file':<18}{'bytes':>9}{'gzip':>9}{'of theirs':>11}{'latency':>10}{'accuracy':>10}"


def images(path):
    """Return training and test images in 0..255 and their labels."""
    with np.load(path) as file:
        return (
            file["x_train"].astype("float32"), file["y_train"].ravel().astype("int32"),
            file["x_test"].astype("float32"), file["y_test"].ravel().astype("int32"),
        )  # fmt: skip


def trained(model, x, y, epochs):
    """Return the quantization-aware model after a short training at a low rate."""
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, x[:512])
    steps = epochs * -(-len(x) // 64)
    rate = keras.optimizers.schedules.CosineDecay(1e-4, steps)
    quantized.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    quantized.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return quantized


def accuracy(predict, x, y):
    return float(np.mean(np.argmax(predict(x), axis=1) == y))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=Path, help="an .npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    print(HEAD)
    for name, (model_file, theirs_file) in MODELS.items():
        model = tfopt.from_legacy(arguments.folder / model_file)
        theirs = tfopt.TFLiteModel(arguments.folder / theirs_file)
        classifies = arguments.images and model.output_shape[-1] == 10
        if classifies:
            x, y, x_test, y_test = images(arguments.images)
        else:
            x = np.random.default_rng(0).normal(size=(256, *model.input_shape[1:])).astype("float32")
        files = {
            "theirs": theirs,
            "int8": tfopt.to_tflite(model, "int8", x[:256]),
            "a scale a kernel": tfopt.to_tflite(model, "int8", x[:256], per_channel=False),
        }
        if classifies:
            files["int8 QAT"] = tfopt.to_tflite(trained(model, x, y, arguments.epochs))
            score = accuracy(lambda a, of=model: of.predict(a, verbose=0), x_test, y_test)
            print(f"{name:<13}{'float model':<18}{score:>49.2%}")
        times = tfopt.measure.latency({each: bytes(file) for each, file in files.items()})
        for each, file in files.items():
            summary = file.summary()
            scores = f"{accuracy(file.predict, x_test, y_test):>10.2%}" if classifies else f"{'-':>10}"
            print(
                f"{name:<13}{each:<18}{summary.bytes:>9}{summary.compressed_bytes:>9}"
                f"{summary.bytes / theirs.summary().bytes:>10.2f}x{times[each].ratio:>9.2f}x{scores}"
            )


if __name__ == "__main__":
    main()
