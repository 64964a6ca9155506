"""Which functions of TensorFlow a model may call: those that cannot reach out of it."""

from __future__ import annotations

import re

_MODULES = {"__operators__", "bitwise", "image", "linalg", "math", "nn", "signal", "strings"}
"""Modules of TensorFlow all of whose functions take tensors and return some."""

_FUNCTIONS = {
    "": {
        "argsort", "batch_to_space", "bitcast", "boolean_mask", "broadcast_dynamic_shape",
        "broadcast_static_shape", "broadcast_to", "cast", "clip_by_global_norm", "clip_by_norm",
        "clip_by_value", "complex", "concat", "constant", "convert_to_tensor", "cumsum", "dynamic_partition",
        "dynamic_stitch", "einsum", "ensure_shape", "expand_dims", "extract_image_patches", "eye", "fill",
        "floor_div", "gather", "gather_nd", "histogram_fixed_width", "identity", "identity_n", "linspace",
        "meshgrid", "norm", "one_hot", "ones", "ones_like", "pad", "parallel_stack", "range", "rank",
        "realdiv", "repeat", "reshape", "reverse", "reverse_sequence", "roll", "saturate_cast", "scatter_nd",
        "searchsorted", "sequence_mask", "shape", "shape_n", "size", "slice", "sort", "space_to_batch",
        "space_to_batch_nd", "sparse_to_dense", "split", "squeeze", "stack", "stop_gradient",
        "strided_slice", "tensor_scatter_nd_add", "tensor_scatter_nd_max", "tensor_scatter_nd_min",
        "tensor_scatter_nd_sub", "tensor_scatter_nd_update", "tensordot", "tile", "transpose", "truncatediv",
        "truncatemod", "unique", "unique_with_counts", "unravel_index", "unstack", "where", "zeros",
        "zeros_like",
    },
    "keras.backend": {
        "abs", "all", "any", "arange", "argmax", "argmin", "batch_dot", "batch_flatten", "bias_add",
        "binary_crossentropy", "cast", "cast_to_floatx", "categorical_crossentropy", "clip", "concatenate",
        "conv1d", "conv2d", "conv3d", "cos", "ctc_batch_cost", "ctc_decode", "cumprod", "cumsum",
        "depthwise_conv2d", "dot", "dropout", "elu", "equal", "exp", "expand_dims", "flatten", "gather",
        "greater", "greater_equal", "hard_sigmoid", "in_top_k", "l2_normalize", "less", "less_equal", "log",
        "max", "maximum", "mean", "min", "minimum", "not_equal", "one_hot", "ones_like",
        "permute_dimensions", "pool2d", "pool3d", "pow", "prod", "random_bernoulli", "random_normal",
        "random_uniform", "relu", "repeat", "repeat_elements", "reshape", "resize_images", "resize_volumes",
        "reverse", "round", "separable_conv2d", "shape", "sigmoid", "sign", "sin", "softmax", "softplus",
        "softsign", "sparse_categorical_crossentropy", "spatial_2d_padding", "spatial_3d_padding", "sqrt",
        "square", "squeeze", "stack", "std", "stop_gradient", "sum", "switch", "tanh", "temporal_padding",
        "tile", "transpose", "truncated_normal", "var", "zeros_like",
    },
    "quantization": {
        "fake_quant_with_min_max_args", "fake_quant_with_min_max_vars",
        "fake_quant_with_min_max_vars_per_channel",
    },
    "random": {
        "categorical", "gamma", "normal", "poisson", "shuffle", "stateless_normal", "stateless_uniform",
        "truncated_normal", "uniform",
    },
}  # fmt: skip
"""Module of TensorFlow -> its functions that read, write and run nothing but tensors."""

_OUTWARDS = re.compile(
    "File|PyFunc|Save|Restore|Write|Read|Print|Log(String|ging)|Summary|Dataset|Iterator|Debug"
)
"""Operations of TensorFlow's graph that reach out of a model."""


def is_allowed(symbol: str) -> bool:
    """Return whether `tf.<symbol>` reads, writes and runs nothing but tensors."""
    plain = symbol.removeprefix("compat.v1.")
    if plain.startswith("raw_ops."):
        return not _OUTWARDS.search(plain)
    module, _, function = plain.rpartition(".")
    return plain.partition(".")[0] in _MODULES or function in _FUNCTIONS.get(module, ())
