"""Reading a tf_keras model that may hold wrappers of tensorflow-model-optimization."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tfopt.tfmot.library import generator_state, tf_keras

_WRAPPERS = "tensorflow_model_optimization."


def unwrapped(layer: Any) -> Any:
    """Return the layer inside a wrapper of tensorflow-model-optimization, else the layer itself."""
    ours = type(layer).__module__.startswith(_WRAPPERS) and hasattr(layer, "layer")
    return unwrapped(layer.layer) if ours else layer


def layers(module: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, layer or its wrapper) of every layer that is no model; the path is the layer's own."""
    for layer in module.layers:
        inner = unwrapped(layer)
        if isinstance(inner, tf_keras().Model):
            yield from layers(inner, f"{prefix}{inner.name}/")
        else:
            yield prefix + inner.name, layer


def clone(module: Any, replace: Callable[[str, Any], Any], prefix: str = "") -> Any:
    """Return a copy of a model in which `replace(path, layer)` stands for each layer; models stay models."""

    def of(layer: Any) -> Any:
        if isinstance(layer, tf_keras().Model):
            return clone(layer, replace, f"{prefix}{layer.name}/")
        return replace(prefix + layer.name, layer)

    return tf_keras().models.clone_model(module, clone_function=of)


def weight(layer: Any, name: str, shape: tuple[int, ...]) -> Any | None:
    """Return the `tf.Variable` that a layer or its wrapper holds under a name; None where it has none.

    Args:
        layer: the layer or wrapper.
        name: the variable's, or, as a DepthwiseConv2D calls it `depthwise_kernel` in one Keras and `kernel`
            in the other, a part of it.
        shape: which it has.
    """
    found = {id(each): each for each in layer.weights if tuple(each.shape) == shape}
    fits = [(own_name(each), each) for each in found.values()]
    exact = [each for own, each in fits if own == name]
    alike = [each for own, each in fits if own.endswith(name) or name.endswith(own)]
    return next(iter(exact or alike), None)


def own_name(variable: Any) -> str:
    """Return a variable's name without its scopes: `"kernel"` for `"conv/kernel:0"`."""
    return variable.name.rpartition("/")[2].partition(":")[0]


def generator_states(module: Any) -> list[Any]:
    """Return the `tf.Variable`s that hold the states of the random generators of dropout and its like."""
    return [state for part in module.submodules if (state := generator_state(part)) is not None]
