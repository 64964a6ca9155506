"""Clustered models: accuracy lost and bytes won, by tfopt's engine and by tensorflow-model-optimization's.

For the ResNet-8 of MLPerf Tiny (`pretrainedResnet.h5` of the project mlcommons/tiny) on images of CIFAR-10,
and for a network like its DS-CNN on images of MNIST, which is trained here first. Each engine gets the same
model, clusters its kernels, and trains it as long with the same optimizer, data and seed. "float" is the
float32 file and "int8" that of `quantize_aware(..., preserve="clusters")` with calibrated ranges and no
training, each after gzip and as a share of the float32 file of the unclustered model before gzip. "weights"
is the same of the variables alone: batch normalization, which a float32 file has multiplied into the kernels,
gives each channel other values. "step" is the time of a training step as a ratio to the plain model's.

    python benchmarks/clusters.py --resnet pretrainedResnet.h5 --cifar cifar10.npz --mnist mnist.npz
        [--clusters 32] [--samples 6000] [--epochs 2] [--seeds 0]
"""

import argparse
import statistics
import time

import keras
import numpy as np

import tfopt
from tfopt.clustering.budget import compressed_weights

STEPS, WARM_UP = 12, 3

VARIANTS: dict[str, dict] = {
    "tfopt": {},
    "tfopt, fixed": {"assignments": "fixed"},
    "tfopt, linear": {"init": "linear"},
    "tfopt, 2x smaller weights": {"half": True},
    "TFMOT": {"engine": "tfmot"},
}


def ds_cnn(shape, classes):
    """Return the keyword-spotting network of MLPerf Tiny, for images."""
    layers = keras.layers
    inputs = keras.Input(shape)
    x = layers.Conv2D(64, (10, 4), strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for _ in range(4):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Conv2D(64, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x), name="ds_cnn")


def images(path, samples, scale):
    with np.load(path) as file:
        x, y, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    x, x_test = (each.astype("float32") * scale for each in (x[:samples], x_test[:3000]))
    if x.ndim == 3:
        x, x_test = x[..., None], x_test[..., None]
    return x, y.ravel()[:samples].astype("int32"), x_test, y_test.ravel()[:3000].astype("int32")


def trained(model, x, y, epochs, rate, seed):
    keras.utils.set_random_seed(seed)
    steps = epochs * -(-len(x) // 64)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return model


def accuracy(predict, x, y):
    return float(np.mean(np.argmax(predict(x), axis=1) == y))


def clustered(model, clusters, half=False, **options):
    if half:
        return tfopt.cluster(model, bytes=compressed_weights(tfopt.cluster(model, clusters)) // 2)
    return tfopt.cluster(model, clusters, **options)


def step_ratios(models, x, y):
    """Return the median time of a training step of each model over the first one's, by turns."""
    for model in models.values():
        model.compile(keras.optimizers.Adam(1e-5), "sparse_categorical_crossentropy")
    times = {name: [] for name in models}
    for step in range(WARM_UP + STEPS):
        for name, model in models.items():
            start = time.process_time()
            model.train_on_batch(x[:64], y[:64])
            if step >= WARM_UP:
                times[name].append(time.process_time() - start)
    medians = [statistics.median(each) for each in times.values()]
    return dict(zip(models, (each / medians[0] for each in medians), strict=True))


def report(name, model, data, arguments, seed):
    x, y, x_test, y_test = data
    whole = len(bytes(tfopt.to_tflite(model, "float32")))
    variables = 4 * model.count_params()
    before = accuracy(lambda a: model.predict(a, verbose=0), x_test, y_test)
    plain = trained(tfopt.graph.copy(model), x, y, arguments.epochs, arguments.rate, seed)
    tuned = accuracy(lambda a: plain.predict(a, verbose=0), x_test, y_test)
    print(f"\n{name}, seed {seed}: float {before:.2%}, trained as long without clusters {tuned:.2%}")
    head = f"{'':<26}{'accuracy':>9}{'drop':>7}{'int8':>9}"
    print(f"{head}{'weights':>9}{'float':>7}{'int8':>7}{'step':>6}{'most':>6}")
    made = {each: clustered(model, arguments.clusters, **VARIANTS[each]) for each in arguments.variants}
    ratios = step_ratios({"plain": tfopt.graph.copy(model), **made}, x, y)
    for each, options in ((each, VARIANTS[each]) for each in arguments.variants):
        result = clustered(model, arguments.clusters, **options)
        result = trained(result, x, y, arguments.epochs, arguments.rate, seed)
        if options.get("engine") == "tfmot":
            result = tfopt.tfmot.strip(result)
        quantized = tfopt.quantize_aware(result, preserve="clusters")
        tfopt.quantization.calibrate(quantized, x[:512])
        files = [tfopt.to_tflite(result, "float32"), tfopt.to_tflite(quantized)]
        shares = [tfopt.measure.compressed_bytes(bytes(file)) / whole for file in files]
        after = accuracy(lambda a, of=result: of.predict(a, verbose=0), x_test, y_test)
        in_file = accuracy(files[1].predict, x_test, y_test)
        most = max(
            len(np.unique(kernel.variable))
            for kernel in tfopt.measure.kernels.kernels(result)
            if kernel.by_default
        )
        weights = compressed_weights(result) / variables
        print(
            f"{each:<26}{after:>9.2%}{100 * (before - after):>7.2f}{in_file:>9.2%}{weights:>9.3f}"
            f"{shares[0]:>7.3f}{shares[1]:>7.3f}{ratios[each]:>6.2f}{most:>6}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resnet", help="the .h5 file of the published model")
    parser.add_argument("--cifar", help="an .npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--mnist", help="another one")
    parser.add_argument("--clusters", type=int, default=32)
    parser.add_argument("--samples", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[*VARIANTS])
    arguments = parser.parse_args()
    if not arguments.mnist and not (arguments.resnet and arguments.cifar):
        parser.error("give --mnist, or --resnet and --cifar, or all: there is nothing to cluster")
    for seed in arguments.seeds:
        if arguments.resnet and arguments.cifar:
            model = keras.models.load_model(arguments.resnet, compile=False)
            report("ResNet-8", model, images(arguments.cifar, arguments.samples, 1.0), arguments, seed)
        if arguments.mnist:
            data = images(arguments.mnist, arguments.samples, 1 / 255)
            keras.utils.set_random_seed(seed)
            model = trained(ds_cnn(data[0].shape[1:], 10), *data[:2], epochs=3, rate=3e-3, seed=seed)
            report("DS-CNN", model, data, arguments, seed)


if __name__ == "__main__":
    main()
