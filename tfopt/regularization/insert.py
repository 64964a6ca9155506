"""`tfopt.regularization.insert_after`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import keras

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.rules import resolve

logger = logging.getLogger(__name__)


def insert_after(model: keras.Model, rules: Mapping[str, keras.layers.Layer | None]) -> keras.Model:
    """Return a copy of a model with new layers, such as Dropout, after those that rules name.

    Each place gets a layer of its own, made of the config of the one in the rule and called after the layer
    before it: `conv1_dropout`. A normalization comes between a layer and its activation (`Conv2D(...,
    activation="relu")` becomes three layers), all others after the activation. A new BatchNormalization
    begins as the identity, so that the copy computes at first what the model did, and learns its statistics
    from there; see `estimate_batch_norm`.

    Args:
        model: functional or a built Sequential, in float. It is left as it is; nested models are flattened,
            their layers called `block.conv`.
        rules: layer path pattern -> a layer of one input and one output that keeps shapes and has no weights
            yet; None for places that are left as they are. First match wins.

    Raises:
        InvalidArgumentError: a rule matches nothing or has no such layer, one would change the shape, or the
            model is quantization-aware.
        UnsupportedModel: the model is subclassed.

    Example:
        ```python
        norm = keras.layers.BatchNormalization()
        model = insert_after(model, {"hidden*": keras.layers.Dropout(0.3), "conv*": norm})
        ```

    Reference:
        Srivastava et al., 2014, Dropout: A Simple Way to Prevent Neural Networks from Overfitting. Ioffe and
        Szegedy, 2015, Batch Normalization (arXiv 1502.03167), section 3.2: before the nonlinearity.
    """
    graph.require_functional(model)
    _check(model, rules)
    nodes = [node for node in graph.nodes(model) if isinstance(node.operation, keras.Layer)]
    inputs = (keras.layers.InputLayer,)
    paths = dict.fromkeys(node.path for node in nodes if not isinstance(node.operation, inputs))
    settings: dict[str, Any] = resolve(rules, paths, None)
    copies = graph.Copier()
    taken = {copies.name(node) for node in graph.nodes(model)}

    def emit(node: graph.Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        layer = copies(node)
        pattern = settings.get(node.path)
        if pattern is None:
            return layer(*args, **kwargs)
        new = _made(pattern, copies.name(node), taken)
        logger.info("%s comes after %s", new.name, node.path)
        activation = _activation(layer) if _normalizes(new) else None
        if activation is not None:
            layer.activation = keras.activations.linear
        outputs = layer(*args, **kwargs)
        inserted = _called(new, outputs, node.path)
        if activation is None:
            return inserted
        return keras.layers.Activation(activation, name=_name(f"{layer.name}_activation", taken))(inserted)

    with model.distribute_strategy.scope():
        result = graph.replay(model, emit)
        result.output_names = list(getattr(model, "output_names", result.output_names))
        return graph.with_class_of(model, result)


def _check(model: keras.Model, rules: Any) -> None:
    if not isinstance(rules, Mapping) or not any(rules.values()):
        raise InvalidArgumentError(
            "insert_after: expected rules to be a dict, pattern of layer paths -> a layer, such as "
            f"{{'hidden*': keras.layers.Dropout(0.3)}}, got {rules!r}."
        )
    for pattern, layer in rules.items():
        good = isinstance(layer, keras.Layer) and not isinstance(layer, keras.Model) and not layer.weights
        if layer is not None and not good:
            raise InvalidArgumentError(
                f"insert_after: expected the rule {pattern!r} to have a layer without weights yet, such as "
                f"keras.layers.Dropout(0.3), or None, got {layer!r}."
            )
    if graph.is_quantized(model):
        raise InvalidArgumentError(
            f"The model {model.name!r} is quantization-aware: put layers into the float model, then call "
            "quantize_aware on the result."
        )


def _made(pattern: keras.Layer, before: str, taken: set[str]) -> keras.Layer:
    kind = _snake(type(pattern).__name__)
    return type(pattern).from_config(pattern.get_config() | {"name": _name(f"{before}_{kind}", taken)})


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _name(wanted: str, taken: set[str]) -> str:
    while wanted in taken:
        wanted += "_"
    taken.add(wanted)
    return wanted


def _normalizes(layer: keras.Layer) -> bool:
    return "Normalization" in type(layer).__name__


def _activation(layer: Any) -> Any:
    """Return the activation that a layer ends with; None where it has none, or a use of its own for it."""
    kinds = (keras.layers.Dense, keras.layers.EinsumDense, *_CONVOLUTIONS)
    activation = getattr(layer, "activation", None)
    return activation if isinstance(layer, kinds) and activation is not keras.activations.linear else None


_CONVOLUTIONS = tuple(
    getattr(keras.layers, name)
    for name in (
        "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose",
        "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
    )
)  # fmt: skip


def _called(layer: Any, outputs: Any, path: str) -> Any:
    if not isinstance(outputs, keras.KerasTensor):
        raise InvalidArgumentError(
            f"insert_after: {path!r} returns several tensors, after which no layer can be put. Leave it out "
            f"by {{{path!r}: None}} before the other rules."
        )
    inserted = layer(outputs)
    if getattr(inserted, "shape", None) != outputs.shape:
        raise InvalidArgumentError(
            f"insert_after: a {type(layer).__name__} after {path!r} returns the shape "
            f"{getattr(inserted, 'shape', None)} for {outputs.shape}. Give a layer that keeps shapes."
        )
    if isinstance(layer, keras.layers.BatchNormalization):
        layer.moving_variance.assign(keras.ops.full_like(layer.moving_variance, 1.0 - layer.epsilon))
    return inserted
