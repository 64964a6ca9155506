"""A prepared model goes through an engine and the passes after it, and comes out as the content of a file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from tfopt import graph
from tfopt import rules as rules_
from tfopt.errors import ConversionError, UnsupportedModel, UnsupportedOperation
from tfopt.export.conversion import Conversion
from tfopt.export.converter.convert_graph import convert_graph
from tfopt.export.converter.process import ConverterDiedError
from tfopt.export.converter.settings import converter_settings
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.keras_graph.freeze import Frozen, freeze
from tfopt.export.keras_graph.inputs_outputs import names
from tfopt.export.litert_quantizer.quantizer import CalibrationError, needs_samples, quantize_file
from tfopt.export.litert_quantizer.recipe import entries_of, operators
from tfopt.export.passes.plan import (
    after_converter,
    after_litert_quantizer,
    for_runtime,
    for_trained_model,
)
from tfopt.export.passes.run import Pass, run_passes
from tfopt.export.trained_weights.file_scheme import quantized_weights
from tfopt.quantization.canonicalize.canonicalize import canonical

logger = logging.getLogger(__name__)


def file_content(model: keras.Model, conversion: Conversion) -> bytes:
    """Return the content of the file of a prepared model.

    Where an engine refuses the operations of a float model, its decomposition is tried.

    Raises:
        ConversionError: the engine refused the model, or crashed, or wrote another file than was planned.
    """
    logger.info(
        "%r becomes a TFLite file: scheme %s, engine %s, inputs %s, outputs %s",
        *(model.name, conversion.options.scheme, conversion.engine),
        *(conversion.input_type, conversion.output_type),
    )
    try:
        return _content(model, conversion)
    except ConversionError as error:
        if conversion.left_open:
            raise type(error)(f"{error} Or fix the sizes: give whole numbers in input_shapes.") from error
        known = isinstance(error, CalibrationError) or not conversion.integer
        if conversion.quantized or not known or isinstance(error, ConverterDiedError):
            raise
        return _of_simpler_operations(model, conversion, error)


def _of_simpler_operations(model: keras.Model, conversion: Conversion, refused: ConversionError) -> bytes:
    """Return the file of the operations that a model in float is made of, which are fewer kinds.

    Recurrent layers are unrolled there.

    Args:
        model: which the converter refused, saying `refused`.
        conversion: of that model.
    """
    logger.info("%r is converted again, decomposed into simpler operations, for: %s", model.name, refused)
    try:
        plain, paths = canonical(graph.as_functional(graph.copy(model, share_variables=True)))
        settings = {
            path: conversion.settings[whole]
            for path in paths.values()
            for whole in rules_.wholes(path)
            if whole in conversion.settings
        }
        settings |= conversion.settings
        return _content(plain, replace(conversion, settings=settings, paths=paths))
    except (UnsupportedModel, UnsupportedOperation, ConversionError):
        raise refused from None


def _content(model: keras.Model, conversion: Conversion) -> bytes:
    """Return the file of a functional model, as its engine writes it."""
    frozen = freeze(
        model,
        conversion.batch_size,
        fake_quantization=conversion.integer,
        named_after=conversion.named_after,
        left_open=conversion.left_open,
    )
    _require_no_loops(model, frozen, conversion)
    if conversion.by_litert_quantizer:
        return _by_litert_quantizer(model, frozen, conversion)
    return _by_converter(model, frozen, conversion)


def _require_no_loops(model: keras.Model, frozen: Frozen, conversion: Conversion) -> None:
    """Raise where samples are to pass a loop, in which neither engine can look at them."""
    loops = frozen.operations.get("LoopCond", ())
    if conversion.samples is not None and loops and not conversion.quantized:
        options = conversion.options
        raise CalibrationError(
            f"Cannot write {model.name!r} as {options.scheme} TFLite: the layer {loops[0]!r} is a "
            f"loop, in which engine={options.writer!r} cannot look for ranges. Take engine='keras', "
            "without another algorithm: it leaves such a loop in float."
        )


def _by_converter(model: keras.Model, frozen: Frozen, conversion: Conversion) -> bytes:
    """Return what TensorFlow's converter makes of a graph, with the passes after it."""
    settings, unquantized = converter_settings(model, conversion)
    samples = conversion.samples if conversion.integer and not conversion.quantized else None
    content = convert_graph(model, frozen, conversion.scheme, settings, samples)
    file = ParsedFile(content, "What the converter wrote")
    weights = quantized_weights(model) if conversion.rounded else {}
    run_passes(
        file,
        [
            *after_converter(frozen),
            *for_trained_model(frozen, weights, unquantized),
            *_for_runtime(frozen, conversion),
        ],
    )
    return file.serialize()


def _by_litert_quantizer(model: keras.Model, frozen: Frozen, conversion: Conversion) -> bytes:
    """Return what litert-quantizer makes of the converter's float file, with the passes after each."""
    options = conversion.options
    file = ParsedFile(convert_graph(model, frozen, "float32", {}, None), "What the converter wrote")
    run_passes(file, after_converter(frozen))
    kernels = {conversion.paths.get(path, path) for path in _with_kernels(model)}
    types = {"INPUT": conversion.input_type, "OUTPUT": conversion.output_type}
    entries = entries_of(
        operators(file, conversion.settings, kernels),
        conversion.settings,
        options.scheme,
        {name: "int8" if dtype == "uint8" else dtype for name, dtype in types.items()},
        options.grid,
    )
    samples = conversion.samples if needs_samples(entries) else None
    try:
        content = quantize_file(file.serialize(), entries, samples=_by_name(model, samples))
    except ConversionError as error:
        raise type(error)(f"Cannot write {model.name!r} as {options.scheme} TFLite. {error}") from error
    file = ParsedFile(content, "What litert-quantizer wrote")
    per_channel = options.weights.per_channel
    run_passes(
        file,
        [
            *after_litert_quantizer(conversion.settings, options.scheme, per_channel=per_channel),
            *_for_runtime(frozen, conversion),
        ],
    )
    return file.serialize()


def _for_runtime(frozen: Frozen, conversion: Conversion) -> list[Pass]:
    return for_runtime(
        frozen.plan,
        integer=conversion.integer,
        float_where_faster=conversion.options.float_where_faster,
        uint8_inputs=conversion.input_type == "uint8",
        uint8_outputs=conversion.output_type == "uint8",
        sparse=conversion.options.sparse,
    )


def _with_kernels(model: keras.Model) -> list[str]:
    """Return the paths of the layers that have a kernel."""
    return [path for path, layer in graph.layers(model) if any(len(x.shape) > 1 for x in layer.weights)]


def _by_name(model: keras.Model, samples: Sequence[np.ndarray] | None) -> list[dict[str, np.ndarray]] | None:
    """Return one dict of input name -> array a sample."""
    if samples is None:
        return None
    inputs = names(model)[0]
    return [dict(zip(inputs, each, strict=True)) for each in zip(*samples, strict=True)]
