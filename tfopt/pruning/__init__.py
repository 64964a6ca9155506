"""Pruning: weights that are zero and stay zero."""

from tfopt.pruning.mask import SparsityMask
from tfopt.pruning.masks import apply_masks, keep_zeros
from tfopt.pruning.prune import left_out, prune
from tfopt.pruning.schedule import Cubic
from tfopt.pruning.xnnpack import SparseInference, xnnpack_inference, xnnpack_rules

__all__ = [
    "Cubic",
    "SparseInference",
    "SparsityMask",
    "apply_masks",
    "keep_zeros",
    "left_out",
    "prune",
    "xnnpack_inference",
    "xnnpack_rules",
]
