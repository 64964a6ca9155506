"""Pruning: weights that are zero and stay zero."""

from tfopt.pruning.mask import SparsityMask
from tfopt.pruning.masks import apply_masks
from tfopt.pruning.prune import prune
from tfopt.pruning.schedule import Cubic

__all__ = ["Cubic", "SparsityMask", "apply_masks", "prune"]
