"""Pruning: weights that are zero and stay zero."""

from tfopt.pruning.lottery_ticket import lottery_ticket, rewind
from tfopt.pruning.mask import SparsityMask
from tfopt.pruning.masks import apply_masks, keep_zeros
from tfopt.pruning.prune import left_out, prune
from tfopt.pruning.schedules import ConstantSparsity, Cubic, OneShot, RigL
from tfopt.pruning.xnnpack import SparseInference, xnnpack_inference, xnnpack_rules

__all__ = [
    "ConstantSparsity",
    "Cubic",
    "OneShot",
    "RigL",
    "SparseInference",
    "SparsityMask",
    "apply_masks",
    "keep_zeros",
    "left_out",
    "lottery_ticket",
    "prune",
    "rewind",
    "xnnpack_inference",
    "xnnpack_rules",
]
