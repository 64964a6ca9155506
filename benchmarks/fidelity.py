"""How far int8 files are from the quantization-aware models that they were made of.

    python benchmarks/fidelity.py zoo                       operator by operator, the models of the tests
    python benchmarks/fidelity.py applications [NAME ...]   operator by operator, architectures of Keras
    python benchmarks/fidelity.py trained [DATA.npz ...]    trained models: agreement and LSB at the output

`zoo` and `applications` have random weights. Each operator is given the file's own tensors, so that what it
adds is told from what it inherits; every operator that adds more than 1 LSB is listed. `trained` trains small
models on scikit-learn's digits, and on the images of further `.npz` files, in float and quantization-aware.
"""

import argparse
import importlib.util
import time
from pathlib import Path

import keras
import numpy as np

import tfopt
from tfopt.quantization import calibrate, round_biases

TESTS = Path(__file__).resolve().parents[1] / "tests"


def module(path):
    """Return a module that is no part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def samples(model, count=64):
    """Return white noise, or integers where the model takes integers."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 20, (count, *tensor.shape[1:])).astype(tensor.dtype)
        if "int" in tensor.dtype
        else rng.normal(size=(count, *tensor.shape[1:])).astype("float32")
        for tensor in model.inputs
    ]
    return arrays if len(arrays) > 1 else arrays[0]


def operators(name, model, x, kernels):
    """Print the row of a model and what adds more than 1 LSB; return the LSB that each operator adds."""
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x, batch_size=16)
    file = tfopt.to_tflite(quantized)
    start = time.perf_counter()
    report = tfopt.debug_quantization(quantized, file, x, kernels=kernels)
    integers = [each for each in report.layers if each.added_max_lsb is not None and each.position >= 0]
    last = report.in_order()[-1]
    print(
        f"{name:<30}{len(integers):>10}{report.share_within(1) or 1:>9.1%}"
        f"{max((each.added_max_lsb for each in integers), default=0):>6}"
        f"{last.max_lsb if last.max_lsb is not None else '-':>10}{last.snr_db:>9.1f}"
        f"{len(report.unmatched):>11}{time.perf_counter() - start:>9.1f}",
        flush=True,
    )
    for each in integers:
        if each.added_max_lsb > 1:
            print(
                f"    {each.operator} {each.layer}: {each.added_max_lsb} LSB, mean {each.added_mean_lsb:.4f}",
                flush=True,
            )
    return [each.added_max_lsb for each in integers]


def by_operator(models, kernels):
    """Print the table of models, name -> function that returns model and samples."""
    print(
        f"{'model':<30}{'operators':>10}{'<= 1 LSB':>9}{'max':>6}{'at output':>10}{'SNR':>9}"
        f"{'unmatched':>11}{'seconds':>9}"
    )
    added = []
    for name, make in models.items():
        keras.utils.set_random_seed(0)
        try:
            added += operators(name, *make(), kernels=kernels)
        except tfopt.errors.TfoptError as error:
            print(f"{name:<30}{type(error).__name__}: {error}")
        keras.backend.clear_session()
    added = np.array(added)
    print(f"{len(added)} operators: " + ", ".join(f"<= {k} LSB {np.mean(added <= k):.2%}" for k in (0, 1, 2)))


def zoo():
    """Return the models of the tests."""
    zoos = (module(TESTS / "quantization" / f"{name}.py").MODELS for name in ("zoo", "wide_zoo"))

    def made(build):
        def make():
            model = build()
            return model, samples(model)

        return make

    return {name: made(build) for models in zoos for name, build in models.items()}


def applications(names):
    """Return architectures of `keras.applications` at random weights, on smooth images."""
    coverage = module(Path(__file__).with_name("coverage.py"))

    def made(name):
        def make():
            size = coverage.SIZES[name]
            coarse = np.random.default_rng(0).uniform(0, 255, (32, 3, 3, 3)).astype("float32")
            x = np.asarray(keras.ops.image.resize(coarse, (size, size)))
            model = coverage.build(keras.applications, name, classifier_activation=None)
            if not coverage.holds_preprocessing(model):
                x = x / 127.5 - 1.0
            coverage.give_statistics(model, x[:16])
            return model, x

        return make

    return {name: made(name) for name in names or coverage.SIZES}


def small_cnn(shape, classes):
    return keras.Sequential(
        [
            keras.Input(shape),
            *(
                layer
                for width in (16, 32)
                for layer in (
                    keras.layers.Conv2D(width, 3, padding="same", use_bias=False),
                    keras.layers.BatchNormalization(),
                    keras.layers.ReLU(),
                    keras.layers.MaxPooling2D(),
                )
            ),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(classes),
        ]
    )


def resnet_8(shape, classes):
    def convolution(x, width, size, strides=1):
        x = keras.layers.Conv2D(width, size, strides, padding="same", use_bias=False)(x)
        return keras.layers.BatchNormalization()(x)

    inputs = keras.Input(shape)
    x = keras.layers.ReLU()(convolution(inputs, 16, 3))
    for width, strides in ((16, 1), (32, 2), (64, 2)):
        y = keras.layers.ReLU()(convolution(x, width, 3, strides))
        y = convolution(y, width, 3)
        x = convolution(x, width, 1, strides) if strides > 1 else x
        x = keras.layers.ReLU()(keras.layers.Add()([x, y]))
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(x)))


def mobilenet_v2(shape, classes):
    """Return alpha 0.35 behind an upsampling to 32 pixels at least, which the file computes too."""
    inputs = keras.Input(shape)
    factor = -(-32 // shape[0])
    x = keras.layers.UpSampling2D(factor)(inputs) if factor > 1 else inputs
    size = (shape[0] * factor, shape[1] * factor, shape[2])
    body = keras.applications.MobileNetV2(
        input_shape=size, alpha=0.35, weights=None, classes=classes, classifier_activation=None
    )
    return keras.Model(inputs, body(x))


TRAINED = {"small CNN": small_cnn, "ResNet-8": resnet_8, "MobileNetV2 0.35": mobilenet_v2}


def trained(sources, epochs):
    """Print the table of trained models on scikit-learn's digits and on `sources`."""
    print(
        f"{'data':<14}{'model':<18}{'float':>8}{'QAT':>8}{'file':>8}{'agree':>9}{'max LSB':>9}{'mean':>7}"
        f"{'<= 2 LSB':>10}{'operators <= 1':>16}"
    )
    for source in ("digits", *sources):
        data = tfopt.data.load(source)
        for name, build in TRAINED.items():
            keras.utils.set_random_seed(0)
            model = build(data.input_shape, data.num_classes)
            for _, layer in tfopt.graph.layers(model):
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.momentum = 0.9  # the trainings are short
            print(f"{data.name:<14}{name:<18}{trained_row(data, model, epochs)}", flush=True)
            keras.backend.clear_session()


def trained_row(data, model, epochs):
    """Train, quantize, train on, export; return the row."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def fit(model, rate, epochs):
        steps = epochs * -(-len(data.x_train) // 64)
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        model.fit(data.x_train, data.y_train, batch_size=64, epochs=epochs, verbose=0)
        return model.evaluate(data.x_test, data.y_test, verbose=0)[1]

    accuracy = fit(model, 3e-3, epochs)
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, data.x_train[:512])
    rounded = fit(quantized, 3e-4, max(1, epochs // 4))
    round_biases(quantized)
    file = tfopt.to_tflite(quantized)
    found = file.verify(quantized, data.x_test)
    expected = quantized.predict(data.x_test, verbose=0)
    actual = file.predict(data.x_test)
    step = file.outputs[0].scale
    within = np.mean(np.abs(np.round(actual / step) - np.round(expected / step)) <= 2)
    report = tfopt.debug_quantization(quantized, file, data.x_test[:64])
    return (
        f"{accuracy:>8.2%}{rounded:>8.2%}{np.mean(np.argmax(actual, -1) == data.y_test):>8.2%}"
        f"{found.top1_agreement:>9.2%}{found.max_lsb:>9}{found.mean_lsb:>7.3f}{within:>10.2%}"
        f"{report.share_within(1):>16.1%}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", nargs="?", default="zoo", choices=("zoo", "applications", "trained"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--kernels", default="delegate", choices=("delegate", "builtin", "reference"))
    parser.add_argument("--epochs", type=int, default=12, help="of the float training in `trained`")
    arguments = parser.parse_args()
    if arguments.what == "zoo":
        models = zoo()
        by_operator({name: models[name] for name in arguments.names or models}, arguments.kernels)
    elif arguments.what == "applications":
        by_operator(applications(arguments.names), arguments.kernels)
    else:
        trained(arguments.names, arguments.epochs)


if __name__ == "__main__":
    main()
