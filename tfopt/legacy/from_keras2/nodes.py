"""Single TensorFlow operations, as TensorFlow 2.0 to 2.3 kept them in a model, in Keras 3.

Until TFOpLambda came, calling a function on a symbolic tensor left one layer, `TensorFlowOpLayer`, for every
operation of TensorFlow's graph, with its NodeDef and its constants.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfopt.errors import UnsupportedOperation
from tfopt.legacy.allowed import is_allowed
from tfopt.legacy.extra_layers import TensorFlowFunction
from tfopt.legacy.template import to_template

_OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "Abs": ops.abs,
    "Add": ops.add,
    "AddV2": ops.add,
    "Exp": ops.exp,
    "Log": ops.log,
    "Maximum": ops.maximum,
    "Minimum": ops.minimum,
    "Mul": ops.multiply,
    "Neg": ops.negative,
    "Pow": ops.power,
    "RealDiv": ops.true_divide,
    "Relu": ops.relu,
    "Relu6": ops.relu6,
    "Rsqrt": ops.rsqrt,
    "Sigmoid": ops.sigmoid,
    "Softmax": ops.softmax,
    "Sqrt": ops.sqrt,
    "Square": ops.square,
    "Sub": ops.subtract,
    "Tanh": ops.tanh,
}
"""Operations that take tensors alone."""

_REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "Max": ops.max,
    "Mean": ops.mean,
    "Min": ops.min,
    "Prod": ops.prod,
    "Sum": ops.sum,
}


def call(layer: Any, args: tuple) -> Any:
    """Do in Keras 3 what a `TensorFlowOpLayer` does.

    Raises:
        UnsupportedOperation: there is no such operation, or it reaches out of the model.
    """
    node = layer.node_def
    if not is_allowed(f"raw_ops.{node.op}") or not hasattr(tf.raw_ops, node.op):
        raise UnsupportedOperation(
            f"The layer {layer.name!r} runs the TensorFlow operation {node.op}, which a model cannot have in "
            "Keras 3. Build the model again without it."
        )
    inputs: list[Any] = keras.tree.flatten(args)
    for index, constant in sorted(layer.constants.items()):
        constant = np.asarray(constant)
        inputs.insert(index, constant.item() if constant.ndim == 0 else constant)
    if node.op in _OPERATIONS:
        return _OPERATIONS[node.op](*inputs)
    if node.op in _REDUCTIONS and not isinstance(inputs[1], keras.KerasTensor):
        axes = tuple(int(axis) for axis in np.ravel(inputs[1]))
        return _REDUCTIONS[node.op](inputs[0], axis=axes, keepdims=node.attr["keep_dims"].b)
    return _by_tensorflow(layer, inputs)


def _by_tensorflow(layer: Any, inputs: list[Any]) -> Any:
    node = layer.node_def
    tensors: list[Any] = []
    plain = [to_template(value, tensors) for value in inputs]
    parameters = [
        name for name in inspect.signature(getattr(tf.raw_ops, node.op)).parameters if name != "name"
    ]
    settings = {name: _value(node.attr[name]) for name in parameters if name in node.attr}
    taking = [name for name in parameters if name not in settings]
    if len(taking) < len(plain):
        # Of the operations with a list of tensors all have it first, such as ConcatV2.
        many = len(plain) - len(taking) + 1
        plain = [plain[:many], *plain[many:]]
    elif "N" in node.attr:
        plain = [plain[:1], *plain[1:]]
    arguments = settings | dict(zip(taking, plain, strict=False))
    return TensorFlowFunction(f"raw_ops.{node.op}", [[], arguments], name=layer.name.replace("/", "."))(
        tensors
    )


def _value(attribute: Any) -> Any:
    """Return an attribute of a NodeDef in the form that JSON can hold."""
    kind = attribute.WhichOneof("value")
    if kind == "type":
        return tf.as_dtype(attribute.type).name
    if kind == "s":
        return attribute.s.decode()
    if kind == "list":
        return [
            each.decode() if isinstance(each, bytes) else each
            for each in attribute.list.i or attribute.list.s
        ]
    return getattr(attribute, kind)
