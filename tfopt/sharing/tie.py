"""`tfopt.tie`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

from tfopt import _validation, graph
from tfopt.sharing.plan import Rules, TiedLayers, planned

INITS = ("first", "mean")


def tie(model: keras.Model, rules: Rules, *, init: Literal["first", "mean"] = "first") -> keras.Model:
    """Return a copy of `model` in which the layers of each group are one, called in all of their places.

    The model has the arithmetic that it had, and the weights of each group once: in memory, in its `.keras`
    file and in its TFLite file. The copy has layers of Keras alone, shared in a functional graph: it saves,
    loads without tfopt and trains with plain `compile` and `fit`, and pruning, clustering, channel pruning,
    low rank and quantization treat the one layer as one. Tie before training where you can, as ALBERT does.
    A trained model loses nearly all it knew, and is trained again.

    Args:
        model: functional or a built Sequential, in float. It is left as it is; nested models are flattened,
            their layers called `block.conv`.
        rules: layer path pattern -> the name of a group, or None for layers that are left as they are; first
            match wins. The layers of a group become one: they are of one class, and have the same arguments
            and shapes. Where a pattern names nested models, these are tied part by part:
            `{"block*": "block"}` makes one of `block1/conv` and `block2/conv`. A BatchNormalization in such a
            part keeps its own statistics and scale, since the inputs of each call have their own, unless a
            rule names it itself.
        init: the weights of the one layer: of the `"first"` of its group, or the `"mean"` of all, where they
            began as one.

    Raises:
        InvalidArgumentError: a rule matches nothing, a group has one layer or layers that differ, or the
            model is quantization-aware.
        UnsupportedModel: the model is subclassed.

    Example:
        ```python
        small = tfopt.tie(model, {"block[234]_conv1": "conv1", "block[234]_conv2": "conv2"})
        small.compile("adam", "sparse_categorical_crossentropy")
        small.fit(x_train, y_train, epochs=10)
        ```

    Reference:
        Lan et al., 2020, ALBERT: A Lite BERT for Self-supervised Learning of Language Representations (arXiv
        1909.11942), section 3.1; Dehghani et al., 2019, Universal Transformers (arXiv 1807.03819).
    """
    _validation.choice("tie", "init", init, INITS)
    return tied(model, planned(model, rules), init)


def tied(model: keras.Model, groups: Sequence[TiedLayers], init: str) -> keras.Model:
    """Return the copy of a model whose groups of layers are each one layer."""
    owners = {id(layer): group.layers[0] for group in groups for layer in group.layers}
    nodes = {id(node.operation): node for node in reversed(graph.nodes(model))}
    copies = graph.Copier()

    def emit(node: graph.Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        owner = owners.get(id(node.operation), node.operation)
        return copies(nodes.get(id(owner), node))(*args, **kwargs)

    with model.distribute_strategy.scope():
        result = graph.replay(model, emit)
        for group in groups if init == "mean" else ():
            _set_mean(copies(nodes[id(group.layers[0])]), group.layers)
        result.output_names = list(getattr(model, "output_names", result.output_names))
        return graph.with_class_of(model, result)


def _set_mean(owner: Any, layers: Sequence[keras.Layer]) -> None:
    """Give a layer the means of the weights of others; states of random generators stay its own."""
    for weight, *others in zip(owner.weights, *(layer.weights for layer in layers), strict=True):
        if keras.backend.is_float_dtype(weight.dtype):
            weight.assign(np.mean([each.numpy() for each in others], axis=0, dtype=np.float64))
