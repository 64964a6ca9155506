"""Functions of TensorFlow, as tf_keras keeps them in a model, as operations of `keras.ops`."""

from __future__ import annotations

import functools
import inspect
import math
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

_BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "__operators__.add": ops.add,
    "__operators__.eq": ops.equal,
    "__operators__.ne": ops.not_equal,
    "math.add": ops.add,
    "math.atan2": ops.arctan2,
    "floor_div": ops.floor_divide,
    "math.divide_no_nan": ops.divide_no_nan,
    "math.divide": ops.divide,
    "math.equal": ops.equal,
    "math.floordiv": ops.floor_divide,
    "math.floormod": ops.mod,
    "math.greater": ops.greater,
    "math.greater_equal": ops.greater_equal,
    "math.less": ops.less,
    "math.less_equal": ops.less_equal,
    "math.logical_and": ops.logical_and,
    "math.logical_or": ops.logical_or,
    "math.logical_xor": ops.logical_xor,
    "math.maximum": ops.maximum,
    "math.minimum": ops.minimum,
    "math.multiply": ops.multiply,
    "math.not_equal": ops.not_equal,
    "math.pow": ops.power,
    "math.squared_difference": lambda x, y: ops.square(ops.subtract(x, y)),
    "math.subtract": ops.subtract,
    "math.truediv": ops.true_divide,
}
"""Functions of two tensors, or of a tensor and a number."""

_UNARY: Mapping[str, Callable[[Any], Any]] = {
    "identity": lambda x: ops.add(x, 0),
    "math.abs": ops.abs,
    "math.acos": ops.arccos,
    "math.asin": ops.arcsin,
    "math.atan": ops.arctan,
    "math.ceil": ops.ceil,
    "math.cos": ops.cos,
    "math.cosh": ops.cosh,
    "math.erf": ops.erf,
    "math.exp": ops.exp,
    "math.expm1": ops.expm1,
    "math.floor": ops.floor,
    "math.is_finite": ops.isfinite,
    "math.is_inf": ops.isinf,
    "math.is_nan": ops.isnan,
    "math.log": ops.log,
    "math.log1p": ops.log1p,
    "math.log_sigmoid": ops.log_sigmoid,
    "math.logical_not": ops.logical_not,
    "math.negative": ops.negative,
    "math.reciprocal": ops.reciprocal,
    "math.rsqrt": ops.rsqrt,
    "math.sigmoid": ops.sigmoid,
    "math.sign": ops.sign,
    "math.sin": ops.sin,
    "math.sinh": ops.sinh,
    "math.softplus": ops.softplus,
    "math.sqrt": ops.sqrt,
    "math.square": ops.square,
    "math.tan": ops.tan,
    "math.tanh": ops.tanh,
    "keras.backend.batch_flatten": lambda x: ops.reshape(x, (-1, math.prod(x.shape[1:]))),
    "nn.elu": ops.elu,
    "nn.relu": ops.relu,
    "nn.relu6": ops.relu6,
    "nn.selu": ops.selu,
    "nn.softsign": ops.softsign,
    "ones_like": ops.ones_like,
    "stop_gradient": ops.stop_gradient,
    "zeros_like": ops.zeros_like,
}
"""Functions of one tensor that are called with nothing else."""


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    def rule(input_tensor: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(input_tensor, axis=_axes(axis), keepdims=bool(keepdims))

    return rule


def _squeeze(input: Any, axis: Any = None) -> Any:
    return ops.squeeze(input, axis=_axes(axis) or None)


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, **rest: Any) -> Any:
    _refuse(rest, adjoint_a=False, adjoint_b=False, a_is_sparse=False, b_is_sparse=False, output_type=None)
    _refuse(rest, grad_a=False, grad_b=False)
    a, b = _alike(a, b)
    a, b = (ops.swapaxes(x, -1, -2) if flip else x for x, flip in ((a, transpose_a), (b, transpose_b)))
    return ops.matmul(a, b)


def _pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Any:
    width = [tuple(int(n) for n in pair) for pair in np.asarray(paddings)]
    value = {"constant_values": constant_values} if mode.lower() == "constant" else {}
    return ops.pad(tensor, width, mode=mode.lower(), **value)


def _split(value: Any, num_or_size_splits: Any, axis: int = 0, **rest: Any) -> Any:
    _refuse(rest, num=None)
    sizes = np.asarray(num_or_size_splits)
    if sizes.ndim == 0:
        return ops.split(value, int(sizes), axis=int(axis))
    if (sizes < 0).any():
        sizes = np.where(sizes < 0, value.shape[axis] - sizes[sizes >= 0].sum(), sizes)
    return ops.split(value, [int(n) for n in np.cumsum(sizes)[:-1]], axis=int(axis))


def _transpose(a: Any, perm: Any = None, **rest: Any) -> Any:
    _refuse(rest, conjugate=False)
    return ops.transpose(a, None if perm is None else [int(n) for n in np.asarray(perm)])


def _resize(images: Any, size: Any, method: str = "bilinear", **rest: Any) -> Any:
    _refuse(rest, preserve_aspect_ratio=False)
    antialias = bool(rest.get("antialias", False))
    size = [int(n) for n in np.asarray(size)]
    if method not in {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}:
        raise NotImplementedError
    return ops.image.resize(images, size, interpolation=method, antialias=antialias)


def _slice(input_: Any, begin: Any, size: Any) -> Any:
    ends = [None if length == -1 else start + length for start, length in zip(begin, size, strict=True)]
    return ops.get_item(input_, tuple(slice(start, end) for start, end in zip(begin, ends, strict=True)))


def _getitem(tensor: Any, slice_spec: Any, **rest: Any) -> Any:
    _refuse(rest, var=None)

    def key(value: Any) -> Any:
        if isinstance(value, dict):
            return slice(value["start"], value["stop"], value["step"])
        return value if value is None or value is Ellipsis else int(value)

    many = isinstance(slice_spec, (list, tuple))
    return ops.get_item(tensor, tuple(map(key, slice_spec)) if many else key(slice_spec))


def _gather(params: Any, indices: Any, axis: Any = None, **rest: Any) -> Any:
    _refuse(rest, batch_dims=0, validate_indices=None)
    return ops.take(params, _array(indices, "int32"), axis=int(axis or 0))


def _clip(t: Any, clip_value_min: Any, clip_value_max: Any) -> Any:
    return ops.minimum(ops.maximum(t, _array(clip_value_min, t.dtype)), _array(clip_value_max, t.dtype))


def _l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, dim: Any = None) -> Any:
    norm = ops.sum(ops.square(x), axis=_axes(dim if axis is None else axis), keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(norm, epsilon)))


def _softmax(logits: Any, axis: int | None = None) -> Any:
    return ops.softmax(logits, axis=-1 if axis is None else int(axis))


def _top_k(input: Any, k: int = 1, sorted: bool = True, **rest: Any) -> Any:
    _refuse({key: str(value) for key, value in rest.items()}, index_type="<dtype: 'int32'>")
    return ops.top_k(input, int(k), sorted=bool(sorted))


def _bias_add(value: Any, bias: Any, **rest: Any) -> Any:
    _refuse(rest, data_format="N...C")
    return ops.add(*_alike(value, bias))


def _tensordot(a: Any, b: Any, axes: Any) -> Any:
    axes = int(axes) if np.ndim(axes) == 0 else [[int(n) for n in np.ravel(side)] for side in axes]
    return ops.tensordot(*_alike(a, b), axes=axes)


def _pool(kind: str) -> Callable[..., Any]:
    def rule(input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NHWC") -> Any:
        sizes = []
        for value in (ksize, strides):
            value = [int(n) for n in np.ravel(value)]
            sizes.append(value[1:3] if len(value) == 4 else value * 2 if len(value) == 1 else value)
        _refuse({"data_format": data_format}, data_format="NHWC")
        if len(input.shape) != 4 or not isinstance(padding, str):
            raise NotImplementedError
        settings = {"strides": tuple(sizes[1]), "padding": padding.lower(), "data_format": "channels_last"}
        function = ops.max_pool if kind == "max" else ops.average_pool
        return function(input, tuple(sizes[0]), **settings)

    return rule


_RULES: Mapping[str, Callable[..., Any]] = {
    "__operators__.getitem": _getitem,
    "argsort": lambda values, axis=-1: ops.argsort(values, axis=int(axis)),
    "broadcast_to": lambda input, shape: ops.broadcast_to(input, _shape(shape)),
    "cast": lambda x, dtype: ops.cast(x, _dtype(dtype)),
    "clip_by_value": _clip,
    "concat": lambda values, axis: ops.concatenate(values, axis=int(axis)),
    "expand_dims": lambda input, axis: ops.expand_dims(input, int(axis)),
    "gather": _gather,
    "image.resize": _resize,
    "einsum": lambda equation, *inputs: ops.einsum(equation, *inputs),
    "linalg.matmul": _matmul,
    "math.add_n": lambda inputs: functools.reduce(ops.add, inputs),
    "math.argmax": lambda input, axis=None: ops.argmax(input, axis=int(axis or 0)),
    "math.argmin": lambda input, axis=None: ops.argmin(input, axis=int(axis or 0)),
    "math.cumsum": lambda x, axis=0: ops.cumsum(x, axis=int(axis)),
    "math.l2_normalize": _l2_normalize,
    "math.reduce_all": _reduce(ops.all),
    "math.reduce_any": _reduce(ops.any),
    "math.reduce_logsumexp": _reduce(ops.logsumexp),
    "math.reduce_max": _reduce(ops.max),
    "math.reduce_mean": _reduce(ops.mean),
    "math.reduce_min": _reduce(ops.min),
    "math.reduce_prod": _reduce(ops.prod),
    "math.reduce_std": _reduce(ops.std),
    "math.reduce_sum": _reduce(ops.sum),
    "math.reduce_variance": _reduce(ops.var),
    "nn.avg_pool": _pool("average"),
    "nn.avg_pool2d": _pool("average"),
    "math.top_k": _top_k,
    "nn.bias_add": _bias_add,
    "nn.depth_to_space": lambda input, block_size: ops.depth_to_space(input, int(block_size)),
    "nn.gelu": lambda features, approximate=False: ops.gelu(features, approximate=bool(approximate)),
    "nn.leaky_relu": lambda features, alpha=0.2: ops.leaky_relu(features, negative_slope=float(alpha)),
    "nn.log_softmax": lambda logits, axis=None: ops.log_softmax(
        logits, axis=-1 if axis is None else int(axis)
    ),
    "nn.max_pool": _pool("max"),
    "nn.max_pool2d": _pool("max"),
    "nn.silu": lambda features, beta=1.0: (
        features * ops.sigmoid(features * beta) if beta != 1 else ops.silu(features)
    ),
    "nn.softmax": _softmax,
    "nn.space_to_depth": lambda input, block_size: ops.space_to_depth(input, int(block_size)),
    "one_hot": lambda indices, depth, axis=-1: ops.one_hot(indices, int(depth), axis=int(axis or -1)),
    "pad": _pad,
    "repeat": lambda input, repeats, axis=None: ops.repeat(input, int(repeats), axis=axis),
    "reverse": lambda tensor, axis: ops.flip(tensor, axis=tuple(int(n) for n in np.ravel(axis))),
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "stack": lambda values, axis=0: ops.stack(values, axis=int(axis)),
    "tensordot": _tensordot,
    "tile": lambda input, multiples: ops.tile(input, _shape(multiples)),
    "transpose": _transpose,
    "unstack": lambda value, num=None, axis=0: ops.unstack(value, num, axis=int(axis)),
    "where": lambda condition, x, y: ops.where(condition, x, y),
}
"""Functions with settings, by the names that TensorFlow has for them."""


def call(layer: Any, args: tuple, kwargs: Mapping[str, Any], outputs: Any) -> Any:
    """Do in Keras 3 what a layer that holds a function of TensorFlow does.

    Args:
        layer: the tf_keras layer.
        args, kwargs: what it is called with, Keras 3 tensors in the place of its tensors.
        outputs: the tensors that it returns in tf_keras.

    Returns:
        What it returns in Keras 3: of the same shapes, by operations of `keras.ops` where there are some and
        else by TensorFlow's function in a layer.

    Raises:
        UnsupportedOperation: neither can do it.
    """
    arguments = inspect.signature(layer.function).bind(*args, **kwargs).arguments
    arguments = {key: _plain(value) for key, value in arguments.items() if key != "name"}
    symbol = layer.symbol.removeprefix("compat.v1.")
    try:
        found = _by_operations(symbol, arguments, outputs)
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        found = None  # what Keras refuses TensorFlow may take
    if found is not None and _fits(found, outputs):
        return found
    return _by_tensorflow(layer, args, kwargs)


def _by_operations(symbol: str, arguments: dict[str, Any], outputs: Any) -> Any | None:
    values = list(arguments.values())
    if symbol == "reshape":
        # What tf_keras found out replaces a shape that is computed in the model.
        shape = [-1 if size is None else size for size in outputs.shape]
        return ops.reshape(values[0], shape) if shape.count(-1) < 2 else None
    if symbol in _BINARY and len(values) == 2:
        return _BINARY[symbol](*_alike(*values))
    if symbol in _UNARY and not any(value is not None for value in values[1:]):
        return _UNARY[symbol](values[0])
    if symbol not in _RULES:
        return None
    variadic = arguments.pop("inputs", ()) if symbol == "einsum" else ()
    if variadic:
        return _RULES[symbol](arguments["equation"], *variadic)
    return _RULES[symbol](**arguments)


def _by_tensorflow(layer: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
    if not is_allowed(layer.symbol):
        raise UnsupportedOperation(
            f"The layer {layer.name!r} calls tf.{layer.symbol}, for which there is no operation in Keras 3. "
            "Put what it does into a layer of your own, with keras.ops, and build the model again."
        )
    tensors: list[Any] = []
    if layer.symbol in _INDEXING:
        args, kwargs = (
            tuple(map(_with_slices, args)),
            {key: _with_slices(each) for key, each in kwargs.items()},
        )
    named = {key: value for key, value in kwargs.items() if key != "name"}
    # Files have types by name, which not every function takes.
    named |= {key: tf.as_dtype(named[key]) for key in _TYPES if isinstance(named.get(key), str)}
    arguments = [to_template(list(args), tensors), to_template(named, tensors)]
    return TensorFlowFunction(layer.symbol, arguments, name=layer.name.replace("/", "."))(tensors)


_TYPES = ("dtype", "out_type", "output_type")
"""Arguments that are types of tensors."""

_INDEXING = ("__operators__.getitem", "boolean_mask")
"""Functions whose slices tf_keras keeps as dicts."""


def _with_slices(value: Any) -> Any:
    """Return indices with slices in the place of dicts."""
    if isinstance(value, dict) and value.keys() == {"start", "stop", "step"}:
        return slice(value["start"], value["stop"], value["step"])
    if isinstance(value, dict):
        return {key: _with_slices(each) for key, each in value.items()}
    return [_with_slices(each) for each in value] if isinstance(value, (list, tuple)) else value


def _plain(value: Any) -> Any:
    """Return a constant as NumPy has it, or as a number."""
    if hasattr(value, "numpy") and not isinstance(value, keras.KerasTensor):
        value = value.numpy()
    return value.item() if isinstance(value, (np.ndarray, np.generic)) and value.ndim == 0 else value


def _alike(x: Any, y: Any) -> tuple[Any, Any]:
    """Return two operands; a list or an array is given the type of the other one, a tensor."""
    symbolic = next(value for value in (x, y) if isinstance(value, keras.KerasTensor))
    first, second = (
        _array(value, symbolic.dtype) if isinstance(value, (list, tuple, np.ndarray)) else value
        for value in (x, y)
    )
    return first, second


def _array(value: Any, dtype: str) -> Any:
    return value if isinstance(value, (keras.KerasTensor, int, float)) else np.asarray(value, dtype)


def _axes(axis: Any) -> Any:
    if axis is None:
        return None
    axes = [int(n) for n in np.ravel(axis)]
    return axes[0] if len(axes) == 1 else tuple(axes)


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in np.ravel(shape))


def _dtype(dtype: Any) -> str:
    return dtype if isinstance(dtype, str) else dtype.name


def _fits(found: Any, outputs: Any) -> bool:
    """Return whether tensors have the shapes of those of tf_keras, as far as it knows them."""
    got, expected = ([tuple(x.shape) for x in keras.tree.flatten(each)] for each in (found, outputs))
    return [len(shape) for shape in got] == [len(shape) for shape in expected] and all(
        size in (None, other)
        for shape, other_shape in zip(expected, got, strict=True)
        for size, other in zip(shape, other_shape, strict=True)
    )


def _refuse(given: Mapping[str, Any], **neutral: Any) -> None:
    """Raise if a setting that Keras 3's operation lacks is in use."""
    if any(value != neutral.get(key, value) and value is not None for key, value in given.items()):
        raise NotImplementedError
