"""A model of inputs of any size, with these fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras

from tfopt import _validation
from tfopt.data import Dataset
from tfopt.data.structure import fits, leaves
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.graph import _keras
from tfopt.graph.rewriting.rebuild import copy
from tfopt.graph.walk import input_names, tensors_in

InputShapes: TypeAlias = "Sequence[int | None] | Mapping[str, Sequence[int | None]]"
"""The shape of one sample of the only input, such as `(224, 224, 3)`, or input name -> shape.

`None` where a size is to stay open.
"""


def with_input_shapes(model: keras.Model, shapes: InputShapes | None) -> keras.Model:
    """Return `model` for inputs of these shapes; the weights are the same variables.

    Args:
        model: built. One whose inputs have these shapes already is returned as it is, and so is any model
            without `shapes`.
        shapes: without the batch axis; inputs that are not named stay as they are, and so do sizes of None.

    Raises:
        InvalidArgumentError: a name is not an input's, or a shape is not one of its.
        UnsupportedModel: the model is subclassed: it has the shapes that it was called with.
    """
    if shapes is None:
        return model
    if _keras.functional(model) is None:
        raise UnsupportedModel(
            f"input_shapes are for functional models, and {model.name!r} ({type(model).__name__}) is "
            "subclassed: it has the shapes of the data that it was first called with. Call a new one on "
            "data of the shape that the file is to have, and give it the weights: new(x); "
            "new.set_weights(model.get_weights())."
        )
    named = _named(model, shapes)
    wanted = [
        (tensor.shape[0], *named.get(name, tensor.shape[1:]))
        for name, tensor in zip(input_names(model), model.inputs, strict=True)
    ]
    if wanted == [tuple(tensor.shape) for tensor in model.inputs]:
        return model
    return _called(copy(model, share_variables=True), wanted)


def has_open_sizes(model: keras.Model) -> bool:
    """Return whether a functional model has an input with a size of None other than the batch."""
    return _keras.functional(model) is not None and any(None in x.shape[1:] for x in model.inputs)


def shapes_of(model: keras.Model, data: Dataset) -> dict[str, tuple[int, ...]] | None:
    """Return input name -> shape of a sample in `data`; None where the model's shapes are fixed."""
    if not has_open_sizes(model):
        return None
    shapes = (array.shape[1:] for _, array in leaves(data.x_train))
    return dict(zip(input_names(model), shapes, strict=True))


def left_open(model: keras.Model, shapes: InputShapes | None) -> frozenset[str]:
    """Return the inputs of a model that `shapes` gives a size of None to: they are to take any size."""
    if shapes is None or _keras.functional(model) is None:
        return frozenset()
    return frozenset(name for name, shape in _named(model, shapes).items() if None in shape)


def _named(model: keras.Model, shapes: InputShapes) -> dict[str, tuple[int | None, ...]]:
    names = input_names(model)
    if not isinstance(shapes, Mapping):
        if len(names) != 1:
            raise InvalidArgumentError(
                f"input_shapes must be a dict by name for the inputs {', '.join(map(repr, names))} of "
                f"{model.name!r}, got {shapes!r}."
            )
        shapes = {names[0]: shapes}
    unknown = [name for name in shapes if name not in names]
    if unknown:
        raise InvalidArgumentError(
            f"input_shapes has {', '.join(map(repr, unknown))}; the inputs of {model.name!r} are "
            f"{', '.join(map(repr, names))}."
        )
    sizes = dict(zip(names, (tensor.shape[1:] for tensor in model.inputs), strict=True))
    for name, shape in shapes.items():
        known = sizes[name]
        whole = isinstance(shape, Sequence) and all(
            n is None or (_validation.is_whole(n) and n > 0) for n in shape
        )
        if not whole or not fits(shape, known):
            raise InvalidArgumentError(
                f"input_shapes must give {name!r} the shape of one sample, whole numbers that fit "
                f"{known}, or None where a size is to stay open, got {shape!r}."
            )
    return {name: tuple(shape) for name, shape in shapes.items()}


def _called(model: keras.Model, shapes: Sequence[tuple[int | None, ...]]) -> keras.Model:
    """Return the calls of a private copy, made again on inputs of other shapes."""
    inputs, outputs = _keras.structure(model)
    fixed = iter(shapes)
    new_inputs = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=next(fixed), dtype=x.dtype, name=x.name), inputs
    )
    new: dict[int, Any] = {
        id(old): made
        for old, made in zip(keras.tree.flatten(inputs), keras.tree.flatten(new_inputs), strict=True)
    }

    def fill(value: Any) -> Any:
        return new[id(value)] if isinstance(value, keras.KerasTensor) else value

    fixed_models: dict[int, tuple[list[Any], keras.Model]] = {}
    for operation, args, kwargs, made in _keras.calls(model):
        args, kwargs = keras.tree.map_structure(fill, (args, kwargs))
        if _keras.functional(operation) is not None:
            sizes = [tuple(tensor.shape) for tensor in tensors_in((args, kwargs))]
            # One that is called in two shapes stays open, for a model holds each name once.
            if id(operation) not in fixed_models and len(sizes) == len(operation.inputs):
                fixed_models[id(operation)] = sizes, _called(operation, sizes)
            known, inner = fixed_models.get(id(operation), (None, operation))
            operation = inner if known == sizes else operation
        results = keras.tree.flatten(operation(*args, **kwargs))
        new.update({id(old): result for old, result in zip(made, results, strict=True)})
    return keras.Model(new_inputs, keras.tree.map_structure(fill, outputs), name=model.name)
