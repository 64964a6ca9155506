"""Accuracy of each way to eight bits beside the float model: after training, and quantization-aware.

Rows: the float model (trained here, from `--model` on or anew), int8 after training by TensorFlow's
converter, int8 after training by litert-quantizer, quantization-aware training by tfopt, and by
tensorflow-model-optimization where it takes the model. All files run in LiteRT on the test images; printed
are the mean over the seeds, the range, and the difference to the float model in points.

    python benchmarks/accuracy.py cifar10.npz --model pretrainedResnet.h5 --seeds 0 1 2
    python benchmarks/accuracy.py mnist.npz --architecture mobilenet_v2 --images 10000 --epochs 6
"""

import argparse
import statistics
from pathlib import Path

import keras
import numpy as np

import tfopt

L = keras.layers
SCALE = {"images": 255.0, "none": 1.0}


def resnet_8(shape, classes):
    """Return the image classifier of MLPerf Tiny."""
    inputs = keras.Input(shape)
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, 3, padding="same")(inputs)))
    for width, strides in ((16, 1), (32, 2), (64, 2)):
        y = L.ReLU()(L.BatchNormalization()(L.Conv2D(width, 3, strides, padding="same")(x)))
        y = L.BatchNormalization()(L.Conv2D(width, 3, padding="same")(y))
        x = x if strides == 1 else L.Conv2D(width, 1, strides, padding="same")(x)
        x = L.ReLU()(L.Add()([x, y]))
    return keras.Model(inputs, L.Dense(classes)(L.GlobalAveragePooling2D()(x)), name="resnet_8")


def mobilenet_v2(shape, classes):
    """Return MobileNetV2 with a third of its width, on images of 32 pixels at least."""
    inputs = keras.Input(shape)
    x = L.ZeroPadding2D((max(0, 32 - shape[0]) // 2, max(0, 32 - shape[1]) // 2))(inputs)
    x = L.Concatenate()([x, x, x]) if shape[-1] == 1 else x
    body = keras.applications.MobileNetV2(
        x.shape[1:], alpha=0.35, include_top=False, weights=None, pooling="avg"
    )
    for layer in body.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.momentum = 0.9  # 0.999 needs thousands of steps before the statistics fit
    return keras.Model(inputs, L.Dense(classes)(body(x)), name="mobilenet_v2")


def vit(shape, classes, width=64, blocks=3, patch=4):
    """Return a small vision transformer."""
    inputs = keras.Input(shape)
    x = L.Conv2D(width, patch, patch)(inputs)
    x = L.Reshape((x.shape[1] * x.shape[2], width))(x)
    positions = L.Embedding(x.shape[1], width)(np.arange(x.shape[1])[None])
    x = x + positions
    for _ in range(blocks):
        y = L.LayerNormalization()(x)
        x = x + L.MultiHeadAttention(4, width // 4)(y, y)
        y = L.Dense(2 * width, "gelu")(L.LayerNormalization()(x))
        x = x + L.Dense(width)(y)
    x = L.GlobalAveragePooling1D()(L.LayerNormalization()(x))
    return keras.Model(inputs, L.Dense(classes)(x), name="vit")


ARCHITECTURES = {"resnet_8": resnet_8, "mobilenet_v2": mobilenet_v2, "vit": vit}


def load(path, scale):
    with np.load(path) as file:
        x, y, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    x, x_test = (each.astype("float32") / scale for each in (x, x_test))
    x, x_test = (each[..., None] if each.ndim == 3 else each for each in (x, x_test))
    return x, y.ravel().astype("int32"), x_test, y_test.ravel().astype("int32")


def fit(model, x, y, epochs, rate):
    steps = epochs * -(-len(x) // 64)
    probabilities = np.allclose(model.predict(x[:8], verbose=0).sum(axis=1), 1, atol=1e-3)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities),
    )
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return model


def quantization_aware(model, x, y, epochs, rate, engine):
    quantized = tfopt.quantize_aware(model, engine=engine)
    if engine == "keras":
        tfopt.quantization.calibrate(quantized, x[:512])
    return tfopt.to_tflite(fit(quantized, x, y, epochs, rate))


def ways(model, x, y, arguments):
    """Yield name -> a function that returns the file."""
    rate = arguments.rate / 10
    yield "PTQ", lambda: tfopt.to_tflite(model, "int8", x[:512])
    yield "PTQ, converter", lambda: tfopt.to_tflite(model, "int8", x[:512], engine="converter")
    yield "PTQ, litert-quantizer", lambda: tfopt.to_tflite(model, "int8", x[:512], engine="litert-quantizer")
    yield "QAT, tfopt", lambda: quantization_aware(model, x, y, arguments.qat_epochs, rate, "keras")
    yield "QAT, TFMOT", lambda: quantization_aware(model, x, y, arguments.qat_epochs, rate, "tfmot")


def accuracy(predict, x, y):
    return 100 * float(np.mean(np.argmax(predict(x), axis=1) == y))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "data", type=Path, help="an .npz with x_train, y_train, x_test, y_test, values 0..255"
    )
    parser.add_argument("--model", type=Path, help="a trained Keras model to start from; else a new one")
    parser.add_argument(
        "--pixels", choices=SCALE, help="what is divided by: 255, or 1 for a model that wants 0..255"
    )
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="resnet_8")
    parser.add_argument("--images", type=int, help="train on the first so many only")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--qat-epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    pixels = arguments.pixels or ("none" if arguments.model else "images")
    x, y, x_test, y_test = load(arguments.data, SCALE[pixels])
    x, y = x[: arguments.images], y[: arguments.images]
    found = {}
    for seed in arguments.seeds:
        keras.utils.set_random_seed(seed)
        if arguments.model:
            model = keras.models.load_model(arguments.model, compile=False)
            # On these images too, or training further would beat the float model by that alone.
            model = fit(model, x, y, arguments.epochs, arguments.rate / 3)
        else:
            made = ARCHITECTURES[arguments.architecture](x.shape[1:], int(y.max()) + 1)
            model = fit(made, x, y, arguments.epochs, arguments.rate)
        floats = accuracy(lambda a, of=model: of.predict(a, verbose=0), x_test, y_test)
        found.setdefault("float", []).append(floats)
        for name, make in ways(model, x, y, arguments):
            try:
                file = make()
            except tfopt.TfoptError as error:
                print(f"{name}: {error}")
                continue
            found.setdefault(name, []).append(accuracy(file.predict, x_test, y_test))
    print(f"{'way':<24}{'accuracy':>10}{'range':>18}{'less than float':>18}")
    for name, values in found.items():
        drops = [a - b for a, b in zip(found["float"], values, strict=False)]
        print(
            f"{name:<24}{statistics.mean(values):>8.2f} %{min(values):>9.2f}..{max(values):<7.2f}"
            f"{statistics.mean(drops):>11.2f} points"
        )


if __name__ == "__main__":
    main()
