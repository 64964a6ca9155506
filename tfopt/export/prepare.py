"""A model is made ready for an engine, and how the engine converts it is decided."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt import rules as rules_
from tfopt.data import Dataset
from tfopt.data.representative import Representative, calibration_arrays
from tfopt.errors import InvalidArgumentError
from tfopt.export.calibrated import calibrated, require_data
from tfopt.export.conversion import Conversion
from tfopt.export.keras_graph.inputs_outputs import fixed_shapes, names
from tfopt.export.options import NEED_DATA, Options
from tfopt.export.schemes import scheme_of
from tfopt.export.trained_weights.file_scheme import file_scheme
from tfopt.post_training import corrected
from tfopt.post_training.samples import shapes_of_data

logger = logging.getLogger(__name__)


def with_sizes(
    model: keras.Model, data: Representative | None, input_shapes: graph.InputShapes | None
) -> tuple[keras.Model, Representative | None, Collection[str]]:
    """Return a model whose inputs have the sizes of the file, the data as it takes it, and the open inputs.

    Args:
        model: any built Keras model.
        data: representative samples; their sizes are those of the file where no others are given.
        input_shapes: as `to_tflite` takes them.
    """
    if input_shapes is None and data is not None:
        input_shapes = shapes_of_data(model, data)
    left_open = graph.left_open(model, input_shapes)
    model = graph.with_input_shapes(model, input_shapes)
    if isinstance(data, Dataset):
        data = graph.as_taken(model, data)
    return model, data, left_open


def require_float(model: keras.Model, **arguments: Any) -> None:
    """Raise where a model is quantization-aware and arguments say how a float model is to be rounded."""
    given = [name for name, value in arguments.items() if value]
    if given and graph.is_quantized(model):
        raise InvalidArgumentError(
            f"{model.name!r} is quantization-aware: how it is rounded was decided in training. Leave out "
            f"{', '.join(given)}, or give the model in float."
        )


def prepared(
    model: keras.Model,
    data: Representative | None,
    options: Options,
    *,
    input_type: str,
    output_type: str,
    rounded: bool,
    batch_size: int,
    left_open: Collection[str],
) -> tuple[keras.Model, Conversion]:
    """Return the model that an engine converts, and how.

    Args:
        model: of the sizes of the file.
        data: representative samples.
        options: the arguments of `to_tflite`, with the scheme of the file.
        input_type, output_type, rounded, batch_size, left_open: see `Conversion`.

    Raises:
        InvalidArgumentError: the data is missing or does not fit, or a rule matches nothing.
        UnsupportedModel, UnsupportedOperation, DataError: as `to_tflite`.
    """
    quantized, scheme = graph.is_quantized(model), options.scheme
    if not quantized and options.writer == "converter" and scheme_of(scheme).integer and _recurs(model):
        options = replace(options, engine=options.engine or "keras")
    if options.needs_data or (options.integer and not quantized):
        require_data(data, _reason(options))
    own_graph = options.writer == "keras" and not quantized
    source = model
    if options.corrections or not own_graph:
        source = model = _readable(model, options)
    settings: Mapping[str, str] = {}
    if options.corrections or not (own_graph or quantized):
        settings = rules_.resolve(options.named_rules, [path for path, _ in graph.layers(model)], scheme)
    for path, name in settings.items():
        logger.debug("%r has the scheme %s", path, name)
    if options.corrections:
        logger.info("%r is corrected before it is rounded: %s", model.name, ", ".join(options.corrections))
        model = _corrected(model, options, settings, data)
    if own_graph:
        model = calibrated(model, options, data)
        quantized, (scheme, rounded) = True, file_scheme(model, None)
    samples = None
    if options.needs_data or (options.integer and not quantized):
        samples = _arrays(model, data, options, batch_size, left_open)
    return model, Conversion(
        options=options,
        scheme=scheme,
        integer=options.integer,
        quantized=quantized,
        rounded=rounded,
        input_type=input_type,
        output_type=output_type,
        settings=settings,
        samples=samples,
        batch_size=batch_size,
        left_open=left_open,
        named_after=source if graph.is_functional(source) else None,
    )


def _recurs(model: keras.Model) -> bool:
    """Return whether a model has a recurrent layer: TensorFlow's converter cannot look into its loop."""
    return any(isinstance(layer, keras.layers.RNN) for layer in graph.inner_layers(model))


def _reason(options: Options) -> str:
    """Return what it is that has to see data, for an error message."""
    if options.integer:
        return f"The scheme {options.scheme!r}" if not options.rules else "A scheme with integer activations"
    needing = [name for name in (options.weights.algorithm, *options.corrections) if name in NEED_DATA]
    return f"What is called {needing[0]!r}"


def _readable(model: keras.Model, options: Options) -> keras.Model:
    """Return `model` as a graph: of its layers where these are looked at one by one, else as it is traced."""
    if graph.is_functional(model) or not (options.rules or options.corrections):
        return graph.as_graph(model)
    return graph.as_functional(graph.copy(model, share_variables=True))


def _corrected(
    model: keras.Model, options: Options, settings: Mapping[str, str], data: Representative | None
) -> keras.Model:
    """Return the model whose weights lose less when they are rounded as the settings say."""
    bits = {path: scheme_of(name).weight_bits for path, name in settings.items()}
    return corrected(model, options.corrections, data, bits=bits, per_channel=options.weights.per_channel)


def _arrays(
    model: keras.Model,
    data: Representative | None,
    options: Options,
    batch_size: int,
    left_open: Collection[str],
) -> list[np.ndarray]:
    """Return the representative data as arrays of batches, one an input."""
    if left_open:
        raise InvalidArgumentError(
            f"engine={options.writer!r} calibrates a graph of fixed sizes: give input_shapes whole numbers, "
            "or leave the sizes open with the default engine, which writes 'int8'."
        )
    dtypes = tuple(keras.backend.standardize_dtype(tensor.dtype) for tensor in model.inputs)
    return calibration_arrays(data, names(model)[0], fixed_shapes(model, batch_size), dtypes)
