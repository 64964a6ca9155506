"""Pruning: weights that are zero and stay zero."""

from tfopt.pruning.mask import SparsityMask
from tfopt.pruning.masks import apply_masks, keep_zeros
from tfopt.pruning.prune import left_out, prune
from tfopt.pruning.schedule import Cubic

__all__ = ["Cubic", "SparsityMask", "apply_masks", "keep_zeros", "left_out", "prune"]
