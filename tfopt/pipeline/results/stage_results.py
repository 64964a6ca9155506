"""The measures of the model or file that a stage made: how good it is, what it costs, and its contract."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt import graph, measure
from tfopt.data import samples
from tfopt.data.dataset import Dataset
from tfopt.data.structure import count, map_leaves
from tfopt.export import TFLiteModel, inspect_file
from tfopt.pipeline.results import judging
from tfopt.pipeline.run_config import RunConfig
from tfopt.pipeline.training.compilation import output_of
from tfopt.run.stage_record import (
    ClassRecord,
    ContractRecord,
    LatencyRecord,
    TensorRecord,
    WeightsRecord,
)

_SPLITS = ("test", "validation")
_OF_CLASSES = 2
"""Axes of outputs that choose a class for each sample."""
_AT_ONCE = 8
"""So many batches are predicted at once, of samples that are read as they are needed."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good a model or file is.

    Attributes:
        metrics, validation: on the test and the validation split; empty of a model that has no loss.
        classes: the accuracy of each class on the test split; `None` where no class is chosen.
        at_chance: whether it is no better than a guess; `None` where nobody can say.
    """

    metrics: Mapping[str, float]
    validation: Mapping[str, float]
    classes: tuple[ClassRecord, ...] | None = None
    at_chance: bool | None = None


@dataclass(frozen=True, kw_only=True)
class FileCost:
    """The sizes of a file, and its latency next to that of the first stage's file."""

    bytes: int
    compressed_bytes: int
    weights: WeightsRecord
    latency: LatencyRecord


def of_model(model: keras.Model, config: RunConfig) -> Quality:
    """Return how good a Keras model is.

    The loss is that of the outputs, as that of a file is: what layers add to it in training is left out.
    """
    if not config.compilation.judges(model):
        return Quality(metrics={}, validation={})
    config.compilation.compile_for_evaluation(model)
    found = {split: _evaluated(model, split, config) for split in _SPLITS}
    if graph.own_training(model):
        return Quality(metrics=found["test"], validation=found["validation"])
    predict = functools.partial(_outputs, model, config.batch_size)
    if _is_streamed(config):
        if model.losses:
            return _of_streamed_outputs(predict, model, config)
        return _judged(found, _chosen_by(predict, model, config), config)
    if model.losses:
        found = _of_outputs(predict, model, config)
    return _judged(found, predict(config.data.x_test), config)


def of_file(file: TFLiteModel, model: keras.Model, config: RunConfig) -> Quality:
    """Return how good a TFLite file is, from its own predictions.

    Args:
        file: the file.
        model: the model that it was made from, for the names of its outputs.
        config: of the run.
    """
    if config.compilation.config.get("loss") is None:  # only its own class knows how to judge the model
        return Quality(metrics={}, validation={})
    if _is_streamed(config):
        return _of_streamed_outputs(functools.partial(_predictions, file), model, config)
    predicted: dict[int, Any] = {}

    def predict(x: Any) -> Any:
        predicted[id(x)] = _predictions(file, x)
        return predicted[id(x)]

    found = _of_outputs(predict, model, config)
    return _judged(found, predicted[id(config.data.x_test)], config)


def _judged(found: Mapping[str, Mapping[str, float]], predicted: Any, config: RunConfig) -> Quality:
    return Quality(
        metrics=found["test"],
        validation=found["validation"],
        classes=judging.by_class(predicted, config.data, config.compilation),
        at_chance=judging.at_chance(predicted, config.data, config.compilation),
    )


def _of_outputs(
    predict: Callable[[Any], Any], model: keras.Model, config: RunConfig
) -> dict[str, dict[str, float]]:
    """Return split -> metrics of what `predict` returns."""
    judge = _judge(model, config)
    results = {}
    for split in _SPLITS:
        x, *rest = config.data.evaluated(split)
        results[split] = _evaluate(judge, (_flat(predict(x)), *rest), config.batch_size)
    return results


def _of_streamed_outputs(predict: Callable[[Any], Any], model: keras.Model, config: RunConfig) -> Quality:
    """Return how good what `predict` returns is, batch by batch; what chooses no class is not kept."""
    judge = _judge(model, config)
    kept: list[np.ndarray] = []

    def predicted(split: str) -> Iterator[tuple[Any, ...]]:
        for x, *rest in samples.batches(config.data.evaluated(split), config.batch_size):
            outputs = predict(x)
            if split == "test" and isinstance(outputs, np.ndarray) and outputs.ndim == _OF_CLASSES:
                kept.append(outputs)
            yield (_flat(outputs), *rest)

    results = {}
    for split in _SPLITS:
        batches = _known(predicted(split), -(-count(config.data.split(split)[0]) // config.batch_size))
        results[split] = _as_floats(judge.evaluate(batches, return_dict=True, verbose=0))
    return _judged(results, np.concatenate(kept) if kept else None, config)


def _known(batches: Iterator[Any], number: int) -> tf.data.Dataset:
    """Return batches as a dataset of a known number of them.

    Keras counts one batch too many for the losses of several outputs where it has to find the end.
    """
    first = next(batches)
    signature = keras.tree.map_structure(lambda a: tf.TensorSpec((None, *a.shape[1:]), a.dtype), first)
    made = tf.data.Dataset.from_generator(
        lambda: itertools.chain([first], batches), output_signature=signature
    )
    return made.apply(tf.data.experimental.assert_cardinality(number))


def _judge(model: keras.Model, config: RunConfig) -> keras.Model:
    """Return a model that returns the outputs that it is given, with the metrics of `model`."""
    inputs = [keras.Input(tensor.shape[1:]) for tensor in model.outputs]
    names = getattr(model, "output_names", ["output"])  # a Sequential has one output and no name for it
    outputs = [keras.layers.Identity(name=name)(x) for name, x in zip(names, inputs, strict=True)]
    judge = keras.Model(inputs, keras.tree.pack_sequence_as(output_of(model), outputs))
    config.compilation.compile_for_evaluation(judge)
    return judge


def _flat(outputs: Any) -> Any:
    flat = tuple(keras.tree.flatten(outputs))
    return flat if len(flat) > 1 else flat[0]


def _is_streamed(config: RunConfig) -> bool:
    return config.data.place is not None


def _chosen_by(predict: Callable[[Any], Any], model: keras.Model, config: RunConfig) -> Any:
    """Return what `predict` returns for the test split, where it may choose classes; else `None`."""
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != _OF_CLASSES:
        return None
    return samples.in_parts(predict, config.data.x_test, _AT_ONCE * config.batch_size)


def _evaluated(model: keras.Model, split: str, config: RunConfig) -> dict[str, float]:
    """Return the metrics on a split."""
    batches = config.data.evaluated_batches(split, config.batch_size)
    if batches is None:
        return _evaluate(model, config.data.evaluated(split), config.batch_size)
    return _as_floats(model.evaluate(batches, return_dict=True, verbose=0))


def _outputs(model: keras.Model, batch_size: int, x: Any) -> Any:
    """Return what a model makes of inputs, in batches of one shape: Keras traces another one anew."""
    total = count(x)
    full = total // batch_size * batch_size
    predict = functools.partial(model.predict, batch_size=batch_size, verbose=0)
    if full in (0, total):
        return predict(x)
    rest = np.arange(full, full + batch_size) % total  # filled up with the first ones
    parts = predict(map_leaves(lambda array: array[:full], x)), predict(map_leaves(lambda a: a[rest], x))
    return keras.tree.map_structure(lambda *both: np.concatenate(both)[:total], *parts)


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
    return _as_floats(results)


def _as_floats(results: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in results.items()}


def of_bytes(content: bytes, first: bytes) -> FileCost:
    """Return what a file costs, its latency measured by turns with that of the first stage's file."""
    files = {"baseline": first} if content == first else {"baseline": first, "this": content}
    measured = {name: latency.median_seconds for name, latency in measure.latency(files).items()}
    seconds, baseline = measured.get("this", measured["baseline"]), measured["baseline"]
    summary = inspect_file(content)
    return FileCost(
        bytes=summary.bytes,
        compressed_bytes=summary.compressed_bytes,
        weights=WeightsRecord(
            sparsity=summary.sparsity,
            clusters=summary.clusters,
            sparse_bytes=summary.sparse_bytes,
            entropy_bytes=summary.entropy_bytes,
        ),
        latency=LatencyRecord(seconds=seconds, baseline_seconds=baseline, ratio=seconds / baseline),
    )


def contract(file: TFLiteModel, data: Dataset) -> ContractRecord:
    """Return what whoever runs a file has to give it, and gets."""
    inputs, outputs = (
        tuple(
            TensorRecord(
                name=spec.name,
                shape=tuple(spec.shape),
                dtype=spec.dtype,
                scale=spec.scale,
                zero_point=spec.zero_point,
            )
            for spec in specs
        )
        for specs in (file.inputs, file.outputs)
    )
    return ContractRecord(
        inputs=inputs,
        outputs=outputs,
        preprocessing=data.normalization,
        class_names=None if data.class_names is None else tuple(data.class_names),
    )
