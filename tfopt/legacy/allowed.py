"""Which functions of TensorFlow a model may call: those that cannot reach out of it."""

from __future__ import annotations

import re

_ALLOWED = {
    "__operators__", "bitwise", "image", "linalg", "math", "nn", "signal", "strings",
    "argsort", "boolean_mask", "broadcast_to", "cast", "concat", "cumsum", "einsum", "expand_dims", "eye",
    "fill", "gather", "gather_nd", "identity", "meshgrid", "norm", "one_hot", "ones", "ones_like", "pad",
    "range", "rank", "repeat", "reshape", "reverse", "roll", "scatter_nd", "searchsorted", "sequence_mask",
    "shape", "size", "slice", "sort", "split", "squeeze", "stack", "stop_gradient", "strided_slice",
    "tensordot", "tensor_scatter_nd_update", "tile", "transpose", "unstack", "where", "zeros", "zeros_like",
}  # fmt: skip
"""Modules and functions of TensorFlow that a model may call: none of them reads, writes or runs anything."""

_OUTWARDS = re.compile(
    "File|PyFunc|Save|Restore|Write|Read|Print|Log(String|ging)|Summary|Dataset|Iterator|Debug"
)
"""Operations of TensorFlow's graph that reach out of a model."""


def is_allowed(symbol: str) -> bool:
    """Return whether `tf.<symbol>` reads, writes and runs nothing but tensors."""
    plain = symbol.removeprefix("compat.v1.")
    if plain.startswith("raw_ops."):
        return not _OUTWARDS.search(plain)
    return plain.partition(".")[0] in _ALLOWED
