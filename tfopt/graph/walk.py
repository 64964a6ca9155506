"""Reading a Keras 3 model as a graph of operations."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import keras

from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.graph import _keras
from tfopt.graph.added_losses import LOSSES_SUFFIX


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One call of an operation.

    Attributes:
        path: the names of the nested models and of the operation, joined by `/`.
        operation: the layer or operation that was called; a shared layer stands in several nodes.
        args, kwargs: what it was called with, `KerasTensor`s where tensors stood.
        inputs, outputs: the tensors among them and those it returned, flat.
    """

    path: str
    operation: keras.Operation
    args: tuple
    kwargs: dict[str, Any]
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]

    @property
    def nested(self) -> keras.Model | None:
        """The functional model that was called, None where the operation is none."""
        return self.operation if _keras.functional(self.operation) is not None else None


def require_built(model: keras.Model) -> None:
    """Raise unless `model` is a Keras 3 model that has its weights.

    Raises:
        InvalidArgumentError: it is no Keras 3 model, or a Sequential that has not seen its input shape.
        UnsupportedModel: it is subclassed and has not been called.
    """
    _require_model(model)
    if _keras.functional(model) is None and not model.built:
        raise UnsupportedModel(
            f"The subclassed model {model.name!r} has no weights yet: call it once on a batch of data, as "
            "model(x), then try again."
        )


def require_tensorflow(caller: str) -> None:
    """Raise unless Keras runs on TensorFlow.

    Args:
        caller: what needs it, which the error names.

    Raises:
        UnsupportedModel: Keras runs on another backend.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise UnsupportedModel(
            f"{caller} works on TensorFlow, and Keras runs on {backend} here: save the model with "
            'model.save("model.keras"), and load it in a process that was started with '
            "KERAS_BACKEND=tensorflow."
        )


def require_functional(model: keras.Model) -> None:
    """Raise unless `model` is a built Sequential or functional model.

    Raises:
        UnsupportedModel: the model is subclassed.
        InvalidArgumentError: it is no Keras 3 model, or a Sequential that has not seen its input shape.
    """
    _require_model(model)
    if _keras.functional(model) is None:
        raise UnsupportedModel(
            f"The model {model.name!r} is subclassed ({type(model).__name__}): its call() is Python code, "
            "not a graph of layers that can be rewritten. Make it functional: inputs = keras.Input(shape); "
            "model = keras.Model(inputs, model.call(inputs)), if call() uses only layers and keras.ops."
        )


def _require_model(model: keras.Model) -> None:
    if not isinstance(model, keras.Model):
        raise InvalidArgumentError(
            f"Expected a Keras 3 model (keras.Model), got {type(model).__module__}.{type(model).__name__}."
        )
    if isinstance(model, keras.Sequential) and not model.built:
        raise InvalidArgumentError(
            f"The Sequential model {model.name!r} does not know its input shape yet: start it with "
            "keras.Input(shape) or call model.build((None, *shape))."
        )


def is_functional(model: keras.Layer) -> bool:
    """Return whether a model is a graph of calls that can be read, not Python code."""
    return _keras.functional(model) is not None


def input_names(model: keras.Model) -> tuple[str, ...]:
    """Return the names of the inputs of a functional model in the order of `model.inputs`: keys of a dict."""
    structure, _ = _keras.structure(model)
    return tuple(sorted(structure)) if isinstance(structure, dict) else tuple(x.name for x in model.inputs)


def named_inputs(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """Return the inputs of a functional model by name, in the order of `model.inputs`."""
    return dict(zip(input_names(model), model.inputs, strict=True))


def nodes(model: keras.Model) -> list[Node]:
    """Return every call in an order that runs, nested models flattened.

    The tensors inside a nested model are its own, not those that it was called with.
    """
    require_functional(model)
    return list(_nodes(model, ""))


def calls(model: keras.Model) -> list[Node]:
    """Return every call in an order that runs, nested models as calls of their own."""
    return [as_node("", *call) for call in _keras.calls(model)]


def output_producers(model: keras.Model) -> list[str]:
    """Return the name of the layer that makes each output of `model`, `""` where it is an input.

    The layer that carries losses makes nothing.
    """
    names = {id(x): operation.name for operation, *_, outputs in _keras.calls(model) for x in outputs}
    return [names.get(id(tensor), "").removesuffix(LOSSES_SUFFIX) for tensor in model.outputs]


def _nodes(model: keras.Model, prefix: str) -> list[Node]:
    found: list[Node] = []
    for call in _keras.calls(model):
        node = as_node(prefix, *call)
        found += [node] if node.nested is None else _nodes(node.nested, node.path + "/")
    return found


def as_node(
    prefix: str, operation: keras.Operation, args: tuple, kwargs: dict, outputs: list[keras.KerasTensor]
) -> Node:
    """Return one of Keras's calls as a node; `prefix` is the path of the model that it stands in."""
    path = prefix + operation.name.replace(INSIDE, "/")
    return Node(path, operation, args, kwargs, tensors_in((args, kwargs)), tuple(outputs))


INSIDE = ">"
"""In the name of an operation: it is called inside a layer whose code runs in place. Keras allows no `/`."""


def producer(tensor: keras.KerasTensor) -> Node | None:
    """Return the call that made `tensor`, None for an input."""
    call = _keras.call_of(tensor)
    return None if call is None else as_node("", *call)


def mask_of(tensor: keras.KerasTensor) -> keras.KerasTensor | None:
    """Return the mask that layers which read `tensor` get with it, unseen in the graph; None without one."""
    return _keras.mask_of(tensor)


def set_mask(tensor: keras.KerasTensor, mask: keras.KerasTensor) -> None:
    """Let layers that read `tensor` get `mask` with it."""
    _keras.set_mask(tensor, mask)


def tensors_in(arguments: Any) -> tuple[keras.KerasTensor, ...]:
    """Return the symbolic tensors in a structure of arguments, flat."""
    return tuple(x for x in keras.tree.flatten(arguments) if isinstance(x, keras.KerasTensor))


def called_with(node: Node, args: tuple, kwargs: dict[str, Any]) -> list[Any]:
    """Return what a call of a nested model gives for each of its inputs: tensors, arrays and variables.

    Args:
        node: the call.
        args, kwargs: what it is called with.
    """
    signature = inspect.signature(node.operation.call)
    return keras.tree.flatten(next(iter(signature.bind(*args, **kwargs).arguments.values())))


def layers(model: keras.Model) -> list[tuple[str, keras.Layer]]:
    """Return (path, layer) of every layer that is no model itself, each once, in an order that runs.

    The layers that a recurrence runs in a loop come after it.
    """
    found: dict[int, tuple[str, keras.Layer]] = {}
    for node in (each for outer in nodes(model) for each in (outer, *looped(outer))):
        if isinstance(node.operation, keras.Layer):
            found.setdefault(id(node.operation), (node.path, node.operation))
    return list(found.values())


def looped(node: Node) -> list[Node]:
    """Return the calls that a node runs in a loop, those of its first step first; of others none."""
    prefix = node.path.removesuffix(node.operation.name)
    programs = node.operation.programs if getattr(node.operation, "tfopt_loop", False) else ()
    return [each for program in programs for each in program.nodes(prefix)]


def inner_layers(layer: keras.Layer) -> list[keras.Layer]:
    """Return every layer inside `layer`, at any depth, each once; of a model that need not be functional."""
    return _keras.sublayers(layer)


def unwrapped(layer: keras.Layer) -> keras.Layer:
    """Return the layer that holds the weights: the inner one where tfopt has wrapped it, else itself."""
    return unwrapped(layer.layer) if getattr(layer, "tfopt_wrapper", False) else layer
