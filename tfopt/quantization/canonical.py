"""Rewriting a model to fewer kinds of layers, with the same outputs, before it is quantized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfopt.graph import Copier, Node, nodes, replay
from tfopt.quantization.operations import activation_name

Chain = list[tuple[keras.Layer, Sequence[keras.Variable]]]
"""Layers to call one after another, each with the variables whose values are its weights."""


def canonical(model: keras.Model) -> tuple[keras.Model, dict[str, str]]:
    """Return a copy of `model` with the same outputs and the path of each of its operations.

    In the copy,

    - nested models are opened,
    - activations stand behind their layer as layers of their own,
    - a separable convolution is a depthwise and a pointwise one,
    - a sum has two terms.

    A part that was split off has the path of the whole with its own name behind: `conv1/relu`.
    """
    names = _output_names(model)
    copier = Copier(suffixes=dict.fromkeys(names, ".core"))
    chains: dict[int, Chain] = {}
    paths: dict[str, str] = {}

    def emit(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        operation, name = node.operation, copier.name(node)
        paths[name] = node.path
        if isinstance(operation, keras.layers.Add) and len(args[0]) > 2:
            return _binary_sums(name, args[0])
        rewrite = _REWRITES.get(type(operation))
        if rewrite is None:
            return copier(node)(*args, **kwargs)
        if id(operation) not in chains:
            chains[id(operation)] = rewrite(operation, name)
        (x,) = args
        for layer, _ in chains[id(operation)]:
            part = layer.name.removeprefix(name).replace(".", "/")
            paths[layer.name] = node.path + part
            x = layer(x)
        return x

    def emit_output(index: int, tensor: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.Identity(name=names[index])(tensor) if names else tensor

    result = replay(model, emit, emit_output=emit_output)
    copier.copy_weights()
    for chain in chains.values():
        for layer, sources in chain:
            layer.set_weights([variable.numpy() for variable in sources])
    return result, paths


def _output_names(model: keras.Model) -> list[str]:
    """Return the names that losses and metrics are given by, which are those of the last layers.

    A single output is not addressed by name and outputs in a dictionary are by their key.
    """
    if len(model.outputs) == 1 or isinstance(model.output, dict):
        return []
    producers = {id(tensor): node.path for node in nodes(model) for tensor in node.outputs}
    names = [producers.get(id(tensor), "") for tensor in model.outputs]
    return names if len(set(names)) == len(names) and all(names) else []


def _activation(layer: keras.Layer, name: str) -> Chain:
    activation = activation_name(layer)
    if activation == "linear":
        return []
    split = keras.layers.Activation(layer.activation, dtype=layer.dtype_policy, name=f"{name}.{activation}")
    return [(split, [])]


def _split_activation(layer: keras.Layer, name: str) -> Chain:
    bare = type(layer).from_config(layer.get_config() | {"activation": "linear", "name": name})
    return [(bare, layer.weights), *_activation(layer, name)]


def _split_separable(layer: keras.layers.SeparableConv2D, name: str) -> Chain:
    shared = {
        "padding": layer.padding,
        "data_format": layer.data_format,
        "dtype": layer.dtype_policy,
        "trainable": layer.trainable,
    }
    depthwise = keras.layers.DepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        dilation_rate=layer.dilation_rate,
        depth_multiplier=layer.depth_multiplier,
        use_bias=False,
        depthwise_regularizer=layer.depthwise_regularizer,
        depthwise_constraint=layer.depthwise_constraint,
        name=f"{name}.depthwise",
        **shared,
    )
    pointwise = keras.layers.Conv2D(
        layer.filters,
        1,
        use_bias=layer.use_bias,
        kernel_regularizer=layer.pointwise_regularizer,
        kernel_constraint=layer.pointwise_constraint,
        bias_regularizer=layer.bias_regularizer,
        bias_constraint=layer.bias_constraint,
        name=f"{name}.pointwise",
        **shared,
    )
    biases = [layer.bias] if layer.use_bias else []
    return [
        (depthwise, [layer.depthwise_kernel]),
        (pointwise, [layer.pointwise_kernel, *biases]),
        *_activation(layer, name),
    ]


def _binary_sums(name: str, tensors: list[keras.KerasTensor]) -> keras.KerasTensor:
    total, *rest = tensors
    for index, tensor in enumerate(rest, 1):
        last = index == len(rest)
        total = keras.layers.Add(name=name if last else f"{name}.{index}")([total, tensor])
    return total


_REWRITES: dict[type, Callable[[Any, str], Chain]] = {
    keras.layers.Conv2D: _split_activation,
    keras.layers.DepthwiseConv2D: _split_activation,
    keras.layers.Dense: _split_activation,
    keras.layers.SeparableConv2D: _split_separable,
}
