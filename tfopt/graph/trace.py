"""Turning Python code into a graph: calling a layer or a model on symbolic tensors."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tfopt.errors import UnsupportedModel
from tfopt.graph import _keras
from tfopt.graph.constant import Constant
from tfopt.graph.walk import require_functional, tensors_in


def traced(layer: keras.Layer, call: Callable[[], Any], reference: keras.KerasTensor) -> Any:
    """Return what `call`, which runs code of `layer` on symbolic tensors, returns.

    The layer's own variables are symbolic meanwhile, and so is what layers in it make of constants: an
    embedding of positions stays trainable.

    Args:
        layer: whose code runs.
        call: runs it.
        reference: a symbolic tensor that the code reads, such as the layer's input.
    """
    with (
        _variables_as_tensors(layer, reference),
        _keras.constants_as_tensors(lambda value: Constant.of(value, "constant")(reference)),
    ):
        return call()


def as_functional(model: keras.Model) -> keras.Model:
    """Return `model`, as a functional model of the same layers if it is subclassed.

    The code of `call` runs once, on symbolic tensors, as at inference: `if training:` is not followed,
    while layers in it that know training, such as Dropout, go on knowing it.

    Raises:
        InvalidArgumentError: it is no Keras 3 model.
        UnsupportedModel: it has not been called yet, or `call` uses more than layers and `keras.ops`.
    """
    if not isinstance(model, keras.Model) or isinstance(model, keras.Sequential):
        require_functional(model)
    if _keras.functional(model) is not None:
        return model
    config = model.get_build_config() or {}
    if not model.built or "input_shape" not in config:
        raise UnsupportedModel(
            f"The subclassed model {model.name!r} does not know its input shapes yet: call it once on a "
            "batch of data, then come again."
        )
    try:
        outputs, inputs = _called(model, config["input_shape"])
        return keras.Model(inputs, outputs, name=model.name)
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise UnsupportedModel(
            f"The model {model.name!r} is subclassed ({type(model).__name__}), and its call() cannot run on "
            f"symbolic tensors: {type(error).__name__}: {reason} Use only layers and keras.ops in it, or "
            "make it functional: inputs = keras.Input(shape); model = keras.Model(inputs, outputs)."
        ) from error


def _called(model: keras.Model, shapes: Any) -> tuple[Any, Any]:
    """Return the symbolic outputs and inputs, of integers where nothing but embeddings reads an input."""

    def run(dtypes: dict[int, str]) -> tuple[Any, list[keras.KerasTensor]]:
        flat = [
            keras.Input((*shape[1:],), dtype=dtypes.get(index, "float32"), name=name)
            for index, (name, shape) in enumerate(named)
        ]
        inputs = _like(shapes, flat)
        return traced(model, lambda: model.call(inputs, **training), flat[0]), inputs

    named = list(_named(shapes))
    training = {"training": False} if "training" in inspect.signature(model.call).parameters else {}
    outputs, inputs = run({})
    readers: dict[int, list[keras.Operation]] = {}
    for operation, args, kwargs, _ in _keras.calls(keras.Model(inputs, outputs)):
        for tensor in () if isinstance(operation, Constant) else tensors_in((args, kwargs)):
            readers.setdefault(id(tensor), []).append(operation)
    tokens = {
        index: "int32"
        for index, tensor in enumerate(tensors_in(inputs))
        if readers.get(id(tensor))
        and all(isinstance(reader, keras.layers.Embedding) for reader in readers[id(tensor)])
    }
    return run(tokens) if tokens else (outputs, inputs)


def _named(shapes: Any) -> Iterator[tuple[str | None, tuple]]:
    if isinstance(shapes, dict):
        yield from sorted(shapes.items())
    elif shapes and isinstance(shapes[0], (list, tuple)):
        yield from ((None, shape) for shape in shapes)
    else:
        yield None, shapes


def _like(shapes: Any, flat: list[keras.KerasTensor]) -> Any:
    if isinstance(shapes, dict):
        return dict(zip(sorted(shapes), flat, strict=True))
    return flat if isinstance(shapes[0], (list, tuple)) else flat[0]


@contextlib.contextmanager
def _variables_as_tensors(layer: keras.Layer, reference: keras.KerasTensor) -> Iterator[None]:
    variables = {name: value for name, value in vars(layer).items() if isinstance(value, keras.Variable)}
    # Not setattr: Keras would take the tensor for a change of the layer.
    try:
        for name, variable in variables.items():
            vars(layer)[name] = Constant.of(variable, name)(reference)
        yield
    finally:
        vars(layer).update(variables)
