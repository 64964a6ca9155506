"""What the zoo does with a model, in a process of its own, which answers a line of JSON a stage.

`zoo.py` starts it and reads the lines. A stage gets the built model, samples and the model's entry; it
returns the figures of its row, or raises.
"""

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import zoo_models

import tfopt
from tfopt.errors import TfoptError
from tfopt.export.runtime.verify import snr_db

NO_KERNEL = re.compile(
    "bias|gamma|beta|embedding|position|token|latent|codebook|mean|variance|seed|scale|temperature|table|depthwise"
)
"""Names of variables of two axes or more that multiply nothing, or that only rules prune."""


def float32(model, x, entry):
    return float_file(model, x, entry)


def save(model, x, entry):
    """Whether Keras itself can save the original; nothing of tfopt."""
    del entry
    return reloaded(model, x)


def training(model, x, entry):
    start = time.perf_counter()
    quantized = tfopt.quantize_aware(model, input_shapes=shapes_of(model, x))
    tfopt.quantization.calibrate(quantized, x, batch_size=8)
    near = signal_to_noise(outputs(model, x), outputs(quantized, x))
    train_a_step(quantized, x)
    trained = time.perf_counter()
    row = {"float_db": near, "train_s": round(trained - start, 1), "reload": "equal"}
    try:
        row["reload"] = reloaded(quantized, x)["reload"]
    except Exception as error:  # noqa: BLE001 (a column of its own)
        row["reload"] = f"{type(error).__name__}: {line(error)}"
    trained = time.perf_counter()
    file = tfopt.to_tflite(quantized)
    row["export_s"] = round(time.perf_counter() - trained, 1)
    return {**row, **verified(file, file.verify(quantized, x, classification=entry.classification))}


def int8(model, x, entry):
    """By signal to noise alone: between classes of random weights the choice is a near tie."""
    del entry
    file = tfopt.to_tflite(model, "int8", x)
    return verified(file, file.verify(model, x, classification=False))


def prune(model, x, entry):
    del entry
    pruned = tfopt.prune(model, 0.5)
    outputs(pruned, x)
    kernels = kernels_of(pruned)
    zeros = sum(int((each.numpy() == 0).sum()) for each in kernels)
    weights = sum(int(each.numpy().size) for each in kernels)
    full = [each.path for each in kernels if (each.numpy() == 0).mean() < 0.4]
    return {"zeros": round(zeros / weights, 3) if weights else None, "not_pruned": full}


def channels(model, x, entry):
    """Half of the channels of random weights: what is left computes what the rest of the model did.

    dB: beside the original with zeros wherever weights were taken. A normalization over channels has other
    statistics then, so such a model has few.
    """
    smaller = tfopt.prune_channels(model, 0.5, round_to=1)
    weights = smaller.count_params() / model.count_params()
    with restored(model):
        matched = zero_what_is_gone(model, smaller)
        near = signal_to_noise(outputs(model, x), outputs(smaller, x)) if matched else None
    return {"weights": round(weights, 3), "rest_db": near, **trained_and_verified(smaller, x, entry)}


def low_rank(model, x, entry):
    """Kernels that are products of vectors: their factors compute the same."""
    rng = np.random.default_rng(0)
    with restored(model):
        for kernel in kernels_of(model):
            values = np.ones(())
            for size in kernel.shape:
                values = np.multiply.outer(values, rng.normal(size=size))
            kernel.assign(values * np.linalg.norm(kernel.numpy()) / np.linalg.norm(values))
        smaller = tfopt.low_rank(model, energy=0.9999)
        near = signal_to_noise(outputs(model, x), outputs(smaller, x))
    weights = smaller.count_params() / model.count_params()
    require_near(near, "factors")
    return {"weights": round(weights, 3), "rest_db": near, **trained_and_verified(smaller, x, entry)}


def clusters(model, x, entry):
    """Weights of nine values: sixteen clusters leave them as they are, and a step leaves sixteen values."""
    with restored(model):
        for variable in model.variables:
            if "float" in variable.dtype and len(variable.shape) > 1:
                step = max(np.abs(variable.numpy()).max() / 4, 1e-9)
                variable.assign(np.round(variable.numpy() / step) * step)
        clustered = tfopt.cluster(model, 16)
        near = signal_to_noise(outputs(model, x), outputs(clustered, x))
    require_near(near, "clusters")
    row = trained_and_verified(clustered, x, entry)
    most = max((len(np.unique(each.numpy())) for each in kernels_of(clustered)), default=0)
    return {"values": most, "rest_db": near, **row}


def converter(model, x, entry):
    del x, entry
    with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return {"bytes": len(content)}


def float_file(model, x, entry):
    """Return the figures of the verification of a model's float file."""
    file = tfopt.to_tflite(model, input_shapes=shapes_of(model, x))
    return verified(file, file.verify(model, x, classification=entry.classification))


def trained_and_verified(model, x, entry):
    train_a_step(model, x)
    return float_file(model, x, entry)


def require_near(near, what):
    if near is not None and near < 60:
        raise ArithmeticError(f"{what} compute something else: {near} dB")


def train_a_step(model, x):
    """Train by Keras's step, whatever the model's own wants, on what it returns: weights hardly move."""
    first = keras.tree.map_structure(lambda array: array[:16], x)
    targets = keras.tree.map_structure(keras.ops.convert_to_numpy, model(first, training=True))
    losses = keras.tree.map_structure(loss_of, targets)
    keras.Model.compile(model, keras.optimizers.SGD(1e-4), losses)
    model.train_step = lambda data: keras.Model.train_step(model, data)
    history = keras.Model.fit(model, first, targets, batch_size=16, verbose=0).history
    if not abs(history["loss"][0]) < float("inf"):
        raise ArithmeticError(f"the loss of the first training step is {history['loss'][0]}")


@contextlib.contextmanager
def restored(model):
    """Give the model its values back at the end."""
    values = [variable.numpy() for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in zip(model.variables, values, strict=True):
            variable.assign(value)


def zero_what_is_gone(model, smaller):
    """Set to zero what the smaller model has not; return whether each of its variables was found.

    A variable is found by its values, which are all different, and so are the places that it has kept.
    """
    sources = [each for each in model.variables if "float" in each.dtype and each.shape]
    values = np.concatenate([np.ravel(each.numpy()).astype("float32") for each in sources])
    starts = np.cumsum([0, *(int(np.prod(each.shape)) for each in sources)])
    order = np.argsort(values, kind="stable")
    for variable in smaller.variables:
        if "float" not in variable.dtype or not variable.shape:
            continue
        wanted = np.ravel(variable.numpy()).astype("float32")
        if np.ptp(wanted) == 0:
            continue  # as statistics are before training: who reads these channels has zeros for them
        places = np.searchsorted(values, wanted, sorter=order)
        places = order[np.minimum(places, len(order) - 1)]
        if not np.array_equal(values[places], wanted):
            return False
        owners = np.searchsorted(starts, places, side="right") - 1
        number = int(np.bincount(owners).argmax())
        source = sources[number]
        if len(source.shape) != len(variable.shape):
            return False
        own = places[owners == number] - starts[number]
        kept = [np.unique(axis) for axis in np.unravel_index(own, source.shape)]
        if [len(axis) for axis in kept] != list(variable.shape):
            return False
        left = np.zeros(source.shape, "float32")
        left[np.ix_(*kept)] = source.numpy()[np.ix_(*kept)]
        source.assign(left)
    return True


def shapes_of(model, x):
    """Return the shapes of the samples where a model leaves sizes open, as its errors advise."""
    if not hasattr(model, "inputs") or not any(None in tensor.shape[1:] for tensor in model.inputs or ()):
        return None
    arrays = keras.tree.flatten(x)
    shapes = {tensor.name: array.shape[1:] for tensor, array in zip(model.inputs, arrays, strict=True)}
    return shapes if len(shapes) > 1 else next(iter(shapes.values()))


def outputs(model, x):
    return [np.asarray(each) for each in keras.tree.flatten(model.predict(x, batch_size=8, verbose=0))]


def verified(file, verification):
    """Return the figures of a verification, and its failures as an error."""
    summary = file.summary()
    row = {
        "max_lsb": verification.max_lsb,
        "db": round(verification.snr_db, 1),
        "float_operators": dict(Counter(each.operator for each in summary.float_operators)),
        "ok": verification.passed,
    }
    if not verification.passed:
        row |= {"error": f"verify: {verification.failures[0]}", "refused": False}
    return row


def reloaded(model, x):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.models.load_model(path, custom_objects=custom_objects(), safe_mode=False)
    differences = [
        float(np.abs(a.astype("float64") - b).max())
        for a, b in zip(outputs(model, x), outputs(loaded, x), strict=True)
    ]
    return {"reload": "equal" if max(differences) == 0 else f"{max(differences):.2g} apart"}


def custom_objects():
    """Return the classes and functions of the zoo by name, as one passes them to `load_model`."""
    found = {}
    for name, module in [*sys.modules.items()]:
        if name.startswith("zoo_models."):
            found |= {key: value for key, value in vars(module).items() if callable(value)}
    return found


def loss_of(target):
    return "mse" if target.dtype.kind == "f" else lambda _, y_pred: 0.0 * keras.ops.cast(y_pred, "float32")


def signal_to_noise(expected, actual):
    floats = [(a, b) for a, b in zip(expected, actual, strict=True) if a.dtype.kind == "f"]
    if not floats or not all(np.isfinite(a).all() for a, _ in floats):
        return None
    return round(
        min(
            snr_db(float(np.mean(a.astype("float64") ** 2)), float(np.mean((a.astype("float64") - b) ** 2)))
            for a, b in floats
        ),
        1,
    )


def kernels_of(model):
    """Return the variables that are multiplied, by a count that knows nothing of tfopt's."""
    depthwise = {
        id(layer.kernel)
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D))
    }
    return [
        variable
        for variable in model.variables
        if len(variable.shape) > 1
        and not NO_KERNEL.search(variable.name)
        and id(variable) not in depthwise
        and "float" in variable.dtype
    ]


def move_off_initial_values(model, x):
    """Move biases and scales, which are 0 or 1 before training, as a little training would."""
    outputs(model, x)  # builds what is not built
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        values = variable.numpy()
        if variable.dtype.startswith("float") and len(np.unique(values)) < values.size:
            variable.assign(values + rng.normal(scale=0.05, size=values.shape).astype(variable.dtype))


def kind(model):
    if isinstance(model, keras.Sequential):
        return "Sequential"
    functional = keras.src.models.functional.Functional
    if not isinstance(model, functional):
        return "subclassed"
    return "functional" if type(model) is functional else "functional, own class"


def line(error):
    return " ".join(str(error).split())[:600]


def told(error):
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/tfopt/" in frame.filename]
    last = own[-1] if own else frames[-1]
    return {
        "error": f"{type(error).__name__}: {line(error)}",
        "refused": isinstance(error, TfoptError),
        "at": f"{'/'.join(Path(last.filename).parts[-2:])}:{last.lineno} {last.name}",
    }


STAGES = {
    each.__name__: each
    for each in (float32, save, training, int8, prune, channels, low_rank, clusters, converter)
}


def run_stages(name, path, stages):
    """Run the stages for one model and append to `path` a line of JSON each, the last of stage `all`."""
    entry = zoo_models.models()[name]
    keras.utils.set_random_seed(0)

    def answer(**row):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row, default=float) + "\n")

    try:
        model, x = entry.build()
        move_off_initial_values(model, x)
        before = outputs(model, x)
        repeats = all(np.array_equal(a, b) for a, b in zip(before, outputs(model, x), strict=True))
    except Exception as error:  # noqa: BLE001 (whatever it raises is the row)
        answer(stage="build", ok=False, **told(error))
        answer(stage="all")
        return
    answer(
        stage="build",
        ok=True,
        parameters=model.count_params(),
        finite=all(bool(np.isfinite(each).all()) for each in before),
        repeats=repeats,
        kind=kind(model),
    )
    for stage in stages:
        answer(stage=stage, started=True)
        begin = time.perf_counter()
        try:
            row = {"ok": True, **STAGES[stage](model, x, entry)}
        except Exception as error:  # noqa: BLE001 (whatever it raises is the row)
            row = {"ok": False, **told(error)}
        if repeats and not all(map(np.array_equal, before, outputs(model, x))):
            row = {**row, "ok": False, "error": "the original model was changed", "refused": False}
        answer(stage=stage, seconds=round(time.perf_counter() - begin, 1), **row)
    answer(stage="all")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--answers", required=True, help="the file to which the lines are appended")
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=list(STAGES))
    arguments = parser.parse_args()
    for name in arguments.names:
        run_stages(name, arguments.answers, arguments.stages)


if __name__ == "__main__":
    main()
