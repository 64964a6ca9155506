"""What is measured of the model or file that a stage made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from tfopt import graph, measure
from tfopt.data.dataset import Dataset
from tfopt.export import TFLiteModel
from tfopt.pipeline import judging
from tfopt.pipeline.compilation import Compilation, output_of

_SPLITS = {"metrics": "test", "validation": "validation"}


def of_model(model: keras.Model, data: Dataset, compilation: Compilation, batch_size: int) -> dict[str, Any]:
    """Return the metrics of a Keras model on the test and validation splits; none of one without a loss.

    The loss is that of the outputs, as that of a file is: what layers add to it in training is left out.
    With them come the accuracy of each class, and whether the model is `at_chance`, `None` where nobody can
    say.
    """
    if not compilation.judges(model):
        return {name: {} for name in _SPLITS} | _judged(None, data, compilation)
    compilation.compile_for_evaluation(model)
    found = {name: _evaluate(model, data.evaluated(split), batch_size) for name, split in _SPLITS.items()}
    if graph.own_training(model):
        return found | _judged(None, data, compilation)
    predict = functools.partial(model.predict, batch_size=batch_size, verbose=0)
    if model.losses:
        found = _of_outputs(predict, model, data, compilation, batch_size)
    return found | _judged(predict(data.x_test), data, compilation)


def of_file(
    file: TFLiteModel, model: keras.Model, data: Dataset, compilation: Compilation, batch_size: int
) -> dict[str, Any]:
    """Return the same of a TFLite file, from its own predictions.

    Args:
        model: the model that the file was made from, for the names of its outputs.
    """
    if compilation.config.get("loss") is None:  # only its own class knows how to judge the model
        return {name: {} for name in _SPLITS} | _judged(None, data, compilation)
    predicted: dict[int, Any] = {}

    def predict(x: Any) -> Any:
        predicted[id(x)] = _predictions(file, x)
        return predicted[id(x)]

    found = _of_outputs(predict, model, data, compilation, batch_size)
    return found | _judged(predicted[id(data.x_test)], data, compilation)


def _judged(predicted: Any, data: Dataset, compilation: Compilation) -> dict[str, Any]:
    return {
        "classes": judging.by_class(predicted, data, compilation),
        "at_chance": judging.at_chance(predicted, data, compilation),
    }


def _of_outputs(
    predict: Callable[[Any], Any],
    model: keras.Model,
    data: Dataset,
    compilation: Compilation,
    batch_size: int,
) -> dict[str, dict[str, float]]:
    # A model that returns what it is given applies the very metrics that the Keras models are judged by.
    inputs = [keras.Input(tensor.shape[1:]) for tensor in model.outputs]
    names = getattr(model, "output_names", ["output"])  # a Sequential has one output and no name for it
    outputs = [keras.layers.Identity(name=name)(x) for name, x in zip(names, inputs, strict=True)]
    judge = keras.Model(inputs, keras.tree.pack_sequence_as(output_of(model), outputs))
    compilation.compile_for_evaluation(judge)
    results = {}
    for name, split in _SPLITS.items():
        x, *rest = data.evaluated(split)
        flat = tuple(keras.tree.flatten(predict(x)))
        results[name] = _evaluate(judge, (flat if len(flat) > 1 else flat[0], *rest), batch_size)
    return results


def _predictions(file: TFLiteModel, x: Any) -> Any:
    predicted = file.predict(x)
    return tuple(predicted[spec.name] for spec in file.outputs) if isinstance(predicted, dict) else predicted


def _evaluate(model: keras.Model, data: tuple[Any, ...], batch_size: int) -> dict[str, float]:
    """Return the metrics on (inputs, targets) or (inputs, targets, weights of the samples)."""
    results = model.evaluate(
        data[0],
        data[1],
        sample_weight=data[2] if len(data) > 2 else None,
        batch_size=batch_size,
        return_dict=True,
        verbose=0,
    )
    return {name: float(value) for name, value in results.items()}


def of_bytes(content: bytes, first: bytes) -> dict[str, Any]:
    """Return size and latency of a file, the latency beside that of the first stage's file."""
    files = {"baseline": first} if content == first else {"baseline": first, "this": content}
    measured = {name: latency.median_seconds for name, latency in measure.latency(files).items()}
    seconds, baseline = measured.get("this", measured["baseline"]), measured["baseline"]
    return {
        "bytes": measure.raw_bytes(content),
        "compressed_bytes": measure.compressed_bytes(content),
        "latency": {"seconds": seconds, "baseline_seconds": baseline, "ratio": seconds / baseline},
    }
