"""The table of TensorFlow's functions that people call on symbolic tensors: name -> the same in `keras.ops`.

Each entry takes what its function of TensorFlow takes, by the same names; `name` is left away before. What
an entry cannot express, it refuses with `NotImplementedError`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt.graph.functions import tensorflow_images
from tfopt.graph.functions.complex_numbers import Complex
from tfopt.graph.functions.einsum_in_code import einsum


class UnknownBatch(Exception):
    """A shape was asked for as numbers, and one of them is not known."""


def sizes(x: Any) -> tuple[int, ...]:
    """Return the shape of a tensor.

    Raises:
        UnknownBatch: a size in it is not known.
    """
    if None in tuple(x.shape):
        raise UnknownBatch(f"tf.shape of a tensor of shape {tuple(x.shape)} is no number for each axis.")
    return tuple(x.shape)


def _ints(values: Any) -> list[int]:
    flat = values.numpy().tolist() if hasattr(values, "numpy") else values
    return [operator.index(int(value)) for value in (flat if np.ndim(flat) else [flat])]


def _axes(axis: Any) -> Any:
    if axis is None or isinstance(axis, int):
        return axis
    listed = _ints(axis)
    return listed[0] if np.ndim(axis) == 0 else tuple(listed)


def _reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(input_tensor: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(input_tensor, axis=_axes(axis), keepdims=keepdims)

    return reduce


def _one(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the entry of a function of one tensor, whatever TensorFlow calls it."""

    def entry(*args: Any, **kwargs: Any) -> Any:
        (x,) = (value for value in (*args, *kwargs.values()) if value is not None)
        return function(x)

    return entry


def _two(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda x, y: function(x, y)


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise NotImplementedError(what)


def _shape(input: Any, out_type: Any = None) -> Any:
    return np.asarray(
        sizes(input), "int32" if out_type is None else keras.backend.standardize_dtype(out_type)
    )


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, **other: Any) -> Any:
    _require(not any(other.values()), "conjugated or sparse matrices")
    a, b = (ops.swapaxes(x, -1, -2) if turned else x for x, turned in ((a, transpose_a), (b, transpose_b)))
    return ops.matmul(a, b)


def _transpose(a: Any, perm: Any = None, conjugate: bool = False) -> Any:
    _require(not conjugate, "conjugate=True")
    return ops.transpose(a, None if perm is None else _ints(perm))


def _argmax(function: Callable[..., Any]) -> Callable[..., Any]:
    def entry(input: Any, axis: Any = None, output_type: Any = "int64") -> Any:
        return ops.cast(function(input, axis=0 if axis is None else _axes(axis)), output_type)

    return entry


def _gather(
    params: Any, indices: Any, validate_indices: Any = None, axis: Any = None, batch_dims: int = 0
) -> Any:
    _require(validate_indices is None, "validate_indices")
    axis = batch_dims if axis is None else _axes(axis)
    if not batch_dims:
        return ops.take(params, indices, axis=axis)
    rank = len(params.shape)
    one_each = axis % rank == batch_dims and len(indices.shape) == batch_dims + 1
    _require(one_each, "batch_dims, but for indices of one axis more, on the axis after them")
    for _ in range(rank - len(indices.shape)):
        indices = ops.expand_dims(indices, -1)
    return ops.take_along_axis(params, indices, axis=batch_dims)


def _split(value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None) -> Any:
    _require(num is None, "num")
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis=_axes(axis))
    lengths = _ints(num_or_size_splits)
    _require(-1 not in lengths, "a length of -1")
    return ops.split(value, np.cumsum(lengths)[:-1].tolist(), axis=_axes(axis))


def _slice(input_: Any, begin: Any, size: Any) -> Any:
    bounds = zip(_ints(begin), _ints(size), strict=True)
    return input_[tuple(slice(first, None if length == -1 else first + length) for first, length in bounds)]


def _resize(
    images: Any,
    size: Any,
    method: Any = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Any:
    _require(not preserve_aspect_ratio, "preserve_aspect_ratio=True")
    name = getattr(method, "value", method)
    _require(name in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"), f"method={name!r}")
    return ops.image.resize(
        images, tuple(_ints(size)), interpolation=name, antialias=antialias, data_format="channels_last"
    )


def _pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Any:
    widths = np.asarray(paddings).tolist()
    if mode.lower() == "constant":
        return ops.pad(tensor, widths, mode="constant", constant_values=constant_values)
    return ops.pad(tensor, widths, mode=mode.lower())


def _cast(x: Any, dtype: Any) -> Any:
    kind = keras.backend.standardize_dtype(dtype)
    return Complex.of(x) if kind.startswith("complex") else ops.cast(x, kind)


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    _require(x is not None and y is not None, "where() with a condition alone")
    return ops.where(condition, x, y)


def _one_hot(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: Any = None, dtype: Any = None
) -> Any:
    _require(on_value is None and off_value is None, "on_value and off_value")
    return ops.one_hot(indices, int(depth), axis=-1 if axis is None else axis, dtype=dtype or "float32")


def _norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None) -> Any:
    _require(ord in ("euclidean", 2) and axis is not None, "another norm than the Euclidean along an axis")
    return ops.sqrt(ops.sum(ops.square(tensor), axis=_axes(axis), keepdims=bool(keepdims)))


def _l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, dim: Any = None) -> Any:
    axis = _axes(axis if dim is None else dim)
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), epsilon))


def _bias_add(value: Any, bias: Any, data_format: Any = None) -> Any:
    _require(data_format is None or not data_format.startswith("NC"), "channels first")
    return value + bias


def _spatial(strides: Any, rank: int) -> Any:
    """Return the strides of the axes of space, of a number, one for each of them, or one for each axis."""
    listed = _ints(strides)
    return tuple(listed[1:-1] if len(listed) == rank + 2 else listed * (rank if len(listed) == 1 else 1))


def _conv2d(
    input: Any,
    filters: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NHWC",
    dilations: Any = None,
) -> Any:
    _require(data_format == "NHWC" and isinstance(padding, str), "channels first, or explicit paddings")
    return ops.conv(
        input,
        filters,
        strides=_spatial(strides, 2),
        padding=padding.lower(),
        data_format="channels_last",
        dilation_rate=1 if dilations is None else _spatial(dilations, 2),
    )


def _pool(function: Callable[..., Any]) -> Callable[..., Any]:
    def entry(input: Any, ksize: Any, strides: Any, padding: Any, data_format: str = "NHWC") -> Any:
        _require(data_format == "NHWC" and isinstance(padding, str), "channels first, or explicit paddings")
        return function(
            input,
            _spatial(ksize, 2),
            strides=_spatial(strides, 2),
            padding=padding.lower(),
            data_format="channels_last",
        )

    return entry


def _depth_to_space(input: Any, block_size: int, data_format: str = "NHWC") -> Any:
    _require(data_format == "NHWC", "channels first")
    return ops.nn.depth_to_space(input, block_size, data_format="channels_last")


def _space_to_depth(input: Any, block_size: int, data_format: str = "NHWC") -> Any:
    _require(data_format == "NHWC", "channels first")
    return ops.nn.space_to_depth(input, block_size, data_format="channels_last")


def _patches(images: Any, sizes: Any, strides: Any, rates: Any, padding: str) -> Any:
    return ops.image.extract_patches(
        images,
        _spatial(sizes, 2),
        strides=_spatial(strides, 2),
        dilation_rate=_spatial(rates, 2),
        padding=padding.lower(),
        data_format="channels_last",
    )


def _squeeze(input: Any, axis: Any = None) -> Any:
    return ops.squeeze(input, axis=_axes(axis))


def _band_part(input: Any, num_lower: Any, num_upper: Any) -> Any:
    lower, upper = int(num_lower), int(num_upper)
    rows, columns = input.shape[-2:]
    _require(rows is not None and columns is not None, "matrices of unknown size")
    distance = np.arange(rows)[:, None] - np.arange(columns)
    kept = ((lower < 0) | (distance <= lower)) & ((upper < 0) | (-distance <= upper))
    return ops.where(kept, input, ops.zeros_like(input))


def _repeat(input: Any, repeats: Any, axis: Any = None) -> Any:
    counts = _ints(repeats)
    if len(counts) == 1:
        return ops.repeat(input, counts[0], axis=axis)
    if axis is None:
        input, axis = ops.reshape(input, (-1,)), 0
    return ops.take(input, np.repeat(np.arange(len(counts)), counts).astype("int32"), axis=axis)


def _dropout(x: Any, rate: Any, **_: Any) -> Any:
    raise NotImplementedError("dropout outside a layer: use keras.layers.Dropout")


def _cumsum(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    _require(not exclusive and not reverse, "exclusive or reverse")
    return ops.cumsum(x, axis=_axes(axis))


def _leaky_relu(features: Any, alpha: float = 0.2) -> Any:
    return ops.leaky_relu(features, negative_slope=alpha)


def _softmax(logits: Any, axis: Any = None) -> Any:
    return ops.softmax(logits, axis=-1 if axis is None else axis)


def _log_softmax(logits: Any, axis: Any = None) -> Any:
    return ops.log_softmax(logits, axis=-1 if axis is None else axis)


def _top_k(input: Any, k: int = 1, sorted: bool = True, index_type: Any = None) -> Any:
    _require(index_type is None, "index_type")
    return ops.top_k(input, int(k), sorted=sorted)


def _sorted(function: Callable[..., Any]) -> Callable[..., Any]:
    def entry(
        values: Any,
        axis: int = -1,
        direction: str = "ASCENDING",
        stable: bool = False,  # noqa: ARG001
    ) -> Any:
        found = function(values, axis=axis)
        return found if direction == "ASCENDING" else ops.flip(found, axis=axis)

    return entry


def _unstack(value: Any, num: Any = None, axis: int = 0) -> Any:
    return ops.unstack(value, num=num, axis=axis)


def _filled_like(function: Callable[..., Any]) -> Callable[..., Any]:
    def entry(input: Any, dtype: Any = None, layout: Any = None) -> Any:
        _require(layout is None, "layout")
        return function(input, dtype=None if dtype is None else keras.backend.standardize_dtype(dtype))

    return entry


def _moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False) -> Any:
    _require(shift is None, "shift")
    return ops.moments(x, axes=_axes(axes), keepdims=keepdims)


def _tensordot(a: Any, b: Any, axes: Any) -> Any:
    return ops.tensordot(a, b, axes=axes if isinstance(axes, int) else np.asarray(axes).tolist())


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **tensorflow_images.FUNCTIONS,
    "shape": _shape,
    "rank": lambda input: np.asarray(len(input.shape), "int32"),
    "reshape": lambda tensor, shape: ops.reshape(tensor, _ints(shape)),
    "transpose": _transpose,
    "expand_dims": lambda input, axis: ops.expand_dims(input, _axes(axis)),
    "squeeze": _squeeze,
    "concat": lambda values, axis: ops.concatenate(list(values), axis=_axes(axis)),
    "stack": lambda values, axis=0: ops.stack(list(values), axis=axis),
    "unstack": _unstack,
    "split": _split,
    "slice": _slice,
    "gather": _gather,
    "tile": lambda input, multiples: ops.tile(input, _ints(multiples)),
    "repeat": _repeat,
    "broadcast_to": lambda input, shape: ops.broadcast_to(input, tuple(_ints(shape))),
    "pad": _pad,
    "reverse": lambda tensor, axis: ops.flip(tensor, axis=_axes(axis)),
    "roll": lambda input, shift, axis: ops.roll(input, _axes(shift), axis=_axes(axis)),
    "where": _where,
    "cast": _cast,
    "identity": _one(lambda x: x),
    "stop_gradient": _one(ops.stop_gradient),
    "convert_to_tensor": lambda value, dtype=None, dtype_hint=None: (  # noqa: ARG005
        value if dtype is None else ops.cast(value, keras.backend.standardize_dtype(dtype))
    ),
    "ones_like": _filled_like(ops.ones_like),
    "zeros_like": _filled_like(ops.zeros_like),
    "one_hot": _one_hot,
    "clip_by_value": lambda t, clip_value_min, clip_value_max: ops.clip(t, clip_value_min, clip_value_max),
    "matmul": _matmul,
    "linalg.matvec": lambda a, b, **_: ops.squeeze(ops.matmul(a, ops.expand_dims(b, -1)), -1),
    "einsum": einsum,
    "tensordot": _tensordot,
    "norm": _norm,
    "linalg.band_part": _band_part,
    "reduce_mean": _reduced(ops.mean),
    "reduce_sum": _reduced(ops.sum),
    "reduce_max": _reduced(ops.max),
    "reduce_min": _reduced(ops.min),
    "reduce_prod": _reduced(ops.prod),
    "reduce_any": _reduced(ops.any),
    "reduce_all": _reduced(ops.all),
    "reduce_logsumexp": _reduced(ops.logsumexp),
    "math.reduce_std": _reduced(ops.std),
    "math.reduce_variance": _reduced(ops.var),
    "nn.moments": _moments,
    "argmax": _argmax(ops.argmax),
    "argmin": _argmax(ops.argmin),
    "math.top_k": _top_k,
    "sort": _sorted(ops.sort),
    "argsort": _sorted(ops.argsort),
    "cumsum": _cumsum,
    "add": _two(ops.add),
    "subtract": _two(ops.subtract),
    "multiply": _two(ops.multiply),
    "divide": _two(ops.divide),
    "truediv": _two(ops.divide),
    "math.divide_no_nan": _two(ops.divide_no_nan),
    "pow": _two(ops.power),
    "maximum": _two(ops.maximum),
    "minimum": _two(ops.minimum),
    "math.floordiv": _two(ops.floor_divide),
    "math.floormod": _two(ops.mod),
    "math.squared_difference": _two(lambda x, y: ops.square(x - y)),
    "add_n": lambda inputs: sum(inputs[1:], start=inputs[0]),
    "equal": _two(ops.equal),
    "not_equal": _two(ops.not_equal),
    "greater": _two(ops.greater),
    "greater_equal": _two(ops.greater_equal),
    "less": _two(ops.less),
    "less_equal": _two(ops.less_equal),
    "logical_and": _two(ops.logical_and),
    "logical_or": _two(ops.logical_or),
    "logical_not": _one(ops.logical_not),
    "abs": _one(ops.abs),
    "negative": _one(ops.negative),
    "sign": _one(ops.sign),
    "square": _one(ops.square),
    "sqrt": _one(ops.sqrt),
    "math.rsqrt": _one(ops.rsqrt),
    "math.reciprocal": _one(ops.reciprocal),
    "exp": _one(ops.exp),
    "math.expm1": _one(ops.expm1),
    "math.log": _one(ops.log),
    "math.log1p": _one(ops.log1p),
    "math.erf": _one(ops.erf),
    "sin": _one(ops.sin),
    "cos": _one(ops.cos),
    "tanh": _one(ops.tanh),
    "sigmoid": _one(ops.sigmoid),
    "floor": _one(ops.floor),
    "round": _one(ops.round),
    "math.ceil": _one(ops.ceil),
    "math.softplus": _one(ops.softplus),
    "math.l2_normalize": _l2_normalize,
    "nn.relu": _one(ops.relu),
    "nn.relu6": _one(ops.relu6),
    "nn.leaky_relu": _leaky_relu,
    "nn.elu": _one(ops.elu),
    "nn.selu": _one(ops.selu),
    "nn.gelu": lambda features, approximate=False: ops.gelu(features, approximate=approximate),
    "nn.silu": lambda features, beta=1.0: (
        ops.silu(features)
        if isinstance(beta, float) and beta == 1.0
        else features * ops.sigmoid(beta * features)
    ),
    "nn.softsign": _one(ops.softsign),
    "nn.softmax": _softmax,
    "nn.log_softmax": _log_softmax,
    "nn.bias_add": _bias_add,
    "nn.conv2d": _conv2d,
    "nn.max_pool2d": _pool(ops.max_pool),
    "nn.avg_pool2d": _pool(ops.average_pool),
    "nn.depth_to_space": _depth_to_space,
    "nn.space_to_depth": _space_to_depth,
    "nn.dropout": _dropout,
    "image.resize": _resize,
    "image.extract_patches": _patches,
    "image.rgb_to_grayscale": _one(lambda x: ops.image.rgb_to_grayscale(x, data_format="channels_last")),
}
"""The path of a function in `tf` -> its equivalent on symbolic tensors."""
