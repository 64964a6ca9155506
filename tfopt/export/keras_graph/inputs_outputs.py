"""The inputs and outputs of a Keras model as its file has them: names, order and shapes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import keras

from tfopt import _validation, graph
from tfopt.data.sets import fixed_batch
from tfopt.errors import InvalidArgumentError
from tfopt.export.flatbuffer.inputs_outputs import OPEN_SIZE
from tfopt.export.flatbuffer.tensor_names import unique
from tfopt.quantization.quantizers.names import quantized_by


def file_shapes(
    model: keras.Model, batch_size: int, left_open: Collection[str] = ()
) -> tuple[tuple[int | None, ...], ...]:
    """Return the shapes of the inputs of a file, the batch size in front: the model's own, if it has one.

    Args:
        model: functional.
        batch_size: how many samples the file takes at once.
        left_open: the inputs that may keep sizes of None, as `tfopt.graph.input_names` calls them.

    Raises:
        UnsupportedModel: the model is subclassed.
        InvalidArgumentError: an input has a dimension of unknown size, `batch_size` is below 1 or not the
            model's, or the inputs are built for batches of different sizes.
    """
    graph.require_functional(model)
    if not _validation.is_whole(batch_size) or batch_size < 1:
        raise InvalidArgumentError(f"batch_size must be an integer of 1 or more, got {batch_size!r}.")
    for name, tensor in zip(graph.input_names(model), model.inputs, strict=True):
        if None in tensor.shape[1:] and name not in left_open:
            fixed_shape = tuple(OPEN_SIZE if size is None else size for size in tensor.shape[1:])
            raise InvalidArgumentError(
                f"The input {name!r} has the shape {tensor.shape}: only the batch may be None, for a TFLite "
                "file has fixed shapes by default. Say which ones it is to have, such as "
                f"to_tflite(model, input_shapes={{{name!r}: {fixed_shape}}}), or build the model with them, "
                f"such as keras.Input({fixed_shape}). Or leave them open for whoever runs the "
                "file, to resize its input, with "
                f"input_shapes={{{name!r}: {tuple(tensor.shape[1:])}}}, where LiteRT can."
            )
    fixed = fixed_batch([tensor.shape for tensor in model.inputs])
    if fixed is not None and batch_size not in (1, fixed):
        raise InvalidArgumentError(
            f"batch_size={batch_size}, but {model.name!r} was built for batches of {fixed}: leave it out, or "
            "build the model with keras.Input(shape)."
        )
    return tuple((fixed or batch_size, *tensor.shape[1:]) for tensor in model.inputs)


def fixed_shapes(model: keras.Model, batch_size: int) -> tuple[tuple[int, ...], ...]:
    """Return `file_shapes` where no size is left open."""
    return tuple(tuple(size or 0 for size in shape) for shape in file_shapes(model, batch_size))


def names(model: keras.Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the inputs and outputs of `model`, in its order.

    Dictionary keys where the model takes or returns a dictionary; else the names of the input tensors, and
    of the layers that make the outputs (not of the quantizers after them). Names that occur twice get
    `_1`, `_2`.
    """
    if isinstance(model, keras.Sequential):
        return (model.inputs[0].name,), (model.layers[-1].name,)
    inputs = _keys(model.input) or [tensor.name for tensor in model.inputs]
    outputs = _keys(model.output) or [
        quantized_by(name.removesuffix(graph.LOSSES_SUFFIX)) for name in model.output_names
    ]
    return _unique(inputs), _unique(outputs)


def packed(model: keras.Model, tensors: Sequence[Any]) -> Any:
    """Return one tensor an input as `model` takes them: one, a list, a tuple or a dict."""
    if isinstance(model, keras.Sequential):
        return tensors[0]
    return keras.tree.pack_sequence_as(model.input, list(tensors))


def _keys(structure: Any) -> list[str] | None:
    return sorted(structure) if isinstance(structure, dict) else None


def _unique(names: list[str]) -> tuple[str, ...]:
    taken: set[str] = set()
    return tuple(unique(name, taken) for name in names)
