"""The one place that reads Keras's private record of a functional model, and what is on its tensors.

Keras keeps the calls that made a functional model in `Function._nodes_by_depth` and gives no public way
to read them; `clone_model(call_function=...)` shows one call at a time, without its consumers, and does
not open nested models. A symbolic tensor knows the call that made it by `_keras_history`, an operation the
calls of it and those that read what it returned by `_inbound_nodes` and `_outbound_nodes`. The layers that a
layer holds are in `Layer._layers`; only a model's are public. The mask of a sequence travels on its tensor as
`_keras_mask`. All of it is so in Keras 3.10 to 3.15.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
from keras.src.models.functional import Functional


def functional(model: keras.Operation) -> Any:
    """Return the `Functional` model that runs `model`, or None where there is none.

    A subclass with a `call` of its own is none: its graph is only a part of what it computes.
    """
    if isinstance(model, keras.Sequential):
        return model._functional if model.built and type(model).call is keras.Sequential.call else None
    return model if hasattr(model, "_nodes_by_depth") and type(model).call is Functional.call else None


def calls(model: keras.Model) -> Iterator[tuple[keras.Operation, tuple, dict, list[keras.KerasTensor]]]:
    """Yield (operation, args, kwargs, outputs) of every call but the inputs, in an order that runs."""
    by_depth = functional(model)._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if not node.is_input:
                yield node.operation, node.arguments.args, node.arguments.kwargs, node.outputs


def structure(model: keras.Model) -> tuple[Any, Any]:
    """Return the symbolic inputs and outputs as the model was given them: tensor, list, tuple or dict."""
    inner = functional(model)
    return inner.input, inner.output


def mark_dense(tensor: keras.KerasTensor) -> None:
    """Say of a symbolic tensor that it is dense.

    Keras takes a product of a dense tensor and a number or an array for sparse, and traces a layer that is
    called with it on a `SparseTensor`.
    """
    tensor._sparse = False


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation, the outputs flat."""

    operation: keras.Operation
    args: tuple
    kwargs: dict[str, Any]
    outputs: list[keras.KerasTensor]


def calls_between(outputs: Any, inputs: Sequence[keras.KerasTensor]) -> list[Call]:
    """Return the calls that make `outputs` of `inputs`, in an order that runs."""
    known = {id(x) for x in inputs}
    found: list[Call] = []
    waiting: list[Any] = _tensors(outputs)[::-1]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Call):  # everything that it reads has been found
            found.append(item)
            continue
        made = None if id(item) in known else call_of(item)
        if made is not None:
            call = Call(*made[:3], keras.tree.flatten(made[3]))
            known |= {id(output) for output in call.outputs}
            waiting += [call, *_tensors((call.args, call.kwargs))[::-1]]
    return found


def _tensors(structure: Any) -> list[keras.KerasTensor]:
    return [x for x in keras.tree.flatten(structure) if isinstance(x, keras.KerasTensor)]


def call_of(
    tensor: keras.KerasTensor,
) -> tuple[keras.Operation, tuple, dict, list[keras.KerasTensor]] | None:
    """Return (operation, args, kwargs, outputs) of the call that made `tensor`; None for an input."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    if node.is_input:
        return None
    return node.operation, node.arguments.args, node.arguments.kwargs, node.outputs


def mask_of(tensor: keras.KerasTensor) -> keras.KerasTensor | None:
    """Return the mask that layers which read `tensor` get with it, unseen in the graph."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor: keras.KerasTensor, mask: keras.KerasTensor) -> None:
    """Let layers that read `tensor` get `mask` with it."""
    tensor._keras_mask = mask


def operation_of(tensor: keras.KerasTensor) -> keras.Operation:
    """Return the operation that made `tensor`; of an input, its `InputLayer`."""
    return tensor._keras_history.operation


def readers(operation: keras.Operation) -> list[Any]:
    """Return the list to which Keras adds each call that reads what an operation returned."""
    return operation._outbound_nodes


def set_readers(operation: keras.Operation, calls: list[Any]) -> None:
    """Let Keras add the calls that read what an operation returned to another list."""
    vars(operation)["_outbound_nodes"] = calls


def set_shape(tensor: keras.KerasTensor, shape: tuple[int | None, ...]) -> None:
    """Give a symbolic tensor a shape with sizes that Keras did not derive."""
    tensor._shape = shape


def sublayers(layer: keras.Layer) -> list[keras.Layer]:
    """Return every layer inside `layer`, at any depth, each once."""
    return layer._flatten_layers(include_self=False)


def held_layers(layer: keras.Layer) -> list[keras.Layer]:
    """Return the layers that `layer` itself holds: those that a functional model calls first, as it runs."""
    called = []
    if functional(layer) is not None:
        called = [operation for operation, *_ in calls(layer) if isinstance(operation, keras.Layer)]
    return [*called, *layer._layers]


def build_shapes(model: keras.Model) -> Any:
    """Return the shapes that a model was built for, in the structure of its inputs; None where unknown."""
    return (model.get_build_config() or {}).get("input_shape")


def with_mask_of(old: Any, new: Any) -> Any:
    """Return the tensor `new` with the mask that Keras put on `old`, where there is one."""
    mask = getattr(old, "_keras_mask", None)
    if mask is not None and new is not old:
        new._keras_mask = mask
    return new


def masks_on(call: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments for masks that Keras fills from the tensors that `call` is called with."""
    signature = inspect.signature(call)
    # Keras drops `training` where a layer does not take it.
    taken = {
        name: value for name, value in kwargs.items() if name != "training" or name in signature.parameters
    }
    given = signature.bind(*args, **taken).arguments
    tensors = [name for name, value in given.items() if _has_tensors(value)]
    found = {}
    for name in tensors:
        argument = "mask" if len(tensors) == 1 else f"{name}_mask"
        if argument in signature.parameters and given.get(argument) is None:
            masks = keras.tree.map_structure(mask_of, given[name])
            if any(mask is not None for mask in keras.tree.flatten(masks)):
                found[argument] = masks
    return found


def _has_tensors(value: Any) -> bool:
    return any(isinstance(each, keras.KerasTensor) for each in keras.tree.flatten(value))


def with_masks(layer: keras.Layer, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments with the masks that are on the tensors, for Keras does not note all of them.

    The code of MultiHeadAttention takes the query's mask from its tensor alone, whatever it is called with:
    it becomes a part of the `attention_mask`, one column for all keys.
    """
    found = masks_on(layer.call, args, kwargs)
    if isinstance(layer, keras.layers.MultiHeadAttention) and "query_mask" in found:
        rows = keras.ops.expand_dims(found.pop("query_mask"), -1)
        own = inspect.signature(layer.call).bind(*args, **kwargs).arguments.get("attention_mask")
        found["attention_mask"] = rows if own is None else keras.ops.logical_and(own, rows)
    return kwargs | found


def remove_masks(tensors: Iterable[Any]) -> None:
    """Take the masks off tensors, as the code of MultiHeadAttention does where it runs on numbers."""
    for tensor in tensors:
        if isinstance(tensor, keras.KerasTensor):
            tensor._keras_mask = None


def pass_mask_on(layer: keras.Layer, inputs: Any, outputs: Any, mask: Any = None) -> None:
    """Put masks on what the code of a layer returned, as calling the layer does.

    Args:
        layer: whose `call` ran.
        inputs: the first argument it was given.
        outputs: what it returned; None may be among it.
        mask: that of the inputs, where it is not on them.
    """
    if mask is None:
        mask = keras.tree.map_structure(lambda x: getattr(x, "_keras_mask", None), inputs)
    if not layer.supports_masking:
        return
    masks = layer.compute_mask(inputs, mask)
    if masks is None:
        return
    for output, each in zip(keras.tree.flatten(outputs), keras.tree.flatten(masks), strict=False):
        if isinstance(output, keras.KerasTensor) and each is not None and mask_of(output) is None:
            output._keras_mask = each
