"""Operations of `keras.ops` as functions of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tfopt.legacy import _tf_keras

Function = tuple[Callable[..., Any], dict[str, Any]]
"""A function of TensorFlow's public API, and the keyword arguments that come with the tensors."""

_PLAIN: Mapping[str, Callable[..., Any]] = {
    "Absolute": tf.abs,
    "Add": tf.add,
    "Ceil": tf.math.ceil,
    "Cos": tf.cos,
    "Divide": tf.divide,
    "Elu": tf.nn.elu,
    "Equal": tf.equal,
    "Erf": tf.math.erf,
    "Exp": tf.exp,
    "Floor": tf.floor,
    "Greater": tf.greater,
    "GreaterEqual": tf.greater_equal,
    "Less": tf.less,
    "LessEqual": tf.less_equal,
    "Log": tf.math.log,
    "Log1p": tf.math.log1p,
    "LogicalAnd": tf.logical_and,
    "LogicalNot": tf.logical_not,
    "LogicalOr": tf.logical_or,
    "Matmul": tf.matmul,
    "Maximum": tf.maximum,
    "Minimum": tf.minimum,
    "Multiply": tf.multiply,
    "Negative": tf.negative,
    "NotEqual": tf.not_equal,
    "Power": tf.pow,
    "Relu": tf.nn.relu,
    "Relu6": tf.nn.relu6,
    "Rsqrt": tf.math.rsqrt,
    "Selu": tf.nn.selu,
    "Sigmoid": tf.sigmoid,
    "Silu": tf.nn.silu,
    "Sin": tf.sin,
    "Softplus": tf.nn.softplus,
    "Softsign": tf.nn.softsign,
    "Sqrt": tf.sqrt,
    "Square": tf.square,
    "Subtract": tf.subtract,
    "Tanh": tf.tanh,
    "TrueDivide": tf.divide,
}
"""Operations that take tensors alone."""


def _reduction(function: Callable[..., Any]) -> Callable[[Any], Function | None]:
    def rule(operation: Any) -> Function | None:
        if getattr(operation, "initial", None) is not None:
            return None
        return function, {"axis": operation.axis, "keepdims": operation.keepdims}

    return rule


_WITH_SETTINGS: Mapping[str, Callable[[Any], Function | None]] = {
    "Clip": lambda op: (tf.clip_by_value, {"clip_value_min": op.x_min, "clip_value_max": op.x_max}),
    "Concatenate": lambda op: (tf.concat, {"axis": op.axis}),
    "ExpandDims": lambda op: (tf.expand_dims, {"axis": op.axis}) if isinstance(op.axis, int) else None,
    "Gelu": lambda op: (tf.nn.gelu, {"approximate": op.approximate}),
    "LeakyRelu": lambda op: (tf.nn.leaky_relu, {"alpha": op.negative_slope}),
    "LogSoftmax": lambda op: (tf.nn.log_softmax, {"axis": op.axis}),
    "Max": _reduction(tf.reduce_max),
    "Mean": _reduction(tf.reduce_mean),
    "Min": _reduction(tf.reduce_min),
    "Reshape": lambda op: (tf.reshape, {"shape": op.newshape}) if _is_static(op.newshape) else None,
    "Softmax": lambda op: (tf.nn.softmax, {"axis": op.axis}) if isinstance(op.axis, int) else None,
    "Squeeze": lambda op: (tf.squeeze, {"axis": op.axis}),
    "Stack": lambda op: (tf.stack, {"axis": op.axis}),
    "Sum": _reduction(tf.reduce_sum),
    "Transpose": lambda op: (tf.transpose, {"perm": op.axes}),
}
"""Operations whose settings are attributes: what makes the function of one, or None where there is none."""


def function_of(
    operation: keras.Operation, tensors: Sequence[keras.KerasTensor], args: tuple
) -> tuple[Callable[[str], Any], tuple, dict[str, Any]] | None:
    """Return what does in TensorFlow what `operation` does, or None where no single function does.

    Args:
        operation: an operation of `keras.ops`.
        tensors: those that it takes and returns. Where their types differ Keras converts, and TensorFlow
            does not.
        args: what the function is to be called with.

    Returns:
        What makes a tf_keras layer of a name, and what to call that layer with.
    """
    name = type(operation).__name__
    if name == "GetItem":
        return _tf_keras.getitem, (args[0], _slices(args[1], len(tensors[0].shape))), {}
    if len({x.dtype for x in tensors} - {"bool"}) > 1:
        return None
    if name in _PLAIN:
        return partial(_tf_keras.operation, _PLAIN[name]), args, {}
    found = _WITH_SETTINGS[name](operation) if name in _WITH_SETTINGS else None
    return found and (partial(_tf_keras.operation, found[0]), args, found[1])


def _slices(key: Any, rank: int) -> list[Any]:
    """Return indices in the form that tf_keras can write to a file."""
    keys = list(key) if isinstance(key, (tuple, list)) else [key]
    if any(each is Ellipsis for each in keys):
        at = next(n for n, each in enumerate(keys) if each is Ellipsis)
        taken = sum(each is not None for each in keys) - 1
        keys[at : at + 1] = [slice(None)] * (rank - taken)
    return [
        {"start": each.start, "stop": each.stop, "step": each.step} if isinstance(each, slice) else each
        for each in keys
    ]


def _is_static(shape: Any) -> bool:
    return all(isinstance(size, int) for size in keras.tree.flatten(shape))
